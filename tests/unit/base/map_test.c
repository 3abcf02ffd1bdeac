#include "base/map.h"

#include "base/heap.h"
#include "counting_allocator.h"
#include "unit.h"

enum {
  MANY = 1000
};

/* The example of the header. */
struct thing {
  struct kad_map_entry entry;
  struct kad_id id;
};

static const uint8_t secret[KAD_MAP_SECRET_SIZE] = {1, 2, 3};

static struct kad_id number_id(uint32_t number) {
  struct kad_id id = {0};
  id.bytes[0] = (uint8_t)(number >> 8);
  id.bytes[1] = (uint8_t)number;
  return id;
}

static struct thing *find(const struct kad_map *map, uint32_t number) {
  const struct kad_id id = number_id(number);
  const uint64_t hash = kad_map_hash(map, id.bytes, sizeof id.bytes);
  struct kad_map_entry *entry = kad_map_first(map, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct thing *thing = kad_container_of(entry, struct thing, entry);
    if (kad_id_equal(&thing->id, &id)) {
      return thing;
    }
  }
  return NULL;
}

static int add(struct kad_map *map, struct thing *thing, uint32_t number) {
  thing->id = number_id(number);
  return kad_map_add(
      map, &thing->entry,
      kad_map_hash(map, thing->id.bytes, sizeof thing->id.bytes));
}

static void finds_what_was_added_until_it_is_removed(void **state) {
  (void)state;
  static struct thing things[MANY];
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_map map;
  kad_map_init(&map, &counting.allocator, secret);
  assert_null(find(&map, 1));

  for (uint32_t i = 0; i < MANY; i++) {
    assert_ok(add(&map, &things[i], i));
  }
  for (uint32_t i = 0; i < MANY; i += 2) {
    kad_map_remove(&map, &things[i].entry);
  }

  assert_int_equal(map.count, MANY / 2);
  for (uint32_t i = 0; i < MANY; i++) {
    assert_ptr_equal(find(&map, i), i % 2 == 0 ? NULL : &things[i]);
  }
  kad_map_deinit(&map);
  kad_counting_deinit(&counting);
}

static void a_map_is_emptied_entry_by_entry(void **state) {
  (void)state;
  static struct thing things[MANY];
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_map map;
  kad_map_init(&map, &counting.allocator, secret);
  for (uint32_t i = 0; i < MANY; i++) {
    assert_ok(add(&map, &things[i], i));
  }

  size_t from = 0;
  for (uint32_t i = 0; i < MANY; i++) {
    struct kad_map_entry *entry = kad_map_any(&map, &from);
    assert_non_null(entry);
    kad_map_remove(&map, entry);
  }
  assert_null(kad_map_any(&map, &from));
  assert_int_equal(map.count, 0);
  kad_map_deinit(&map);
  kad_counting_deinit(&counting);
}

static void all_entries_with_a_hash_are_found(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_map map;
  kad_map_init(&map, &counting.allocator, secret);
  struct kad_map_entry entries[4];
  for (size_t i = 0; i < 4; i++) {
    /* The third has the bucket of the others, but another hash. */
    assert_ok(kad_map_add(&map, &entries[i], i == 2 ? 7 + (1U << 20) : 7));
  }

  size_t count = 0;
  const struct kad_map_entry *entry = kad_map_first(&map, 7);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    assert_ptr_not_equal(entry, &entries[2]);
    count++;
  }

  assert_int_equal(count, 3);
  assert_ptr_equal(kad_map_first(&map, 7 + (1U << 20)), &entries[2]);
  kad_map_deinit(&map);
  kad_counting_deinit(&counting);
}

static void hashes_depend_on_the_secret(void **state) {
  (void)state;
  static const uint8_t other[KAD_MAP_SECRET_SIZE] = {1, 2, 4};
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_map a;
  struct kad_map b;
  kad_map_init(&a, &allocator, secret);
  kad_map_init(&b, &allocator, other);

  assert_true(kad_map_hash(&a, "key", 3) == kad_map_hash(&a, "key", 3));
  assert_false(kad_map_hash(&a, "key", 3) == kad_map_hash(&b, "key", 3));
  assert_false(kad_map_hash(&a, "key", 3) == kad_map_hash(&a, "kex", 3));
}

static void no_memory_for_the_first_entry_is_an_error(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_map map;
  kad_map_init(&map, &counting.allocator, secret);
  struct thing thing;

  kad_counting_fail_at(&counting, 0);
  assert_int_equal(add(&map, &thing, 1), KAD_ENOMEM);
  assert_int_equal(map.count, 0);
  assert_null(find(&map, 1));
  assert_ok(add(&map, &thing, 1));

  kad_map_deinit(&map);
  kad_counting_deinit(&counting);
}

static void without_memory_to_grow_the_map_still_works(void **state) {
  (void)state;
  static struct thing things[MANY];
  struct kad_counting_allocator counting;
  kad_counting_init(&counting);
  struct kad_map map;
  kad_map_init(&map, &counting.allocator, secret);
  assert_ok(add(&map, &things[0], 0));

  counting.limit_bytes = counting.bytes;
  for (uint32_t i = 1; i < MANY; i++) {
    assert_ok(add(&map, &things[i], i));
  }

  for (uint32_t i = 0; i < MANY; i++) {
    assert_ptr_equal(find(&map, i), &things[i]);
  }
  kad_map_deinit(&map);
  kad_counting_deinit(&counting);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(finds_what_was_added_until_it_is_removed),
      cmocka_unit_test(a_map_is_emptied_entry_by_entry),
      cmocka_unit_test(all_entries_with_a_hash_are_found),
      cmocka_unit_test(hashes_depend_on_the_secret),
      cmocka_unit_test(no_memory_for_the_first_entry_is_an_error),
      cmocka_unit_test(without_memory_to_grow_the_map_still_works),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
