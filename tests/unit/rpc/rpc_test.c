#include "rpc/rpc.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  SOFT_FIRST_MS = 800, /* before the node has measured anything */
  HARD_FIRST_MS = 3200
};

static struct kad_lone lone_node;

/* The result of an operation. */
struct outcome {
  unsigned calls;
  int status;
  int code;
  uint32_t took_ms;
  struct kad_contact from;
  size_t reply_len;
  uint8_t reply[KAD_LONE_SIZE];
};

static void copy_result(void *data, const struct kad_result *result) {
  struct outcome *outcome = data;
  outcome->calls++;
  outcome->status = result->status;
  outcome->code = result->code;
  outcome->took_ms = result->took_ms;
  outcome->from = result->from;
  outcome->reply_len = result->reply.len;
  if (result->reply.len > 0) {
    memcpy(outcome->reply, result->reply.data, result->reply.len);
  }
}

static int begin(void **state) {
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Starts a ping of `to`, and reads the query that was sent. */
static void start_ping(struct kad_lone *lone, const struct kad_contact *to,
                       struct outcome *outcome, struct kad_message *query) {
  *outcome = (struct outcome){0};
  assert_ok(
      kad_node_ping(lone->node, &to->address, copy_result, outcome, NULL));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &to->address, query));
}

/* The same with a custom query, which expects the id of `to`. */
static void start_call(struct kad_lone *lone, const struct kad_contact *to,
                       struct outcome *outcome, struct kad_message *query) {
  const struct kad_slice none = {NULL, 0};
  *outcome = (struct outcome){0};
  assert_ok(kad_node_call(lone->node, to, kad_slice_of("hello"), none,
                          copy_result, outcome, NULL));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &to->address, query));
}

/* Adds `contact` to the table with a round-trip time of `rtt_ms`. */
static void add_contact_after(struct kad_lone *lone,
                              const struct kad_contact *contact,
                              kad_time_ms rtt_ms) {
  struct kad_message query;
  kad_lone_query(lone, contact, KAD_METHOD_PING);
  assert_true(kad_lone_find_query(lone, &contact->address, &query));
  kad_lone_run(lone, rtt_ms);
  kad_lone_answer(lone, contact, &query);
  assert_true(kad_lone_knows(lone, contact));
}

/* Gives the node `body` as the reply to `query`. */
static void reply_with(struct kad_lone *lone, const struct kad_contact *from,
                       const struct kad_message *query, const char *body) {
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  kad_write_dict(&writer);
  kad_write_key(&writer, "r");
  kad_write_dict(&writer);
  kad_write_key(&writer, "id");
  kad_write_string(&writer, (struct kad_slice){from->id.bytes, 20});
  kad_write_raw(&writer, kad_slice_of(body));
  kad_write_close(&writer);
  kad_write_key(&writer, "t");
  kad_write_string(&writer, query->transaction);
  kad_write_raw(&writer, kad_slice_of("1:y1:re"));
  kad_lone_receive(lone, from, (struct kad_slice){bytes, writer.len});
}

/* -------------------------------------------------------- transactions -- */

/* Opens a node with the random bytes of `seed`, and copies the transaction ids
 * of its first pings. */
static void collect_transactions(uint64_t seed, uint32_t *transactions,
                                 unsigned count) {
  struct kad_config config;
  struct kad_lone *lone = &lone_node;
  kad_config_default(&config);
  const struct kad_env env = kad_lone_env(lone, seed);
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  struct outcome outcome;
  for (unsigned i = 0; i < count; i++) {
    const struct kad_contact to = kad_lone_contact(1 + i);
    struct kad_message query;
    start_ping(lone, &to, &outcome, &query);
    assert_int_equal(query.transaction.len, sizeof *transactions);
    memcpy(&transactions[i], query.transaction.data, sizeof *transactions);
  }
  kad_lone_close(lone);
}

static void transaction_ids_cannot_be_guessed(void **state) {
  uint32_t first[100];
  uint32_t second[100];
  (void)state;
  collect_transactions(1, first, 100);
  collect_transactions(2, second, 100);
  for (unsigned i = 0; i < 100; i++) {
    assert_int_not_equal(first[i], second[i]);
    for (unsigned j = 0; j < i; j++) {
      uint32_t apart =
          first[i] > first[j] ? first[i] - first[j] : first[j] - first[i];
      assert_in_range(apart, 257, UINT32_MAX);
    }
  }
}

static void give_zeros(void *state, uint8_t *out, size_t len) {
  (void)state;
  memset(out, 0, len);
}

static void a_broken_random_source_ends_in_an_error(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_address first = kad_lone_contact(1).address;
  const struct kad_address second = kad_lone_contact(2).address;
  struct outcome outcome = {0};
  struct kad_config config;
  kad_config_default(&config);
  kad_lone_close(lone);
  struct kad_env env = kad_lone_env(lone, 1);
  env.random = give_zeros;
  assert_ok(kad_node_new(&config, &env, &lone->node));
  assert_ok(kad_node_add_family(lone->node, 4));
  assert_ok(kad_node_ping(lone->node, &first, NULL, NULL, NULL));
  assert_ok(kad_node_ping(lone->node, &second, copy_result, &outcome, NULL));
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.status, KAD_EBUSY);
  assert_int_equal(lone->sent, 1);
}

static void a_reply_counts_only_from_the_address_asked(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_contact liar = to;
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);

  liar.address.port++;
  kad_lone_answer(lone, &liar, &query);
  liar = to;
  liar.address.ip[3]++;
  kad_lone_answer(lone, &liar, &query);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.calls, 0);
  assert_int_equal(kad_lone_stats(lone).dropped_unmatched, 2);
  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.calls, 1);
  assert_int_equal(outcome.status, 0);
  assert_true(kad_id_equal(&outcome.from.id, &to.id));
}

static void a_reply_counts_only_with_the_whole_transaction(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  uint8_t wrong[5];
  start_ping(lone, &to, &outcome, &query);
  memcpy(wrong, query.transaction.data, 4);
  wrong[4] = 0;
  struct kad_message other = query;

  other.transaction = (struct kad_slice){wrong, 5};
  kad_lone_answer(lone, &to, &other);
  other.transaction = (struct kad_slice){wrong, 3};
  kad_lone_answer(lone, &to, &other);
  wrong[0] ^= 1;
  other.transaction = (struct kad_slice){wrong, 4};
  kad_lone_answer(lone, &to, &other);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.calls, 0);
  assert_int_equal(kad_lone_stats(lone).dropped_unmatched, 3);
  assert_int_equal(kad_lone_stats(lone).replies, 0);
}

static void a_reply_counts_once(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);
  kad_lone_answer(lone, &to, &query);
  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.calls, 1);
  assert_int_equal(kad_lone_stats(lone).replies, 1);
  assert_int_equal(kad_lone_stats(lone).dropped_unmatched, 1);
}

static void a_reply_with_another_id_evicts_the_contact(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_contact changed = kad_lone_contact(2);
  struct outcome outcome;
  struct kad_message query;
  changed.address = to.address;
  kad_lone_add_contact(lone, &to);
  start_call(lone, &to, &outcome, &query);

  kad_lone_answer(lone, &changed, &query);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  assert_false(kad_lone_knows(lone, &to));
  assert_true(kad_lone_knows(lone, &changed));
  assert_int_equal(kad_lone_stats(lone).contacts, 1);
}

static void an_id_that_answers_replaces_the_one_at_its_address(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_contact changed = kad_lone_contact(2);
  struct outcome outcome;
  struct kad_message query;
  changed.address = to.address;
  kad_lone_add_contact(lone, &to);
  start_ping(lone, &to, &outcome, &query); /* any id may answer */

  kad_lone_answer(lone, &changed, &query);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, 0);
  assert_true(kad_id_equal(&outcome.from.id, &changed.id));
  assert_false(kad_lone_knows(lone, &to));
  assert_true(kad_lone_knows(lone, &changed));
}

/* ------------------------------------------------------------ timeouts -- */

static void a_late_reply_counts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);
  kad_lone_run(lone, HARD_FIRST_MS - 1);
  assert_int_equal(outcome.calls, 0);

  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, 0);
  assert_int_equal(kad_lone_stats(lone).late, 1);
  assert_int_equal(kad_lone_stats(lone).timeouts, 0);
  assert_true(kad_lone_knows(lone, &to));
}

static void a_reply_at_once_took_a_millisecond(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct kad_contact_info info;
  kad_lone_add_contact(lone, &contact);
  assert_int_equal(kad_node_contacts(lone->node, &info, 1), 1);
  assert_int_equal(info.rtt_ms, 1); /* 0 would be unknown */
}

static void a_reply_in_time_is_not_late(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);
  kad_lone_run(lone, SOFT_FIRST_MS - 1);
  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);
  assert_int_equal(kad_lone_stats(lone).late, 0);
  assert_int_equal(kad_lone_stats(lone).replies, 1);
}

static void a_query_without_a_reply_fails_at_the_hard_timeout(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);

  kad_lone_run(lone, 60000);

  assert_int_equal(outcome.calls, 1);
  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  assert_int_equal(outcome.took_ms, HARD_FIRST_MS);
  assert_int_equal(kad_lone_stats(lone).timeouts, 1);
  assert_int_equal(kad_lone_stats(lone).pending, 0);
  kad_lone_answer(lone, &to, &query);
  assert_int_equal(kad_lone_stats(lone).dropped_unmatched, 1);
}

/* Returns how long a lookup waits for a contact that does not answer. Its
 * `rtt_ms` is the highest so far. */
static uint32_t measure_lookup_timeout(struct kad_lone *lone, unsigned number,
                                       kad_time_ms rtt_ms) {
  const struct kad_contact contact = kad_lone_contact(number);
  struct outcome outcome = {0};
  add_contact_after(lone, &contact, rtt_ms);
  assert_ok(kad_node_find_node(lone->node, &contact.id, NULL, copy_result,
                               &outcome, NULL));
  kad_lone_run(lone, 10000);
  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  return outcome.took_ms;
}

static void a_custom_query_may_take_query_ms(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  add_contact_after(lone, &contact, 5);
  start_call(lone, &contact, &outcome, &query);
  kad_lone_run(lone, 10000);
  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  assert_int_equal(outcome.took_ms, 4000);
}

static void timeouts_follow_the_round_trip_time(void **state) {
  struct kad_lone *lone = *state;
  assert_int_equal(measure_lookup_timeout(lone, 1, 50), 800);
  assert_int_equal(measure_lookup_timeout(lone, 2, 200), 2000);
  assert_int_equal(measure_lookup_timeout(lone, 3, 700), 4000);
}

/* Has `count` unknown contacts, from `first` on, each answer after `rtt_ms`.
 * Returns the hard timeout of the next one. */
static uint32_t measure_unknown_timeout(struct kad_lone *lone, unsigned first,
                                        unsigned count, kad_time_ms rtt_ms) {
  struct outcome outcome;
  struct kad_message query;
  for (unsigned i = 0; i < count; i++) {
    const struct kad_contact contact = kad_lone_contact(first + i);
    start_ping(lone, &contact, &outcome, &query);
    kad_lone_run(lone, rtt_ms);
    kad_lone_answer(lone, &contact, &query);
    kad_lone_run(lone, 1);
  }
  const struct kad_contact silent = kad_lone_contact(first + count);
  start_ping(lone, &silent, &outcome, &query);
  kad_lone_run(lone, 10000);
  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  return outcome.took_ms;
}

static void timeouts_of_unknown_contacts_follow_the_mean_of_others(
    void **state) {
  struct kad_lone *lone = *state;
  /* As RFC 6298: a mean of 300 with a deviation of 150, of nothing, and, after
   * one of 380, of 310 with 20. Then all are fast. */
  assert_int_equal(measure_unknown_timeout(lone, 1, 1, 300),
                   4 * (300 + 4 * 150) * 1);
  assert_in_range(measure_unknown_timeout(lone, 100, 30, 300), 4 * 300,
                  4 * 310);
  assert_int_equal(measure_unknown_timeout(lone, 200, 1, 380),
                   4 * (310 + 4 * 20));
  assert_in_range(measure_unknown_timeout(lone, 300, 60, 220), 4 * 220,
                  4 * 250);
}

static void no_query_takes_longer_than_query_ms(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  kad_config_default(&config);
  config.query_ms = 500;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  start_ping(lone, &to, &outcome, &query);
  kad_lone_run(lone, 10000);
  assert_int_equal(outcome.took_ms, 500);
}

/* --------------------------------------------------------------- forms -- */

static void malformed_reply_fails_the_query(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  start_ping(lone, &to, &outcome, &query);

  reply_with(lone, &to, &query, "5:nodes5:abcde");
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, KAD_ETIMEOUT);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 1);
  assert_int_equal(kad_lone_stats(lone).replies, 0);
  assert_false(kad_lone_knows(lone, &to));
}

static void a_reply_to_a_custom_call_may_have_any_form(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  struct kad_bencode reply;
  struct kad_bencode nodes;
  start_call(lone, &to, &outcome, &query);

  reply_with(lone, &to, &query, "5:nodesi5e");
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, 0);
  const struct kad_slice bytes = {outcome.reply, outcome.reply_len};
  assert_ok(kad_bencode_parse(bytes, &reply));
  assert_true(kad_bencode_find(&reply, "nodes", &nodes));
  assert_int_equal(nodes.integer, 5);
}

static void an_error_reaches_the_caller(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome;
  struct kad_message query;
  uint8_t bytes[100];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  start_call(lone, &to, &outcome, &query);
  kad_write_raw(&writer, kad_slice_of("d1:eli204e4:whate1:t"));
  kad_write_string(&writer, query.transaction);
  kad_write_raw(&writer, kad_slice_of("1:y1:ee"));

  kad_lone_receive(lone, &to, (struct kad_slice){bytes, writer.len});
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.status, KAD_EREMOTE);
  assert_int_equal(outcome.code, KAD_CODE_METHOD);
  assert_int_equal(kad_lone_stats(lone).errors, 1);
}

static void a_martian_is_not_queried(void **state) {
  struct kad_lone *lone = *state;
  struct outcome outcome = {0};
  struct kad_contact to = kad_lone_contact(1);
  to.address.ip[0] = 127;
  assert_ok(
      kad_node_ping(lone->node, &to.address, copy_result, &outcome, NULL));
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.status, KAD_EMARTIAN);
  assert_int_equal(lone->sent, 0);
}

static void arguments_that_cannot_be_sent_end_the_call(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome = {0};
  const char deep[] = "d1:allllllllllllllleeeeeeeeeeeeeeee";
  assert_ok(kad_node_call(lone->node, &to, kad_slice_of("hello"),
                          kad_slice_of(deep), copy_result, &outcome, NULL));
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.status, KAD_EINVAL);
  assert_int_equal(lone->sent, 0);
  assert_int_equal(kad_lone_stats(lone).pending, 0);
}

static void a_contact_that_answers_a_cancelled_query_enters_the_table(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct outcome outcome = {0};
  struct kad_message query;
  kad_operation_id operation;
  assert_ok(kad_node_ping(lone->node, &to.address, copy_result, &outcome,
                          &operation));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &to.address, &query));
  assert_ok(kad_node_cancel(lone->node, operation));
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.status, KAD_ECANCELED);

  kad_lone_answer(lone, &to, &query);
  kad_lone_run(lone, 1);

  assert_int_equal(outcome.calls, 1);
  assert_true(kad_lone_knows(lone, &to));
}

/* --------------------------------------------------------------- hooks -- */

struct canceller {
  struct kad_node *node;
  kad_operation_id operation;
};

static void cancel_the_call(void *state, const struct kad_hook_call *call,
                            struct kad_hook_result *answer) {
  struct canceller *canceller = state;
  (void)call;
  (void)answer;
  assert_ok(kad_node_cancel(canceller->node, canceller->operation));
}

/* The on_contact hook that a reply causes cancels the operation of its query.
 * With `other`, the reply has another id. */
static void cancel_while_answered(struct kad_lone *lone, bool other) {
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_contact answering = other ? kad_lone_contact(2) : to;
  struct canceller canceller = {lone->node, 0};
  const struct kad_policy policy = {.state = &canceller,
                                    .on_contact = cancel_the_call};
  const struct kad_slice none = {NULL, 0};
  struct outcome outcome = {0};
  struct kad_message query;
  answering.address = to.address;
  assert_ok(kad_node_set_policy(lone->node, &policy));
  assert_ok(kad_node_call(lone->node, &to, kad_slice_of("hello"), none,
                          copy_result, &outcome, &canceller.operation));
  kad_node_tick(lone->node);
  assert_true(kad_lone_find_query(lone, &to.address, &query));
  kad_lone_answer(lone, &answering, &query);
  kad_lone_run(lone, 1);
  assert_int_equal(outcome.calls, 1);
  assert_int_equal(outcome.status, KAD_ECANCELED);
  assert_int_equal(kad_lone_stats(lone).pending, 0);
}

static void a_hook_may_cancel_the_operation_of_a_reply(void **state) {
  cancel_while_answered(*state, false);
}

static void a_hook_may_cancel_the_operation_of_a_reply_with_another_id(
    void **state) {
  cancel_while_answered(*state, true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(transaction_ids_cannot_be_guessed),
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_broken_random_source_ends_in_an_error),
      TEST(a_reply_counts_only_from_the_address_asked),
      TEST(a_reply_counts_only_with_the_whole_transaction),
      TEST(a_reply_counts_once),
      TEST(a_reply_with_another_id_evicts_the_contact),
      TEST(an_id_that_answers_replaces_the_one_at_its_address),
      TEST(a_late_reply_counts),
      TEST(a_reply_at_once_took_a_millisecond),
      TEST(a_reply_in_time_is_not_late),
      TEST(a_query_without_a_reply_fails_at_the_hard_timeout),
      TEST(timeouts_follow_the_round_trip_time),
      TEST(a_custom_query_may_take_query_ms),
      TEST(timeouts_of_unknown_contacts_follow_the_mean_of_others),
      TEST(no_query_takes_longer_than_query_ms),
      TEST(malformed_reply_fails_the_query),
      TEST(a_reply_to_a_custom_call_may_have_any_form),
      TEST(an_error_reaches_the_caller),
      TEST(a_martian_is_not_queried),
      TEST(arguments_that_cannot_be_sent_end_the_call),
      TEST(a_contact_that_answers_a_cancelled_query_enters_the_table),
      TEST(a_hook_may_cancel_the_operation_of_a_reply),
      TEST(a_hook_may_cancel_the_operation_of_a_reply_with_another_id),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
