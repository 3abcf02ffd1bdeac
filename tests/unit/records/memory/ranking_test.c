#include "records/memory/ranking.h"

#include "counting_allocator.h"
#include "unit.h"

enum {
  ITEMS = 200
};

struct things {
  struct kad_counting_allocator counting;
  struct kad_ranking ranking;
  unsigned ranks[ITEMS];
  uint32_t places[ITEMS];
  bool ranked[ITEMS];
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
      .ranking = {.state = things, .before = before, .place = place}};
  kad_counting_init(&things->counting);
}

static void tear_down(struct things *things) {
  kad_ranking_deinit(&things->ranking, &things->counting.allocator);
  kad_counting_deinit(&things->counting);
}

static void add(struct things *things, uint32_t item, unsigned rank) {
  things->ranks[item] = rank;
  things->ranked[item] = true;
  assert_ok(kad_ranking_reserve(&things->ranking, &things->counting.allocator));
  kad_ranking_add(&things->ranking, item);
}

static void assert_first_is_lowest(const struct things *things) {
  unsigned lowest = UINT32_MAX;
  for (size_t i = 0; i < ITEMS; i++) {
    if (things->ranked[i] && things->ranks[i] < lowest) {
      lowest = things->ranks[i];
    }
  }
  uint32_t first = kad_ranking_first(&things->ranking);
  assert_true(things->ranked[first]);
  assert_int_equal(things->ranks[first], lowest);
}

static void is_empty_at_first(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  assert_int_equal(kad_ranking_first(&things.ranking), KAD_NO_ITEM);

  tear_down(&things);
}

static void knows_the_first_through_every_change(void **state) {
  (void)state;
  struct things things;
  set_up(&things);

  for (uint32_t i = 0; i < ITEMS; i++) {
    add(&things, i, i * 7919 % 101);
    assert_first_is_lowest(&things);
  }
  for (uint32_t i = 0; i < ITEMS; i++) {
    things.ranks[i] = i * 104729 % 211;
    kad_ranking_move(&things.ranking, i);
    assert_first_is_lowest(&things);
  }
  for (uint32_t i = 0; i < ITEMS - 1; i++) {
    uint32_t item = i * 77 % ITEMS;
    kad_ranking_remove(&things.ranking, item);
    things.ranked[item] = false;
    assert_first_is_lowest(&things);
  }

  assert_int_equal(things.ranking.count, 1);
  tear_down(&things);
}

static void stays_as_it_was_without_memory(void **state) {
  (void)state;
  struct things things;
  set_up(&things);
  add(&things, 0, 5);
  while (things.ranking.count < things.ranking.cap) {
    add(&things, (uint32_t)things.ranking.count, 7);
  }

  kad_counting_fail_at(&things.counting, 0);

  assert_int_equal(
      kad_ranking_reserve(&things.ranking, &things.counting.allocator),
      KAD_ENOMEM);
  assert_int_equal(kad_ranking_first(&things.ranking), 0);
  tear_down(&things);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_empty_at_first),
      cmocka_unit_test(knows_the_first_through_every_change),
      cmocka_unit_test(stays_as_it_was_without_memory),
  };
  return cmocka_run_group_tests_name("ranking", tests, NULL, NULL);
}
