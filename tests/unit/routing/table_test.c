#include "routing/table.h"

#include "tables.h"
#include "unit.h"

#include <string.h>

static int begin(void **state) {
  static struct kad_tables it;
  kad_tables_begin(&it, 160, 4);
  *state = &it;
  return 0;
}

static int end(void **state) {
  kad_tables_end(*state);
  return 0;
}

/* A full bucket 0, which cannot split because bucket 1 has our id. */
static int begin_full(void **state) {
  begin(state);
  kad_tables_fill(*state, 0, KAD_TABLES_K);
  struct kad_tables *it = *state;
  assert_ok(kad_tables_add(it, 1, 0));
  assert_int_equal(kad_table_buckets(it->table), 2);
  return 0;
}

static void a_contact_that_answers_enters_and_is_handed_out(void **state) {
  struct kad_tables *it = *state;
  assert_false(kad_tables_returns(it, 3, 1));

  assert_ok(kad_tables_add(it, 3, 1));

  const struct kad_table_entry *entry = kad_tables_find(it, 3, 1);
  assert_non_null(entry);
  assert_int_equal(entry->last_seen, it->now);
  assert_int_equal(entry->rtt_ms, 100);
  assert_int_equal(kad_table_count(it->table), 1);
  assert_true(kad_tables_returns(it, 3, 1));
  assert_ptr_equal(kad_table_find_address(it->table, &entry->contact.address),
                   entry);
}

static void our_own_id_is_rejected(void **state) {
  struct kad_tables *it = *state;
  struct kad_contact contact = kad_tables_contact(it, 0, 1);
  contact.id = it->config.self;

  assert_int_equal(kad_tables_add_contact(it, &contact, 1), KAD_EOWNID);
  assert_int_equal(kad_table_count(it->table), 0);
}

static void where_a_contact_was_heard_is_forgotten(void **state) {
  struct kad_tables *it = *state;
  struct kad_contact contact = kad_tables_contact(it, 0, 0);
  contact.address.via = 3;
  assert_ok(kad_tables_add_contact(it, &contact, 80));
  const struct kad_table_entry *entry = kad_tables_find(it, 0, 0);
  assert_int_equal(entry->contact.address.via, 3);

  kad_table_forget_via(it->table, &contact);

  assert_int_equal(entry->contact.address.via, 0);
}

static void round_trip_times_are_smoothed(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact contact = kad_tables_contact(it, 0, 0);
  assert_ok(kad_tables_add_contact(it, &contact, 0));
  const struct kad_table_entry *entry = kad_tables_find(it, 0, 0);
  assert_int_equal(entry->rtt_ms, 0);

  assert_ok(kad_tables_add_contact(it, &contact, 80));
  assert_int_equal(entry->rtt_ms, 80);
  assert_ok(kad_tables_add_contact(it, &contact, 160));
  assert_int_equal(entry->rtt_ms, 90);
  assert_ok(kad_tables_add_contact(it, &contact, 0));
  assert_int_equal(entry->rtt_ms, 90);
  for (unsigned i = 0; i < 200; i++) {
    assert_ok(kad_tables_add_contact(it, &contact, UINT32_MAX));
  }
  assert_in_range(entry->rtt_ms, UINT16_MAX - 8, UINT16_MAX);
}

/* Kademlia §2.4: only the bucket with our own id splits. */
static void only_the_last_bucket_splits(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fill(it, 0, KAD_TABLES_K);
  assert_int_equal(kad_table_buckets(it->table), 1);

  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  assert_int_equal(kad_table_buckets(it->table), 2);
  kad_tables_fill(it, 1, KAD_TABLES_K);
  assert_int_equal(kad_table_buckets(it->table), 2);
  assert_ok(kad_tables_add(it, 5, 0));

  assert_int_equal(kad_table_buckets(it->table), 3);
  assert_int_equal(kad_table_count(it->table), 2 * KAD_TABLES_K + 1);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    assert_non_null(kad_tables_find(it, 0, i));
    assert_non_null(kad_tables_find(it, 1, i));
  }
}

static void splits_down_to_the_last_bit(void **state) {
  struct kad_tables *it = *state;
  it->config.k = 1;
  kad_tables_restart(it);
  struct kad_contact contact = kad_tables_contact(it, 0, 0);
  contact.id = it->config.self;
  contact.id.bytes[19] = 2;
  assert_ok(kad_tables_add_contact(it, &contact, 1));

  contact = kad_tables_contact(it, 0, 1);
  contact.id = it->config.self;
  contact.id.bytes[19] = 1;
  assert_ok(kad_tables_add_contact(it, &contact, 1));
  assert_int_equal(kad_table_buckets(it->table), 160);
  contact.id.bytes[19] = 3;
  contact.address.ip[1]++;
  assert_int_equal(kad_tables_add_contact(it, &contact, 1), KAD_EFULL);

  assert_int_equal(kad_table_buckets(it->table), 160);
  assert_int_equal(kad_table_count(it->table), 2);
}

static void newcomers_of_a_full_good_bucket_enter_the_replacement_cache(
    void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact fast = kad_tables_contact(it, 0, 100);

  assert_int_equal(kad_tables_add_contact(it, &fast, 1), KAD_EFULL);

  assert_null(it->probe);
  assert_false(kad_tables_returns(it, 0, 100));
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    assert_true(kad_tables_returns(it, 0, i));
  }
}

static void full_bucket_probes_the_oldest_questionable_contact(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact first = kad_tables_contact(it, 0, 0);
  it->now += KAD_TABLES_PING_MS;
  assert_true(kad_table_seen(it->table, &first, it->now));

  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);

  assert_ptr_equal(it->probe, kad_tables_find(it, 0, 1));
}

static void of_equally_old_contacts_the_slowest_is_probed(void **state) {
  struct kad_tables *it = *state;
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    const struct kad_contact contact = kad_tables_contact(it, 0, i);
    assert_ok(kad_tables_add_contact(it, &contact, i == 5 ? 900 : 1));
  }
  it->now += KAD_TABLES_PING_MS;

  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);

  assert_ptr_equal(it->probe, kad_tables_find(it, 0, 5));
}

static void the_newest_replacement_enters_when_a_contact_fails(void **state) {
  struct kad_tables *it = *state;
  for (unsigned i = 100; i < 103; i++) {
    it->now += 1000;
    assert_int_equal(kad_tables_add(it, 0, i), KAD_EFULL);
  }

  kad_tables_fail(it, 0, 3, KAD_FAILURES_BAD - 1);
  assert_non_null(kad_tables_find(it, 0, 3));
  kad_tables_fail(it, 0, 3, 1);

  assert_null(kad_tables_find(it, 0, 3));
  assert_non_null(kad_tables_find(it, 0, 102));
  assert_int_equal(kad_tables_find(it, 0, 102)->last_seen, it->now);
  assert_int_equal(kad_tables_find(it, 0, 102)->rtt_ms, 100);
  assert_true(kad_tables_returns(it, 0, 102));
  kad_tables_fail(it, 0, 4, KAD_FAILURES_BAD);
  assert_non_null(kad_tables_find(it, 0, 101));
}

static void of_equally_new_replacements_the_fastest_enters(void **state) {
  struct kad_tables *it = *state;
  for (unsigned i = 100; i < 103; i++) {
    const struct kad_contact contact = kad_tables_contact(it, 0, i);
    assert_int_equal(kad_tables_add_contact(it, &contact, i == 101 ? 10 : 90),
                     KAD_EFULL);
  }

  kad_tables_fail(it, 0, 0, KAD_FAILURES_BAD);

  assert_non_null(kad_tables_find(it, 0, 101));
}

static void a_replacement_that_is_seen_again_is_newer(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact first = kad_tables_contact(it, 0, 100);
  struct kad_contact elsewhere = first;
  elsewhere.address.port++;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  it->now += 1000;
  assert_int_equal(kad_tables_add(it, 0, 101), KAD_EFULL);
  it->now += 1000;

  assert_false(kad_table_seen(it->table, &elsewhere, it->now));
  assert_true(kad_table_seen(it->table, &first, it->now));
  kad_tables_fail(it, 0, 0, KAD_FAILURES_BAD);

  assert_non_null(kad_tables_find(it, 0, 100));
}

static void a_replacement_that_answers_again_is_kept_once(void **state) {
  struct kad_tables *it = *state;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    it->now += 1000;
    assert_int_equal(kad_tables_add(it, 0, 101), KAD_EFULL);
  }

  kad_tables_fail(it, 0, 0, KAD_FAILURES_BAD);
  kad_tables_fail(it, 0, 1, KAD_FAILURES_BAD);

  assert_non_null(kad_tables_find(it, 0, 100));
  assert_non_null(kad_tables_find(it, 0, 101));
}

static void the_replacement_cache_has_k_places(void **state) {
  struct kad_tables *it = *state;
  for (unsigned i = 100; i < 109; i++) {
    it->now += 1000;
    assert_int_equal(kad_tables_add(it, 0, i), KAD_EFULL);
  }

  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    kad_tables_fail(it, 0, i, KAD_FAILURES_BAD);
  }

  for (unsigned i = 101; i < 109; i++) {
    assert_non_null(kad_tables_find(it, 0, i));
  }
  assert_null(kad_tables_find(it, 0, 100));
}

static void a_replacement_that_fails_leaves(void **state) {
  struct kad_tables *it = *state;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  assert_int_equal(kad_tables_add(it, 0, 101), KAD_EFULL);
  const struct kad_contact removed = kad_tables_contact(it, 0, 101);

  kad_tables_fail(it, 0, 100, 1);
  kad_table_remove(it->table, &removed);
  kad_tables_fail(it, 0, 0, KAD_FAILURES_BAD);

  assert_null(kad_tables_find(it, 0, 100));
  assert_null(kad_tables_find(it, 0, 101));
}

static void a_newcomer_replaces_a_bad_contact_at_once(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fail(it, 0, 2, KAD_FAILURES_BAD);
  assert_non_null(kad_tables_find(it, 0, 2));
  assert_false(kad_tables_returns(it, 0, 2));

  assert_ok(kad_tables_add(it, 0, 100));

  assert_null(kad_tables_find(it, 0, 2));
  assert_true(kad_tables_returns(it, 0, 100));
}

static void an_answer_resets_failures(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fail(it, 0, 2, 100);

  assert_ok(kad_tables_add(it, 0, 2));

  assert_int_equal(kad_tables_find(it, 0, 2)->failures, 0);
  assert_true(kad_tables_returns(it, 0, 2));
}

static void a_query_does_not_reset_failures(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact contact = kad_tables_contact(it, 0, 2);
  kad_tables_fail(it, 0, 2, 1);

  it->now += 1000;
  assert_true(kad_table_seen(it->table, &contact, it->now));
  assert_int_equal(kad_tables_find(it, 0, 2)->last_seen, it->now);
  assert_int_equal(kad_tables_find(it, 0, 2)->failures, 1);
  kad_tables_fail(it, 0, 2, 1);

  it->now += 1000;
  assert_false(kad_table_seen(it->table, &contact, it->now));
  assert_int_equal(kad_tables_find(it, 0, 2)->last_seen, it->now - 1000);
}

static void an_unseen_contact_that_failed_once_is_not_handed_out(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fail(it, 0, 2, 1);
  assert_true(kad_tables_returns(it, 0, 2));

  it->now += KAD_TABLES_PING_MS;

  assert_false(kad_tables_returns(it, 0, 2));
  assert_true(kad_tables_returns(it, 0, 3));
}

static void a_contact_is_good_until_ping_ms_or_a_failure(void **state) {
  struct kad_tables *it = *state;
  const kad_time_ms ping_ms = KAD_TABLES_PING_MS;
  const struct kad_table_entry *entry = kad_tables_find(it, 0, 7);
  const kad_time_ms seen = entry->last_seen;

  assert_true(kad_table_entry_is_good(entry, seen + ping_ms - 1, ping_ms));
  assert_false(kad_table_entry_is_good(entry, seen + ping_ms, ping_ms));
  kad_tables_fail(it, 0, 7, 1);
  assert_false(kad_table_entry_is_good(entry, seen, ping_ms));
  assert_false(kad_table_entry_is_bad(entry));
  kad_tables_fail(it, 0, 7, 1);
  assert_true(kad_table_entry_is_bad(entry));
}

static void a_known_id_at_another_address_is_rejected(void **state) {
  struct kad_tables *it = *state;
  struct kad_contact thief = kad_tables_contact(it, 0, 2);
  thief.address.ip[3]++;

  assert_int_equal(kad_tables_add_contact(it, &thief, 1), KAD_EID);
  assert_null(it->probe);
  it->now += KAD_TABLES_PING_MS;
  assert_int_equal(kad_tables_add_contact(it, &thief, 1), KAD_EID);
  assert_ptr_equal(it->probe, kad_tables_find(it, 0, 2));
  assert_false(kad_table_seen(it->table, &thief, it->now));
  kad_table_failed(it->table, &thief);
  kad_table_remove(it->table, &thief);

  assert_int_equal(kad_tables_find(it, 0, 2)->contact.address.ip[3], 1);
  assert_int_equal(kad_tables_find(it, 0, 2)->failures, 0);
}

static void a_newcomer_gets_the_id_of_a_bad_contact(void **state) {
  struct kad_tables *it = *state;
  struct kad_contact moved = kad_tables_contact(it, 0, 2);
  moved.address.ip[3]++;
  kad_tables_fail(it, 0, 2, KAD_FAILURES_BAD);

  assert_ok(kad_tables_add_contact(it, &moved, 1));

  const struct kad_table_entry *entry = kad_tables_find(it, 0, 2);
  assert_true(kad_address_equal(&entry->contact.address, &moved.address));
  assert_int_equal(entry->failures, 0);
  assert_int_equal(kad_table_count(it->table), KAD_TABLES_K + 1);
}

static void one_address_holds_one_contact(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact old = kad_tables_contact(it, 0, 2);
  struct kad_contact changed = kad_tables_contact(it, 1, 2);
  changed.address = old.address;

  assert_int_equal(kad_tables_add_contact(it, &changed, 1), KAD_EADDRESS);
  kad_table_remove(it->table, &old);
  assert_ok(kad_tables_add_contact(it, &changed, 1));

  assert_null(kad_tables_find(it, 0, 2));
  assert_non_null(kad_tables_find(it, 1, 2));
}

static void a_replacement_enters_when_a_contact_is_removed(void **state) {
  struct kad_tables *it = *state;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  const struct kad_table_entry *entry = kad_tables_find(it, 0, 2);

  kad_table_remove(it->table, &entry->contact); /* in the memory of the table */

  assert_null(kad_tables_find(it, 0, 2));
  assert_non_null(kad_tables_find(it, 0, 100));
  assert_int_equal(kad_table_count(it->table), KAD_TABLES_K + 1);
}

static void a_replacement_does_not_enter_at_a_taken_address(void **state) {
  struct kad_tables *it = *state;
  const struct kad_contact waiting = kad_tables_contact(it, 0, 100);
  struct kad_contact other = kad_tables_contact(it, 1, 1);
  other.address = waiting.address;
  assert_int_equal(kad_tables_add_contact(it, &waiting, 1), KAD_EFULL);
  assert_ok(kad_tables_add_contact(it, &other, 1));
  const struct kad_contact leaving = kad_tables_contact(it, 0, 2);

  kad_table_remove(it->table, &leaving);

  assert_null(kad_tables_find(it, 0, 100));
  assert_non_null(kad_tables_find(it, 1, 1));
  assert_int_equal(kad_table_count(it->table), KAD_TABLES_K + 1);
}

static int add_in_subnet(struct kad_tables *it, unsigned prefix,
                         unsigned number, uint8_t first, uint8_t host) {
  struct kad_contact contact = kad_tables_contact(it, prefix, number);
  contact.address.ip[0] = first;
  contact.address.ip[1] = 1;
  contact.address.ip[2] = 1;
  contact.address.ip[3] = host;
  return kad_tables_add_contact(it, &contact, 1);
}

/* The subnet of IPv6 is the /64. */
static void a_64_has_a_share_of_a_bucket(void **state) {
  struct kad_tables *it = *state;
  static const uint8_t subnet[8] = {0x2a, 1, 2, 3, 4, 5, 6, 7};
  kad_tables_end(it);
  kad_tables_begin(it, 160, 6);
  for (uint8_t i = 0; i < 4; i++) {
    struct kad_contact contact = kad_tables_contact(it, 0, 100 + i);
    contact.address.family = 6;
    memcpy(contact.address.ip, subnet, sizeof subnet);
    contact.address.ip[8] = i;
    contact.address.ip[15] = (uint8_t)(9 - i);
    assert_int_equal(kad_tables_add_contact(it, &contact, 1),
                     i < KAD_SUBNET_MAX ? 0 : KAD_ESUBNET);
    contact.id.bytes[19] ^= 0x55;
    contact.address.ip[7] ^= (uint8_t)(0x10 + i);
    assert_ok(kad_tables_add_contact(it, &contact, 1));
  }
}

static void a_subnet_has_a_share_of_a_bucket_and_of_the_table(void **state) {
  struct kad_tables *it = *state;
  it->config.k = 4;
  kad_tables_restart(it);
  kad_tables_fill(it, 5, 3); /* makes buckets of those below */
  uint8_t host = 1;
  unsigned count = 0;
  for (unsigned prefix = 0; prefix < 5; prefix++) {
    kad_tables_fill(it, prefix, 2);
    for (unsigned i = 0; i < 3; i++) {
      const bool fits = i < KAD_SUBNET_MAX && count < KAD_SUBNET_TABLE_MAX;
      assert_int_equal(add_in_subnet(it, prefix, 100 + i, 90, host++),
                       fits ? 0 : KAD_ESUBNET);
      count += fits ? 1 : 0;
    }
  }
  assert_int_equal(count, KAD_SUBNET_TABLE_MAX);
}

static void allowed_local_addresses_have_no_subnet_limit(void **state) {
  struct kad_tables *it = *state;
  it->config.allow_local = true;
  kad_tables_restart(it);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    assert_ok(add_in_subnet(it, 0, i, 127, (uint8_t)i));
  }

  for (unsigned i = 100; i < 104; i++) {
    assert_int_equal(add_in_subnet(it, 0, i, 127, (uint8_t)i), KAD_EFULL);
  }

  it->config.allow_local = false;
  kad_tables_restart(it);
  assert_ok(add_in_subnet(it, 0, 0, 127, 1));
  assert_ok(add_in_subnet(it, 0, 1, 127, 2));
  assert_int_equal(add_in_subnet(it, 0, 2, 127, 3), KAD_ESUBNET);
}

static void a_subnet_does_not_fill_the_replacement_cache(void **state) {
  struct kad_tables *it = *state;
  assert_int_equal(kad_tables_add(it, 0, 100), KAD_EFULL);
  it->now += 1000;

  assert_int_equal(add_in_subnet(it, 0, 101, 90, 1), KAD_EFULL);
  assert_int_equal(add_in_subnet(it, 0, 102, 90, 2), KAD_EFULL);
  assert_int_equal(add_in_subnet(it, 0, 103, 90, 3), KAD_ESUBNET);
  assert_int_equal(add_in_subnet(it, 0, 102, 90, 2), KAD_EFULL);

  for (unsigned i = 0; i < 3; i++) {
    kad_tables_fail(it, 0, i, KAD_FAILURES_BAD);
  }
  assert_non_null(kad_tables_find(it, 0, 100));
}

static void pruning_removes_bad_contacts_that_were_not_seen(void **state) {
  struct kad_tables *it = *state;
  kad_tables_fail(it, 0, 2, KAD_FAILURES_BAD);
  kad_tables_fail(it, 0, 3, KAD_FAILURES_BAD);
  kad_tables_fail(it, 0, 4, 1);

  assert_int_equal(kad_table_prune(it->table, it->now), 0);
  it->now += KAD_TABLES_PING_MS;
  assert_int_equal(kad_table_prune(it->table, it->now), 2);

  assert_null(kad_tables_find(it, 0, 2));
  assert_null(kad_tables_find(it, 0, 3));
  assert_non_null(kad_tables_find(it, 0, 4));
  assert_int_equal(kad_table_count(it->table), KAD_TABLES_K - 1);
}

/* Adds contacts so that buckets split and replacement caches fill. Ignores
 * errors. */
static void fill_without_memory(struct kad_tables *it) {
  for (unsigned i = 0; i < 120; i++) {
    const size_t count = kad_table_count(it->table);
    const int result = kad_tables_add(it, i % 6, i);
    if (result == KAD_ENOMEM) {
      assert_int_equal(kad_table_count(it->table), count);
      assert_null(kad_tables_find(it, i % 6, i));
      assert_int_not_equal(kad_tables_add(it, i % 6, i), KAD_ENOMEM);
    }
  }
}

static void out_of_memory_changes_no_contact(void **state) {
  struct kad_tables *it = *state;
  bool has_failed = true;
  for (size_t n = 0; has_failed; n++) {
    struct kad_table *table = NULL;
    kad_counting_fail_at(&it->counting, n);
    const int result =
        kad_table_new(&it->config, &it->counting.allocator, it->now, &table);
    if (result == 0) {
      kad_table_free(it->table);
      it->table = table;
      fill_without_memory(it);
      assert_int_equal(kad_table_count(it->table), 6 * KAD_TABLES_K);
    } else {
      assert_int_equal(result, KAD_ENOMEM);
    }
    has_failed = it->counting.has_failed;
    assert_true(n > 12 || has_failed);
  }
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_FULL(name) cmocka_unit_test_setup_teardown(name, begin_full, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_contact_that_answers_enters_and_is_handed_out),
      TEST(our_own_id_is_rejected),
      TEST(where_a_contact_was_heard_is_forgotten),
      TEST(round_trip_times_are_smoothed),
      TEST(only_the_last_bucket_splits),
      TEST(splits_down_to_the_last_bit),
      TEST_FULL(newcomers_of_a_full_good_bucket_enter_the_replacement_cache),
      TEST_FULL(full_bucket_probes_the_oldest_questionable_contact),
      TEST_FULL(of_equally_old_contacts_the_slowest_is_probed),
      TEST_FULL(the_newest_replacement_enters_when_a_contact_fails),
      TEST_FULL(of_equally_new_replacements_the_fastest_enters),
      TEST_FULL(a_replacement_that_is_seen_again_is_newer),
      TEST_FULL(a_replacement_that_answers_again_is_kept_once),
      TEST_FULL(the_replacement_cache_has_k_places),
      TEST_FULL(a_replacement_that_fails_leaves),
      TEST_FULL(a_newcomer_replaces_a_bad_contact_at_once),
      TEST_FULL(an_answer_resets_failures),
      TEST_FULL(a_query_does_not_reset_failures),
      TEST_FULL(an_unseen_contact_that_failed_once_is_not_handed_out),
      TEST_FULL(a_contact_is_good_until_ping_ms_or_a_failure),
      TEST_FULL(a_known_id_at_another_address_is_rejected),
      TEST_FULL(a_newcomer_gets_the_id_of_a_bad_contact),
      TEST_FULL(one_address_holds_one_contact),
      TEST_FULL(a_replacement_enters_when_a_contact_is_removed),
      TEST_FULL(a_replacement_does_not_enter_at_a_taken_address),
      TEST(a_64_has_a_share_of_a_bucket),
      TEST(a_subnet_has_a_share_of_a_bucket_and_of_the_table),
      TEST(allowed_local_addresses_have_no_subnet_limit),
      TEST_FULL(a_subnet_does_not_fill_the_replacement_cache),
      TEST_FULL(pruning_removes_bad_contacts_that_were_not_seen),
      TEST(out_of_memory_changes_no_contact),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
