/* Handing a record over to a contact that may say anything. */
#include "lone_node.h"
#include "unit.h"

static struct kad_lone lone;

static void note_end(void *data, const struct kad_result *result) {
  (void)data;
  (void)result;
}

/* Sends the reply of `from` to its latest query, which has to be `method`. */
static void answer(const struct kad_contact *from, enum kad_method_id method,
                   struct kad_message *reply) {
  struct kad_message query;
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  assert_true(kad_lone_find_query(&lone, &from->address, &query));
  assert_int_equal(query.method, method);
  reply->transaction = query.transaction;
  reply->has_id = true;
  reply->id = from->id;
  assert_ok(kad_krpc_encode(NULL, reply, lone.id_size, &writer));
  kad_lone_receive(&lone, from, (struct kad_slice){bytes, writer.len});
}

/* A leaving node counts no more records than it has sent. */
static void a_receiver_cannot_say_that_it_stored_more(void **state) {
  const struct kad_contact to = kad_lone_contact(1);
  const struct kad_record record = {.value = kad_slice_of("kept")};
  struct kad_config config;
  struct kad_message reply;
  (void)state;
  kad_config_default(&config);
  config.k = 1;
  config.has_id = true; /* the closest to the key */
  config.id = kad_lone_target;
  kad_lone_open(&lone, &config);
  kad_lone_add_contact(&lone, &to);
  kad_lone_store(&lone, &to, &record, 1);
  assert_ok(kad_node_leave(lone.node, 0, note_end, NULL, NULL));
  kad_lone_run(&lone, 100);
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.token = kad_slice_of("token");
  answer(&to, KAD_METHOD_FIND_VALUE, &reply);
  kad_lone_run(&lone, 100);
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.has_stored = true;
  reply.stored = UINT32_MAX;
  answer(&to, KAD_METHOD_STORE, &reply);
  assert_int_equal(kad_lone_stats(&lone).handoffs, 1);
  kad_lone_close(&lone);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_receiver_cannot_say_that_it_stored_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
