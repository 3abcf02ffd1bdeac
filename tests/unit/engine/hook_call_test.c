#include "engine/hook_call.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  DEADLINE_MS = 2000,
  CALLS_MAX = 64
};

static struct kad_lone lone_node;

/* A policy that returns what the test sets, and records its calls. */
struct recorder {
  struct kad_hook_result next; /* of every call */
  unsigned called;
  unsigned abandoned;
  unsigned released;
  uint64_t call_ids[CALLS_MAX]; /* of the calls, in order */
  uint64_t last_abandoned;
  struct kad_contact from;
  bool proven;
  char method[KAD_METHOD_NAME_MAX + 1];
  size_t args_len;
  uint8_t args[2 * KAD_LONE_SIZE];
};

static struct recorder recorder;

static void return_next(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  struct recorder *it = state;
  it->call_ids[it->called++ % CALLS_MAX] = call->call_id;
  assert_true(call->now == lone_node.now);
  it->from = call->from;
  it->proven = call->proven;
  if (call->request != NULL) {
    const struct kad_request *request = call->request;
    memcpy(it->method, request->method.data, request->method.len);
    it->method[request->method.len] = 0;
    memcpy(it->args, request->args.data, request->args.len);
    it->args_len = request->args.len;
  }
  *answer = it->next;
}

static void record_abandoned(void *state, uint64_t call_id) {
  struct recorder *it = state;
  it->abandoned++;
  it->last_abandoned = call_id;
}

static void record_released(void *state) {
  struct recorder *it = state;
  it->released++;
}

static void set_policy(struct kad_lone *lone, bool on_request,
                       bool on_contact) {
  const struct kad_method hello = {"hello", &recorder, return_next};
  const struct kad_policy policy = {
      .state = &recorder,
      .on_request = on_request ? return_next : NULL,
      .on_contact = on_contact ? return_next : NULL,
      .methods = &hello,
      .method_count = 1,
      .abandon = record_abandoned,
      .release = record_released,
  };
  assert_ok(kad_node_set_policy(lone->node, &policy));
}

static int begin(void **state) {
  recorder = (struct recorder){0};
  kad_lone_open(&lone_node, NULL);
  set_policy(&lone_node, false, false);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Sends the query `hello` from contact 1. */
static void call(struct kad_lone *lone) {
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_query_custom(lone, &from, "hello", "d1:xi5ee");
}

/* Sends the query, which the policy answers with `reply`. Returns the code of
 * the error. */
static int reply_code(struct kad_lone *lone, const char *reply) {
  recorder.next = (struct kad_hook_result){.reply = kad_slice_of(reply)};
  call(lone);
  return kad_lone_error(lone);
}

static struct kad_hook_result rejection(int code, const char *reason) {
  return (struct kad_hook_result){.verdict = KAD_VERDICT_REJECT,
                                  .code = code,
                                  .reason = kad_slice_of(reason)};
}

/* Returns the number of datagrams sent, without the node's own pings. */
static uint64_t replies_sent(const struct kad_lone *lone) {
  const struct kad_stats stats = kad_lone_stats(lone);
  return stats.datagrams_out - stats.queries;
}

/* ------------------------------------------------------------- methods -- */

static void a_method_receives_the_query_and_returns_the_reply(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  struct kad_bencode dict;
  struct kad_bencode value;

  assert_int_equal(reply_code(lone, "d4:text2:hie"), 0);

  assert_string_equal(recorder.method, "hello");
  const struct kad_slice args = {recorder.args, recorder.args_len};
  assert_ok(kad_bencode_parse(args, &dict));
  assert_true(kad_bencode_find(&dict, "x", &value));
  assert_int_equal(value.integer, 5);
  assert_true(kad_id_equal(&recorder.from.id, &from.id));
  assert_false(recorder.proven);
  (void)kad_lone_sent(lone, 1, &reply);
  assert_ok(kad_bencode_parse(reply.reply, &dict));
  assert_true(kad_bencode_find(&dict, "text", &value));
  assert_slice_is(value.bytes, "hi");
  assert_true(kad_id_equal(&reply.id, kad_node_id(lone->node)));
  assert_int_equal(kad_lone_stats(lone).served_custom, 1);
}

static void a_method_may_return_an_empty_reply(void **state) {
  assert_int_equal(reply_code(*state, ""), 0);
}

static void a_method_sees_whether_the_sender_is_proven(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_add_contact(lone, &from);
  call(lone);
  assert_true(recorder.proven);
}

static void a_method_rejects_with_a_code_and_a_reason(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  recorder.next = rejection(404, "no such song");
  call(lone);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.code, 404);
  assert_slice_is(reply.text, "no such song");
  recorder.next = rejection(0, "");
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_REFUSED);
}

static void a_long_reason_is_cut(void **state) {
  struct kad_lone *lone = *state;
  char reason[1300] = {0};
  struct kad_message reply;
  memset(reason, 'r', sizeof reason - 1);
  recorder.next = rejection(0, reason);
  call(lone);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.text.len, 200);
}

static void a_method_that_fails_gives_error_202(void **state) {
  struct kad_lone *lone = *state;
  recorder.next.verdict = KAD_VERDICT_FAILED;
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
}

static void a_result_that_is_none_counts_as_a_failure(void **state) {
  struct kad_lone *lone = *state;
  recorder.next.verdict = (enum kad_verdict)77;
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  recorder.next = (struct kad_hook_result){.record_count = 1};
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 2);
}

static void a_reply_that_cannot_be_sent_gives_error_202(void **state) {
  struct kad_lone *lone = *state;
  static char large[1500] = "d1:x1450:";
  memset(large + 9, 'x', 1450);
  large[1459] = 'e';
  assert_int_equal(reply_code(lone, "4:text"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "d4:text2:hiee"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "nonsense"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "d1:allllllllllllllleeeeeeeeeeeeeeeee"),
                   KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, large), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 5);
  assert_int_equal(kad_lone_stats(lone).served_custom, 0);
}

/* ------------------------------------------------------- pending calls -- */

static void a_call_may_be_pending(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result answer = {.reply = kad_slice_of("d4:text2:hie")};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  kad_lone_run(lone, DEADLINE_MS - 1);
  assert_int_equal(replies_sent(lone), 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);

  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &answer));

  assert_int_equal(kad_lone_error(lone), 0);
  assert_int_equal(kad_lone_stats(lone).served_custom, 1);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 0);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], &answer),
      KAD_ENOTFOUND);
  assert_int_equal(recorder.abandoned, 0);
}

static void a_pending_call_ends_at_its_deadline(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result answer = {0};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);

  kad_lone_run(lone, DEADLINE_MS);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(recorder.abandoned, 1);
  assert_true(recorder.last_abandoned == recorder.call_ids[0]);
  assert_int_equal(kad_lone_stats(lone).hook_deadlines, 1);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], &answer),
      KAD_ENOTFOUND);
  assert_int_equal(replies_sent(lone), 1);
}

static void a_hook_may_set_the_deadline_of_its_call(void **state) {
  struct kad_lone *lone = *state;
  recorder.next = (struct kad_hook_result){.verdict = KAD_VERDICT_PENDING,
                                           .deadline_ms = 500};
  call(lone);
  recorder.next.deadline_ms = DEADLINE_MS + 1000;
  call(lone);

  kad_lone_run(lone, 499);
  assert_int_equal(recorder.abandoned, 0);
  kad_lone_run(lone, 1);
  assert_true(recorder.last_abandoned == recorder.call_ids[0]);
  kad_lone_run(lone, DEADLINE_MS + 499);
  assert_int_equal(recorder.abandoned, 1);
  kad_lone_run(lone, 1);

  assert_int_equal(recorder.abandoned, 2);
  assert_int_equal(kad_lone_stats(lone).hook_deadlines, 2);
}

static void a_pending_call_may_fail(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &failed));
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
  assert_int_equal(recorder.abandoned, 0);
}

static void a_pending_call_may_not_be_pending_again(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result later = {.verdict = KAD_VERDICT_PENDING};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], &later),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], NULL),
      KAD_EINVAL);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);
}

static void a_pending_call_is_not_completed_by_a_result_that_is_none(
    void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result none = {.verdict = (enum kad_verdict) - 1};
  const struct kad_hook_result missing = {.record_count = 1};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], &none),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_complete_hook(lone->node, recorder.call_ids[0], &missing),
      KAD_EINVAL);
}

static void call_ids_are_never_reused(void **state) {
  struct kad_lone *lone = *state;
  recorder.next.verdict = KAD_VERDICT_PENDING;
  for (unsigned i = 0; i < 10; i++) {
    call(lone);
    assert_true(recorder.call_ids[i] != 0);
    for (unsigned j = 0; j < i; j++) {
      assert_true(recorder.call_ids[i] != recorder.call_ids[j]);
    }
  }
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 10);
}

static void the_number_of_pending_calls_is_bounded(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  kad_config_default(&config);
  config.max_pending_hooks = 3;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  set_policy(lone, false, false);
  recorder.next.verdict = KAD_VERDICT_PENDING;
  for (unsigned i = 0; i < 3; i++) {
    call(lone);
  }
  assert_int_equal(replies_sent(lone), 0);

  call(lone);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 3);
  assert_int_equal(recorder.abandoned, 1);
  assert_true(recorder.last_abandoned == recorder.call_ids[3]);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
}

static void a_query_that_is_too_long_calls_no_hook(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  static char args[2000] = "d1:x1600:";
  memset(args + 9, 'x', 1600);
  args[1609] = 'e';
  recorder.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_query_custom(lone, &from, "hello", args);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 1);
  assert_int_equal(lone->sent, 0);
  assert_int_equal(recorder.abandoned, 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 0);
}

/* ---------------------------------------------------------- on_request -- */

/* Sends a ping, for which on_request returns `answer`, and returns the code of
 * the error. */
static int ping_with(struct kad_lone *lone, struct kad_hook_result answer) {
  const struct kad_contact from = kad_lone_contact(1);
  recorder.next = answer;
  kad_lone_query(lone, &from, KAD_METHOD_PING);
  return kad_lone_error(lone);
}

static void on_request_accepts_and_rejects(void **state) {
  struct kad_lone *lone = *state;
  set_policy(lone, true, false);
  assert_int_equal(ping_with(lone, (struct kad_hook_result){0}), 0);
  assert_string_equal(recorder.method, "ping");
  assert_int_equal(ping_with(lone, rejection(0, "no")), KAD_CODE_REFUSED);
  assert_int_equal(ping_with(lone, rejection(250, "no")), 250);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
}

static void on_request_that_fails_rejects(void **state) {
  struct kad_lone *lone = *state;
  set_policy(lone, true, false);
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  assert_int_equal(ping_with(lone, failed), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).served_ping, 0);
}

static void on_request_may_drop_a_query(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  set_policy(lone, true, false);
  recorder.next.verdict = KAD_VERDICT_DROP;
  kad_lone_query(lone, &from, KAD_METHOD_PING);
  kad_lone_run(lone, 10000);
  assert_int_equal(replies_sent(lone), 0);
  assert_int_equal(kad_lone_stats(lone).dropped_by_policy, 1);
}

static void on_request_may_be_pending(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_hook_result yes = {0};
  const struct kad_hook_result silent = {.verdict = KAD_VERDICT_DROP};
  set_policy(lone, true, false);
  recorder.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_query(lone, &from, KAD_METHOD_PING);
  kad_lone_query(lone, &from, KAD_METHOD_FIND_NODE);
  kad_lone_query(lone, &from, KAD_METHOD_GET_PEERS);
  assert_int_equal(replies_sent(lone), 0);

  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[1], &yes));
  assert_int_equal(kad_lone_stats(lone).served_find_node, 1);
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &silent));
  assert_int_equal(kad_lone_stats(lone).dropped_by_policy, 1);
  kad_lone_run(lone, DEADLINE_MS);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(replies_sent(lone), 2);
}

static void a_method_may_be_pending_after_on_request_was(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result yes = {.reply = kad_slice_of("d1:yi1ee")};
  set_policy(lone, true, false);
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &yes));
  assert_int_equal(recorder.called, 2);
  assert_int_equal(replies_sent(lone), 0);
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[1], &yes));
  assert_int_equal(kad_lone_error(lone), 0);
}

/* ---------------------------------------------------------- on_contact -- */

static void on_contact_accepts_and_rejects_contacts(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact good = kad_lone_contact(1);
  const struct kad_contact bad = kad_lone_contact(2);
  const struct kad_contact unlucky = kad_lone_contact(3);
  set_policy(lone, false, true);
  kad_lone_add_contact(lone, &good);
  assert_true(kad_id_equal(&recorder.from.id, &good.id));
  assert_true(recorder.proven);
  recorder.next = rejection(0, "no");
  kad_lone_add_contact(lone, &bad);
  recorder.next.verdict = KAD_VERDICT_FAILED;
  kad_lone_add_contact(lone, &unlucky);
  assert_true(kad_lone_knows(lone, &good));
  assert_false(kad_lone_knows(lone, &bad));
  assert_false(kad_lone_knows(lone, &unlucky));
}

static void on_contact_is_not_called_for_a_contact_in_the_table(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  set_policy(lone, false, true);
  kad_lone_add_contact(lone, &contact);
  kad_lone_run_answering(lone, 3600000, &contact, 1);
  assert_true(kad_lone_knows(lone, &contact));
  assert_int_equal(recorder.called, 1);
}

static void on_contact_may_be_pending(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  const struct kad_contact late = kad_lone_contact(2);
  const struct kad_hook_result yes = {0};
  set_policy(lone, false, true);
  recorder.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_add_contact(lone, &contact);
  kad_lone_add_contact(lone, &late);
  assert_false(kad_lone_knows(lone, &contact));
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &yes));
  assert_true(kad_lone_knows(lone, &contact));
  kad_lone_run(lone, DEADLINE_MS);
  assert_false(kad_lone_knows(lone, &late));
}

/* ------------------------------------------------------------- release -- */

static void a_policy_is_released_after_its_last_call(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result yes = {0};
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  call(lone);
  assert_ok(kad_node_set_policy(lone->node, NULL));
  assert_int_equal(recorder.released, 0);
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_METHOD);
  assert_ok(kad_node_complete_hook(lone->node, recorder.call_ids[0], &yes));
  assert_int_equal(recorder.released, 0);
  kad_lone_run(lone, DEADLINE_MS);
  assert_int_equal(recorder.released, 1);
  assert_int_equal(recorder.abandoned, 1);
}

static void an_invalid_policy_leaves_the_old_one(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_method ping = {"ping", &recorder, return_next};
  const struct kad_policy policy = {.state = &recorder,
                                    .methods = &ping,
                                    .method_count = 1,
                                    .release = record_released};
  assert_int_equal(kad_node_set_policy(lone->node, &policy), KAD_ECONFLICT);
  assert_int_equal(kad_node_set_policy(NULL, &policy), KAD_EINVAL);
  assert_int_equal(recorder.released, 0);
  assert_int_equal(reply_code(lone, "de"), 0);
}

static void a_policy_is_released_when_the_node_is_freed(void **state) {
  struct kad_lone *lone = *state;
  recorder.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  call(lone);
  kad_lone_close(lone);
  assert_int_equal(recorder.abandoned, 2);
  assert_int_equal(recorder.released, 1);
  kad_lone_open(lone, NULL);
}

static void replace_policy(void *state, const struct kad_hook_call *call,
                           struct kad_hook_result *answer) {
  struct recorder *it = state;
  assert_ok(kad_node_set_policy(call->node, NULL));
  assert_int_equal(it->released, 0);
  *answer = it->next;
}

static void a_hook_may_replace_its_own_policy(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_method hello = {"hello", &recorder, replace_policy};
  const struct kad_policy policy = {.state = &recorder,
                                    .methods = &hello,
                                    .method_count = 1,
                                    .abandon = record_abandoned,
                                    .release = record_released};
  const struct kad_hook_result yes = {0};
  recorder.next.reply = kad_slice_of("d1:yi1ee");
  assert_ok(kad_node_set_policy(lone->node, &policy));
  recorder.released = 0;
  call(lone);
  assert_int_equal(kad_lone_error(lone), 0);
  assert_int_equal(recorder.released, 1);

  recorder.next = (struct kad_hook_result){.verdict = KAD_VERDICT_PENDING};
  assert_ok(kad_node_set_policy(lone->node, &policy));
  recorder.released = 0;
  call(lone);
  assert_int_equal(recorder.released, 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);
  kad_lone_run(lone, DEADLINE_MS);
  assert_int_equal(recorder.released, 1);
  assert_int_equal(kad_node_complete_hook(lone->node, 1, &yes), KAD_ENOTFOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_method_receives_the_query_and_returns_the_reply),
      TEST(a_method_may_return_an_empty_reply),
      TEST(a_method_sees_whether_the_sender_is_proven),
      TEST(a_method_rejects_with_a_code_and_a_reason),
      TEST(a_long_reason_is_cut),
      TEST(a_method_that_fails_gives_error_202),
      TEST(a_result_that_is_none_counts_as_a_failure),
      TEST(a_reply_that_cannot_be_sent_gives_error_202),
      TEST(a_call_may_be_pending),
      TEST(a_pending_call_ends_at_its_deadline),
      TEST(a_hook_may_set_the_deadline_of_its_call),
      TEST(a_pending_call_may_fail),
      TEST(a_pending_call_may_not_be_pending_again),
      TEST(a_pending_call_is_not_completed_by_a_result_that_is_none),
      TEST(call_ids_are_never_reused),
      TEST(the_number_of_pending_calls_is_bounded),
      TEST(a_query_that_is_too_long_calls_no_hook),
      TEST(on_request_accepts_and_rejects),
      TEST(on_request_that_fails_rejects),
      TEST(on_request_may_drop_a_query),
      TEST(on_request_may_be_pending),
      TEST(a_method_may_be_pending_after_on_request_was),
      TEST(on_contact_accepts_and_rejects_contacts),
      TEST(on_contact_is_not_called_for_a_contact_in_the_table),
      TEST(on_contact_may_be_pending),
      TEST(a_policy_is_released_after_its_last_call),
      TEST(an_invalid_policy_leaves_the_old_one),
      TEST(a_policy_is_released_when_the_node_is_freed),
      TEST(a_hook_may_replace_its_own_policy),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
