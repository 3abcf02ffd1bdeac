/* The influence of one contact on a get: it counts once, and the number of its
 * pages is bounded. */
#include "lone_node.h"
#include "unit.h"

enum {
  PAGES = 1000
};

static struct kad_lone lone;
static unsigned calls;
static uint8_t first; /* byte of the first result */

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

static void keep_result(void *data, const struct kad_result *result) {
  (void)data;
  assert_int_equal(result->status, 0);
  first = result->records[0].value.data[0];
  calls++;
}

/* Has `from` return the byte `value` `copies` times, of `total` records.
 * Returns true if the node has sent something then. */
static bool return_records(const struct kad_contact *from, uint8_t value,
                           size_t copies, uint32_t total) {
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message query;
  struct kad_message reply;
  assert_true(kad_lone_find_query(&lone, &from->address, &query));
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query.transaction;
  reply.has_id = true;
  reply.id = from->id;
  reply.has_total = true;
  reply.total = total;
  reply.record_count = copies;
  for (size_t i = 0; i < copies; i++) {
    reply.records[i] = (struct kad_record){.value = {&value, 1}};
  }
  const size_t sent = lone.sent;
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &writer));
  kad_lone_receive(&lone, from, (struct kad_slice){bytes, writer.len});
  return lone.sent > sent;
}

static void start_get(void) {
  assert_ok(kad_node_get(lone.node, &kad_lone_target, kad_slice_of("value"),
                         NULL, keep_result, NULL, NULL));
  kad_lone_run(&lone, 1);
}

static void one_contact_counts_once(void **state) {
  (void)state;
  struct kad_contact contacts[3];
  for (unsigned i = 0; i < 3; i++) {
    contacts[i] = kad_lone_contact(1 + i);
    kad_lone_add_contact(&lone, &contacts[i]);
  }
  start_get();

  (void)return_records(&contacts[0], 'x', 5, 5);
  (void)return_records(&contacts[1], 'y', 1, 1);
  (void)return_records(&contacts[2], 'y', 1, 1);

  kad_lone_run(&lone, 60000);
  assert_int_equal(calls, 1);
  assert_int_equal(first, 'y');
}

static void endless_pages_are_not_all_read(void **state) {
  (void)state;
  const struct kad_contact liar = kad_lone_contact(1);
  unsigned pages = 1;
  kad_lone_add_contact(&lone, &liar);
  start_get();

  while (pages < PAGES && return_records(&liar, 'x', 1, UINT32_MAX)) {
    pages++;
  }

  assert_true(pages <= 256);
  kad_lone_run(&lone, 1);
  assert_int_equal(calls, 1);
}

/* Held records may be old: they do not replace the pages of others. */
static void held_records_do_not_replace_pages(void **state) {
  (void)state;
  const struct kad_contact contacts[] = {kad_lone_contact(1),
                                         kad_lone_contact(2)};
  const struct kad_record own[] = {{.value = kad_slice_of("a")},
                                   {.value = kad_slice_of("b")}};
  kad_lone_add_contact(&lone, &contacts[0]);
  kad_lone_store(&lone, &contacts[1], own, 2);
  start_get();

  assert_true(return_records(&contacts[0], 'x', 1, 2));
  kad_lone_run(&lone, 60000);
  assert_int_equal(calls, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(one_contact_counts_once, open_node,
                                      close_node),
      cmocka_unit_test_setup_teardown(held_records_do_not_replace_pages,
                                      open_node, close_node),
      cmocka_unit_test_setup_teardown(endless_pages_are_not_all_read, open_node,
                                      close_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
