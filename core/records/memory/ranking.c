#include "records/memory/ranking.h"

#include "base/allocator.h"

#include <assert.h>

static void put(struct kad_ranking *ranking, size_t place, uint32_t item) {
  ranking->items[place] = item;
  *ranking->place(ranking->state, item) = (uint32_t)place;
}

static void move_up(struct kad_ranking *ranking, size_t place) {
  uint32_t item = ranking->items[place];
  while (place > 0) {
    size_t parent = (place - 1) / 2;
    if (!ranking->before(ranking->state, item, ranking->items[parent])) {
      break;
    }
    put(ranking, place, ranking->items[parent]);
    place = parent;
  }
  put(ranking, place, item);
}

/* Returns the child of `place` that comes first; the count if it has none. */
static size_t first_child(const struct kad_ranking *ranking, size_t place) {
  size_t child = 2 * place + 1;
  if (child >= ranking->count) {
    return ranking->count;
  }
  if (child + 1 < ranking->count &&
      ranking->before(ranking->state, ranking->items[child + 1],
                      ranking->items[child])) {
    child++;
  }
  return child;
}

static void move_down(struct kad_ranking *ranking, size_t place) {
  uint32_t item = ranking->items[place];
  size_t child = first_child(ranking, place);
  while (child < ranking->count &&
         ranking->before(ranking->state, ranking->items[child], item)) {
    put(ranking, place, ranking->items[child]);
    place = child;
    child = first_child(ranking, place);
  }
  put(ranking, place, item);
}

int kad_ranking_reserve(struct kad_ranking *ranking,
                        const struct kad_allocator *allocator) {
  if (ranking->count < ranking->cap) {
    return 0;
  }
  uint32_t *items =
      kad_array_grow(allocator, ranking->items, &ranking->cap, sizeof *items);
  if (items == NULL) {
    return KAD_ENOMEM;
  }
  ranking->items = items;
  return 0;
}

void kad_ranking_deinit(struct kad_ranking *ranking,
                        const struct kad_allocator *allocator) {
  kad_release(allocator, ranking->items, ranking->cap * sizeof *ranking->items);
  ranking->items = NULL;
  ranking->count = 0;
  ranking->cap = 0;
}

void kad_ranking_add(struct kad_ranking *ranking, uint32_t item) {
  assert(ranking->count < ranking->cap);
  ranking->items[ranking->count] = item;
  ranking->count++;
  move_up(ranking, ranking->count - 1);
}

void kad_ranking_move(struct kad_ranking *ranking, uint32_t item) {
  size_t place = *ranking->place(ranking->state, item);
  assert(place < ranking->count && ranking->items[place] == item);
  move_up(ranking, place);
  move_down(ranking, *ranking->place(ranking->state, item));
}

void kad_ranking_remove(struct kad_ranking *ranking, uint32_t item) {
  size_t place = *ranking->place(ranking->state, item);
  assert(place < ranking->count && ranking->items[place] == item);
  ranking->count--;
  uint32_t last = ranking->items[ranking->count];
  if (last != item) {
    put(ranking, place, last);
    kad_ranking_move(ranking, last);
  }
}

uint32_t kad_ranking_first(const struct kad_ranking *ranking) {
  return ranking->count == 0 ? KAD_NO_ITEM : ranking->items[0];
}
