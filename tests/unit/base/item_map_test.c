#include "base/item.h"
#include "counting_allocator.h"
#include "unit.h"

enum {
  ITEMS = 300
};

/* Items with any hashes. */
struct things {
  struct kad_counting_allocator counting;
  struct kad_item_map map;
  uint32_t links[ITEMS];
  uint64_t hashes[ITEMS];
};

static uint32_t *link_of(void *state, uint32_t item) {
  struct things *things = state;
  return &things->links[item];
}

static uint64_t hash_of(void *state, uint32_t item) {
  const struct things *things = state;
  return things->hashes[item];
}

static void set_up(struct things *things) {
  *things = (struct things){
      .map = {.state = things, .link = link_of, .hash = hash_of}};
  kad_counting_init(&things->counting);
}

static void tear_down(struct things *things) {
  kad_item_map_deinit(&things->map, &things->counting.allocator);
  kad_counting_deinit(&things->counting);
}

static void add(struct things *things, uint32_t item, uint64_t hash) {
  things->hashes[item] = hash;
  assert_ok(kad_item_map_reserve(&things->map, &things->counting.allocator));
  kad_item_map_add(&things->map, hash, item);
}

static bool has(const struct things *things, uint32_t item, uint64_t hash) {
  uint32_t at = kad_item_map_first(&things->map, hash);
  while (at != KAD_NO_ITEM && at != item) {
    at = things->links[at];
  }
  return at == item;
}

static void empty_map_finds_nothing(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  assert_int_equal(kad_item_map_first(&things.map, 5), KAD_NO_ITEM);

  tear_down(&things);
}

static void finds_all_items_while_growing(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  for (uint32_t i = 0; i < ITEMS; i++) {
    add(&things, i, i * UINT64_C(0x9e3779b97f4a7c15));
  }

  for (uint32_t i = 0; i < ITEMS; i++) {
    assert_true(has(&things, i, things.hashes[i]));
  }
  tear_down(&things);
}

static void keeps_items_with_equal_hashes(void **state) {
  (void)state;
  struct things things;
  set_up(&things);
  for (uint32_t i = 0; i < 20; i++) {
    add(&things, i, 77);
  }

  for (uint32_t gone = 0; gone < 20; gone += 2) {
    kad_item_map_remove(&things.map, 77, gone);
  }

  for (uint32_t i = 0; i < 20; i++) {
    assert_int_equal(has(&things, i, 77), i % 2);
  }
  tear_down(&things);
}

static void replaces_an_item(void **state) {
  (void)state;
  struct things things;
  set_up(&things);
  add(&things, 1, 5);
  add(&things, 2, 5);
  add(&things, 3, 5);

  kad_item_map_replace(&things.map, 5, 2, 9);

  assert_true(has(&things, 1, 5));
  assert_false(has(&things, 2, 5));
  assert_true(has(&things, 3, 5));
  assert_true(has(&things, 9, 5));
  assert_int_equal(things.map.count, 3);
  tear_down(&things);
}

static void works_with_fewer_buckets_when_out_of_memory(void **state) {
  (void)state;
  struct things things;
  set_up(&things);
  kad_counting_fail_at(&things.counting, 0);
  assert_int_equal(
      kad_item_map_reserve(&things.map, &things.counting.allocator),
      KAD_ENOMEM);
  add(&things, 0, 0);

  things.counting.limit_bytes = things.counting.bytes;
  for (uint32_t i = 1; i < 100; i++) {
    add(&things, i, i);
  }

  assert_true(things.counting.has_failed);
  for (uint32_t i = 0; i < 100; i++) {
    assert_true(has(&things, i, i));
  }
  tear_down(&things);
}

static void hash_depends_on_the_secret(void **state) {
  (void)state;
  static const uint8_t one[KAD_ITEM_MAP_SECRET_SIZE] = {1};
  static const uint8_t two[KAD_ITEM_MAP_SECRET_SIZE] = {2};

  uint64_t hash = kad_item_map_hash(one, "key", 3);

  assert_true(hash == kad_item_map_hash(one, "key", 3));
  assert_true(hash != kad_item_map_hash(one, "kez", 3));
  assert_true(hash != kad_item_map_hash(two, "key", 3));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(empty_map_finds_nothing),
      cmocka_unit_test(finds_all_items_while_growing),
      cmocka_unit_test(keeps_items_with_equal_hashes),
      cmocka_unit_test(replaces_an_item),
      cmocka_unit_test(works_with_fewer_buckets_when_out_of_memory),
      cmocka_unit_test(hash_depends_on_the_secret),
  };
  return cmocka_run_group_tests_name("item_map", tests, NULL, NULL);
}
