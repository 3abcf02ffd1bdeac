/* A codec of the user, which writes KRPC in hexadecimal, twice as long. */
#include "wire/codec.h"

#include "lone_node.h"
#include "overlay.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  NODES = 20,
  PEERS = 300
};

/* How the codec misbehaves. */
struct whim {
  int encode;   /* the result of encode; 0: encodes */
  bool empty;   /* encodes nothing */
  size_t waste; /* bytes of the scratch memory to use after the message */
  void (*spoil)(struct kad_message *message); /* changes a decoded message */
};

static struct whim whim;
static struct kad_overlay overlay;
static struct kad_ending ending;
static struct kad_lone lone;

static int digit(uint8_t byte) {
  return byte >= 'a' ? byte - 'a' + 10 : byte - '0';
}

static int decode_hex(void *state, struct kad_slice datagram, size_t id_size,
                      struct kad_message *message, struct kad_writer *scratch) {
  const struct whim *own = state;
  kad_message_init(message, KAD_MESSAGE_QUERY);
  for (size_t i = 0; i + 1 < datagram.len; i += 2) {
    const uint8_t byte =
        (uint8_t)(digit(datagram.data[i]) * 16 + digit(datagram.data[i + 1]));
    kad_write_raw(scratch, (struct kad_slice){&byte, 1});
  }
  const struct kad_slice plain = {scratch->data, scratch->len};
  int error = kad_krpc_decode(NULL, plain, id_size, message);
  if (error == 0 && own->spoil != NULL) {
    own->spoil(message);
  }
  for (size_t i = 0; i < own->waste; i++) {
    kad_write_raw(scratch, kad_slice_of("x"));
  }
  return error;
}

static int encode_hex(void *state, const struct kad_message *message,
                      size_t id_size, struct kad_writer *writer) {
  const struct whim *own = state;
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer plain = {.data = bytes, .cap = sizeof bytes};
  int error = kad_krpc_encode(NULL, message, id_size, &plain);
  if (own->encode != 0 || error != 0) {
    return own->encode != 0 ? own->encode : error;
  }
  for (size_t i = 0; i < plain.len && !own->empty; i++) {
    char pair[3];
    (void)snprintf(pair, sizeof pair, "%02x", bytes[i]);
    kad_write_raw(writer, (struct kad_slice){(const uint8_t *)pair, 2});
  }
  return 0;
}

static const struct kad_codec hex = {
    .state = &whim, .decode = decode_hex, .encode = encode_hex};

/* ------------------------------------------------------ in an overlay -- */

static int open_hex(void **state) {
  (void)state;
  whim = (struct whim){0};
  kad_overlay_open(&overlay, 8);
  overlay.config.codec = &hex;
  kad_overlay_grow(&overlay, NODES);
  kad_ending_init(&ending, &overlay);
  return 0;
}

static int close_hex(void **state) {
  (void)state;
  whim = (struct whim){0};
  kad_ending_close(&ending);
  return 0;
}

static void an_overlay_uses_the_codec(void **state) {
  const struct kad_id key = kad_overlay_key(3);
  const struct kad_record record = kad_overlay_record(&key, "in hexadecimal");
  (void)state;

  assert_ok(kad_overlay_put(&overlay, 1, &record, NULL));
  assert_ok(kad_overlay_get(&overlay, 15, &key, "value", NULL, &ending));

  assert_slice_is(ending.result.records[0].value, "in hexadecimal");
  assert_int_equal(kad_overlay_stats(&overlay, 0).dropped_malformed, 0);
}

/* Returns the status of the operation at its end. */
static int await_ending(void) {
  int status = kad_ending_await(&ending);
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  return status;
}

static int ping(size_t from, size_t to) {
  const struct kad_address address = kad_overlay_address(to);
  assert_ok(kad_node_ping(overlay.nodes[from], &address, kad_ending_done,
                          &ending, NULL));
  return await_ending();
}

static void nodes_with_another_codec_are_not_understood(void **state) {
  (void)state;
  overlay.config.codec = NULL;
  (void)kad_overlay_add(&overlay);

  assert_int_equal(ping(NODES, 0), KAD_ETIMEOUT);

  assert_int_equal(kad_overlay_stats(&overlay, 0).dropped_malformed, 1);
}

static void a_policy_may_have_a_codec(void **state) {
  const struct kad_policy policy = {.codec = &hex};
  (void)state;
  overlay.config.codec = NULL;
  struct kad_node *node = kad_overlay_add(&overlay);

  assert_ok(kad_node_set_policy(node, &policy));
  assert_ok(ping(NODES, 0));
  assert_ok(kad_node_set_policy(node, NULL));
  assert_int_equal(ping(NODES, 0), KAD_ETIMEOUT);
}

static void an_encoding_error_fails_the_operation(void **state) {
  const struct kad_id key = kad_overlay_key(3);
  const struct kad_record record = kad_overlay_record(&key, "x");
  const struct kad_address to = kad_overlay_address(2);
  struct kad_node *node = overlay.nodes[1];
  const uint64_t unsent = kad_overlay_stats(&overlay, 1).unsent;
  (void)state;
  whim.encode = KAD_ECODEC;

  assert_ok(kad_node_ping(node, &to, kad_ending_done, &ending, NULL));
  assert_int_equal(await_ending(), KAD_ECODEC);
  assert_ok(
      kad_node_find_node(node, &key, NULL, kad_ending_done, &ending, NULL));
  assert_int_equal(await_ending(), KAD_ECODEC);
  assert_ok(kad_node_get(node, &key, record.type, NULL, kad_ending_done,
                         &ending, NULL));
  assert_int_equal(await_ending(), KAD_ECODEC);
  assert_true(kad_overlay_stats(&overlay, 1).unsent > unsent + 3);
}

static void an_empty_encoding_fails_the_operation(void **state) {
  (void)state;
  whim.empty = true;
  assert_int_equal(ping(1, 2), KAD_ECODEC);
}

/* -------------------------------------------------------------- one node -- */

static int open_lone(void **state) {
  struct kad_config config;
  (void)state;
  whim = (struct whim){0};
  kad_config_default(&config);
  config.limits = false;
  kad_lone_open(&lone, &config);
  return 0;
}

static int close_lone(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* Gives the node a policy with the codec. */
static void set_hex(kad_hook_fn on_request) {
  const struct kad_policy policy = {.codec = &hex, .on_request = on_request};
  assert_ok(kad_node_set_policy(lone.node, &policy));
}

static void receive(const struct kad_contact *from, struct kad_message *query) {
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  query->transaction = kad_slice_of("qq");
  query->has_id = true;
  query->id = from->id;
  query->has_target = true;
  query->target = kad_lone_target;
  assert_ok(encode_hex(&whim, query, 20, &writer));
  kad_lone_receive(&lone, from, (struct kad_slice){bytes, writer.len});
}

/* Decodes the last reply of the node. Returns its length. */
static size_t read_reply(struct kad_message *message) {
  static uint8_t scratch[KAD_CODEC_SCRATCH];
  for (size_t i = lone.sent; i > 0; i--) {
    struct kad_writer writer = {.data = scratch, .cap = sizeof scratch};
    const struct kad_lone_datagram *kept = &lone.kept[(i - 1) % KAD_LONE_KEPT];
    assert_ok(decode_hex(&whim, (struct kad_slice){kept->bytes, kept->len}, 20,
                         message, &writer));
    if (message->kind == KAD_MESSAGE_REPLY) {
      return kept->len;
    }
  }
  fail_msg("the node has replied nothing");
  return 0;
}

static void long_lists_are_shortened_to_fit(void **state) {
  const struct kad_contact reader = kad_lone_contact(1);
  struct kad_message message;
  (void)state;
  for (unsigned i = 1; i <= PEERS; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    lone.now += 1000;
    kad_lone_add_contact(&lone, &contact);
    kad_lone_announce(&lone, &contact, 7000);
  }
  set_hex(NULL);
  kad_lone_begin(&message, KAD_METHOD_GET_PEERS);

  receive(&reader, &message);

  assert_in_range(read_reply(&message), 600, 1232);
  assert_true(message.peer_count > 10);
  assert_true(message.contact_count > 0);
}

static void unverified_addresses_get_at_most_ten_times_the_query(void **state) {
  const struct kad_contact stranger = kad_lone_contact(900);
  struct kad_message message;
  (void)state;
  for (unsigned i = 1; i <= PEERS; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    lone.now += 1000;
    kad_lone_add_contact(&lone, &contact);
  }
  set_hex(NULL);
  kad_lone_begin(&message, KAD_METHOD_FIND_NODE);

  receive(&stranger, &message);

  assert_in_range(read_reply(&message), 1, 10 * 200);
  assert_true(message.contact_count > 0);
}

static void too_many_contacts(struct kad_message *message) {
  message->contact_count = KAD_MESSAGE_CONTACTS + 1;
}

static void no_transaction(struct kad_message *message) {
  message->transaction.len = 0;
}

static void long_transaction(struct kad_message *message) {
  message->transaction.len = KAD_TRANSACTION_MAX + 1;
}

static void no_target(struct kad_message *message) {
  message->has_target = false;
}

static void no_id(struct kad_message *message) {
  message->has_id = false;
}

static void wide_id(struct kad_message *message) {
  message->id.bytes[20] = 1;
}

static void too_many_records(struct kad_message *message) {
  message->record_count = KAD_RECORDS_PER_MESSAGE + 1;
}

static void too_many_peers(struct kad_message *message) {
  message->peer_count = KAD_MESSAGE_PEERS + 1;
}

static void no_arguments(struct kad_message *message) {
  message->args = kad_slice_of("i1e");
}

static void no_kind(struct kad_message *message) {
  message->kind = (enum kad_message_kind)7;
}

static void long_token(struct kad_message *message) {
  message->token = message->args;
  message->token.len = KAD_TOKEN_MAX + 1;
}

static void short_filter(struct kad_message *message) {
  message->peer_filter = message->args;
}

static void half_a_sample(struct kad_message *message) {
  message->samples = message->args;
  message->samples.len = 19;
}

static void invalid_messages_of_the_codec_are_malformed(void **state) {
  static void (*const spoils[])(struct kad_message *) = {
      too_many_contacts, no_transaction, long_transaction,
      no_target,         no_id,          wide_id,
      too_many_records,  too_many_peers, no_arguments,
      no_kind,           long_token,     short_filter,
      half_a_sample,
  };
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message message;
  const size_t count = sizeof spoils / sizeof *spoils;
  (void)state;
  kad_lone_add_contact(&lone, &from);
  set_hex(NULL);
  for (size_t i = 0; i < count; i++) {
    kad_lone_begin(&message, KAD_METHOD_FIND_NODE);
    whim.spoil = spoils[i];
    receive(&from, &message);
    assert_int_equal(kad_lone_stats(&lone).dropped_malformed, i + 1);
  }
  assert_int_equal(kad_lone_stats(&lone).served_find_node, 0);
  whim.spoil = NULL;
  receive(&from, &message);
  assert_int_equal(kad_lone_stats(&lone).served_find_node, 1);
}

static void unsorted_value(struct kad_message *message) {
  message->records[0].value = kad_slice_of("d1:bi1e1:ai1ee");
}

static void no_value(struct kad_message *message) {
  message->record_count = 0;
}

static void lone_publisher(struct kad_message *message) {
  message->records[0].publisher = message->id.bytes;
}

static void no_seq(struct kad_message *message) {
  message->records[0].publisher = message->id.bytes;
  message->records[0].signature = message->id.bytes;
  message->records[0].has_seq = false;
}

/* BEP 44, in any encoding. */
static void invalid_puts_of_the_codec_are_malformed(void **state) {
  static void (*const spoils[])(struct kad_message *) = {
      unsorted_value, no_value, lone_publisher, no_seq};
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message message;
  (void)state;
  kad_lone_add_contact(&lone, &from);
  set_hex(NULL);
  for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
    kad_lone_begin(&message, KAD_METHOD_PUT);
    message.token = kad_slice_of("to");
    message.record_count = 1;
    message.records[0] = (struct kad_record){.value = kad_slice_of("5:hello")};
    whim.spoil = spoils[i];
    receive(&from, &message);
    assert_int_equal(kad_lone_stats(&lone).dropped_malformed, i + 1);
  }
}

static void messages_that_overflow_the_memory_are_malformed(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message message;
  (void)state;
  set_hex(NULL);
  kad_lone_begin(&message, KAD_METHOD_PING);
  whim.waste = KAD_CODEC_SCRATCH;
  receive(&from, &message);
  assert_int_equal(kad_lone_stats(&lone).dropped_malformed, 1);
  assert_int_equal(kad_lone_stats(&lone).served_ping, 0);
}

static uint64_t call_id;

static void wait(void *state, const struct kad_hook_call *call,
                 struct kad_hook_result *answer) {
  (void)state;
  call_id = call->call_id;
  answer->verdict = KAD_VERDICT_PENDING;
}

static void a_pending_query_is_answered_in_the_codec(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  struct kad_message message;
  (void)state;
  set_hex(wait);
  kad_lone_begin(&message, KAD_METHOD_FIND_NODE);
  receive(&from, &message);

  assert_ok(kad_node_complete_hook(lone.node, call_id, &yes));

  (void)read_reply(&message);
  assert_slice_is(message.transaction, "qq");
  assert_int_equal(kad_lone_stats(&lone).served_find_node, 1);
}

static void a_pending_query_is_dropped_when_the_codec_goes(void **state) {
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_hook_result yes = {.verdict = KAD_VERDICT_ACCEPT};
  struct kad_message message;
  (void)state;
  set_hex(wait);
  kad_lone_begin(&message, KAD_METHOD_FIND_NODE);
  receive(&from, &message);
  const size_t sent = lone.sent;
  assert_ok(kad_node_set_policy(lone.node, NULL));

  assert_ok(kad_node_complete_hook(lone.node, call_id, &yes));

  assert_int_equal(lone.sent, sent);
  assert_int_equal(kad_lone_stats(&lone).dropped_malformed, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_hex, close_hex)
#define ALONE(test) cmocka_unit_test_setup_teardown(test, open_lone, close_lone)
      IN_OVERLAY(an_overlay_uses_the_codec),
      IN_OVERLAY(nodes_with_another_codec_are_not_understood),
      IN_OVERLAY(a_policy_may_have_a_codec),
      IN_OVERLAY(an_encoding_error_fails_the_operation),
      IN_OVERLAY(an_empty_encoding_fails_the_operation),
      ALONE(long_lists_are_shortened_to_fit),
      ALONE(unverified_addresses_get_at_most_ten_times_the_query),
      ALONE(invalid_messages_of_the_codec_are_malformed),
      ALONE(invalid_puts_of_the_codec_are_malformed),
      ALONE(messages_that_overflow_the_memory_are_malformed),
      ALONE(a_pending_query_is_answered_in_the_codec),
      ALONE(a_pending_query_is_dropped_when_the_codec_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
