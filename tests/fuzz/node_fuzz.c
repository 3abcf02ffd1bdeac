/* Drives a node by bytes: datagrams (raw, or nearly valid queries and replies),
 * time, operations, and a policy that decides at once, later, or never. Checks
 * invariants after each step. The length of this file is that of one world:
 * what bytes can do in it is listed here, and nowhere else. */
#include "engine/node.h"

#include "base/time.h"
#include "kadenza_item.h"
#include "kadenza_sample.h"
#include "node/reply.h"
#include "target.h"
#include "wire/krpc.h"

#include <stdlib.h>
#include <string.h>

enum {
  PEERS = 24,   /* other nodes that send datagrams */
  QUERIES = 32, /* last queries of the node, which peers may answer */
  CALLS = 16,
  START = 100000,
  TICKS_MAX = 10000, /* at one moment; more is an endless loop */
  ITEMS = 2          /* an immutable and a mutable one */
};

/* A query that the node sent. */
struct sent_query {
  struct kad_address to;
  uint8_t len;
  uint8_t transaction[KAD_TRANSACTION_MAX];
};

struct world {
  const uint8_t *data;
  size_t size;
  struct kad_config config;
  struct kad_node *node;
  kad_time_ms now;
  uint64_t random;
  size_t bytes;          /* allocated memory */
  long allocations_left; /* negative: no limit */
  struct kad_contact peers[PEERS];
  uint32_t answered[PEERS]; /* by peer: bits of the ids in its replies */
  struct sent_query queries[QUERIES];
  size_t query_count;
  uint8_t token[KAD_TOKEN_MAX]; /* the last token of the node */
  size_t token_len;
  uint64_t sent;
  size_t longest_reply; /* of the node since this was cleared */
  uint64_t call_ids[CALLS];
  size_t call_count;
  uint8_t verdicts; /* state of the policy's decisions */
  uint64_t started;
  uint64_t ended;
  uint64_t accepted; /* policies that were set */
  uint64_t released;
  kad_operation_id last_operation;
  struct kad_record items[ITEMS]; /* of BEP 44, that peers may return */
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
};

/* --------------------------------------------------------- environment -- */

static uint8_t next_byte(struct world *world) {
  if (world->size == 0) {
    return 0;
  }
  world->size--;
  return *world->data++;
}

static unsigned next_below(struct world *world, unsigned bound) {
  return next_byte(world) % bound;
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

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct world *world = state;
  if (new_size > old_size) {
    if (world->allocations_left == 0) {
      world->allocations_left = -1;
      return NULL;
    }
    world->allocations_left -= world->allocations_left > 0;
  }
  CHECK(world->bytes >= old_size);
  world->bytes = world->bytes - old_size + new_size;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  /* A new block each time, so that sanitizers detect stale pointers. */
  void *block = malloc(new_size);
  CHECK(block != NULL);
  if (old != NULL) {
    memcpy(block, old, old_size < new_size ? old_size : new_size);
    free(old);
  }
  return block;
}

/* Returns the number of the peer at `address`, or PEERS. */
static unsigned peer_at(const struct world *world,
                        const struct kad_address *address) {
  unsigned i = 0;
  while (i < PEERS && !kad_address_equal(&world->peers[i].address, address)) {
    i++;
  }
  return i;
}

static void record_query(struct world *world, const struct kad_address *to,
                         const struct kad_message *message) {
  struct sent_query *query = &world->queries[world->query_count++ % QUERIES];
  CHECK(world->config.read_only == KAD_READ_ONLY_AUTO ||
        message->read_only == (world->config.read_only == KAD_READ_ONLY_ON));
  CHECK(message->transaction.len <= KAD_TRANSACTION_MAX);
  query->to = *to;
  query->len = (uint8_t)message->transaction.len;
  memcpy(query->transaction, message->transaction.data,
         message->transaction.len);
}

static void on_send(void *state, const struct kad_address *to,
                    struct kad_slice datagram) {
  struct world *world = state;
  struct kad_message message;
  CHECK(datagram.len > 0 && datagram.len <= world->config.max_reply);
  CHECK(!kad_address_is_martian(to, world->config.allow_local));
  CHECK(kad_krpc_decode(NULL, datagram, world->config.id_bits / 8, &message) ==
        0);
  world->sent++;
  if (message.kind == KAD_MESSAGE_QUERY) {
    record_query(world, to, &message);
    return;
  }
  CHECK(world->config.read_only != KAD_READ_ONLY_ON);
  if (datagram.len > world->longest_reply) {
    world->longest_reply = datagram.len;
  }
  if (message.token.len > 0) {
    world->token_len = message.token.len;
    memcpy(world->token, message.token.data, message.token.len);
  }
}

/* ------------------------------------------------------------- policies -- */

static void on_hook(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *result) {
  static const char *const replies[] = {"", "de", "d1:xi5ee", "nonsense"};
  struct world *world = state;
  CHECK(call->call_id != 0 && call->now == world->now);
  world->verdicts = (uint8_t)(world->verdicts * 5 + 3);
  result->verdict = (enum kad_verdict)(world->verdicts / 8 % 5);
  result->code = world->verdicts;
  result->reason = kad_slice_of("because");
  result->reply = kad_slice_of(replies[world->verdicts % 4]);
  result->seconds = world->verdicts;
  result->records = call->held;
  result->record_count = call->held_count;
  if (call->held_count == 0 && call->record != NULL) {
    result->records = call->record;
    result->record_count = 1;
  }
  if (result->verdict == KAD_VERDICT_PENDING) {
    world->call_ids[world->call_count++ % CALLS] = call->call_id;
  }
}

static void on_abandon(void *state, uint64_t call_id) {
  (void)state;
  CHECK(call_id != 0);
}

static void on_release(void *state) {
  ((struct world *)state)->released++;
}

static void set_policy(struct world *world) {
  uint8_t hooks = next_byte(world);
  kad_hook_fn hook[5];
  for (unsigned i = 0; i < 5; i++) {
    hook[i] = (hooks >> i & 1) != 0 ? on_hook : NULL;
  }
  const struct kad_type types[] = {
      {.name = "value",
       .state = world,
       .validate = hook[0],
       .expire = hook[1],
       .republish_at = hook[1],
       .select = hook[2]},
      {.name = "song",
       .state = world,
       .max_values = 3,
       .merge = hook[0],
       .select = hook[1],
       .stored = hook[2],
       .dropped = hook[2]},
  };
  const struct kad_method method = {"hello", world, on_hook};
  const struct kad_policy policy = {
      .state = world,
      .on_request = hook[3],
      .on_contact = hook[4],
      .types = types,
      .type_count = 2,
      .methods = &method,
      .method_count = 1,
      .deadline_ms = (hooks >> 5) * 500U,
      .abandon = on_abandon,
      .release = on_release,
  };
  bool none = hooks == 0;
  if (kad_node_set_policy(world->node, none ? NULL : &policy) == 0) {
    world->accepted += !none;
  }
}

static void complete_hook(struct world *world) {
  const struct kad_record record = {.value = kad_slice_of("later")};
  const struct kad_hook_result result = {
      .verdict = (enum kad_verdict)next_below(world, 5),
      .seconds = next_byte(world),
      .records = &record,
      .record_count = next_below(world, 2),
      .reply = kad_slice_of("d1:xi6ee"),
  };
  (void)kad_node_complete_hook(
      world->node, world->call_ids[next_below(world, CALLS)], &result);
}

/* ------------------------------------------------------------ datagrams -- */

/* Returns one of a few ids, some of them close to the node's own. */
static struct kad_id make_id(const struct world *world, unsigned number) {
  struct kad_id id = *kad_node_id(world->node);
  size_t size = world->config.id_bits / 8;
  id.bytes[size - 1] ^= (uint8_t)(number % 8 * 32 + 1);
  if (number % 2 == 0) {
    id.bytes[0] ^= (uint8_t)(0x80 >> number % 8);
    id.bytes[1] ^= (uint8_t)(number * 11);
  }
  return id;
}

static bool has_proven(struct kad_node *node, const struct kad_contact *from,
                       const struct kad_message *message) {
  const struct kad_incoming incoming = {.from = *from, .message = message};
  return !kad_reply_bound_of(node, &incoming, SIZE_MAX).is_cut;
}

/* Passes `bytes` to the node, after changes by the input. */
static void receive(struct world *world, unsigned peer, uint8_t *bytes,
                    size_t len, unsigned changes) {
  const struct kad_slice datagram = {bytes, len};
  struct kad_message message;
  for (unsigned i = 0; i < changes && len > 0; i++) {
    bytes[(next_byte(world) * 256U + next_byte(world)) % len] =
        next_byte(world);
  }
  bool understood =
      kad_krpc_decode(NULL, datagram, world->config.id_bits / 8, &message) == 0;
  for (unsigned i = 0; understood && i < PEERS; i++) {
    if (message.kind == KAD_MESSAGE_REPLY &&
        kad_id_equal(&message.id, &world->peers[i].id)) {
      world->answered[peer] |= UINT32_C(1) << i;
    }
  }
  world->longest_reply = 0;
  const struct kad_contact from = {.id = message.id,
                                   .address = world->peers[peer].address};
  kad_node_receive(world->node, &from.address, datagram);
  CHECK(has_proven(world->node, &from, &message) ||
        world->longest_reply <= KAD_AMPLIFICATION_MAX * len);
}

static void send_raw(struct world *world) {
  uint8_t bytes[256];
  unsigned peer = next_below(world, PEERS);
  size_t len = next_byte(world);
  for (size_t i = 0; i < len; i++) {
    bytes[i] = next_byte(world);
  }
  receive(world, peer, bytes, len, 0);
}

/* Adds records to a store or a reply. */
static void add_records(struct world *world, struct kad_message *message) {
  static const uint8_t text[KAD_ITEM_VALUE_MAX + 50] = "5:hello";
  message->record_count = next_below(world, 4);
  for (size_t i = 0; i < message->record_count; i++) {
    uint8_t shape = next_byte(world);
    message->records[i] = (struct kad_record){
        .value = {&text[shape % 2], shape % 8 == 0 ? 7 : shape * 4U},
        .salt = {text, shape % 16 == 3 ? shape : 0},
        .publisher = shape % 32 == 5 ? text : NULL,
        .signature = shape % 32 == 5 ? text : NULL,
        .has_seq = shape % 4 == 1,
        .seq = shape,
        .ttl = shape % 4 * 100U,
    };
  }
}

/* Adds the item of a put, or of a reply to a get: one that operations use, or
 * another. */
static void add_item(struct world *world, struct kad_message *message) {
  const unsigned which = next_below(world, 4);
  message->record_count = 1;
  message->has_item = true;
  message->records[0] = world->items[which % ITEMS];
  if (which >= ITEMS) {
    message->records[0].value = kad_slice_of("i7e");
    message->records[0].seq += which;
  }
  message->has_seq = message->records[0].has_seq;
  message->seq = message->records[0].seq;
}

static void encode_and_receive(struct world *world, unsigned peer,
                               const struct kad_message *message) {
  uint8_t bytes[4096];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  unsigned changes = next_byte(world);
  if (kad_krpc_encode(NULL, message, world->config.id_bits / 8, &writer) == 0) {
    receive(world, peer, bytes, writer.len, changes < 192 ? 0 : changes % 4);
  }
}

static void send_query(struct world *world) {
  static const char *const names[] = {"hello", "vote"};
  static const char *const types[] = {"value", "song", "peers", "none"};
  struct kad_message message;
  unsigned peer = next_below(world, PEERS);
  uint8_t flags = next_byte(world);
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = (enum kad_method_id)next_below(world, 10);
  message.name = kad_slice_of(names[flags % 2]);
  message.transaction = kad_slice_of("tt");
  message.id = world->peers[(peer + flags / 128) % PEERS].id;
  message.target = make_id(world, flags % 4);
  message.read_only = flags % 16 == 7;
  message.want4 = flags % 8 == 1;
  message.want6 = flags % 8 <= 2;
  message.implied_port = flags % 4 == 1;
  message.has_port = true;
  message.port = (uint16_t)(flags + 1);
  message.skip = flags % 3;
  message.type = kad_slice_of(types[flags / 4 % 4]);
  message.token = (struct kad_slice){world->token, world->token_len};
  message.has_cas = flags % 32 == 11;
  message.scrape = flags % 8 == 3;
  message.noseed = flags % 16 == 3;
  message.seed = flags % 8 == 5;
  if (message.method == KAD_METHOD_PUT && flags % 4 != 0) {
    add_item(world, &message);
  } else if (message.method == KAD_METHOD_STORE ||
             message.method == KAD_METHOD_PUT) {
    message.records[0] = (struct kad_record){.has_seq = false};
    add_records(world, &message);
  }
  encode_and_receive(world, peer, &message);
}

/* Adds what replies to a store, a scrape and a sample have. */
static void add_survey(struct world *world, struct kad_message *message) {
  static const uint8_t bits[KAD_FILTER_SIZE] = {0x11, 0x80};
  const uint8_t flags = next_byte(world);
  const size_t id_size = world->config.id_bits / 8;
  if (flags % 2 == 1) {
    message->seed_filter = (struct kad_slice){bits, sizeof bits};
    message->peer_filter = message->seed_filter;
  }
  message->has_samples = (flags & 2) != 0;
  message->samples = (struct kad_slice){bits, flags / 32 * id_size};
  message->has_num = (flags & 4) != 0;
  message->num = flags;
  message->has_interval = (flags & 8) != 0;
  message->interval = flags * 1000U;
  message->error_count = flags / 64;
  for (size_t i = 0; i < message->error_count; i++) {
    message->errors[i] =
        (struct kad_record_error){.index = flags % 8, .code = 200 + flags % 8};
  }
}

/* Fills the fields that the core reads from replies. */
static void fill_reply(struct world *world, struct kad_message *message) {
  uint8_t flags = next_byte(world);
  message->has_nodes = flags % 2 == 1;
  message->has_nodes6 = flags % 4 == 1;
  message->contact_count = flags % 2 == 1 ? next_below(world, 8) : 0;
  for (size_t i = 0; i < message->contact_count; i++) {
    message->contacts[i] = world->peers[next_below(world, PEERS)];
  }
  message->token = kad_slice_of((flags & 8) != 0 ? "token" : "");
  message->has_stored = (flags & 16) != 0;
  message->stored = flags % 3;
  message->has_total = (flags & 32) != 0;
  message->total = flags;
  message->has_next = (flags & 64) != 0;
  message->next = flags % 5;
  if (flags == 255) {
    add_survey(world, message);
  } else if (flags % 8 == 6) {
    add_item(world, message);
  } else if (flags % 4 == 2) {
    add_records(world, message);
  } else if (flags % 4 == 3) {
    message->peer_count = 1;
    message->peers[0] = world->peers[next_below(world, PEERS)].address;
  }
}

/* Answers a query of the node, in most cases from the queried peer. */
static void send_reply(struct world *world, enum kad_message_kind kind) {
  struct kad_message message;
  const struct sent_query *query = &world->queries[next_below(world, QUERIES)];
  unsigned peer = peer_at(world, &query->to);
  uint8_t lie = next_byte(world);
  if (peer == PEERS) {
    return;
  }
  kad_message_init(&message, kind);
  message.transaction = (struct kad_slice){query->transaction, query->len};
  message.id = world->peers[lie < 240 ? peer : lie % PEERS].id;
  if (kind == KAD_MESSAGE_ERROR) {
    message.code = 200 + lie % 8;
    message.text = kad_slice_of("no");
  } else {
    fill_reply(world, &message);
  }
  encode_and_receive(world, lie % 16 == 15 ? lie % PEERS : peer, &message);
}

/* ------------------------------------------------------------- requests -- */

static void on_end(void *data, const struct kad_result *result) {
  struct world *world = data;
  world->ended++;
  for (size_t i = 1; i < result->closest_count; i++) {
    CHECK(!kad_id_equal(&result->closest[i].id, &result->closest[i - 1].id) ||
          result->closest[i].address.family !=
              result->closest[i - 1].address.family);
  }
}

/* Returns a verdict, or cancels an operation, depending on the reply. */
static enum kad_reply_verdict on_reply(void *data,
                                       const struct kad_contact *from,
                                       struct kad_slice reply) {
  struct world *world = data;
  CHECK(from->address.family != 0 && reply.len > 0);
  if (reply.len % 8 == 3) {
    (void)kad_node_cancel(world->node, world->last_operation);
  }
  return (enum kad_reply_verdict)(reply.len % 3);
}

/* Starts an operation on an item, on one contact, or on what is published. */
static int request_more(struct world *world, unsigned kind, unsigned peer) {
  static const struct kad_lookup_options scrape = {
      .scrape = true, .noseed = true, .k = 8, .paths = 2};
  struct kad_node *node = world->node;
  const struct kad_contact *to = &world->peers[peer];
  const struct kad_id target = make_id(world, peer);
  const struct kad_record *item = &world->items[peer % ITEMS];
  const struct kad_lookup_options cas = {.has_cas = true, .cas = peer};
  kad_operation_id *name = &world->last_operation;
  switch (kind) {
  case 0:
    return kad_node_get(node, &item->key, item->type, NULL, on_end, world,
                        name);
  case 1:
    return kad_node_put(node, item, peer % 3 == 0 ? &cas : NULL, on_end, world,
                        name);
  case 2:
    return kad_node_get_peers(node, &target, &scrape, on_end, world, name);
  case 3:
    return kad_node_sample(node, to, &target, on_end, world, name);
  default:
    return kad_node_neighbours(node, to, &target, on_end, world, name);
  }
}

static int request(struct world *world, unsigned kind, unsigned peer) {
  struct kad_node *node = world->node;
  const struct kad_contact *to = &world->peers[peer];
  const struct kad_id target = make_id(world, peer);
  const char *type = peer % 2 == 0 ? "value" : "song";
  const struct kad_record record = {
      .key = target, .type = kad_slice_of(type), .value = kad_slice_of("ours")};
  const struct kad_custom_query custom = {.method = kad_slice_of("hello"),
                                          .args = kad_slice_of("d1:zi1ee"),
                                          .on_reply = on_reply};
  kad_operation_id *name = &world->last_operation;
  switch (kind) {
  case 0:
    return kad_node_ping(node, &to->address, on_end, world, name);
  case 1:
    return kad_node_call(node, to, kad_slice_of("hello"), kad_slice_of("de"),
                         on_end, world, name);
  case 2:
    return peer % 3 == 0
               ? kad_node_query(node, &target, &custom, NULL, on_end, world,
                                name)
               : kad_node_find_node(node, &target, NULL, on_end, world, name);
  case 3:
    return kad_node_get(node, &target, record.type, NULL, on_end, world, name);
  case 4:
    return kad_node_put(node, &record, NULL, on_end, world, name);
  case 5:
    return kad_node_get_peers(node, &target, NULL, on_end, world, name);
  case 6:
    return kad_node_announce(node, &target, (uint16_t)peer, NULL, on_end, world,
                             name);
  default:
    return kad_node_bootstrap(node, &to->address, 1, on_end, world, name);
  }
}

/* --------------------------------------------------------------- checks -- */

static void check_contacts(const struct world *world, uint64_t count) {
  struct kad_contact_info info[2 * PEERS];
  size_t there = kad_node_contacts(world->node, info, 2 * PEERS);
  CHECK(there == count && there <= PEERS);
  for (size_t i = 0; i < there; i++) {
    unsigned peer = peer_at(world, &info[i].contact.address);
    unsigned id = 0;
    CHECK(peer < PEERS);
    while (id < PEERS &&
           !kad_id_equal(&world->peers[id].id, &info[i].contact.id)) {
      id++;
    }
    /* Ids that the input changed are not tracked. */
    CHECK(id == PEERS || (world->answered[peer] >> id & 1) != 0);
  }
}

static void check(const struct world *world) {
  struct kad_stats stats;
  kad_node_stats(world->node, &stats);
  CHECK(stats.contacts_good <= stats.contacts);
  CHECK(stats.pending_hooks <= world->config.max_pending_hooks);
  /* The node itself may join again and republish. */
  uint64_t ours = world->started - world->ended;
  CHECK(stats.operations >= ours);
  CHECK(stats.operations <= ours + 1 + KAD_REPUBLISHES_MIN);
  CHECK(stats.records <= world->config.max_records);
  CHECK(stats.record_bytes <= world->config.max_bytes);
  CHECK(stats.datagrams_out == world->sent);
  CHECK(stats.replies + stats.errors + stats.timeouts + stats.pending <=
        stats.queries);
  CHECK(kad_node_deadline(world->node) != KAD_TIME_NEVER);
  check_contacts(world, stats.contacts);
}

/* Advances the time by `span_ms`, with each tick that is due. */
static void pass_time(struct world *world, kad_time_ms span_ms) {
  kad_time_ms until = world->now + span_ms;
  unsigned ticks = 0;
  while (kad_node_deadline(world->node) <= until) {
    kad_time_ms next = kad_node_deadline(world->node);
    ticks = next > world->now ? 0 : ticks + 1;
    CHECK(ticks < TICKS_MAX);
    world->now = next > world->now ? next : world->now;
    kad_node_tick(world->node);
  }
  world->now = until;
}

static void run_step(struct world *world) {
  unsigned kind = next_below(world, 16);
  if (kind < 2) {
    send_raw(world);
  } else if (kind < 5) {
    send_query(world);
  } else if (kind < 9) {
    send_reply(world, KAD_MESSAGE_REPLY);
  } else if (kind == 9) {
    send_reply(world, KAD_MESSAGE_ERROR);
  } else if (kind == 10) {
    pass_time(world, next_byte(world) * 8U);
  } else if (kind == 11) {
    pass_time(world, next_byte(world) * 10000U);
  } else if (kind == 12) {
    set_policy(world);
  } else if (kind == 13) {
    complete_hook(world);
  } else if (kind == 14) {
    world->allocations_left = next_byte(world) % 16;
  } else if (next_byte(world) < 32) {
    (void)kad_node_cancel(world->node, world->last_operation);
  } else {
    const unsigned what = next_byte(world);
    const unsigned peer = next_below(world, PEERS);
    const int error = what < 160 ? request(world, what % 8, peer)
                                 : request_more(world, what % 5, peer);
    world->started += error == 0;
  }
}

/* ---------------------------------------------------------------- setup -- */

static void configure(struct world *world) {
  uint8_t options = next_byte(world);
  kad_config_default(&world->config);
  world->config.id_bits = (options & 1) != 0 ? 256 : 160;
  world->config.allow_local = (options & 2) != 0;
  world->config.read_only = (options & 60) == 60 ? 1 : options >> 2 & 2;
  world->config.limits = (options & 64) != 0;
  world->config.max_reply = (options & 128) != 0 ? 512 : 1452;
  world->config.k = 1 + next_below(world, 20);
  world->config.max_pending_hooks = 8;
  world->config.max_records = 20;
  world->config.max_bytes = 20000;
  world->config.max_records_address = 5;
  world->random = next_byte(world);
}

/* Makes the peers: some in one subnet, some local, half of them IPv6. */
static void make_peers(struct world *world) {
  for (unsigned i = 0; i < PEERS; i++) {
    struct kad_address *address = &world->peers[i].address;
    bool six = i % 2 == 1;
    bool local = i % 8 >= 6;
    *address =
        (struct kad_address){.port = (uint16_t)(i + 1), .family = six ? 6 : 4};
    address->ip[0] = six ? (local ? 0xfd : 0x2a) : (local ? 127 : 80);
    address->ip[2] = (uint8_t)(i / 6);
    address->ip[six ? 15 : 3] = (uint8_t)(i + 1);
    world->peers[i].id = make_id(world, i);
    world->peers[i].id.bytes[2] ^= (uint8_t)i;
  }
}

static void make_items(struct world *world) {
  static const uint8_t seed[32] = {5};
  uint8_t secret[KAD_SECRET_SIZE];
  struct kad_record *fixed = &world->items[0];
  struct kad_record *changing = &world->items[1];
  *fixed = (struct kad_record){.type = kad_slice_of("immutable"),
                               .value = kad_slice_of("5:hello")};
  CHECK(kad_item_target_immutable(fixed->value, &fixed->key) == 0);
  *changing = (struct kad_record){.type = kad_slice_of("mutable"),
                                  .value = kad_slice_of("d1:ai1ee"),
                                  .publisher = world->publisher,
                                  .signature = world->signature,
                                  .has_seq = true,
                                  .seq = 3};
  kad_keypair(seed, world->publisher, secret);
  CHECK(kad_item_target_mutable(world->publisher, changing->salt,
                                &changing->key) == 0);
  CHECK(kad_item_sign(changing->value, changing->salt, changing->seq, secret,
                      world->signature) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct world world;
  world = (struct world){
      .data = data, .size = size, .now = START, .allocations_left = -1};
  configure(&world);
  const struct kad_env env = {
      .state = &world,
      .now = now,
      .wall_clock = wall_clock,
      .random = random_bytes,
      .send = on_send,
      .allocator = {resize, &world},
  };
  CHECK(kad_node_new(&world.config, &env, &world.node) == 0);
  CHECK(kad_node_add_family(world.node, 4) == 0);
  CHECK(kad_node_add_family(world.node, 6) == 0);
  make_peers(&world);
  make_items(&world);
  while (world.size > 0) {
    run_step(&world);
    check(&world);
  }
  kad_node_free(world.node);
  CHECK(world.bytes == 0);
  CHECK(world.ended == world.started);
  CHECK(world.released == world.accepted);
  return 0;
}
