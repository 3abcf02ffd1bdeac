/* How many times larger than its query a reply is, for every kind of message.
 * Tests core/node/reply_bound.c. Checks the table of docs/protocol.md. */
#include "decoding.h"
#include "lone_node.h"
#include "node/reply_bound.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  CONTACTS = 300, /* of each family, with a peer each, and some values */
  DATAGRAM = 1500,
  ROW_MAX_BYTES = 160
};

static struct kad_lone lone_node;
static unsigned strangers; /* each query comes from an address of its own */
static uint8_t value[150];

/* ------------------------------------------------------------- a policy -- */

static void refuse(void *state, const struct kad_hook_call *call,
                   struct kad_hook_result *result) {
  static char reason[200];
  (void)state;
  (void)call;
  memset(reason, 'r', sizeof reason);
  result->verdict = KAD_VERDICT_REJECT;
  result->reason = (struct kad_slice){(uint8_t *)reason, sizeof reason};
}

/* Replies with a string of `*state` bytes. */
static void say(void *state, const struct kad_hook_call *call,
                struct kad_hook_result *result) {
  static char body[DATAGRAM];
  const unsigned len = *(const unsigned *)state;
  (void)call;
  const int head = snprintf(body, sizeof body, "d4:text%u:", len);
  memset(body + head, 'x', len);
  memcpy(body + head + len, "e", 2);
  result->reply = kad_slice_of(body);
}

static unsigned short_len = 10;
static unsigned long_len = 1200;

/* Sets a policy with the queries `s`, `l` and `r`: a short reply, a long one, a
 * rejection. */
static void teach(kad_hook_fn on_request) {
  const struct kad_method methods[] = {
      {.name = "s", .state = &short_len, .call = say},
      {.name = "l", .state = &long_len, .call = say},
      {.name = "r", .call = refuse},
  };
  const struct kad_policy policy = {
      .methods = methods, .method_count = 3, .on_request = on_request};
  assert_ok(kad_node_set_policy(lone_node.node, &policy));
}

/* --------------------------------------------------------------- a node -- */

/* Opens a node with full tables, many peers and some values. `keys` may be
 * NULL.
 */
static void open_full_node(uint32_t k, unsigned id_bits,
                           const struct kad_network_keys *keys) {
  struct kad_config config;
  kad_config_default(&config);
  config.k = k;
  config.id_bits = id_bits;
  config.network_keys = keys;
  kad_lone_open(&lone_node, &config);
  for (unsigned i = 1; i <= CONTACTS; i++) {
    const struct kad_contact four = kad_lone_contact(i);
    const struct kad_contact six = kad_lone_contact_v6(i);
    lone_node.now += 1000;
    kad_lone_add_contact(&lone_node, &four);
    kad_lone_add_contact(&lone_node, &six);
    kad_lone_announce(&lone_node, &four, 7000);
    if (i % 20 == 0) {
      memcpy(value, &i, sizeof i);
      const struct kad_record record = {.value = {value, sizeof value}};
      kad_lone_store(&lone_node, &four, &record, 1);
      assert_int_equal(kad_lone_error(&lone_node), 0);
    }
  }
  kad_lone_run(&lone_node, 20000); /* no ping waits for an answer any more */
  teach(NULL);
  strangers = CONTACTS;
}

static int begin(void **state) {
  open_full_node(8, 160, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_lone_close(&lone_node);
  return 0;
}

/* -------------------------------------------------------------- queries -- */

/* Initialises the smallest query of `method`, with the arguments that the core
 * needs. `wants` asks for contacts of both families. */
static void smallest_query(enum kad_method_id method, bool wants,
                           struct kad_message *query) {
  kad_lone_begin(query, method);
  query->transaction = kad_slice_of("a");
  query->has_target = true;
  query->target = kad_lone_target;
  query->want4 = wants;
  query->want6 = wants;
  query->type = kad_slice_of("value");
  query->has_port = true;
  query->port = 1;
  if (method == KAD_METHOD_STORE || method == KAD_METHOD_PUT) {
    query->record_count = 1;
    query->records[0] =
        (struct kad_record){.key = query->target, .value = kad_slice_of("0:")};
  }
}

/* A query, the reply to it, and what else it had the node send. */
struct measured {
  size_t query;
  size_t reply;
  size_t others; /* the ping that verifies the sender */
  struct kad_message message;
};

static double times(const struct measured *it) {
  return (double)it->reply / (double)it->query;
}

/* Sends `bytes` from `from`. Fails if the reply breaks the bound. */
static void measure_from(const struct kad_contact *from, struct kad_slice bytes,
                         struct measured *it) {
  const uint64_t before = kad_lone_stats(&lone_node).bytes_out;
  kad_lone_receive(&lone_node, from, bytes);
  it->query = bytes.len + lone_node.overhead;
  it->reply =
      kad_lone_reply(&lone_node, &it->message)->len + lone_node.overhead;
  it->others = kad_lone_stats(&lone_node).bytes_out - before - it->reply;
}

static void measure_bytes(struct kad_slice bytes, bool six,
                          struct measured *it) {
  const unsigned number = ++strangers;
  const struct kad_contact from =
      six ? kad_lone_contact_v6(number) : kad_lone_contact(number);
  lone_node.now += 1000;
  measure_from(&from, bytes, it);
  if (it->reply > KAD_AMPLIFICATION_MAX * it->query) {
    fail_msg("%zu bytes for %zu: %.*s", it->reply, it->query, (int)bytes.len,
             (const char *)bytes.data);
  }
}

static struct kad_slice encode(const struct kad_message *query,
                               struct kad_writer *writer) {
  const struct kad_codec *codec = kad_codec_krpc();
  struct kad_message message = *query;
  message.has_id = true;
  message.id = kad_lone_contact(strangers + 1).id;
  assert_ok(codec->encode(codec->state, &message, lone_node.id_size, writer));
  return (struct kad_slice){writer->data, writer->len};
}

static void measure(const struct kad_message *query, bool six,
                    struct measured *it) {
  uint8_t bytes[DATAGRAM];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  measure_bytes(encode(query, &writer), six, it);
}

static void measure_custom(const char *name, bool has_target, bool six,
                           struct measured *it) {
  struct kad_message query;
  smallest_query(KAD_METHOD_CUSTOM, false, &query);
  query.has_target = has_target;
  query.name = kad_slice_of(name);
  measure(&query, six, it);
}

/* Returns the method after `method`, KAD_METHOD_CUSTOM after the last. */
static enum kad_method_id next_method(enum kad_method_id method) {
  const enum kad_method_id next = (enum kad_method_id)(method + 1);
  return kad_method_name(next).len > 0 ? next : KAD_METHOD_CUSTOM;
}

/* ---------------------------------------------------------------- tests -- */

static const char *const malformed[] = {
    "d1:t1:a1:y1:qe",
    "d1:q4:ping1:t1:a1:y1:qe",
    "d1:ade1:q1:x1:t1:a1:y1:qe",
    "d1:t32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:y1:qe",
};

static const char *const custom[] = {"s", "l", "r", "x"};

static void check_every_message(void) {
  struct measured it;
  for (unsigned round = 0; round < 4; round++) {
    const bool six = round % 2 == 1;
    for (enum kad_method_id method = KAD_METHOD_PING;
         method != KAD_METHOD_CUSTOM; method = next_method(method)) {
      struct kad_message query;
      smallest_query(method, round / 2 == 1, &query);
      measure(&query, six, &it);
    }
    for (size_t i = 0; i < sizeof custom / sizeof *custom; i++) {
      measure_custom(custom[i], round / 2 == 1, six, &it);
    }
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
      measure_bytes(kad_slice_of(malformed[i]), six, &it);
      assert_int_equal(it.message.kind, KAD_MESSAGE_ERROR);
    }
  }
  teach(refuse);
  for (enum kad_method_id method = KAD_METHOD_PING; method != KAD_METHOD_CUSTOM;
       method = next_method(method)) {
    struct kad_message query;
    smallest_query(method, false, &query);
    measure(&query, true, &it);
    assert_int_equal(it.message.code, KAD_CODE_REFUSED);
  }
}

static void no_reply_to_a_stranger_is_over_the_bound(void **state) {
  (void)state;
  check_every_message();
}

static void the_bound_holds_for_other_options(void **state) {
  static const unsigned id_bits[] = {160, 256};
  for (size_t i = 0; i < 2; i++) {
    (void)end(state);
    open_full_node(KAD_K_MAX, id_bits[i], NULL);
    check_every_message();
  }
}

/* On the wire. What sealing adds to a query gives its reply some room. */
static void the_bound_holds_for_sealed_datagrams(void **state) {
  static const struct kad_network_keys keys = {.keys = {{1}}, .count = 1};
  (void)end(state);
  open_full_node(KAD_K_MAX, 160, &keys);
  check_every_message();
}

/* Longer queries get more, up to all. */
static void the_bound_holds_for_every_length(void **state) {
  struct measured it = {0};
  char bytes[DATAGRAM];
  size_t largest = 0;
  (void)state;
  for (unsigned extra = 1; extra < 400; extra += 7) {
    const int len = snprintf(bytes, sizeof bytes,
                             "d1:ad2:id" ID "9:info_hash" HASH
                             "1:x%u:%0*de1:q9:get_peers1:t1:a1:y1:qe",
                             extra, (int)extra, 0);
    measure_bytes((struct kad_slice){(uint8_t *)bytes, (size_t)len}, false,
                  &it);
    assert_true(it.reply >= largest);
    largest = it.reply;
  }
}

/* A client that queries as short as it can is not left without an answer. */
static void a_stranger_gets_contacts_of_both_families_and_peers(void **state) {
  struct kad_message query;
  struct measured it;
  (void)state;
  smallest_query(KAD_METHOD_GET_PEERS, false, &query);
  measure(&query, false, &it);
  assert_int_equal(it.message.contact_count, 8);
  assert_in_range(it.message.peer_count, 25, 60);

  smallest_query(KAD_METHOD_FIND_NODE, true, &query);
  measure(&query, false, &it);
  size_t six = 0;
  for (size_t i = 0; i < it.message.contact_count; i++) {
    six += it.message.contacts[i].address.family == 6;
  }
  assert_int_equal(it.message.contact_count - six, 8);
  assert_in_range(six, 5, 8);
}

/* Sends `query` from `from`. Returns the reply's length. */
static size_t send(const struct kad_contact *from,
                   const struct kad_message *query, struct measured *it) {
  uint8_t bytes[DATAGRAM];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  measure_from(from, encode(query, &writer), it);
  return it->reply;
}

static void a_cut_reply_is_whole_after_the_sender_answered_a_ping(
    void **state) {
  static const enum kad_method_id methods[] = {KAD_METHOD_GET_PEERS,
                                               KAD_METHOD_FIND_VALUE};
  struct kad_lone *lone = *state;
  for (size_t i = 0; i < 2; i++) {
    const struct kad_contact from =
        kad_lone_contact(CONTACTS + 1 + (unsigned)i);
    struct kad_message query;
    struct kad_message ping;
    struct measured it;
    smallest_query(methods[i], false, &query);
    const size_t cut = send(&from, &query, &it);
    assert_true(kad_lone_find_query(lone, &from.address, &ping));
    assert_int_equal(ping.method, KAD_METHOD_PING);
    kad_lone_answer(lone, &from, &ping);

    assert_true(send(&from, &query, &it) > cut + 300);
    assert_int_equal(it.others, 0);
  }
}

static void a_read_only_sender_is_not_pinged(void **state) {
  struct kad_message query;
  struct measured it;
  (void)state;
  smallest_query(KAD_METHOD_GET_PEERS, false, &query);
  query.read_only = true;
  measure(&query, false, &it);
  assert_int_equal(it.others, 0);
}

/* The senders of cut replies are pinged so rarely that no address is flooded.
 */
static void pings_of_cut_senders_are_limited(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message query;
  struct measured it;
  uint64_t others = 0;
  smallest_query(KAD_METHOD_GET_PEERS, false, &query);
  const kad_time_ms began = lone->now;
  for (unsigned i = 0; i < 200; i++) {
    measure(&query, false, &it);
    lone->now = began;
    others += it.others;
  }
  assert_in_range(others, 20 * 50, (64 + 20) * 80);
}

static void a_long_reply_of_a_policy_needs_a_token(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(CONTACTS + 1);
  uint8_t token[KAD_TOKEN_MAX];
  struct kad_message query;
  struct measured it;
  smallest_query(KAD_METHOD_CUSTOM, false, &query);
  query.has_target = false;
  query.name = kad_slice_of("l");

  (void)send(&from, &query, &it);
  assert_int_equal(it.message.kind, KAD_MESSAGE_ERROR);
  assert_int_equal(it.message.code, KAD_CODE_PROTOCOL);
  assert_int_equal(kad_lone_stats(lone).challenged, 1);
  memcpy(token, it.message.token.data, it.message.token.len);
  query.token = (struct kad_slice){token, it.message.token.len};
  assert_in_range(send(&from, &query, &it), 1200, 1452);
  assert_int_equal(it.message.kind, KAD_MESSAGE_REPLY);

  token[0] ^= 1;
  const struct kad_contact other = kad_lone_contact(CONTACTS + 2);
  (void)send(&other, &query, &it);
  assert_int_equal(it.message.kind, KAD_MESSAGE_ERROR);
}

/* ---------------------------------------------------------------- table -- */

/* Fails unless docs/protocol.md has the row `name` with these figures. */
static void check_row(const char *name, const struct measured *it) {
  char row[ROW_MAX_BYTES];
  char line[ROW_MAX_BYTES] = "";
  bool found = false;
  (void)snprintf(row, sizeof row, "| %s | %zu | %zu | %.1f |\n", name,
                 it->query, it->reply, times(it));
  FILE *file = fopen("docs/protocol.md", "r");
  if (file == NULL) {
    fail_msg("run from the top folder: no docs/protocol.md here");
    return;
  }
  while (!found && fgets(line, sizeof line, file) != NULL) {
    found = strcmp(line, row) == 0;
  }
  (void)fclose(file);
  if (!found) {
    fail_msg("docs/protocol.md lacks the row %s", row);
  }
}

static void the_document_has_the_figures(void **state) {
  char name[64];
  struct measured it;
  (void)state;
  for (enum kad_method_id method = KAD_METHOD_PING; method != KAD_METHOD_CUSTOM;
       method = next_method(method)) {
    struct kad_message query;
    smallest_query(method, false, &query);
    measure(&query, false, &it);
    const bool is_error = it.message.kind == KAD_MESSAGE_ERROR;
    if (is_error && it.message.code == KAD_CODE_METHOD) {
      continue; /* not served */
    }
    (void)snprintf(name, sizeof name, "`%s`%s",
                   (const char *)kad_method_name(method).data,
                   is_error ? " without a valid token" : "");
    check_row(name, &it);
  }
  measure_custom("s", true, false, &it);
  check_row("a policy's query, short reply with contacts", &it);
  measure_custom("l", false, false, &it);
  check_row("a policy's query, reply over the bound", &it);
  measure_custom("r", false, false, &it);
  check_row("a policy's query, rejected with 200 bytes of text", &it);
  measure_custom("x", false, false, &it);
  check_row("an unknown query", &it);
  measure_bytes(kad_slice_of(malformed[0]), false, &it);
  check_row("the shortest malformed query", &it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(no_reply_to_a_stranger_is_over_the_bound),
      TEST(the_bound_holds_for_other_options),
      TEST(the_bound_holds_for_sealed_datagrams),
      TEST(the_bound_holds_for_every_length),
      TEST(a_stranger_gets_contacts_of_both_families_and_peers),
      TEST(a_cut_reply_is_whole_after_the_sender_answered_a_ping),
      TEST(a_read_only_sender_is_not_pinged),
      TEST(pings_of_cut_senders_are_limited),
      TEST(a_long_reply_of_a_policy_needs_a_token),
      TEST(the_document_has_the_figures),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
