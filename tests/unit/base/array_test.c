#include "base/array.h"

#include "counting_allocator.h"
#include "unit.h"

struct list {
  uint64_t *items;
  size_t count;
  size_t cap;
};

static struct kad_counting_allocator counting;

static int begin(void **state) {
  (void)state;
  kad_counting_init(&counting);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_counting_deinit(&counting);
  return 0;
}

/* The example of the header. */
static int append(struct list *list, uint64_t item) {
  if (list->count == list->cap &&
      KAD_ARRAY_RESERVE(&counting.allocator, &list->items, &list->cap,
                        list->cap + 8) != 0) {
    return KAD_ENOMEM;
  }
  list->items[list->count++] = item;
  return 0;
}

static void an_array_keeps_its_items_when_it_grows(void **state) {
  (void)state;
  struct list list = {0};
  for (uint64_t i = 0; i < 100; i++) {
    assert_ok(append(&list, i));
  }

  assert_int_equal(list.cap, 104);
  for (uint64_t i = 0; i < 100; i++) {
    assert_int_equal(list.items[i], i);
  }
  KAD_ARRAY_FREE(&counting.allocator, &list.items, &list.cap);
  assert_null(list.items);
  assert_int_equal(list.cap, 0);
}

static void room_that_exists_allocates_nothing(void **state) {
  (void)state;
  struct list list = {0};
  assert_ok(KAD_ARRAY_RESERVE(&counting.allocator, &list.items, &list.cap, 0));
  assert_int_equal(counting.requests, 0);
  assert_ok(KAD_ARRAY_RESERVE(&counting.allocator, &list.items, &list.cap, 9));
  const size_t requests = counting.requests;

  assert_ok(KAD_ARRAY_RESERVE(&counting.allocator, &list.items, &list.cap, 9));

  assert_int_equal(counting.requests, requests);
  KAD_ARRAY_FREE(&counting.allocator, &list.items, &list.cap);
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  struct list list = {0};
  assert_ok(append(&list, 7));
  const uint64_t *items = list.items;

  kad_counting_fail_at(&counting, 0);
  assert_int_equal(
      KAD_ARRAY_RESERVE(&counting.allocator, &list.items, &list.cap, 9),
      KAD_ENOMEM);
  assert_int_equal(KAD_ARRAY_RESERVE(&counting.allocator, &list.items,
                                     &list.cap, SIZE_MAX / 2),
                   KAD_ENOMEM);

  assert_ptr_equal(list.items, items);
  assert_int_equal(list.cap, 8);
  assert_int_equal(list.items[0], 7);
  KAD_ARRAY_FREE(&counting.allocator, &list.items, &list.cap);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_array_keeps_its_items_when_it_grows),
      TEST(room_that_exists_allocates_nothing),
      TEST(without_memory_nothing_changes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
