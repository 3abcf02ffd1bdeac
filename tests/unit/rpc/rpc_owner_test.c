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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_owner_gets_events_until_it_is_separated),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
