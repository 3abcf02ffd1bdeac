#include "lone_node.h"

#include "base/time.h"
#include "unit.h"

#include <string.h>

enum {
  START = 1000000,
  CONTACT_SEED = 77000, /* unlike the node's own */
  MAX_CONTACTS = 1024
};

const struct kad_id kad_lone_target = {{0x42, 0x13, 0x37}};

static kad_time_ms now(void *state) {
  return ((struct kad_lone *)state)->now;
}

static int64_t wall_clock(void *state) {
  return 1700000000 + (int64_t)(((struct kad_lone *)state)->now / 1000);
}

/* SplitMix64. */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static void random_bytes(void *state, uint8_t *out, size_t len) {
  struct kad_lone *lone = state;
  for (size_t i = 0; i < len; i++) {
    out[i] = (uint8_t)next_random(&lone->random);
  }
}

static void hash(uint64_t *trace, const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    *trace = (*trace ^ bytes[i]) * 0x100000001b3;
  }
}

static void keep(void *state, const struct kad_address *to,
                 struct kad_slice datagram) {
  struct kad_lone *lone = state;
  struct kad_lone_datagram *kept = &lone->kept[lone->sent % KAD_LONE_KEPT];
  assert_true(datagram.len <= KAD_LONE_SIZE);
  kept->to = *to;
  kept->at = lone->now;
  kept->len = datagram.len;
  memcpy(kept->bytes, datagram.data, datagram.len);
  lone->sent++;
  hash(&lone->trace, to->ip, sizeof to->ip);
  hash(&lone->trace, datagram.data, datagram.len);
}

struct kad_env kad_lone_env(struct kad_lone *lone, uint64_t seed) {
  lone->node = NULL;
  lone->now = START;
  lone->random = seed;
  lone->sent = 0;
  lone->answered = 0;
  lone->trace = 0;
  lone->id_size = 20;
  kad_counting_init(&lone->counting);
  return (struct kad_env){
      .state = lone,
      .now = now,
      .wall_clock = wall_clock,
      .random = random_bytes,
      .send = keep,
      .allocator = lone->counting.allocator,
  };
}

void kad_lone_open(struct kad_lone *lone, const struct kad_config *config) {
  struct kad_config defaults;
  kad_config_default(&defaults);
  const struct kad_env env = kad_lone_env(lone, 1);
  config = config != NULL ? config : &defaults;
  lone->id_size = config->id_bits / 8;
  assert_ok(kad_node_new(config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  assert_ok(kad_node_add_family(lone->node, 6));
}

void kad_lone_close(struct kad_lone *lone) {
  kad_node_free(lone->node);
  lone->node = NULL;
  kad_counting_deinit(&lone->counting);
}

struct kad_contact kad_lone_contact(unsigned number) {
  struct kad_contact contact = {
      .address = {.ip = {80, (uint8_t)(number >> 8), (uint8_t)number, 1},
                  .port = 6881,
                  .family = 4},
  };
  uint64_t state = CONTACT_SEED + number;
  for (size_t i = 0; i < 20; i++) {
    contact.id.bytes[i] = (uint8_t)next_random(&state);
  }
  return contact;
}

struct kad_contact kad_lone_contact_v6(unsigned number) {
  struct kad_contact contact = kad_lone_contact(number);
  contact.address = (struct kad_address){
      .ip = {0x2a, 1, 0, 0, 0, 0, (uint8_t)(number >> 8), (uint8_t)number},
      .port = 6881,
      .family = 6,
  };
  contact.address.ip[15] = 1;
  return contact;
}

/* Goes to the next moment at which something is due, at most `until`. Returns
 * false when that is reached. */
static bool step(struct kad_lone *lone, kad_time_ms until) {
  kad_time_ms next = kad_node_deadline(lone->node);
  if (next > until) {
    lone->now = until;
    return false;
  }
  lone->now = next > lone->now ? next : lone->now;
  kad_node_tick(lone->node);
  return true;
}

void kad_lone_run(struct kad_lone *lone, kad_time_ms span_ms) {
  kad_time_ms until = lone->now + span_ms;
  while (step(lone, until)) {
  }
}

void kad_lone_live(struct kad_lone *lone, kad_time_ms span_ms,
                   const struct kad_contact *contacts, size_t count) {
  kad_time_ms until = lone->now + span_ms;
  kad_lone_answer_all(lone, contacts, count);
  while (step(lone, until)) {
    kad_lone_answer_all(lone, contacts, count);
  }
}

void kad_lone_receive(struct kad_lone *lone, const struct kad_contact *from,
                      struct kad_slice bytes) {
  kad_node_receive(lone->node, &from->address, bytes);
}

void kad_lone_begin(struct kad_message *message, enum kad_method_id method) {
  kad_message_init(message, KAD_MESSAGE_QUERY);
  message->method = method;
}

/* Encodes `message` and gives it to the node. */
static void deliver(struct kad_lone *lone, const struct kad_contact *from,
                    struct kad_message *message) {
  uint8_t bytes[4 * KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  message->has_id = true;
  message->id = from->id;
  assert_ok(kad_krpc_encode(NULL, message, lone->id_size, &writer));
  kad_lone_receive(lone, from, (struct kad_slice){bytes, writer.len});
}

void kad_lone_send(struct kad_lone *lone, const struct kad_contact *from,
                   struct kad_message *message) {
  if (message->transaction.len == 0) {
    message->transaction = kad_slice_of("qq");
  }
  deliver(lone, from, message);
}

void kad_lone_ask(struct kad_lone *lone, const struct kad_contact *from,
                  enum kad_method_id method) {
  struct kad_message message;
  kad_lone_begin(&message, method);
  message.has_target = true;
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  kad_lone_send(lone, from, &message);
}

void kad_lone_call(struct kad_lone *lone, const struct kad_contact *from,
                   const char *name, const char *args) {
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_CUSTOM);
  message.name = kad_slice_of(name);
  message.args = kad_slice_of(args);
  kad_lone_send(lone, from, &message);
}

/* Returns the datagram number `index`, and reads it. */
static const struct kad_lone_datagram *read_kept(struct kad_lone *lone,
                                                 size_t index,
                                                 struct kad_message *message) {
  assert_true(index < lone->sent && index + KAD_LONE_KEPT >= lone->sent);
  const struct kad_lone_datagram *kept = &lone->kept[index % KAD_LONE_KEPT];
  const struct kad_slice bytes = {kept->bytes, kept->len};
  assert_ok(kad_krpc_decode(NULL, bytes, lone->id_size, message));
  return kept;
}

const struct kad_lone_datagram *kad_lone_sent(struct kad_lone *lone,
                                              size_t back,
                                              struct kad_message *message) {
  assert_true(back < lone->sent);
  return read_kept(lone, lone->sent - 1 - back, message);
}

/* Returns the number of the oldest datagram that is kept. */
static size_t oldest(const struct kad_lone *lone) {
  return lone->sent > KAD_LONE_KEPT ? lone->sent - KAD_LONE_KEPT : 0;
}

const struct kad_lone_datagram *kad_lone_reply(struct kad_lone *lone,
                                               struct kad_message *message) {
  for (size_t i = lone->sent; i > oldest(lone); i--) {
    const struct kad_lone_datagram *kept = read_kept(lone, i - 1, message);
    if (message->kind != KAD_MESSAGE_QUERY) {
      return kept;
    }
  }
  fail_msg("the node has answered nothing");
  return NULL;
}

int kad_lone_error(struct kad_lone *lone) {
  struct kad_message message;
  (void)kad_lone_reply(lone, &message);
  return message.kind == KAD_MESSAGE_ERROR ? message.code : 0;
}

bool kad_lone_find_query(struct kad_lone *lone, const struct kad_address *to,
                         struct kad_message *message) {
  for (size_t i = lone->sent; i > oldest(lone); i--) {
    const struct kad_lone_datagram *kept = read_kept(lone, i - 1, message);
    if (message->kind == KAD_MESSAGE_QUERY &&
        kad_address_equal(&kept->to, to)) {
      return true;
    }
  }
  return false;
}

void kad_lone_answer(struct kad_lone *lone, const struct kad_contact *from,
                     const struct kad_message *query) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  deliver(lone, from, &reply);
}

void kad_lone_answer_all(struct kad_lone *lone,
                         const struct kad_contact *contacts, size_t count) {
  assert_true(lone->answered >= oldest(lone));
  while (lone->answered < lone->sent) {
    struct kad_message message;
    const struct kad_lone_datagram *kept =
        read_kept(lone, lone->answered++, &message);
    for (size_t i = 0; i < count; i++) {
      if (message.kind == KAD_MESSAGE_QUERY &&
          kad_address_equal(&kept->to, &contacts[i].address)) {
        kad_lone_answer(lone, &contacts[i], &message);
      }
    }
  }
}

void kad_lone_meet(struct kad_lone *lone, const struct kad_contact *contact) {
  struct kad_message query;
  const size_t sent = lone->sent;
  kad_lone_ask(lone, contact, KAD_METHOD_PING);
  /* Our answer, then the node's ping; none when it has no use for more. */
  if (lone->sent > sent + 1) {
    assert_true(kad_lone_find_query(lone, &contact->address, &query));
    kad_lone_answer(lone, contact, &query);
  }
}

size_t kad_lone_token(struct kad_lone *lone, const struct kad_contact *from,
                      uint8_t *token) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  kad_lone_ask(lone, from, KAD_METHOD_GET_PEERS);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  if (reply.token.len > 0) {
    memcpy(token, reply.token.data, reply.token.len);
  }
  return reply.token.len;
}

void kad_lone_store(struct kad_lone *lone, const struct kad_contact *from,
                    const struct kad_record *values, size_t count) {
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_STORE);
  message.has_target = true;
  message.target = kad_lone_target;
  message.type = kad_slice_of("value");
  message.token.len = kad_lone_token(lone, from, token);
  message.token.data = token;
  message.record_count = count;
  memcpy(message.records, values, count * sizeof *values);
  kad_lone_send(lone, from, &message);
}

void kad_lone_announce(struct kad_lone *lone, const struct kad_contact *from,
                       uint16_t port) {
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message message;
  kad_lone_begin(&message, KAD_METHOD_ANNOUNCE_PEER);
  message.target = kad_lone_target;
  message.token = (struct kad_slice){token, kad_lone_token(lone, from, token)};
  message.has_port = true;
  message.port = port;
  kad_lone_send(lone, from, &message);
}

bool kad_lone_knows(const struct kad_lone *lone,
                    const struct kad_contact *contact) {
  static struct kad_contact_info known[MAX_CONTACTS];
  size_t count = kad_node_contacts(lone->node, known, MAX_CONTACTS);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&known[i].contact.id, &contact->id) &&
        kad_address_equal(&known[i].contact.address, &contact->address)) {
      return true;
    }
  }
  return false;
}

bool kad_lone_hands_out(const struct kad_message *message,
                        const struct kad_contact *contact) {
  for (size_t i = 0; i < message->contact_count; i++) {
    if (kad_id_equal(&message->contacts[i].id, &contact->id) &&
        kad_address_equal(&message->contacts[i].address, &contact->address)) {
      return true;
    }
  }
  return false;
}

struct kad_stats kad_lone_stats(const struct kad_lone *lone) {
  struct kad_stats stats;
  kad_node_stats(lone->node, &stats);
  return stats;
}
