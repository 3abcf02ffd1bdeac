/* The state of a node among contacts of which many are dead: it must not change
 * with every answer. Tests core/membership/maintenance.c. */
#include "lone_node.h"
#include "unit.h"

enum {
  CONTACTS = 48,
  SECOND_MS = 1000,
  MINUTE_MS = 60 * SECOND_MS
};

static struct kad_lone lone;
static struct kad_contact contacts[CONTACTS];
static unsigned changes;
static enum kad_state last;

static void open_with_contacts(void) {
  kad_lone_open(&lone, NULL);
  for (size_t i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact((unsigned)i + 1);
    kad_lone_add_contact(&lone, &contacts[i]);
  }
  lone.answered = lone.sent;
  kad_lone_run_answering(&lone, MINUTE_MS, contacts, CONTACTS);
  last = kad_node_state(lone.node);
  changes = 0;
  assert_int_equal(last, KAD_STATE_HEALTHY);
}

/* Runs for `span_ms`, in which the contacts `from` … `from` + `count` - 1
 * answer and the others do not. Counts the changes of the state. */
static void run_counting(kad_time_ms span_ms, size_t from, size_t count) {
  for (kad_time_ms spent = 0; spent < span_ms; spent += SECOND_MS) {
    kad_lone_run_answering(&lone, SECOND_MS, contacts + from, count);
    const enum kad_state state = kad_node_state(lone.node);
    changes += state != last;
    last = state;
  }
}

/* Runs for `span_ms`, in which each query is answered with a chance of one
 * half. Lookups keep the contacts busy, and their queries keep them known. */
static void run_with_half_of_the_answers(kad_time_ms span_ms) {
  for (unsigned i = 0; i < span_ms / SECOND_MS; i++) {
    const struct kad_id target = contacts[i * 7919U % CONTACTS].id;
    if (i % 10 == 0) {
      assert_ok(kad_node_find_node(lone.node, &target, NULL, NULL, NULL, NULL));
    }
    if (i % 60 == 0) {
      for (size_t j = 0; j < CONTACTS; j++) {
        kad_lone_query(&lone, &contacts[j], KAD_METHOD_PING);
      }
    }
    run_counting(SECOND_MS, i * 31U % (CONTACTS / 2), CONTACTS / 2);
  }
}

static void dozens_of_dead_contacts_change_the_state_rarely(void **state) {
  (void)state;
  open_with_contacts();
  run_with_half_of_the_answers(120 * MINUTE_MS);
  print_message("# %u changes in 2 hours\n", changes);
  assert_true(changes <= 20);
  kad_lone_close(&lone);
}

static void one_answer_now_and_then_does_not_end_isolation(void **state) {
  (void)state;
  open_with_contacts();
  run_counting(30 * MINUTE_MS, 0, 0);
  assert_int_equal(last, KAD_STATE_ISOLATED);
  changes = 0;
  for (unsigned i = 0; i < 20; i++) { /* one query is answered */
    const uint64_t replies = kad_lone_stats(&lone).replies;
    lone.answered = lone.sent;
    while (kad_lone_stats(&lone).replies == replies) {
      run_counting(SECOND_MS, 0, CONTACTS);
    }
    run_counting(5 * MINUTE_MS, 0, 0);
  }
  print_message("# %u changes in 2 hours\n", changes);
  assert_true(changes <= 4);
  kad_lone_close(&lone);
}

static void a_node_returns_at_once_when_its_contacts_do(void **state) {
  (void)state;
  open_with_contacts();
  run_counting(30 * MINUTE_MS, 0, 0);
  assert_int_equal(last, KAD_STATE_ISOLATED);
  changes = 0;
  lone.answered = lone.sent;
  run_counting(3 * MINUTE_MS, 0, CONTACTS);
  assert_int_not_equal(last, KAD_STATE_ISOLATED);
  run_counting(30 * MINUTE_MS, 0, CONTACTS);
  assert_int_equal(last, KAD_STATE_HEALTHY);
  assert_true(changes <= 2);
  kad_lone_close(&lone);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dozens_of_dead_contacts_change_the_state_rarely),
      cmocka_unit_test(one_answer_now_and_then_does_not_end_isolation),
      cmocka_unit_test(a_node_returns_at_once_when_its_contacts_do),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
