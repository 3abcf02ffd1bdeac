/* A routing table round another id. */
#include "tables.h"
#include "unit.h"

static struct kad_tables it;

/* Fills five buckets, and makes the id to move to: it is in bucket 0. */
static struct kad_id fill(void) {
  struct kad_id self = {{0xff, 0x12, 0x34}};
  kad_tables_begin(&it, 160, 4);
  for (unsigned prefix = 0; prefix < 5; prefix++) {
    kad_tables_fill(&it, prefix, KAD_TABLES_K);
  }
  return self;
}

static struct kad_table *move(const struct kad_id *self) {
  struct kad_table *moved = NULL;
  assert_ok(kad_table_move(it.table, self, it.now, &moved));
  return moved;
}

/* All contacts of bucket 0 keep their places: they are the nearest now. Those
 * of the other buckets share one, the farthest. */
static void contacts_are_sorted_round_the_new_id(void **state) {
  (void)state;
  const struct kad_id self = fill();
  struct kad_table *moved = move(&self);
  assert_int_equal(kad_table_count(moved), 2 * KAD_TABLES_K);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    const struct kad_contact contact = kad_tables_contact(&it, 0, i);
    const struct kad_table_entry *old = kad_tables_find(&it, 0, i);
    const struct kad_table_entry *found = kad_table_find_exact(moved, &contact);
    assert_non_null(found);
    assert_true(found->last_seen == old->last_seen);
    assert_int_equal(found->rtt_ms, old->rtt_ms);
    assert_true(kad_table_bucket_of(moved, &contact.id) > 0);
  }
  assert_int_equal(kad_table_count(it.table), 5 * KAD_TABLES_K);
  kad_table_free(moved);
  kad_tables_end(&it);
}

static void contacts_without_a_place_wait_in_the_replacement_cache(
    void **state) {
  (void)state;
  const struct kad_id self = fill();
  struct kad_table *moved = move(&self);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    const struct kad_contact contact = kad_tables_contact(&it, 1, i);
    kad_table_remove(moved, &contact); /* another takes its place */
  }
  assert_int_equal(kad_table_count(moved), 2 * KAD_TABLES_K);
  kad_table_free(moved);
  kad_tables_end(&it);
}

/* Those that answer come first; the others keep their failures. */
static void contacts_that_answer_come_first(void **state) {
  (void)state;
  const struct kad_id self = fill();
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    kad_tables_fail(&it, 1, i, 1);
  }
  kad_tables_fail(&it, 0, 0, 2);
  kad_tables_fail(&it, 0, 1, 1);
  struct kad_table *moved = move(&self);
  for (unsigned i = 0; i < KAD_TABLES_K; i++) {
    const struct kad_contact contact = kad_tables_contact(&it, 1, i);
    assert_null(kad_table_find(moved, &contact.id));
  }
  const struct kad_contact dead = kad_tables_contact(&it, 0, 0);
  const struct kad_contact slow = kad_tables_contact(&it, 0, 1);
  assert_int_equal(kad_table_find(moved, &dead.id)->failures, 2);
  assert_int_equal(kad_table_find(moved, &slow.id)->failures, 1);
  assert_int_equal(kad_table_bad(moved), 1);
  kad_table_free(moved);
  kad_tables_end(&it);
}

/* A contact with the new id would be ourselves. */
static void the_new_id_is_no_contact(void **state) {
  (void)state;
  (void)fill();
  const struct kad_contact contact = kad_tables_contact(&it, 3, 2);
  struct kad_table *moved = move(&contact.id);
  assert_null(kad_table_find(moved, &contact.id));
  kad_table_free(moved);
  kad_tables_end(&it);
}

static void without_memory_nothing_changes(void **state) {
  struct kad_table *moved = NULL;
  (void)state;
  const struct kad_id self = fill();
  int error = KAD_ENOMEM;
  for (size_t n = 0; error == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&it.counting, n);
    error = kad_table_move(it.table, &self, it.now, &moved);
    assert_int_equal(kad_table_count(it.table), 5 * KAD_TABLES_K);
  }
  assert_ok(error);
  kad_counting_fail_at(&it.counting, SIZE_MAX);
  kad_table_free(moved);
  kad_tables_end(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contacts_are_sorted_round_the_new_id),
      cmocka_unit_test(contacts_without_a_place_wait_in_the_replacement_cache),
      cmocka_unit_test(contacts_that_answer_come_first),
      cmocka_unit_test(the_new_id_is_no_contact),
      cmocka_unit_test(without_memory_nothing_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
