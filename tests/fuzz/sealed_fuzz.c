/* Drives a sealed node by bytes: messages of members, which the node opens and
 * decodes; bytes that are not sealed; datagrams that were changed on their way
 * or arrive again; time, and changes of the keys. What a stranger can send must
 * have no effect, and what the node sends opens and is no longer than it may
 * be. */
#include "base/time.h"
#include "engine/node.h"
#include "node/reply_bound.h"
#include "rpc/datagram.h"
#include "target.h"
#include "wire/krpc.h"

#include <string.h>

enum {
  START = 100000,
  PEERS = 16,
  TICKS_MAX = 10000, /* at one moment; more is an endless loop */
  MESSAGE_MAX = 1400
};

static const struct kad_network_keys rotations[] = {
    {.keys = {{1}}, .count = 1},
    {.keys = {{1}, {2}}, .count = 2},
    {.keys = {{2}, {1}}, .count = 2},
    {.keys = {{2}}, .count = 1},
};

struct world {
  const uint8_t *data;
  size_t size;
  struct kad_node *node;
  struct kad_seal seal; /* of the members */
  kad_time_ms now;
  uint64_t random;
  uint64_t nonces;
  uint64_t sent;
  size_t longest;       /* datagram of the node since this was cleared */
  uint8_t latest[1500]; /* datagram of a member */
  size_t latest_len;
};

static uint8_t next_byte(struct world *world) {
  if (world->size == 0) {
    return 0;
  }
  world->size--;
  return *world->data++;
}

static kad_time_ms now(void *state) {
  return ((struct world *)state)->now;
}

static int64_t wall_clock(void *state) {
  return (int64_t)(((struct world *)state)->now / KAD_MS_PER_S);
}

static void random_bytes(void *state, uint8_t *out, size_t len) {
  struct world *world = state;
  for (size_t i = 0; i < len; i++) {
    world->random = world->random * 6364136223846793005 + 1442695040888963407;
    out[i] = (uint8_t)(world->random >> 56);
  }
}

static void on_send(void *state, const struct kad_address *to,
                    struct kad_slice datagram) {
  struct world *world = state;
  uint8_t room[KAD_DATAGRAM_MAX];
  struct kad_opened opened;
  struct kad_message message;
  CHECK(to->port != 0 &&
        datagram.len <= kad_node_config(world->node)->max_reply);
  CHECK(kad_seal_open(&world->seal, datagram, room, &opened) == 0);
  CHECK(opened.time_s == (uint32_t)wall_clock(world));
  CHECK(kad_krpc_decode(NULL, opened.message, 20, &message) == 0);
  world->sent++;
  if (message.kind != KAD_MESSAGE_QUERY && datagram.len > world->longest) {
    world->longest = datagram.len;
  }
}

static struct kad_address peer(unsigned number) {
  return (struct kad_address){
      .ip = {80, (uint8_t)number, 0, 1}, .port = 6881, .family = 4};
}

/* Passes what a stranger can send to the node: nothing happens. */
static void receive_in_vain(struct world *world, const struct kad_address *from,
                            struct kad_slice bytes) {
  struct kad_stats before;
  struct kad_stats after;
  kad_node_stats(world->node, &before);
  kad_node_receive(world->node, from, bytes);
  kad_node_stats(world->node, &after);
  const uint64_t dropped = after.dropped_unsealed - before.dropped_unsealed +
                           after.dropped_stale - before.dropped_stale +
                           after.dropped_replayed - before.dropped_replayed;
  CHECK(dropped == 1 && after.datagrams_out == before.datagrams_out);
  CHECK(after.pending == before.pending && after.queries == before.queries);
  CHECK(after.dropped_malformed == before.dropped_malformed);
}

/* Reads bytes of the input as a message. */
static struct kad_slice read_bytes(struct world *world, uint8_t *bytes) {
  const size_t len = (next_byte(world) * 8U + next_byte(world)) % MESSAGE_MAX;
  for (size_t i = 0; i < len; i++) {
    bytes[i] = next_byte(world);
  }
  return (struct kad_slice){.data = bytes, .len = len};
}

/* Seals a message as a member does, `ahead_s` ahead of time. */
static void seal(struct world *world, struct kad_slice message,
                 int32_t ahead_s) {
  uint8_t nonce[KAD_SEAL_NONCE_SIZE] = {0};
  const uint64_t number = ++world->nonces;
  memcpy(nonce, &number, sizeof number);
  kad_seal_write(&world->seal, nonce,
                 (uint32_t)wall_clock(world) + (uint32_t)ahead_s, message,
                 world->latest);
  world->latest_len = message.len + KAD_SEAL_OVERHEAD;
}

static void send_message(struct world *world, const struct kad_address *from) {
  uint8_t bytes[MESSAGE_MAX];
  const struct kad_slice message = read_bytes(world, bytes);
  const int32_t ahead_s = (int32_t)(next_byte(world) * 8U) - 1000;
  seal(world, message, ahead_s);
  const struct kad_slice datagram = {world->latest, world->latest_len};
  if (ahead_s > KAD_SEAL_WINDOW_S || ahead_s < -KAD_SEAL_WINDOW_S) {
    receive_in_vain(world, from, datagram);
    return;
  }
  world->longest = 0;
  kad_node_receive(world->node, from, datagram);
  /* The address may have proven itself, by a reply to a ping of the node. */
  const struct kad_incoming incoming = {.from.address = *from,
                                        .message = &(struct kad_message){0}};
  CHECK(!kad_reply_bound_of(world->node, &incoming, SIZE_MAX).is_cut ||
        world->longest <= KAD_AMPLIFICATION_MAX * datagram.len);
  receive_in_vain(world, from, datagram);
}

/* Sends the latest datagram of a member again, as it is or not. */
static void send_changed(struct world *world, const struct kad_address *from) {
  uint8_t bytes[sizeof world->latest];
  size_t len = world->latest_len;
  const size_t at = next_byte(world) * 8U + next_byte(world);
  if (len == 0) {
    return;
  }
  memcpy(bytes, world->latest, len);
  if (at % 4 == 0) {
    len = at / 4 % len;
  } else {
    bytes[at / 4 % len] ^= (uint8_t)(at % 4);
  }
  receive_in_vain(world, from, (struct kad_slice){bytes, len});
}

static void send_raw(struct world *world, const struct kad_address *from) {
  uint8_t bytes[MESSAGE_MAX];
  receive_in_vain(world, from, read_bytes(world, bytes));
}

static void pass_time(struct world *world) {
  const kad_time_ms until = world->now + next_byte(world) * 5000U;
  unsigned ticks = 0;
  while (kad_node_deadline(world->node) <= until) {
    const kad_time_ms at = kad_node_deadline(world->node);
    world->now = at > world->now ? at : world->now;
    kad_node_tick(world->node);
    CHECK(ticks++ < TICKS_MAX);
  }
  world->now = until;
}

/* What a member sealed with the keys of before is not opened then, perhaps. */
static void change_keys(struct world *world) {
  const struct kad_network_keys *keys = &rotations[next_byte(world) % 4];
  CHECK(kad_node_set_network_keys(world->node, keys) == 0);
  kad_seal_init(&world->seal, keys);
}

static void run_step(struct world *world) {
  const uint8_t kind = next_byte(world);
  const struct kad_address from = peer(kind / 16);
  switch (kind % 8) {
  case 0:
    send_raw(world, &from);
    break;
  case 1:
    send_changed(world, &from);
    break;
  case 2:
    pass_time(world);
    break;
  case 3:
    change_keys(world);
    break;
  default:
    send_message(world, &from);
  }
}

static void check_notices(const struct world *world) {
  struct kad_seal_notice notice;
  uint64_t cursor = 0;
  size_t count = 0;
  while (kad_node_next_seal_notice(world->node, &cursor, &notice)) {
    count++;
  }
  CHECK(count <= KAD_SEAL_NOTICES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct world world;
  struct kad_config config;
  world = (struct world){.data = data, .size = size, .now = START};
  kad_config_default(&config);
  config.limits = false;
  config.max_reply = next_byte(&world) % 2 == 0 ? 1452 : 512;
  config.network_keys = &rotations[0];
  kad_seal_init(&world.seal, &rotations[0]);
  const struct kad_env env = {
      .state = &world,
      .now = now,
      .wall_clock = wall_clock,
      .random = random_bytes,
      .send = on_send,
      .allocator = kad_allocator_default(),
  };
  CHECK(kad_node_new(&config, &env, &world.node) == 0);
  CHECK(kad_node_add_family(world.node, 4) == 0);
  while (world.size > 0) {
    run_step(&world);
  }
  check_notices(&world);
  kad_node_free(world.node);
  return 0;
}
