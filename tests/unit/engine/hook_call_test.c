#include "engine/hook_call.h"

#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  DEADLINE_MS = 2000,
  TICKETS_MAX = 64
};

static struct kad_lone lone_node;

/* A policy that answers whatever the test has set, and notes what it saw. */
struct soloist {
  struct kad_hook_result next; /* the answer to every call */
  unsigned asked;
  unsigned abandoned;
  unsigned released;
  uint64_t call_ids[TICKETS_MAX]; /* of pending_hooks, in order */
  uint64_t last_abandoned;
  struct kad_contact from;
  bool proven;
  char method[KAD_METHOD_NAME_MAX + 1];
  size_t args_len;
  uint8_t args[2 * KAD_LONE_SIZE];
};

static struct soloist soloist;

static void answer_next(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  struct soloist *it = state;
  it->call_ids[it->asked++ % TICKETS_MAX] = call->call_id;
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

static void note_abandoned(void *state, uint64_t call_id) {
  struct soloist *it = state;
  it->abandoned++;
  it->last_abandoned = call_id;
}

static void note_released(void *state) {
  struct soloist *it = state;
  it->released++;
}

static void set_policy(struct kad_lone *lone, bool on_request,
                       bool on_contact) {
  const struct kad_method hello = {"hello", &soloist, answer_next};
  const struct kad_policy policy = {
      .state = &soloist,
      .on_request = on_request ? answer_next : NULL,
      .on_contact = on_contact ? answer_next : NULL,
      .methods = &hello,
      .method_count = 1,
      .abandon = note_abandoned,
      .release = note_released,
  };
  assert_ok(kad_node_set_policy(lone->node, &policy));
}

static int begin(void **state) {
  soloist = (struct soloist){0};
  kad_lone_open(&lone_node, NULL);
  set_policy(&lone_node, false, false);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Calls `hello` in the name of contact 1. */
static void call(struct kad_lone *lone) {
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_call(lone, &from, "hello", "d1:xi5ee");
}

/* Calls it, with `reply` as the policy's, and returns the code of the error. */
static int reply_code(struct kad_lone *lone, const char *reply) {
  soloist.next = (struct kad_hook_result){.reply = kad_slice_of(reply)};
  call(lone);
  return kad_lone_error(lone);
}

static struct kad_hook_result refusal(int code, const char *reason) {
  return (struct kad_hook_result){.verdict = KAD_VERDICT_REJECT,
                                  .code = code,
                                  .reason = kad_slice_of(reason)};
}

/* Returns the datagrams that were sent, our own pings left out. */
static uint64_t answers(const struct kad_lone *lone) {
  const struct kad_stats stats = kad_lone_stats(lone);
  return stats.datagrams_out - stats.queries;
}

/* ------------------------------------------------------------- methods -- */

static void a_method_is_told_the_query_and_answers_it(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  struct kad_bencode dict;
  struct kad_bencode value;

  assert_int_equal(reply_code(lone, "d4:text2:hie"), 0);

  assert_string_equal(soloist.method, "hello");
  const struct kad_slice args = {soloist.args, soloist.args_len};
  assert_ok(kad_bencode_parse(args, &dict));
  assert_true(kad_bencode_find(&dict, "x", &value));
  assert_int_equal(value.integer, 5);
  assert_true(kad_id_equal(&soloist.from.id, &from.id));
  assert_false(soloist.proven);
  (void)kad_lone_sent(lone, 1, &reply);
  assert_ok(kad_bencode_parse(reply.reply, &dict));
  assert_true(kad_bencode_find(&dict, "text", &value));
  assert_slice_is(value.bytes, "hi");
  assert_true(kad_id_equal(&reply.id, kad_node_id(lone->node)));
  assert_int_equal(kad_lone_stats(lone).served_custom, 1);
}

static void a_method_may_answer_nothing_but_the_id(void **state) {
  assert_int_equal(reply_code(*state, ""), 0);
}

static void a_method_knows_who_has_answered_us(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  kad_lone_meet(lone, &from);
  call(lone);
  assert_true(soloist.proven);
}

static void a_method_refuses_with_a_code_and_a_reason(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  soloist.next = refusal(404, "no such song");
  call(lone);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.code, 404);
  assert_slice_is(reply.text, "no such song");
  soloist.next = refusal(0, "");
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_REFUSED);
}

static void a_long_reason_is_cut(void **state) {
  struct kad_lone *lone = *state;
  char reason[1300] = {0};
  struct kad_message reply;
  memset(reason, 'r', sizeof reason - 1);
  soloist.next = refusal(0, reason);
  call(lone);
  (void)kad_lone_reply(lone, &reply);
  assert_int_equal(reply.text.len, 200);
}

static void a_method_that_fails_is_answered_202(void **state) {
  struct kad_lone *lone = *state;
  soloist.next.verdict = KAD_VERDICT_FAILED;
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
}

static void a_reply_that_cannot_be_sent_is_answered_202(void **state) {
  struct kad_lone *lone = *state;
  static char large[1400] = "d1:x1300:";
  memset(large + 9, 'x', 1300);
  large[1309] = 'e';
  assert_int_equal(reply_code(lone, "4:text"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "d4:text2:hiee"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "nonsense"), KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, "d1:allllllllllllllleeeeeeeeeeeeeeeee"),
                   KAD_CODE_FAILED);
  assert_int_equal(reply_code(lone, large), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 5);
  assert_int_equal(kad_lone_stats(lone).served_custom, 0);
}

/* ------------------------------------------------------- later answers -- */

static void an_answer_may_come_later(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result answer = {.reply = kad_slice_of("d4:text2:hie")};
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  kad_lone_run(lone, DEADLINE_MS - 1);
  assert_int_equal(answers(lone), 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);

  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &answer));

  assert_int_equal(kad_lone_error(lone), 0);
  assert_int_equal(kad_lone_stats(lone).served_custom, 1);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 0);
  assert_int_equal(
      kad_node_complete_hook(lone->node, soloist.call_ids[0], &answer),
      KAD_ENOTFOUND);
  assert_int_equal(soloist.abandoned, 0);
}

static void an_answer_that_does_not_come_is_given_up(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result answer = {0};
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);

  kad_lone_run(lone, DEADLINE_MS);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(soloist.abandoned, 1);
  assert_true(soloist.last_abandoned == soloist.call_ids[0]);
  assert_int_equal(kad_lone_stats(lone).hook_deadlines, 1);
  assert_int_equal(
      kad_node_complete_hook(lone->node, soloist.call_ids[0], &answer),
      KAD_ENOTFOUND);
  assert_int_equal(answers(lone), 1);
}

static void an_answer_has_the_time_that_its_hook_asks_for(void **state) {
  struct kad_lone *lone = *state;
  soloist.next = (struct kad_hook_result){.verdict = KAD_VERDICT_PENDING,
                                          .deadline_ms = 500};
  call(lone);
  soloist.next.deadline_ms = DEADLINE_MS + 1000;
  call(lone);

  kad_lone_run(lone, 499);
  assert_int_equal(soloist.abandoned, 0);
  kad_lone_run(lone, 1);
  assert_true(soloist.last_abandoned == soloist.call_ids[0]);
  kad_lone_run(lone, DEADLINE_MS + 499);
  assert_int_equal(soloist.abandoned, 1);
  kad_lone_run(lone, 1);

  assert_int_equal(soloist.abandoned, 2);
  assert_int_equal(kad_lone_stats(lone).hook_deadlines, 2);
}

static void a_later_answer_may_be_that_it_failed(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &failed));
  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
  assert_int_equal(soloist.abandoned, 0);
}

static void a_later_answer_may_not_be_later_again(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result later = {.verdict = KAD_VERDICT_PENDING};
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_int_equal(
      kad_node_complete_hook(lone->node, soloist.call_ids[0], &later),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_complete_hook(lone->node, soloist.call_ids[0], NULL),
      KAD_EINVAL);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);
}

static void tickets_are_never_reused(void **state) {
  struct kad_lone *lone = *state;
  soloist.next.verdict = KAD_VERDICT_PENDING;
  for (unsigned i = 0; i < 10; i++) {
    call(lone);
    assert_true(soloist.call_ids[i] != 0);
    for (unsigned j = 0; j < i; j++) {
      assert_true(soloist.call_ids[i] != soloist.call_ids[j]);
    }
  }
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 10);
}

static void only_so_many_questions_wait(void **state) {
  struct kad_lone *lone = *state;
  struct kad_config config;
  kad_config_default(&config);
  config.max_pending_hooks = 3;
  kad_lone_close(lone);
  kad_lone_open(lone, &config);
  set_policy(lone, false, false);
  soloist.next.verdict = KAD_VERDICT_PENDING;
  for (unsigned i = 0; i < 3; i++) {
    call(lone);
  }
  assert_int_equal(answers(lone), 0);

  call(lone);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 3);
  assert_int_equal(soloist.abandoned, 1);
  assert_true(soloist.last_abandoned == soloist.call_ids[3]);
  assert_int_equal(kad_lone_stats(lone).hook_failures, 1);
}

static void a_query_longer_than_a_datagram_of_ours_asks_nobody(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  static char args[2000] = "d1:x1600:";
  memset(args + 9, 'x', 1600);
  args[1609] = 'e';
  soloist.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_call(lone, &from, "hello", args);
  assert_int_equal(kad_lone_stats(lone).dropped_malformed, 1);
  assert_int_equal(lone->sent, 0);
  assert_int_equal(soloist.abandoned, 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 0);
}

/* ---------------------------------------------------------- on_request -- */

/* Pings, with on_request about to answer `verdict`, and returns the code. */
static int ping_with(struct kad_lone *lone, struct kad_hook_result answer) {
  const struct kad_contact from = kad_lone_contact(1);
  soloist.next = answer;
  kad_lone_ask(lone, &from, KAD_METHOD_PING);
  return kad_lone_error(lone);
}

static void on_request_accepts_and_refuses(void **state) {
  struct kad_lone *lone = *state;
  set_policy(lone, true, false);
  assert_int_equal(ping_with(lone, (struct kad_hook_result){0}), 0);
  assert_string_equal(soloist.method, "ping");
  assert_int_equal(ping_with(lone, refusal(0, "no")), KAD_CODE_REFUSED);
  assert_int_equal(ping_with(lone, refusal(250, "no")), 250);
  assert_int_equal(kad_lone_stats(lone).served_ping, 1);
}

static void on_request_that_fails_denies(void **state) {
  struct kad_lone *lone = *state;
  set_policy(lone, true, false);
  const struct kad_hook_result failed = {.verdict = KAD_VERDICT_FAILED};
  assert_int_equal(ping_with(lone, failed), KAD_CODE_FAILED);
  assert_int_equal(kad_lone_stats(lone).served_ping, 0);
}

static void on_request_may_leave_a_query_unanswered(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  set_policy(lone, true, false);
  soloist.next.verdict = KAD_VERDICT_DROP;
  kad_lone_ask(lone, &from, KAD_METHOD_PING);
  kad_lone_run(lone, 10000);
  assert_int_equal(answers(lone), 0);
  assert_int_equal(kad_lone_stats(lone).dropped_by_policy, 1);
}

static void on_request_may_decide_later(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_hook_result yes = {0};
  const struct kad_hook_result silent = {.verdict = KAD_VERDICT_DROP};
  set_policy(lone, true, false);
  soloist.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_ask(lone, &from, KAD_METHOD_PING);
  kad_lone_ask(lone, &from, KAD_METHOD_FIND_NODE);
  kad_lone_ask(lone, &from, KAD_METHOD_GET_PEERS);
  assert_int_equal(answers(lone), 0);

  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[1], &yes));
  assert_int_equal(kad_lone_stats(lone).served_find_node, 1);
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &silent));
  assert_int_equal(kad_lone_stats(lone).dropped_by_policy, 1);
  kad_lone_run(lone, DEADLINE_MS);

  assert_int_equal(kad_lone_error(lone), KAD_CODE_FAILED);
  assert_int_equal(answers(lone), 2);
}

static void a_method_may_answer_later_after_on_request_did(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result yes = {.reply = kad_slice_of("d1:yi1ee")};
  set_policy(lone, true, false);
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &yes));
  assert_int_equal(soloist.asked, 2);
  assert_int_equal(answers(lone), 0);
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[1], &yes));
  assert_int_equal(kad_lone_error(lone), 0);
}

/* ---------------------------------------------------------- on_contact -- */

static void on_contact_lets_contacts_in_or_not(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact good = kad_lone_contact(1);
  const struct kad_contact bad = kad_lone_contact(2);
  const struct kad_contact unlucky = kad_lone_contact(3);
  set_policy(lone, false, true);
  kad_lone_meet(lone, &good);
  assert_true(kad_id_equal(&soloist.from.id, &good.id));
  assert_true(soloist.proven);
  soloist.next = refusal(0, "no");
  kad_lone_meet(lone, &bad);
  soloist.next.verdict = KAD_VERDICT_FAILED;
  kad_lone_meet(lone, &unlucky);
  assert_true(kad_lone_knows(lone, &good));
  assert_false(kad_lone_knows(lone, &bad));
  assert_false(kad_lone_knows(lone, &unlucky));
}

static void on_contact_is_not_asked_about_who_is_in(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  set_policy(lone, false, true);
  kad_lone_meet(lone, &contact);
  kad_lone_live(lone, 3600000, &contact, 1);
  assert_true(kad_lone_knows(lone, &contact));
  assert_int_equal(soloist.asked, 1);
}

static void on_contact_may_decide_later(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact contact = kad_lone_contact(1);
  const struct kad_contact late = kad_lone_contact(2);
  const struct kad_hook_result yes = {0};
  set_policy(lone, false, true);
  soloist.next.verdict = KAD_VERDICT_PENDING;
  kad_lone_meet(lone, &contact);
  kad_lone_meet(lone, &late);
  assert_false(kad_lone_knows(lone, &contact));
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &yes));
  assert_true(kad_lone_knows(lone, &contact));
  kad_lone_run(lone, DEADLINE_MS);
  assert_false(kad_lone_knows(lone, &late));
}

/* ------------------------------------------------------ ends of policies -- */

static void a_policy_is_released_after_its_last_question(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_hook_result yes = {0};
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  call(lone);
  assert_ok(kad_node_set_policy(lone->node, NULL));
  assert_int_equal(soloist.released, 0);
  call(lone);
  assert_int_equal(kad_lone_error(lone), KAD_CODE_METHOD);
  assert_ok(kad_node_complete_hook(lone->node, soloist.call_ids[0], &yes));
  assert_int_equal(soloist.released, 0);
  kad_lone_run(lone, DEADLINE_MS);
  assert_int_equal(soloist.released, 1);
  assert_int_equal(soloist.abandoned, 1);
}

static void a_policy_that_is_refused_leaves_the_one_before(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_method ping = {"ping", &soloist, answer_next};
  const struct kad_policy policy = {.state = &soloist,
                                    .methods = &ping,
                                    .method_count = 1,
                                    .release = note_released};
  assert_int_equal(kad_node_set_policy(lone->node, &policy), KAD_ECONFLICT);
  assert_int_equal(kad_node_set_policy(NULL, &policy), KAD_EINVAL);
  assert_int_equal(soloist.released, 0);
  assert_int_equal(reply_code(lone, "de"), 0);
}

static void a_policy_is_released_when_the_node_is_freed(void **state) {
  struct kad_lone *lone = *state;
  soloist.next.verdict = KAD_VERDICT_PENDING;
  call(lone);
  call(lone);
  kad_lone_close(lone);
  assert_int_equal(soloist.abandoned, 2);
  assert_int_equal(soloist.released, 1);
  kad_lone_open(lone, NULL);
}

static void replace_policy(void *state, const struct kad_hook_call *call,
                           struct kad_hook_result *answer) {
  struct soloist *it = state;
  assert_ok(kad_node_set_policy(call->node, NULL));
  assert_int_equal(it->released, 0);
  *answer = it->next;
}

static void a_hook_may_replace_the_policy_that_it_is_of(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_method hello = {"hello", &soloist, replace_policy};
  const struct kad_policy policy = {.state = &soloist,
                                    .methods = &hello,
                                    .method_count = 1,
                                    .abandon = note_abandoned,
                                    .release = note_released};
  const struct kad_hook_result yes = {0};
  soloist.next.reply = kad_slice_of("d1:yi1ee");
  assert_ok(kad_node_set_policy(lone->node, &policy));
  soloist.released = 0;
  call(lone);
  assert_int_equal(kad_lone_error(lone), 0);
  assert_int_equal(soloist.released, 1);

  soloist.next = (struct kad_hook_result){.verdict = KAD_VERDICT_PENDING};
  assert_ok(kad_node_set_policy(lone->node, &policy));
  soloist.released = 0;
  call(lone);
  assert_int_equal(soloist.released, 0);
  assert_int_equal(kad_lone_stats(lone).pending_hooks, 1);
  kad_lone_run(lone, DEADLINE_MS);
  assert_int_equal(soloist.released, 1);
  assert_int_equal(kad_node_complete_hook(lone->node, 1, &yes), KAD_ENOTFOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_method_is_told_the_query_and_answers_it),
      TEST(a_method_may_answer_nothing_but_the_id),
      TEST(a_method_knows_who_has_answered_us),
      TEST(a_method_refuses_with_a_code_and_a_reason),
      TEST(a_long_reason_is_cut),
      TEST(a_method_that_fails_is_answered_202),
      TEST(a_reply_that_cannot_be_sent_is_answered_202),
      TEST(an_answer_may_come_later),
      TEST(an_answer_that_does_not_come_is_given_up),
      TEST(an_answer_has_the_time_that_its_hook_asks_for),
      TEST(a_later_answer_may_be_that_it_failed),
      TEST(a_later_answer_may_not_be_later_again),
      TEST(tickets_are_never_reused),
      TEST(only_so_many_questions_wait),
      TEST(a_query_longer_than_a_datagram_of_ours_asks_nobody),
      TEST(on_request_accepts_and_refuses),
      TEST(on_request_that_fails_denies),
      TEST(on_request_may_leave_a_query_unanswered),
      TEST(on_request_may_decide_later),
      TEST(a_method_may_answer_later_after_on_request_did),
      TEST(on_contact_lets_contacts_in_or_not),
      TEST(on_contact_is_not_asked_about_who_is_in),
      TEST(on_contact_may_decide_later),
      TEST(a_policy_is_released_after_its_last_question),
      TEST(a_policy_that_is_refused_leaves_the_one_before),
      TEST(a_policy_is_released_when_the_node_is_freed),
      TEST(a_hook_may_replace_the_policy_that_it_is_of),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
