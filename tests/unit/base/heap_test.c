#include "base/heap.h"

#include "unit.h"

enum {
  MANY = 2000
};

/* The example of the header. */
struct query {
  unsigned number;
  struct kad_deadline timeout;
};

static struct query *pop(struct kad_heap *heap, kad_time_ms now) {
  struct kad_deadline *due = kad_heap_pop_due(heap, now);
  return due != NULL ? kad_container_of(due, struct query, timeout) : NULL;
}

static uint64_t next_random(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
  return *seed >> 33;
}

static void an_empty_heap_is_never_due(void **state) {
  (void)state;
  struct kad_heap heap = {0};
  struct kad_deadline outside = {0};

  kad_heap_remove(&heap, &outside);

  assert_true(kad_heap_next(&heap) == KAD_TIME_NEVER);
  assert_null(kad_heap_pop_due(&heap, KAD_TIME_NEVER));
}

static void nothing_is_due_before_its_time(void **state) {
  (void)state;
  struct kad_heap heap = {0};
  struct query query = {0};
  kad_heap_add(&heap, &query.timeout, 10);

  assert_int_equal(kad_heap_next(&heap), 10);
  assert_null(pop(&heap, 9));
  assert_ptr_equal(pop(&heap, 10), &query);
  assert_false(query.timeout.queued);
  assert_null(pop(&heap, 11));
}

static void equal_deadlines_come_in_the_order_of_addition(void **state) {
  (void)state;
  struct kad_heap heap = {0};
  struct query queries[100] = {0};
  for (size_t i = 0; i < 100; i++) {
    kad_heap_add(&heap, &queries[i * 37 % 100].timeout, 5);
  }

  for (size_t i = 0; i < 100; i++) {
    assert_ptr_equal(pop(&heap, 5), &queries[i * 37 % 100]);
  }
}

static void adding_again_moves_a_deadline(void **state) {
  (void)state;
  struct kad_heap heap = {0};
  struct query a = {0};
  struct query b = {0};
  kad_heap_add(&heap, &a.timeout, 1);
  kad_heap_add(&heap, &b.timeout, 2);

  kad_heap_add(&heap, &a.timeout, 2);

  assert_int_equal(heap.count, 2);
  assert_int_equal(kad_heap_next(&heap), 2);
  assert_ptr_equal(pop(&heap, 2), &b);
  assert_ptr_equal(pop(&heap, 2), &a);
  assert_int_equal(heap.count, 0);
}

static void random_deadlines_come_in_order(void **state) {
  (void)state;
  static struct query queries[MANY];
  struct kad_heap heap = {0};
  uint64_t seed = 3;
  for (size_t i = 0; i < MANY; i++) {
    queries[i] = (struct query){0};
    kad_heap_add(&heap, &queries[i].timeout, next_random(&seed) % 100);
  }
  for (size_t i = 0; i < MANY / 2; i++) {
    kad_heap_remove(&heap, &queries[next_random(&seed) % MANY].timeout);
    kad_heap_add(&heap, &queries[next_random(&seed) % MANY].timeout,
                 next_random(&seed) % 100);
  }
  const size_t count = heap.count;

  kad_time_ms at = 0;
  uint64_t order = 0;
  for (size_t i = 0; i < count; i++) {
    const struct query *query = pop(&heap, KAD_TIME_NEVER);
    assert_non_null(query);
    assert_true(query->timeout.at > at ||
                (query->timeout.at == at && query->timeout.order >= order));
    at = query->timeout.at;
    order = query->timeout.order;
  }
  assert_null(pop(&heap, KAD_TIME_NEVER));
  assert_int_equal(heap.count, 0);
}

static void deadlines_added_after_the_mark_stay(void **state) {
  (void)state;
  struct kad_heap heap = {0};
  struct query queries[3] = {0};
  kad_heap_add(&heap, &queries[0].timeout, 5);
  const uint64_t mark = kad_heap_mark(&heap);
  kad_heap_add(&heap, &queries[1].timeout, 6);
  kad_heap_add(&heap, &queries[2].timeout, 7);

  assert_null(kad_heap_pop_due_before(&heap, 4, mark));
  assert_ptr_equal(kad_heap_pop_due_before(&heap, 9, mark),
                   &queries[0].timeout);
  assert_null(kad_heap_pop_due_before(&heap, 9, mark));
  assert_ptr_equal(pop(&heap, 9), &queries[1]);
  assert_ptr_equal(pop(&heap, 9), &queries[2]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_heap_is_never_due),
      cmocka_unit_test(nothing_is_due_before_its_time),
      cmocka_unit_test(equal_deadlines_come_in_the_order_of_addition),
      cmocka_unit_test(adding_again_moves_a_deadline),
      cmocka_unit_test(random_deadlines_come_in_order),
      cmocka_unit_test(deadlines_added_after_the_mark_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
