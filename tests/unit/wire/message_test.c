#include "wire/message.h"

#include "unit.h"

#include <string.h>

static void the_methods_of_the_core_are_found_by_name(void **state) {
  (void)state;
  static const char *const names[] = {
      [KAD_METHOD_PING] = "ping",
      [KAD_METHOD_FIND_NODE] = "find_node",
      [KAD_METHOD_GET_PEERS] = "get_peers",
      [KAD_METHOD_ANNOUNCE_PEER] = "announce_peer",
      [KAD_METHOD_FIND_VALUE] = "find_value",
      [KAD_METHOD_STORE] = "store",
      [KAD_METHOD_GET] = "get",
      [KAD_METHOD_PUT] = "put",
      [KAD_METHOD_SAMPLE_INFOHASHES] = "sample_infohashes",
  };
  for (unsigned i = KAD_METHOD_PING; i <= KAD_METHOD_SAMPLE_INFOHASHES; i++) {
    enum kad_method_id method = (enum kad_method_id)i;
    assert_int_equal(kad_method_find(kad_slice_of(names[i])), method);
    struct kad_slice name = kad_method_name(method);
    assert_int_equal(name.len, strlen(names[i]));
    assert_memory_equal(name.data, names[i], name.len);
  }
}

static void any_other_name_is_a_custom_method(void **state) {
  (void)state;
  static const char *const names[] = {
      "",     "pin",    "pings",  "Ping",      "Get",         "puts",
      "stor", "stores", "custom", "find-node", "sample_info", "vote"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_int_equal(kad_method_find(kad_slice_of(names[i])),
                     KAD_METHOD_CUSTOM);
  }
  assert_int_equal(kad_method_find((struct kad_slice){NULL, 0}),
                   KAD_METHOD_CUSTOM);
  assert_int_equal(kad_method_name(KAD_METHOD_CUSTOM).len, 0);
}

static void queries_of_other_nodes_may_be_called_but_not_answered(
    void **state) {
  (void)state;
  static const char *const names[] = {"get", "put", "sample_infohashes",
                                      "vote"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    assert_true(kad_method_is_reserved(kad_slice_of(names[i])));
    assert_true(kad_method_is_callable(kad_slice_of(names[i])));
  }
  assert_false(kad_method_is_callable(kad_slice_of("ping")));
  assert_false(kad_method_is_callable(kad_slice_of("store")));
  assert_true(kad_method_is_callable(kad_slice_of("hello")));
  assert_false(kad_method_is_reserved(kad_slice_of("hello")));
}

static void init_empties_any_message(void **state) {
  (void)state;
  static struct kad_message message;
  memset(&message, 0xff, sizeof message);

  kad_message_init(&message, KAD_MESSAGE_ERROR);

  assert_int_equal(message.kind, KAD_MESSAGE_ERROR);
  assert_int_equal(message.method, KAD_METHOD_CUSTOM);
  assert_int_equal(message.transaction.len + message.version.len +
                       message.name.len + message.args.len + message.token.len +
                       message.type.len + message.reply.len + message.text.len,
                   0);
  assert_int_equal(message.record_count + message.contact_count +
                       message.peer_count + message.error_count,
                   0);
  assert_false(message.read_only || message.has_target || message.want4 ||
               message.want6 || message.has_port || message.implied_port ||
               message.has_id || message.has_ttl || message.malformed ||
               message.has_nodes || message.has_nodes6 || message.has_total ||
               message.has_stored);
  assert_false(message.seed || message.scrape || message.noseed ||
               message.has_cas || message.has_seq || message.has_item ||
               message.has_interval || message.has_num || message.has_samples);
  assert_int_equal(message.seed_filter.len + message.peer_filter.len +
                       message.samples.len,
                   0);
  assert_int_equal(message.observed.family, 0);
  assert_int_equal(message.skip, 0);
  assert_int_equal(message.code, 0);
}

/* As its comment says of machines with pointers of 64 bits. */
static void a_message_takes_about_11_kib(void **state) {
  (void)state;
  if (sizeof(void *) != 8) {
    skip();
  }

  assert_in_range(sizeof(struct kad_message), 11 * 1024, 12 * 1024 - 1);
}

static void no_other_number_has_the_name_of_a_method(void **state) {
  (void)state;
  assert_int_equal(kad_method_name(KAD_METHOD_CUSTOM).len, 0);
  assert_int_equal(
      kad_method_name((enum kad_method_id)(KAD_METHOD_SAMPLE_INFOHASHES + 1))
          .len,
      0);
  assert_int_equal(kad_method_name((enum kad_method_id)INT32_MAX).len, 0);
  assert_int_equal(kad_method_name((enum kad_method_id) - 1).len, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_methods_of_the_core_are_found_by_name),
      cmocka_unit_test(any_other_name_is_a_custom_method),
      cmocka_unit_test(queries_of_other_nodes_may_be_called_but_not_answered),
      cmocka_unit_test(no_other_number_has_the_name_of_a_method),
      cmocka_unit_test(init_empties_any_message),
      cmocka_unit_test(a_message_takes_about_11_kib),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
