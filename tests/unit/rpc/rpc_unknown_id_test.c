/* An id of zeros is no id: a node sends no query to such a contact and does not
 * add it to its table. Tests core/rpc/rpc.c, core/lookup, core/membership. */
#include "lone_node.h"
#include "unit.h"

static struct kad_lone lone;
static unsigned calls;

static int open_node(void **state) {
  (void)state;
  calls = 0;
  kad_lone_open(&lone, NULL);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void count_call(void *data, const struct kad_result *result) {
  (void)data;
  assert_int_equal(result->closest_count, 1);
  calls++;
}

/* Answers `query` as `from`, with `told` as the only contact. */
static void answer_with(const struct kad_contact *from,
                        const struct kad_message *query,
                        const struct kad_contact *told) {
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  reply.has_id = true;
  reply.id = from->id;
  reply.has_nodes = true;
  reply.contact_count = 1;
  reply.contacts[0] = *told;
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &writer));
  kad_lone_receive(&lone, from, (struct kad_slice){bytes, writer.len});
}

static void a_lookup_does_not_query_an_id_of_zeros(void **state) {
  (void)state;
  const struct kad_contact known = kad_lone_contact(1);
  const struct kad_contact other = kad_lone_contact(2);
  const struct kad_contact nameless = {.address = other.address};
  struct kad_message query;
  kad_lone_add_contact(&lone, &known);
  assert_ok(kad_node_find_node(lone.node, &kad_lone_target, NULL, count_call,
                               NULL, NULL));
  kad_lone_run(&lone, 1);
  assert_true(kad_lone_find_query(&lone, &known.address, &query));

  answer_with(&known, &query, &nameless);

  const bool asked = kad_lone_find_query(&lone, &other.address, &query);
  if (asked) {
    kad_lone_answer(&lone, &other, &query);
  }
  kad_lone_run(&lone, 60000);
  assert_false(asked);
  assert_int_equal(calls, 1);
}

static void a_contact_with_an_id_of_zeros_enters_no_table(void **state) {
  (void)state;
  const struct kad_contact other = kad_lone_contact(2);
  const struct kad_contact nameless = {.address = other.address};

  kad_lone_add_contact(&lone, &nameless);

  assert_int_equal(kad_lone_stats(&lone).contacts, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_lookup_does_not_query_an_id_of_zeros,
                                      open_node, close_node),
      cmocka_unit_test_setup_teardown(
          a_contact_with_an_id_of_zeros_enters_no_table, open_node, close_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
