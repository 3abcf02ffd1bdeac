#include "lone_node.h"
#include "rpc/rpc.h"
#include "unit.h"

enum {
  HARD_FIRST_MS = 3200 /* timeout of a query before the node has measured any */
};

static struct kad_lone lone_node;

struct owner {
  struct kad_query_owner queries;
  unsigned events;
};

static void count_event(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  (void)node;
  (void)message;
  if (event != KAD_QUERY_SOFT) {
    kad_container_of(query->owner, struct owner, queries)->events++;
  }
}

static void send_pings(struct kad_lone *lone, struct owner *owner,
                       unsigned first, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    const struct kad_contact to = kad_lone_contact(first + i);
    struct kad_message message;
    kad_message_init(&message, KAD_MESSAGE_QUERY);
    message.method = KAD_METHOD_PING;
    assert_ok(kad_rpc_send(lone->node, &to, &message, count_event,
                           &owner->queries, NULL));
  }
}

static void an_owner_gets_events_until_it_is_separated(void **state) {
  struct kad_lone *lone = &lone_node;
  (void)state;
  kad_lone_open(lone, NULL);
  struct owner kept = {0};
  struct owner separated = {0};
  const struct kad_contact answering = kad_lone_contact(6);
  struct kad_message query;
  send_pings(lone, &kept, 1, 4);
  send_pings(lone, &separated, 5, 4);
  assert_true(kad_lone_find_query(lone, &answering.address, &query));
  kad_lone_answer(lone, &answering, &query);
  assert_int_equal(separated.events, 1);

  kad_rpc_disown(lone->node, &separated.queries);
  kad_lone_run(lone, HARD_FIRST_MS);

  assert_null(separated.queries.first);
  assert_int_equal(separated.events, 1);
  assert_null(kept.queries.first);
  assert_int_equal(kept.events, 4);
  assert_int_equal(kad_lone_stats(lone).timeouts, 7);
  kad_lone_close(lone);
}

/* Notes when SOFT came to the last owner. */
static kad_time_ms soft_at;

static void note_soft(struct kad_node *node, struct kad_query *query,
                      enum kad_query_event event,
                      const struct kad_message *message) {
  (void)node;
  (void)query;
  (void)message;
  if (event == KAD_QUERY_SOFT) {
    soft_at = lone_node.now;
  }
}

/* Returns after how long SOFT comes to a query that is not answered. */
static kad_time_ms measure_soft(struct kad_query_owner *owner,
                                const struct kad_contact *to) {
  struct kad_message message;
  const kad_time_ms before = lone_node.now;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_PING;
  assert_ok(kad_rpc_send(lone_node.node, to, &message, note_soft, owner, NULL));
  kad_lone_run(&lone_node, HARD_FIRST_MS);
  return soft_at - before;
}

static void an_owner_in_a_hurry_does_not_wait_long(void **state) {
  (void)state;
  struct kad_query_owner patient = {0};
  struct kad_query_owner hurried = {.hurried = true};
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  kad_lone_open(&lone_node, NULL);
  assert_int_equal(measure_soft(&patient, &first), 800);
  assert_int_equal(measure_soft(&hurried, &second), 350);
  kad_lone_close(&lone_node);
}

/* Its queries end as late as others: they count for the tables. */
static void a_hurry_does_not_make_queries_fail_sooner(void **state) {
  (void)state;
  struct owner hurried = {.queries.hurried = true};
  kad_lone_open(&lone_node, NULL);
  send_pings(&lone_node, &hurried, 1, 1);
  kad_lone_run(&lone_node, HARD_FIRST_MS - 1);
  assert_int_equal(hurried.events, 0);
  kad_lone_run(&lone_node, 1);
  assert_int_equal(hurried.events, 1);
  kad_lone_close(&lone_node);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_owner_gets_events_until_it_is_separated),
      cmocka_unit_test(an_owner_in_a_hurry_does_not_wait_long),
      cmocka_unit_test(a_hurry_does_not_make_queries_fail_sooner),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
