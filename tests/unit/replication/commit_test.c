/* Which records a store replaces without a merge hook, and the quotas.
 *
 * Tests core/replication/commit.c, core/replication/held.c. */
#include "kadenza_held.h"
#include "stores.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static struct kad_lone lone;
static uint8_t last_dropped;

static void dropped(void *state, const struct kad_hook_call *call,
                    struct kad_hook_result *answer) {
  (void)state;
  (void)answer;
  last_dropped = call->record->value.data[0];
}

static int open_plain(void **state) {
  const struct kad_config config = kad_lone_unlimited();
  (void)state;
  kad_lone_open(&lone, &config);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void newest_value_is_listed_first(void **state) {
  (void)state;
  kad_stores_put(&lone, 1, 'a');
  kad_lone_run(&lone, 1000);
  kad_stores_put(&lone, 2, 'b');
  kad_lone_run(&lone, 1000);
  kad_stores_put(&lone, 3, 'c');
  kad_stores_assert(&lone, "cba");
  kad_lone_run(&lone, 1000);

  kad_stores_put(&lone, 3, 'a');

  kad_stores_assert(&lone, "acb");
}

static void full_key_replaces_the_oldest_of_the_same_host(void **state) {
  (void)state;
  const struct kad_type type = {
      .name = "value", .max_values = 3, .dropped = dropped};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  assert_ok(kad_node_set_policy(lone.node, &policy));
  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 2, 'c');

  kad_stores_put(&lone, 2, 'd');
  kad_stores_assert(&lone, "dca");
  assert_int_equal(last_dropped, 'b');

  kad_stores_put(&lone, 3, 'e');
  kad_stores_assert(&lone, "edc");
  assert_int_equal(last_dropped, 'a');
}

/* Stores 64 values from as many addresses of the subnet of `attacker`, where 64
 * others have stored one each. Returns how many values of those are left. */
static size_t crowd_key(struct kad_contact (*others)(unsigned number),
                        struct kad_contact attacker, size_t last) {
  uint8_t held[256];
  size_t left = 0;
  for (uint8_t i = 1; i <= 64; i++) {
    const struct kad_contact from = others(i);
    const struct kad_record record = {.value = {&i, 1}};
    kad_lone_store(&lone, &from, &record, 1);
  }
  for (uint8_t i = 101; i <= 164; i++) {
    const struct kad_record record = {.value = {&i, 1}};
    attacker.address.ip[last] = i;
    kad_lone_store(&lone, &attacker, &record, 1);
    assert_ok(kad_lone_error(&lone));
  }
  const size_t count = kad_stores_held(&lone, held);
  assert_int_equal(count, 64);
  for (size_t i = 0; i < count; i++) {
    left += held[i] <= 64;
  }
  return left;
}

static void subnet_replaces_one_value_of_others(void **state) {
  (void)state;
  struct kad_contact attacker = kad_lone_contact(900);
  assert_int_equal(crowd_key(kad_lone_contact, attacker, 3), 63);
}

static void ip6_subnet_replaces_one_value_of_others(void **state) {
  (void)state;
  struct kad_contact attacker = kad_lone_contact_v6(900);
  assert_int_equal(crowd_key(kad_lone_contact_v6, attacker, 15), 63);
}

/* A store with another address of the same /64 is an update of the host. */
static void ip6_host_at_its_quota_may_update(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  struct kad_contact from = kad_lone_contact_v6(1);
  const struct kad_type type = {.name = "value", .max_values = 2};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  config.max_records_address = 2;
  kad_lone_open(&lone, &config);
  assert_ok(kad_node_set_policy(lone.node, &policy));
  for (uint8_t i = 1; i <= 4; i++) {
    const struct kad_record record = {.value = {&i, 1}};
    from.address.ip[15] = i;
    kad_lone_store(&lone, &from, &record, 1);
    assert_ok(kad_lone_error(&lone));
  }
  assert_int_equal(kad_lone_records(&lone), 2);
  kad_lone_close(&lone);
}

static void host_at_its_quota_is_rejected(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_address = 3;
  kad_lone_open(&lone, &config);
  for (uint8_t i = 0; i < 3; i++) {
    assert_int_equal(kad_stores_code(&lone, 1, (uint8_t)('a' + i)), 0);
  }

  assert_int_equal(kad_stores_code(&lone, 1, 'd'), KAD_CODE_REFUSED);

  assert_int_equal(kad_stores_code(&lone, 2, 'd'), 0);
  assert_int_equal(kad_lone_records(&lone), 4);
  kad_lone_close(&lone);
}

/* Stores a record that publisher `number` has signed, from contact `host`.
 * Returns the code of the error. */
static int store_of(uint8_t number, unsigned host, const char *salt,
                    int64_t seq, const char *value) {
  const uint8_t seed[32] = {number};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_contact from = kad_lone_contact(host);
  struct kad_record record = {
      .key = kad_lone_target,
      .type = kad_slice_of("value"),
      .value = kad_slice_of(value),
      .publisher = publisher,
      .signature = signature,
      .salt = kad_slice_of(salt),
      .seq = seq,
      .has_seq = true,
  };
  kad_keypair(seed, publisher, secret);
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  kad_lone_store(&lone, &from, &record, 1);
  return kad_lone_error(&lone);
}

static int store_signed(int64_t seq, const char *value) {
  return store_of(5, 1, "", seq, value);
}

static void host_at_its_quota_may_update_and_confirm(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_address = 2;
  kad_lone_open(&lone, &config);
  assert_int_equal(store_signed(1, "x"), 0);
  assert_int_equal(kad_stores_code(&lone, 1, 'a'), 0);

  assert_int_equal(store_signed(2, "y"), 0);
  assert_int_equal(store_signed(2, "y"), 0);
  assert_int_equal(kad_stores_code(&lone, 1, 'a'), 0);

  assert_int_equal(kad_stores_code(&lone, 1, 'b'), KAD_CODE_REFUSED);
  assert_int_equal(kad_lone_records(&lone), 2);
  kad_lone_close(&lone);
}

/* Whichever addresses its records come from. */
static void publisher_at_its_quota_is_rejected(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_publisher = 2;
  kad_lone_open(&lone, &config);
  assert_int_equal(store_of(1, 1, "a", 1, "x"), 0);
  assert_int_equal(store_of(1, 2, "b", 1, "x"), 0);

  assert_int_equal(store_of(1, 3, "c", 1, "x"), KAD_CODE_REFUSED);

  assert_int_equal(kad_lone_stats(&lone).over_quota, 1);
  assert_int_equal(store_of(2, 3, "c", 1, "x"), 0);
  assert_int_equal(kad_stores_code(&lone, 3, 'u'), 0);
  assert_int_equal(kad_lone_records(&lone), 4);
  kad_lone_close(&lone);
}

/* From another address than before, too. */
static void publisher_at_its_quota_may_update_and_confirm(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_publisher = 2;
  kad_lone_open(&lone, &config);
  assert_int_equal(store_of(1, 1, "a", 1, "x"), 0);
  assert_int_equal(store_of(1, 2, "b", 1, "x"), 0);

  assert_int_equal(store_of(1, 3, "a", 2, "y"), 0);
  assert_int_equal(store_of(1, 4, "a", 2, "y"), 0);
  assert_int_equal(store_of(1, 3, "b", 1, "x"), 0);

  assert_int_equal(store_of(1, 3, "c", 1, "x"), KAD_CODE_REFUSED);
  assert_int_equal(kad_lone_records(&lone), 2);
  kad_lone_close(&lone);
}

static void keep_incoming(void *state, const struct kad_hook_call *call,
                          struct kad_hook_result *answer) {
  (void)state;
  answer->verdict = KAD_VERDICT_ACCEPT;
  answer->records = call->record;
  answer->record_count = 1;
}

/* What a merge hook drops leaves room in the quota of its publisher. */
static void publisher_at_its_quota_may_merge(void **state) {
  (void)state;
  const struct kad_type type = {
      .name = "value", .max_values = 9, .merge = keep_incoming};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_config config = kad_lone_unlimited();
  config.max_records_publisher = 1;
  kad_lone_open(&lone, &config);
  assert_ok(kad_node_set_policy(lone.node, &policy));

  assert_int_equal(store_of(1, 1, "a", 1, "x"), 0);
  assert_int_equal(store_of(1, 2, "b", 1, "y"), 0);
  kad_stores_assert(&lone, "y");
  assert_int_equal(kad_stores_code(&lone, 3, 'u'), 0);
  assert_int_equal(store_of(1, 2, "b", 1, "y"), 0);
  kad_stores_assert(&lone, "y");

  assert_int_equal(kad_lone_stats(&lone).over_quota, 0);
  kad_lone_close(&lone);
}

/* An update from another address than before is a new record of that one. */
static void update_of_a_publisher_needs_room_of_its_host(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_address = 1;
  kad_lone_open(&lone, &config);
  assert_int_equal(store_of(1, 1, "a", 1, "x"), 0);
  assert_int_equal(kad_stores_code(&lone, 2, 'u'), 0);

  assert_int_equal(store_of(1, 2, "a", 2, "y"), KAD_CODE_REFUSED);
  assert_int_equal(store_of(1, 1, "a", 2, "y"), 0);
  kad_lone_close(&lone);
}

/* One publisher stores from 30 addresses, which have one record each. */
static void full_store_evicts_from_the_largest_publisher(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records = 10;
  kad_lone_open(&lone, &config);
  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 1, 'b');
  kad_stores_put(&lone, 2, 'c');
  kad_stores_put(&lone, 2, 'd');

  for (unsigned i = 0; i < 30; i++) {
    char salt[16];
    (void)snprintf(salt, sizeof salt, "%u", i);
    (void)store_of(1, 10 + i, salt, 1, "x");
  }

  uint8_t values[16];
  const size_t count = kad_stores_held(&lone, values);
  assert_int_equal(count, 10);
  assert_non_null(memchr(values, 'a', count));
  assert_non_null(memchr(values, 'b', count));
  assert_non_null(memchr(values, 'c', count));
  assert_non_null(memchr(values, 'd', count));
  assert_int_equal(kad_lone_stats(&lone).evicted, 24);
  kad_lone_close(&lone);
}

static void lower_seq_is_rejected(void **state) {
  (void)state;
  assert_int_equal(store_signed(5, "x"), 0);
  assert_int_equal(store_signed(4, "w"), KAD_CODE_SEQ);
  assert_int_equal(store_signed(5, "x"), 0);
  assert_int_equal(store_signed(6, "y"), 0);
  kad_stores_assert(&lone, "y");
}

static void full_store_evicts_from_the_largest_host(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records = 6;
  kad_lone_open(&lone, &config);
  for (uint8_t i = 0; i < 5; i++) {
    kad_stores_put(&lone, 1, (uint8_t)('a' + i));
  }
  kad_stores_put(&lone, 2, 'x');
  assert_int_equal(kad_lone_records(&lone), 6);

  kad_stores_put(&lone, 3, 'y');

  uint8_t values[16];
  const size_t count = kad_stores_held(&lone, values);
  assert_int_equal(count, 6);
  assert_non_null(memchr(values, 'x', count));
  assert_non_null(memchr(values, 'y', count));
  assert_int_equal(kad_lone_stats(&lone).evicted, 1);
  kad_lone_close(&lone);
}

/* If the new record is itself evicted, because it is the first of its host to
 * expire, the store is rejected. */
static void record_that_is_evicted_at_once_is_rejected(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config = kad_lone_unlimited();
  unsigned refused = 0;
  config.max_records = 4;
  kad_lone_open(&lone, &config);
  for (unsigned i = 0; i < 20; i++) {
    const uint8_t value = (uint8_t)('a' + i);
    const struct kad_record record = {.value = {&value, 1},
                                      .ttl = i % 3 == 0 ? 50 : 0};
    uint8_t values[16];
    kad_lone_store(&lone, &from, &record, 1);
    const int code = kad_lone_error(&lone);
    const size_t count = kad_stores_held(&lone, values);
    assert_int_equal(memchr(values, value, count) != NULL, code == 0);
    refused += code == KAD_CODE_REFUSED;
  }
  assert_int_equal(kad_lone_records(&lone), 4);
  assert_in_range(refused, 1, 7);
  kad_lone_close(&lone);
}

static void update_in_a_full_store_evicts_nothing(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records = 4;
  kad_lone_open(&lone, &config);
  assert_int_equal(store_signed(1, "s"), 0);
  kad_stores_put(&lone, 2, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 2, 'c');

  assert_int_equal(store_signed(2, "t"), 0);

  kad_stores_assert(&lone, "tcba");
  assert_int_equal(kad_lone_stats(&lone).evicted, 0);
  kad_lone_close(&lone);
}

/* Stores `value` from contact `number` for `ttl` seconds. Returns the life that
 * it has then. */
static uint32_t store_for(unsigned number, uint8_t value, uint32_t ttl) {
  const struct kad_contact from = kad_lone_contact(number);
  const struct kad_record record = {.value = {&value, 1}, .ttl = ttl};
  struct kad_message query;
  struct kad_message reply;
  kad_lone_store(&lone, &from, &record, 1);
  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.has_target = true;
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  kad_lone_send(&lone, &from, &query);
  (void)kad_lone_reply(&lone, &reply);
  return reply.records[0].ttl;
}

static void another_host_does_not_shorten_the_life(void **state) {
  (void)state;

  assert_int_equal(store_for(1, 'a', 5000), 5000);
  assert_int_equal(store_for(2, 'a', 1), 5000);
  assert_int_equal(store_for(2, 'a', 6000), 6000);
  assert_int_equal(store_for(1, 'a', 100), 100);
}

/* A host that confirms the records of others does not become their origin, and
 * they do not count for its quota. */
static void confirming_does_not_change_the_origin(void **state) {
  (void)state;
  struct kad_config config = kad_lone_unlimited();
  config.max_records_address = 2;
  config.max_records = 4;
  kad_lone_open(&lone, &config);
  kad_stores_put(&lone, 1, 'a');
  kad_stores_put(&lone, 2, 'b');
  kad_stores_put(&lone, 3, 'c');

  kad_stores_put(&lone, 9, 'a');
  kad_stores_put(&lone, 9, 'b');
  kad_stores_put(&lone, 9, 'c');
  assert_int_equal(kad_stores_code(&lone, 9, 'x'), 0);
  assert_int_equal(kad_stores_code(&lone, 9, 'y'), 0);

  uint8_t values[16];
  const size_t count = kad_stores_held(&lone, values);
  assert_non_null(memchr(values, 'a', count));
  assert_non_null(memchr(values, 'b', count));
  assert_non_null(memchr(values, 'c', count));
  kad_lone_close(&lone);
}

static void held_records_can_be_listed(void **state) {
  (void)state;
  struct kad_record held[40];
  const struct kad_slice type = kad_slice_of("value");
  assert_int_equal(kad_node_held(lone.node, &kad_lone_target, type, held, 40),
                   0);
  for (uint8_t i = 0; i < 40; i++) {
    kad_stores_put(&lone, i + 1U, (uint8_t)('0' + i));
  }
  kad_lone_run(&lone, 5000);

  assert_int_equal(kad_node_held(lone.node, &kad_lone_target, type, NULL, 0),
                   40);
  assert_int_equal(kad_node_held(lone.node, &kad_lone_target, type, held, 39),
                   40);
  for (size_t i = 0; i < 39; i++) {
    assert_int_equal(held[i].value.data[0], '0' + 39 - i);
    assert_int_equal(held[i].age, 5);
  }
  assert_int_equal(kad_node_held(lone.node, &kad_lone_target,
                                 kad_slice_of("peers"), held, 40),
                   0);
}

static void all_held_records_can_be_walked(void **state) {
  (void)state;
  struct kad_type_count counts[2];
  struct kad_held held;
  uint64_t cursor = 0;
  assert_int_equal(kad_node_held_types(lone.node, counts, 2), 0);
  assert_false(kad_node_next_held(lone.node, &cursor, &held));
  for (uint8_t i = 0; i < 3; i++) {
    kad_stores_put(&lone, i + 1U, (uint8_t)('0' + i));
  }
  kad_lone_run(&lone, 5000);

  assert_int_equal(kad_node_held_types(lone.node, counts, 2), 1);
  assert_true(kad_slice_equal(counts[0].type, kad_slice_of("value")));
  assert_int_equal(counts[0].records, 3);
  unsigned seen = 0;
  cursor = 0;
  while (kad_node_next_held(lone.node, &cursor, &held)) {
    assert_int_equal(held.record.age, 5);
    assert_true(held.record.ttl > 0);
    assert_int_not_equal(held.meta.origin.family, 0);
    seen |= 1U << (held.record.value.data[0] - '0');
  }
  assert_int_equal(seen, 7);
}

#define WITH_NODE(test) \
  cmocka_unit_test_setup_teardown(test, open_plain, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_NODE(newest_value_is_listed_first),
      WITH_NODE(full_key_replaces_the_oldest_of_the_same_host),
      WITH_NODE(subnet_replaces_one_value_of_others),
      WITH_NODE(ip6_subnet_replaces_one_value_of_others),
      cmocka_unit_test(ip6_host_at_its_quota_may_update),
      cmocka_unit_test(host_at_its_quota_is_rejected),
      cmocka_unit_test(host_at_its_quota_may_update_and_confirm),
      cmocka_unit_test(publisher_at_its_quota_is_rejected),
      cmocka_unit_test(publisher_at_its_quota_may_update_and_confirm),
      cmocka_unit_test(publisher_at_its_quota_may_merge),
      cmocka_unit_test(update_of_a_publisher_needs_room_of_its_host),
      cmocka_unit_test(full_store_evicts_from_the_largest_publisher),
      WITH_NODE(lower_seq_is_rejected),
      cmocka_unit_test(full_store_evicts_from_the_largest_host),
      cmocka_unit_test(record_that_is_evicted_at_once_is_rejected),
      cmocka_unit_test(update_in_a_full_store_evicts_nothing),
      WITH_NODE(another_host_does_not_shorten_the_life),
      cmocka_unit_test(confirming_does_not_change_the_origin),
      WITH_NODE(held_records_can_be_listed),
      WITH_NODE(all_held_records_can_be_walked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
