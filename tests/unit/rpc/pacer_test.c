#include "rpc/pacer.h"

#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

enum {
  WINDOW = 64, /* queries in flight to an address that has not answered yet */
  PACE = 400,
  BURST_S = KAD_PACER_BURST_S,
  FLOOD = 4000
};

static struct kad_lone lone_node;

/* What became of the queries of the user. */
static struct outcome {
  unsigned ended;
  unsigned answered;
  unsigned busy;
  unsigned closed;
} outcome;

static void note(void *data, const struct kad_result *result) {
  (void)data;
  outcome.ended++;
  outcome.answered += result->status == 0;
  outcome.busy += result->status == KAD_EBUSY;
  outcome.closed += result->status == KAD_ECLOSED;
}

static int begin(void **state) {
  outcome = (struct outcome){0};
  kad_lone_open(&lone_node, NULL);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Opens the node again with `config`. */
static void reopen(struct kad_lone *lone, const struct kad_config *config) {
  kad_lone_close(lone);
  kad_lone_open(lone, config);
}

/* Starts `count` calls of a custom query, which is never sent again. */
static void start_calls(struct kad_lone *lone, const struct kad_contact *to,
                        unsigned count) {
  const struct kad_slice none = {NULL, 0};
  for (unsigned i = 0; i < count; i++) {
    assert_ok(kad_node_call(lone->node, to, kad_slice_of("hello"), none, note,
                            NULL, NULL));
  }
  kad_node_tick(lone->node);
}

static void start_pings(struct kad_lone *lone, const struct kad_contact *to,
                        unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    assert_ok(kad_node_ping(lone->node, &to->address, note, NULL, NULL));
  }
  kad_node_tick(lone->node);
}

/* Runs while `contact` answers what a limit of `per_s` lets through. */
static void run_limited(struct kad_lone *lone,
                        const struct kad_contact *contact, uint32_t per_s,
                        kad_time_ms span_ms) {
  const struct kad_token_rate rate = kad_token_rate_of(per_s, per_s);
  struct kad_token_bucket bucket = {.filled_at = lone->now};
  for (kad_time_ms i = 0; i < span_ms; i++) {
    size_t first = lone->answered;
    kad_lone_run(lone, 1);
    lone->answered = lone->sent;
    for (; first < lone->answered; first++) {
      struct kad_message query;
      const struct kad_lone_datagram *datagram =
          kad_lone_sent(lone, lone->sent - 1 - first, &query);
      kad_token_bucket_fill(&bucket, &rate, lone->now);
      if (kad_address_equal(&datagram->to, &contact->address) &&
          kad_token_bucket_has(&bucket, &rate, KAD_TOKEN)) {
        kad_token_bucket_take(&bucket, &rate, KAD_TOKEN);
        kad_lone_answer(lone, contact, &query);
      }
    }
  }
}

/* ---------------------------------------------------------------- pace -- */

static void a_few_queries_are_sent_at_once(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);

  start_pings(lone, &to, WINDOW);

  assert_int_equal(lone->sent, WINDOW);
  assert_int_equal(kad_lone_stats(lone).paced, 0);
  kad_lone_answer_all(lone, &to, 1);
}

static void other_addresses_do_not_wait_for_a_paced_one(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact busy = kad_lone_contact(1);
  struct kad_contact beside = busy; /* another node of the same host */
  beside.address.port++;
  start_pings(lone, &busy, 4 * WINDOW);
  const size_t before = lone->sent;

  start_pings(lone, &beside, 1);

  assert_int_equal(lone->sent, before + 1);
}

/* A default node serves an address 500 queries a second, 2,000 at once. */
static void what_an_address_gets_stays_below_what_a_node_serves(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact to = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  const kad_time_ms start = lone->now;
  start_pings(lone, &to, FLOOD);
  while (outcome.ended < FLOOD) {
    kad_lone_run_answering(lone, 1, &to, 1);
    const kad_time_ms elapsed = lone->now - start;
    assert_in_range(lone->sent, 0,
                    (uint64_t)PACE * BURST_S + PACE * elapsed / 1000 + 1);
  }

  assert_int_equal(outcome.answered, FLOOD);
  assert_in_range(lone->sent, FLOOD, FLOOD + 2); /* and the node's own */
  assert_true(PACE * BURST_S + PACE < (int)config.queries_per_s_address * 5);
  assert_in_range(lone->now - start, 5900, 6100); /* (4000 - 1600) / 400 s */
  assert_true(kad_lone_stats(lone).paced > FLOOD / 2);
  assert_int_equal(kad_lone_stats(lone).waiting, 0);
}

static void a_silent_address_gets_no_more_than_a_window(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);

  start_calls(lone, &to, FLOOD);

  assert_int_equal(lone->sent, WINDOW);
  assert_int_equal(kad_lone_stats(lone).waiting, FLOOD - WINDOW);
  assert_int_equal(kad_lone_stats(lone).pending, WINDOW);
}

static void without_limits_nothing_waits(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  reopen(lone, &config);

  start_pings(lone, &to, FLOOD);

  assert_int_equal(lone->sent, FLOOD);
}

static void a_pace_of_zero_is_no_pace(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  config.pace_per_s = 0;
  reopen(lone, &config);

  start_pings(lone, &to, FLOOD);

  assert_int_equal(lone->sent, FLOOD);
}

/* ---------------------------------------------------------- the queue -- */

static void a_full_queue_is_an_error_of_its_own(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  config.max_waiting = 10;
  reopen(lone, &config);

  start_pings(lone, &to, WINDOW + 10 + 3);
  kad_node_tick(lone->node);

  assert_int_equal(outcome.ended, 3);
  assert_int_equal(outcome.busy, 3);
  assert_int_equal(kad_lone_stats(lone).overcrowded, 3);
  assert_int_equal(kad_lone_stats(lone).waiting, 10);
  kad_lone_run_answering(lone, 1000, &to, 1);
  assert_int_equal(outcome.answered, WINDOW + 10);
}

static void a_query_that_is_given_up_while_it_waits_is_not_sent(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  kad_operation_id given_up[3];
  start_pings(lone, &to, WINDOW);
  for (size_t i = 0; i < 3; i++) {
    assert_ok(kad_node_ping(lone->node, &to.address, note, NULL, &given_up[i]));
  }
  start_pings(lone, &to, 5);
  assert_int_equal(kad_lone_stats(lone).waiting, 8);

  for (size_t i = 0; i < 3; i++) { /* the first, the last, one in between */
    assert_ok(kad_node_cancel(lone->node, given_up[i]));
  }
  kad_node_tick(lone->node);
  assert_int_equal(kad_lone_stats(lone).waiting, 5);
  kad_lone_run_answering(lone, 1000, &to, 1);

  assert_int_equal(lone->sent, WINDOW + 5);
  assert_int_equal(outcome.answered, WINDOW + 5);
  assert_int_equal(outcome.ended, WINDOW + 8);
}

static void a_query_that_waits_too_long_ends_with_its_operation(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  struct kad_config config;
  kad_config_default(&config);
  config.pace_per_s = 1;
  reopen(lone, &config);
  start_calls(lone, &to, 200);

  kad_lone_run(lone, 60000);

  assert_int_equal(outcome.ended, 200);
  assert_int_equal(kad_lone_stats(lone).waiting, 0);
  assert_true(lone->sent < 60);
}

static void a_node_closes_with_a_full_queue(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  start_pings(lone, &to, 1000);

  reopen(lone, NULL); /* fails on a leak */

  assert_int_equal(outcome.closed, 1000);
}

/* Sends a ping as the node does by itself, without an owner. */
static void send_own_ping(struct kad_lone *lone, const struct kad_contact *to,
                          kad_query_fn handler) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_PING;
  assert_ok(kad_rpc_send(lone->node, to, &message, handler, NULL, NULL));
}

static unsigned own_answered;
static unsigned user_answered; /* before the hundredth of those */

static void note_own(struct kad_node *node, struct kad_query *query,
                     enum kad_query_event event,
                     const struct kad_message *message) {
  (void)node;
  (void)query;
  (void)message;
  own_answered += event == KAD_QUERY_REPLY;
  if (own_answered == 100) {
    user_answered = outcome.answered;
  }
}

static void the_user_and_the_node_take_turns(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  own_answered = 0;
  start_pings(lone, &to, 1000);
  for (unsigned i = 0; i < 500; i++) {
    send_own_ping(lone, &to, note_own);
  }

  kad_lone_run_answering(lone, 5000, &to, 1);

  assert_int_equal(own_answered, 500);
  assert_int_equal(outcome.answered, 1000);
  assert_in_range(user_answered, WINDOW + 30, WINDOW + 110);
}

/* ------------------------------------------------------------- limits -- */

static void queries_to_a_contact_with_a_lower_limit_all_succeed(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  const uint32_t limit = 20;
  start_pings(lone, &to, 300);

  run_limited(lone, &to, limit, 20000);

  assert_int_equal(outcome.answered, 300);
  assert_true(kad_lone_stats(lone).slowed > 0);
  assert_true(lone->sent < 750); /* few were lost and sent again */
}

static void a_pace_recovers_when_the_contact_does(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  start_pings(lone, &to, 200);
  run_limited(lone, &to, 10, 20000);
  for (unsigned i = 0; i < 60; i++) {
    start_pings(lone, &to, 60);
    kad_lone_run_answering(lone, 1000, &to, 1);
  }
  const size_t before = lone->sent;

  start_pings(lone, &to, 200);
  kad_lone_run_answering(lone, 10, &to, 1);

  assert_int_equal(lone->sent, before + 200);
}

static void a_custom_query_is_sent_once(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  start_pings(lone, &to, 50);
  kad_lone_answer_all(lone, &to, 1);
  const size_t before = lone->sent;

  start_calls(lone, &to, 50);
  kad_lone_run(lone, 30000);

  unsigned calls = 0;
  for (size_t i = before; i < lone->sent; i++) {
    struct kad_message message;
    (void)kad_lone_sent(lone, lone->sent - 1 - i, &message);
    calls += message.method == KAD_METHOD_CUSTOM;
  }
  assert_int_equal(calls, 50);
  assert_int_equal(outcome.answered, 50);
}

/* ---------------------------------------------------------- liveness -- */

static unsigned failures_of(struct kad_lone *lone,
                            const struct kad_contact *contact) {
  struct kad_contact_info infos[16];
  const size_t count = kad_node_contacts(lone->node, infos, 16);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&infos[i].contact.id, &contact->id)) {
      return infos[i].failures;
    }
  }
  fail();
  return 0;
}

static void a_contact_that_has_just_answered_is_not_dead(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  kad_lone_add_contact(lone, &to);

  start_calls(lone, &to, 5);
  kad_lone_run(lone, 5000);

  assert_int_equal(outcome.ended, 5);
  assert_int_equal(outcome.answered, 0);
  assert_int_equal(failures_of(lone, &to), 0);
}

static void a_contact_that_was_silent_for_longer_is_dead(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  kad_lone_add_contact(lone, &to);
  kad_lone_run(lone, KAD_PACER_ALIVE_MS);

  start_calls(lone, &to, 5);
  kad_lone_run(lone, 5000);

  assert_int_equal(outcome.ended, 5);
  assert_true(failures_of(lone, &to) >= 2);
}

/* ------------------------------------------------------------- memory -- */

static void paces_that_say_nothing_any_more_are_forgotten(void **state) {
  struct kad_lone *lone = *state;
  for (unsigned i = 0; i < 300; i++) {
    const struct kad_contact to = kad_lone_contact(1 + i);
    start_pings(lone, &to, 1);
    kad_lone_run(lone, 100);
  }
  assert_true(lone->node->rpc.pacer.paces.count < 200);
}

static void there_are_at_most_so_many_paces(void **state) {
  struct kad_lone *lone = *state;
  struct kad_contact to = kad_lone_contact(1);
  for (unsigned i = 0; i < KAD_PACER_MAX + 10; i++) {
    to.address.port = (uint16_t)(1 + i);
    send_own_ping(lone, &to, note_own);
  }

  assert_int_equal(lone->sent, KAD_PACER_MAX + 10);
  assert_int_equal(lone->node->rpc.pacer.paces.count, KAD_PACER_MAX);
}

static void without_memory_queries_are_sent_or_fail(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact to = kad_lone_contact(1);
  for (size_t nth = 0; nth < 8; nth++) {
    outcome = (struct outcome){0};
    reopen(lone, NULL);
    assert_ok(kad_node_ping(lone->node, &to.address, note, NULL, NULL));
    kad_counting_fail_at(&lone->counting, nth);
    kad_node_tick(lone->node);
    kad_lone_answer_all(lone, &to, 1);
    kad_lone_run(lone, 10000);
    kad_counting_never_fail(&lone->counting);
    assert_int_equal(outcome.ended, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(a_few_queries_are_sent_at_once),
      TEST(other_addresses_do_not_wait_for_a_paced_one),
      TEST(what_an_address_gets_stays_below_what_a_node_serves),
      TEST(a_silent_address_gets_no_more_than_a_window),
      TEST(without_limits_nothing_waits),
      TEST(a_pace_of_zero_is_no_pace),
      TEST(a_full_queue_is_an_error_of_its_own),
      TEST(a_query_that_is_given_up_while_it_waits_is_not_sent),
      TEST(a_query_that_waits_too_long_ends_with_its_operation),
      TEST(a_node_closes_with_a_full_queue),
      TEST(the_user_and_the_node_take_turns),
      TEST(queries_to_a_contact_with_a_lower_limit_all_succeed),
      TEST(a_pace_recovers_when_the_contact_does),
      TEST(a_custom_query_is_sent_once),
      TEST(a_contact_that_has_just_answered_is_not_dead),
      TEST(a_contact_that_was_silent_for_longer_is_dead),
      TEST(paces_that_say_nothing_any_more_are_forgotten),
      TEST(there_are_at_most_so_many_paces),
      TEST(without_memory_queries_are_sent_or_fail),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
