#include "base/item.h"
#include "counting_allocator.h"
#include "unit.h"

enum {
  ITEMS = 200
};

struct things {
  struct kad_counting_allocator counting;
  struct kad_item_heap heap;
  unsigned ranks[ITEMS];
  uint32_t places[ITEMS];
  bool added[ITEMS];
};

static bool before(void *state, uint32_t a, uint32_t b) {
  const struct things *things = state;
  return things->ranks[a] < things->ranks[b];
}

static uint32_t *place(void *state, uint32_t item) {
  struct things *things = state;
  return &things->places[item];
}

static void set_up(struct things *things) {
  *things = (struct things){
      .heap = {.state = things, .before = before, .place = place}};
  kad_counting_init(&things->counting);
}

static void tear_down(struct things *things) {
  kad_item_heap_deinit(&things->heap, &things->counting.allocator);
  kad_counting_deinit(&things->counting);
}

static void add(struct things *things, uint32_t item, unsigned rank) {
  things->ranks[item] = rank;
  things->added[item] = true;
  assert_ok(kad_item_heap_reserve(&things->heap, &things->counting.allocator));
  kad_item_heap_add(&things->heap, item);
}

static void assert_first_is_lowest(const struct things *things) {
  unsigned lowest = UINT32_MAX;
  for (size_t i = 0; i < ITEMS; i++) {
    if (things->added[i] && things->ranks[i] < lowest) {
      lowest = things->ranks[i];
    }
  }
  uint32_t first = kad_item_heap_first(&things->heap);
  assert_true(things->added[first]);
  assert_int_equal(things->ranks[first], lowest);
}

static void new_heap_is_empty(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  assert_int_equal(kad_item_heap_first(&things.heap), KAD_NO_ITEM);

  tear_down(&things);
}

static void first_is_lowest_after_every_change(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  for (uint32_t i = 0; i < ITEMS; i++) {
    add(&things, i, i * 7919 % 101);
    assert_first_is_lowest(&things);
  }
  for (uint32_t i = 0; i < ITEMS; i++) {
    things.ranks[i] = i * 104729 % 211;
    kad_item_heap_move(&things.heap, i);
    assert_first_is_lowest(&things);
  }
  for (uint32_t i = 0; i < ITEMS - 1; i++) {
    uint32_t item = i * 77 % ITEMS;
    kad_item_heap_remove(&things.heap, item);
    things.added[item] = false;
    assert_first_is_lowest(&things);
  }

  assert_int_equal(things.heap.count, 1);
  tear_down(&things);
}

static void out_of_memory_changes_nothing(void **state) {
  (void)state;
  struct things things;
  set_up(&things);
  add(&things, 0, 5);
  while (things.heap.count < things.heap.cap) {
    add(&things, (uint32_t)things.heap.count, 7);
  }

  kad_counting_fail_at(&things.counting, 0);

  assert_int_equal(
      kad_item_heap_reserve(&things.heap, &things.counting.allocator),
      KAD_ENOMEM);
  assert_int_equal(kad_item_heap_first(&things.heap), 0);
  tear_down(&things);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(new_heap_is_empty),
      cmocka_unit_test(first_is_lowest_after_every_change),
      cmocka_unit_test(out_of_memory_changes_nothing),
  };
  return cmocka_run_group_tests_name("item_heap", tests, NULL, NULL);
}
