/* A node that receives every query in every wrong form, plain and sealed: it
 * sends at most one answer to each, serves others all the while, and is
 * afterwards as it was. Tests core/node/serve.c, core/node/reply.c,
 * core/node/reply_store.c, core/rpc/rpc.c. */
#include "kadenza_network_key.h"
#include "lone_node.h"
#include "records/item.h"
#include "unit.h"
#include "variants.h"

#include <string.h>

enum {
  HONEST = 4,
  DATAGRAM_MAX = 4 * KAD_LONE_SIZE,
  CONTACTS_MAX = 64,
  MINUTE_MS = 60000,
  EXPIRED_MS = 26 * 60 * MINUTE_MS /* by then no record is left */
};

/* The queries that are made hostile, each with every field that it may have. */
enum query {
  PING,
  FIND_NODE,
  GET_PEERS,
  ANNOUNCE,
  FIND_VALUE,
  STORE,
  GET,
  PUT_IMMUTABLE,
  PUT_MUTABLE,
  SAMPLE,
  CUSTOM,
  QUERIES
};

static struct kad_lone lone_node;
static struct kad_contact honest[HONEST];
static struct kad_contact hostile;
static uint8_t token[KAD_TOKEN_MAX];
static uint8_t publisher[KAD_PUBLISHER_SIZE];
static uint8_t signature[2][KAD_SIGNATURE_SIZE];

static void answer_hello(void *state, const struct kad_hook_call *call,
                         struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->reply = kad_slice_of("d2:hi3:youe");
}

static void open_node(const struct kad_network_keys *keys) {
  const struct kad_method hello = {"hello", NULL, answer_hello};
  const struct kad_policy policy = {.methods = &hello, .method_count = 1};
  struct kad_config config = kad_lone_unlimited();
  config.network_keys = keys;
  kad_lone_open(&lone_node, &config);
  assert_ok(kad_node_set_policy(lone_node.node, &policy));
  for (unsigned i = 0; i < HONEST; i++) {
    honest[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(&lone_node, &honest[i]);
    assert_true(kad_lone_knows(&lone_node, &honest[i]));
  }
  hostile = kad_lone_contact(900);
}

/* -------------------------------------------------------------- queries -- */

static void make_signed(struct kad_record *record) {
  static const uint8_t seed[32] = {3};
  uint8_t secret[KAD_SECRET_SIZE];
  kad_keypair(seed, publisher, secret);
  record->publisher = publisher;
  record->signature = signature[0];
  record->salt = kad_slice_of("salt");
  record->has_seq = true;
  record->seq = 4;
  record->ttl = 3600;
  assert_ok(kad_record_sign(record, 160, secret, signature[0]));
}

static void make_store(struct kad_message *message) {
  message->type = kad_slice_of("value");
  message->has_ttl = true;
  message->ttl = 7200;
  message->why = kad_slice_of("republish");
  message->record_count = 2;
  for (size_t i = 0; i < 2; i++) {
    message->records[i] =
        (struct kad_record){.key = message->target,
                            .type = message->type,
                            .value = kad_slice_of(i == 0 ? "plain" : "signed")};
  }
  make_signed(&message->records[1]);
}

static void make_put(struct kad_message *message, bool is_mutable) {
  static const uint8_t seed[32] = {3};
  struct kad_record *item = &message->records[0];
  uint8_t secret[KAD_SECRET_SIZE];
  *item = (struct kad_record){.value = kad_slice_of("d3:agei7e4:name2:hie")};
  message->record_count = 1;
  if (!is_mutable) {
    assert_ok(kad_item_target_immutable(item->value, &message->target));
    return;
  }
  kad_keypair(seed, publisher, secret);
  item->publisher = publisher;
  item->signature = signature[1];
  item->salt = kad_slice_of("salt");
  item->has_seq = true;
  item->seq = 9;
  message->has_cas = true;
  message->cas = 9;
  assert_ok(kad_item_target_mutable(publisher, item->salt, &message->target));
  assert_ok(
      kad_item_sign(item->value, item->salt, item->seq, secret, signature[1]));
}

static void make_query(enum query query, struct kad_message *message) {
  static const enum kad_method_id methods[QUERIES] = {
      KAD_METHOD_PING,       KAD_METHOD_FIND_NODE,
      KAD_METHOD_GET_PEERS,  KAD_METHOD_ANNOUNCE_PEER,
      KAD_METHOD_FIND_VALUE, KAD_METHOD_STORE,
      KAD_METHOD_GET,        KAD_METHOD_PUT,
      KAD_METHOD_PUT,        KAD_METHOD_SAMPLE_INFOHASHES,
      KAD_METHOD_CUSTOM};
  kad_lone_begin(message, methods[query]);
  message->transaction = kad_slice_of("aa");
  message->version = kad_slice_of("XX01");
  message->has_target = query != PING;
  message->target = kad_lone_target;
  message->want4 = query != PING;
  message->want6 = message->want4;
  message->type = kad_slice_of("value");
  message->scrape = query == GET_PEERS;
  message->noseed = query == GET_PEERS;
  message->seed = query == ANNOUNCE;
  message->has_port = query == ANNOUNCE;
  message->port = 7000;
  message->skip = query == FIND_VALUE ? 1 : 0;
  message->has_seq = query == GET;
  message->seq = 3;
  message->name = kad_slice_of("hello");
  message->args = kad_slice_of(query == CUSTOM ? "d4:listl1:a1:bee" : "");
  if (query == STORE) {
    make_store(message);
  } else if (query == PUT_IMMUTABLE || query == PUT_MUTABLE) {
    make_put(message, query == PUT_MUTABLE);
  }
}

/* Gets a token for `target` and adds it. */
static void add_token(struct kad_message *message) {
  struct kad_message get;
  struct kad_message reply;
  kad_lone_begin(&get, KAD_METHOD_GET_PEERS);
  get.has_target = true;
  get.target = message->target;
  kad_lone_send(&lone_node, &hostile, &get);
  (void)kad_lone_reply(&lone_node, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  memcpy(token, reply.token.data, reply.token.len);
  message->token = (struct kad_slice){token, reply.token.len};
}

/* Returns the datagram of `query`, valid until the next call. */
static struct kad_slice encode(enum query query) {
  static uint8_t bytes[DATAGRAM_MAX];
  struct kad_writer out = {.data = bytes, .cap = sizeof bytes};
  struct kad_message message;
  make_query(query, &message);
  message.has_id = true;
  message.id = hostile.id;
  if (query != PING && query != CUSTOM) {
    add_token(&message);
  }
  assert_ok(kad_krpc_encode(NULL, &message, 20, &out));
  return (struct kad_slice){bytes, out.len};
}

/* --------------------------------------------------------------- checks -- */

/* Sends `datagram`. Returns the number of answers, of which there is one at
 * most. */
static unsigned send(struct kad_slice datagram) {
  const size_t before = lone_node.sent;
  unsigned answers = 0;
  kad_lone_receive(&lone_node, &hostile, datagram);
  for (size_t i = before; i < lone_node.sent; i++) {
    struct kad_message message;
    (void)kad_lone_sent(&lone_node, lone_node.sent - 1 - i, &message);
    answers += message.kind != KAD_MESSAGE_QUERY;
  }
  assert_in_range(answers, 0, 1);
  kad_lone_answer_all(&lone_node, honest, HONEST);
  return answers;
}

static void ping_is_answered(void) {
  const uint64_t served = kad_lone_stats(&lone_node).served_ping;
  kad_lone_query(&lone_node, &honest[0], KAD_METHOD_PING);
  assert_int_equal(kad_lone_stats(&lone_node).served_ping, served + 1);
}

/* The contacts are the honest ones, and all of them. */
static void contacts_are_honest(void) {
  static struct kad_contact_info known[CONTACTS_MAX];
  assert_int_equal(kad_node_contacts(lone_node.node, known, CONTACTS_MAX),
                   HONEST);
  for (unsigned i = 0; i < HONEST; i++) {
    assert_true(kad_lone_knows(&lone_node, &honest[i]));
  }
}

/* Returns the memory of the node while it queries no contact, as it does now
 * and then. */
static size_t bytes_at_rest(void) {
  size_t least = SIZE_MAX;
  for (unsigned second = 0; second < 600; second++) {
    kad_lone_run_answering(&lone_node, 1000, honest, HONEST);
    least = lone_node.counting.bytes < least ? lone_node.counting.bytes : least;
  }
  return least;
}

/* Sends every wrong form of each query. */
static void send_all(void) {
  static uint8_t wrong[DATAGRAM_MAX];
  for (enum query query = PING; query < QUERIES; query++) {
    const struct kad_slice datagram = encode(query);
    const size_t places = kad_variant_places(datagram);
    for (size_t i = 0; i < places * kad_variant_forms(); i++) {
      struct kad_writer out = {.data = wrong, .cap = sizeof wrong};
      if (kad_variant_write(datagram, i % places, i / places, &out)) {
        (void)send((struct kad_slice){wrong, out.len});
      }
    }
    ping_is_answered();
    kad_lone_run_answering(&lone_node, MINUTE_MS, honest, HONEST);
  }
}

static void queries_in_every_form_leave_a_node_as_it_was(
    const struct kad_network_keys *keys) {
  size_t bytes[3];
  open_node(keys);
  for (size_t round = 0; round < 3; round++) {
    send_all();
    assert_true(kad_lone_records(&lone_node) > 0);
    kad_lone_run_answering(&lone_node, EXPIRED_MS, honest, HONEST);
    assert_int_equal(kad_lone_records(&lone_node), 0);
    contacts_are_honest();
    bytes[round] = bytes_at_rest();
  }
  assert_int_equal(bytes[2], bytes[1]);
  kad_lone_close(&lone_node);
}

/* ---------------------------------------------------------------- tests -- */

static void every_query_is_served_in_its_right_form(void **state) {
  (void)state;
  open_node(NULL);
  for (enum query query = PING; query < QUERIES; query++) {
    assert_int_equal(send(encode(query)), 1);
    assert_int_equal(kad_lone_error(&lone_node), 0);
  }
  kad_lone_close(&lone_node);
}

static void plain_queries_in_every_form_leave_a_node_as_it_was(void **state) {
  (void)state;
  queries_in_every_form_leave_a_node_as_it_was(NULL);
}

static void sealed_queries_in_every_form_leave_a_node_as_it_was(void **state) {
  static const struct kad_network_keys keys = {.count = 1, .keys = {{7}}};
  (void)state;
  queries_in_every_form_leave_a_node_as_it_was(&keys);
}

/* A sealed datagram, cut, is no sealed datagram. */
static void queries_cut_anywhere_are_not_answered(void **state) {
  (void)state;
  open_node(NULL);
  for (enum query query = PING; query < QUERIES; query++) {
    const struct kad_slice datagram = encode(query);
    const uint64_t malformed = kad_lone_stats(&lone_node).dropped_malformed;
    for (size_t len = 0; len < datagram.len; len++) {
      assert_int_equal(send((struct kad_slice){datagram.data, len}), 0);
    }
    assert_int_equal(kad_lone_stats(&lone_node).dropped_malformed,
                     malformed + datagram.len);
    ping_is_answered();
  }
  kad_lone_run_answering(&lone_node, 60 * MINUTE_MS, honest, HONEST);
  contacts_are_honest();
  kad_lone_close(&lone_node);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_query_is_served_in_its_right_form),
      cmocka_unit_test(plain_queries_in_every_form_leave_a_node_as_it_was),
      cmocka_unit_test(sealed_queries_in_every_form_leave_a_node_as_it_was),
      cmocka_unit_test(queries_cut_anywhere_are_not_answered),
  };
  return cmocka_run_group_tests_name("hostile_query", tests, NULL, NULL);
}
