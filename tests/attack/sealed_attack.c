/* Sends a sealed node what a stranger can: datagrams of members, cut, changed,
 * lengthened, and again, at any time and from anywhere; its own ones; datagrams
 * of another key or another time; and what is not sealed. None of it has an
 * effect, while members are served, time passes and the keys change. */
#include "attack.h"
#include "dice.h"
#include "engine/node.h"
#include "lone_node.h"

#include <string.h>

enum {
  COPIES = 64,
  MEMBERS = 6,
  LEN_MAX = 1400,
  MINUTE_MS = 60000
};

/* A datagram that a stranger has seen. */
struct copy {
  struct kad_address from;
  size_t len;
  uint8_t bytes[KAD_LONE_SIZE];
};

static const struct kad_network_keys rotations[] = {
    {.keys = {{1}}, .count = 1},
    {.keys = {{1}, {2}}, .count = 2},
    {.keys = {{2}, {1}}, .count = 2},
    {.keys = {{2}}, .count = 1},
};
static const struct kad_network_keys foreign = {.keys = {{3}}, .count = 1};

static struct kad_lone lone;
static struct kad_network_keys keys; /* of the node */
static struct kad_contact members[MEMBERS];
static struct copy copies[COPIES];
static size_t copy_count;

/* The raw datagrams of the node become copies. */
static void (*send_kept)(void *state, const struct kad_address *to,
                         struct kad_slice datagram);

static void remember(const struct kad_address *from,
                     struct kad_slice datagram) {
  struct copy *copy = &copies[copy_count++ % COPIES];
  copy->from = *from;
  copy->len = datagram.len;
  memcpy(copy->bytes, datagram.data, datagram.len);
}

static void send_and_remember(void *state, const struct kad_address *to,
                              struct kad_slice datagram) {
  remember(to, datagram);
  send_kept(state, to, datagram);
}

static void begin(uint64_t seed) {
  struct kad_dice dice = {seed};
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  keys = rotations[kad_dice_below(&dice, 4)];
  config.network_keys = &keys;
  copy_count = 0;
  struct kad_env env = kad_lone_env(&lone, kad_dice_next(&dice));
  send_kept = env.send;
  env.send = send_and_remember;
  kad_seal_init(&lone.seal, &keys);
  lone.overhead = KAD_SEAL_OVERHEAD;
  CHECK(kad_node_new(&config, &env, &lone.node) == 0);
  CHECK(kad_node_add_family(lone.node, 4) == 0);
  for (unsigned i = 0; i < MEMBERS; i++) {
    members[i] = kad_lone_contact(i + 1);
    kad_lone_add_contact(&lone, &members[i]);
  }
}

/* Seals `message` as a member does, `ahead_s` ahead of time. */
static size_t seal(struct kad_dice *dice, const struct kad_network_keys *with,
                   int64_t ahead_s, struct kad_slice message,
                   uint8_t *datagram) {
  uint8_t nonce[KAD_SEAL_NONCE_SIZE];
  struct kad_seal made;
  kad_dice_bytes(dice, nonce, sizeof nonce);
  kad_seal_init(&made, with);
  kad_seal_write(&made, nonce, (uint32_t)(kad_lone_wall_clock(&lone) + ahead_s),
                 message, datagram);
  return message.len + KAD_SEAL_OVERHEAD;
}

static struct kad_slice make_query(struct kad_dice *dice,
                                   struct kad_writer *writer) {
  static const enum kad_method_id methods[] = {
      KAD_METHOD_PING, KAD_METHOD_FIND_NODE, KAD_METHOD_GET_PEERS,
      KAD_METHOD_FIND_VALUE};
  struct kad_message query;
  kad_lone_begin(&query, methods[kad_dice_below(dice, 4)]);
  query.transaction = kad_slice_of("qq");
  query.has_id = true;
  query.id = members[0].id;
  query.has_target = true;
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  CHECK(kad_krpc_encode(NULL, &query, lone.id_size, writer) == 0);
  return (struct kad_slice){writer->data, writer->len};
}

/* What a stranger must not change; the rest is counters of the strangers. */
static struct kad_stats effects(void) {
  struct kad_stats stats = kad_lone_stats(&lone);
  stats.datagrams_in = 0;
  stats.bytes_in = 0;
  stats.dropped_unsealed = 0;
  stats.dropped_stale = 0;
  stats.dropped_replayed = 0;
  return stats;
}

static uint64_t count_dropped(void) {
  const struct kad_stats stats = kad_lone_stats(&lone);
  return stats.dropped_unsealed + stats.dropped_stale + stats.dropped_replayed;
}

/* Sends what must have no effect, from the sender of a copy or another one. */
static void send_in_vain(struct kad_dice *dice, const struct kad_address *from,
                         struct kad_slice bytes) {
  const struct kad_contact stranger =
      kad_lone_contact(100 + (unsigned)kad_dice_below(dice, 50));
  const struct kad_contact sender = {
      .address = kad_dice_one_in(dice, 2) ? *from : stranger.address};
  const struct kad_stats before = effects();
  const uint64_t dropped = count_dropped();
  const size_t sent = lone.sent;
  kad_attack_show_bytes("receives", bytes.data, bytes.len);
  kad_lone_receive_raw(&lone, &sender, bytes);
  const struct kad_stats after = effects();
  CHECK(memcmp(&before, &after, sizeof before) == 0);
  CHECK(lone.sent == sent);
  CHECK(count_dropped() == dropped + 1);
}

/* A member's query is served, and the stranger has a copy. */
static void send_query(struct kad_dice *dice) {
  uint8_t plain[LEN_MAX];
  uint8_t sealed[KAD_LONE_SIZE];
  const struct kad_contact *from = &members[kad_dice_below(dice, MEMBERS)];
  const int64_t ahead_s = (int64_t)kad_dice_below(dice, 601) - 300;
  struct kad_writer writer = {.data = plain, .cap = sizeof plain};
  const struct kad_slice query = make_query(dice, &writer);
  const size_t len = seal(dice, &keys, ahead_s, query, sealed);
  const size_t sent = lone.sent;
  kad_lone_receive_raw(&lone, from, (struct kad_slice){sealed, len});
  CHECK(lone.sent > sent);
  remember(&from->address, (struct kad_slice){sealed, len});
}

static void send_foreign(struct kad_dice *dice) {
  uint8_t plain[LEN_MAX];
  uint8_t sealed[KAD_LONE_SIZE];
  const bool is_late = kad_dice_one_in(dice, 2);
  struct kad_writer writer = {.data = plain, .cap = sizeof plain};
  const struct kad_slice query = make_query(dice, &writer);
  int64_t ahead_s = 301 + (int64_t)kad_dice_below(dice, 1000000);
  ahead_s = kad_dice_one_in(dice, 2) ? ahead_s : -ahead_s;
  const size_t len = is_late ? seal(dice, &keys, ahead_s, query, sealed)
                             : seal(dice, &foreign, 0, query, sealed);
  send_in_vain(dice, &members[0].address, (struct kad_slice){sealed, len});
}

static void send_plain(struct kad_dice *dice) {
  uint8_t bytes[LEN_MAX];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_slice plain = make_query(dice, &writer);
  if (kad_dice_one_in(dice, 2)) {
    plain.len = kad_dice_below(dice, LEN_MAX);
    kad_dice_bytes(dice, bytes, plain.len);
  }
  send_in_vain(dice, &members[0].address, plain);
}

/* Sends a copy, as it is or not. */
static void send_copy(struct kad_dice *dice) {
  const size_t there = copy_count < COPIES ? copy_count : COPIES;
  struct copy copy = copies[kad_dice_below(dice, there)];
  switch (kad_dice_below(dice, 4)) {
  case 0:
    copy.bytes[kad_dice_below(dice, copy.len)] ^=
        (uint8_t)(1U << kad_dice_below(dice, 8));
    break;
  case 1:
    copy.len = kad_dice_below(dice, copy.len);
    break;
  case 2:
    if (copy.len < sizeof copy.bytes) {
      copy.bytes[copy.len++] = (uint8_t)kad_dice_below(dice, 256);
      break;
    }
    copy.len--;
    break;
  default:
    break;
  }
  send_in_vain(dice, &copy.from, (struct kad_slice){copy.bytes, copy.len});
}

static void change_keys(struct kad_dice *dice) {
  keys = rotations[kad_dice_below(dice, 4)];
  CHECK(kad_node_set_network_keys(lone.node, &keys) == 0);
  kad_seal_init(&lone.seal, &keys);
}

static void pass_time(struct kad_dice *dice) {
  const kad_time_ms most = kad_dice_one_in(dice, 4) ? 20 * MINUTE_MS : 20000;
  kad_lone_run_answering(&lone, kad_dice_below(dice, most), members, MEMBERS);
}

static void step(uint64_t seed) {
  struct kad_dice dice = {seed};
  const uint64_t kind = kad_dice_below(&dice, 20);
  if (kind < 5) {
    send_query(&dice);
  } else if (kind < 13) {
    send_copy(&dice);
  } else if (kind < 15) {
    send_foreign(&dice);
  } else if (kind < 17) {
    send_plain(&dice);
  } else if (kind < 18) {
    change_keys(&dice);
  } else {
    pass_time(&dice);
  }
}

static void end(void) {
  struct kad_seal_notice notice;
  uint64_t cursor = 0;
  size_t notices = 0;
  while (kad_node_next_seal_notice(lone.node, &cursor, &notice)) {
    notices++;
  }
  CHECK(notices <= KAD_SEAL_NOTICES_MAX);
  kad_lone_close(&lone);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "sealed",
      .steps = 150,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
