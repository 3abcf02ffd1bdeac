/* BEP 42 "Enforcement": a table that prefers contacts whose id fits their
 * address. */
#include "tables.h"
#include "unit.h"

enum {
  K = KAD_TABLES_K,
  FRESH_MS = 3600000
};

static struct kad_tables it;

static void open_table(bool prefer) {
  kad_tables_begin(&it, 160, 4);
  it.config.prefer_secure = prefer;
  kad_tables_restart(&it);
}

static void close_table(void) {
  kad_tables_end(&it);
}

/* Returns the contact `number` (0 … 255) of the farthest bucket, whose id fits
 * its address. */
static struct kad_contact secure_contact(unsigned number) {
  struct kad_contact contact = kad_tables_contact(&it, 0, number);
  uint8_t random[KAD_ID_SIZE] = {0};
  contact.address.ip[0] = 0x51;
  do {
    random[19]++;
    contact.address.ip[1] = (uint8_t)(random[19] / 8);
    assert_ok(kad_secure_id_make(&contact.address, 160, random, &contact.id));
  } while (contact.id.bytes[0] < 0x80);
  return contact;
}

static int add_secure(unsigned number) {
  const struct kad_contact contact = secure_contact(number);
  it.now += 1000;
  return kad_tables_add_contact(&it, &contact, 100);
}

static size_t count_secure(void) {
  size_t bucket = 0;
  size_t slot = 0;
  size_t secure = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(it.table, &bucket, &slot)) != NULL) {
    secure +=
        kad_secure_id_check(&entry->contact.id, 160, &entry->contact.address);
  }
  return secure;
}

/* Fills the farthest bucket with contacts that do not fit. */
static void fill_bucket(void) {
  kad_tables_fill(&it, 0, K);
  assert_ok(kad_tables_add(&it, 1, 0)); /* so that the bucket may not split */
}

static void secure_contacts_replace_others_in_a_full_bucket(void **state) {
  (void)state;
  open_table(true);
  fill_bucket();
  for (unsigned i = 0; i < K; i++) {
    assert_ok(add_secure(i));
    assert_int_equal(count_secure(), i + 1);
    assert_int_equal(kad_table_secure(it.table), i + 1);
    assert_null(kad_tables_find(&it, 0, i)); /* the oldest of the others */
  }
  assert_int_equal(add_secure(K), KAD_EFULL);
  assert_int_equal(kad_table_count(it.table), K + 1);
  close_table();
}

static void other_contacts_never_replace_secure_ones(void **state) {
  (void)state;
  open_table(true);
  for (unsigned i = 0; i < K; i++) {
    assert_ok(add_secure(i));
  }
  assert_ok(kad_tables_add(&it, 1, 0));
  for (unsigned i = 0; i < 200; i++) {
    assert_int_equal(kad_tables_add(&it, 0, i), KAD_EFULL);
  }
  assert_int_equal(count_secure(), K);
  close_table();
}

static void a_replaced_contact_goes_to_the_replacement_cache(void **state) {
  (void)state;
  open_table(true);
  fill_bucket();
  assert_ok(add_secure(0));
  const struct kad_contact secure = secure_contact(0);
  kad_table_failed(it.table, &secure);
  kad_table_failed(it.table, &secure);
  assert_non_null(kad_tables_find(&it, 0, 0));
  assert_int_equal(count_secure(), 0);
  close_table();
}

static void a_secure_replacement_enters_the_bucket_first(void **state) {
  (void)state;
  open_table(true);
  for (unsigned i = 0; i < K; i++) {
    assert_ok(add_secure(i));
  }
  assert_ok(kad_tables_add(&it, 1, 0));
  assert_int_equal(add_secure(K), KAD_EFULL);
  for (unsigned i = 0; i < 3 * K; i++) { /* seen later, and too many */
    it.now += 1000;
    assert_int_equal(kad_tables_add(&it, 0, i), KAD_EFULL);
  }
  const struct kad_contact failing = secure_contact(0);
  kad_table_failed(it.table, &failing);
  kad_table_failed(it.table, &failing);
  const struct kad_contact replacement = secure_contact(K);
  assert_non_null(kad_table_find_exact(it.table, &replacement));
  assert_int_equal(count_secure(), K);
  close_table();
}

static void bad_secure_contacts_are_replaced_by_others(void **state) {
  (void)state;
  open_table(true);
  for (unsigned i = 0; i < K; i++) {
    assert_ok(add_secure(i));
  }
  assert_ok(kad_tables_add(&it, 1, 0));
  const struct kad_contact dead = secure_contact(3);
  kad_table_failed(it.table, &dead);
  kad_table_failed(it.table, &dead);
  assert_ok(kad_tables_add(&it, 0, 7));
  assert_int_equal(count_secure(), K - 1);
  close_table();
}

static void a_secure_stranger_is_worth_a_ping_while_others_are_there(
    void **state) {
  (void)state;
  open_table(true);
  fill_bucket();
  for (unsigned i = K; i < 2 * K; i++) {
    assert_int_equal(kad_tables_add(&it, 0, i), KAD_EFULL);
  }
  const struct kad_contact other = kad_tables_contact(&it, 0, 100);
  const struct kad_contact secure = secure_contact(100);
  assert_false(kad_table_wants(it.table, &other, it.now, FRESH_MS));
  assert_true(kad_table_wants(it.table, &secure, it.now, FRESH_MS));
  for (unsigned i = 0; i < K + K / 2; i++) {
    (void)add_secure(i);
  }
  assert_false(kad_table_wants(it.table, &secure, it.now, FRESH_MS));
  close_table();
}

static void holders_are_secure_if_there_are_enough(void **state) {
  struct kad_contact found[K];
  struct kad_id target = {{0}};
  (void)state;
  open_table(true);
  target.bytes[0] = 0x40;
  for (unsigned i = 0; i < K; i++) { /* the closest to the target */
    assert_ok(kad_tables_add(&it, 1, i));
  }
  for (unsigned i = 0; i < K; i++) { /* not enough yet */
    assert_int_equal(
        kad_table_closest_holders(it.table, &target, it.now, found, K), K);
    assert_int_equal(found[0].id.bytes[0], 0x40);
    assert_ok(add_secure(i));
  }
  assert_int_equal(
      kad_table_closest_holders(it.table, &target, it.now, found, K), K);
  for (unsigned i = 0; i < K; i++) {
    assert_true(kad_secure_id_check(&found[i].id, 160, &found[i].address));
  }
  assert_int_equal(kad_table_closest(it.table, &target, it.now, found, K), K);
  assert_int_equal(found[0].id.bytes[0], 0x40);
  close_table();
}

static void without_preference_all_contacts_are_equal(void **state) {
  (void)state;
  open_table(false);
  fill_bucket();
  assert_int_equal(add_secure(0), KAD_EFULL);
  assert_int_equal(count_secure(), 0);
  close_table();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(secure_contacts_replace_others_in_a_full_bucket),
      cmocka_unit_test(other_contacts_never_replace_secure_ones),
      cmocka_unit_test(a_replaced_contact_goes_to_the_replacement_cache),
      cmocka_unit_test(a_secure_replacement_enters_the_bucket_first),
      cmocka_unit_test(bad_secure_contacts_are_replaced_by_others),
      cmocka_unit_test(
          a_secure_stranger_is_worth_a_ping_while_others_are_there),
      cmocka_unit_test(holders_are_secure_if_there_are_enough),
      cmocka_unit_test(without_preference_all_contacts_are_equal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
