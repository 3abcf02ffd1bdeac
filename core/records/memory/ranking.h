/* The first of many numbered items by some order that changes: a binary heap of
 * four bytes an item, whose items know their places in it. Adding, moving and
 * removing are O(log n), each single time.
 *
 *     struct kad_ranking by_age = {
 *         .state = things, .before = is_older, .place = place_by_age};
 *     if (kad_ranking_reserve(&by_age, &allocator) == 0) {
 *       kad_ranking_add(&by_age, item);
 *     }
 *     uint32_t oldest = kad_ranking_first(&by_age); */
#ifndef KAD_RECORDS_MEMORY_RANKING_H
#define KAD_RECORDS_MEMORY_RANKING_H

#include "records/memory/array.h"

/* The ranking. Begin with everything 0 but the first three fields. */
struct kad_ranking {
  void *state; /* given to the functions */
  /* Tells whether item `a` comes before item `b`. */
  bool (*before)(void *state, uint32_t a, uint32_t b);
  /* Returns where item `a` keeps its place, which is the ranking's to write. */
  uint32_t *(*place)(void *state, uint32_t item);
  uint32_t *items;
  size_t count;
  size_t cap;
};

/* Makes room for one more item. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_ranking_reserve(struct kad_ranking *ranking,
                                       const struct kad_allocator *allocator);

/* Frees the array; the items are the caller's. The ranking is empty then. */
void kad_ranking_deinit(struct kad_ranking *ranking,
                        const struct kad_allocator *allocator);

/* Adds `item`, for which room has been reserved. */
void kad_ranking_add(struct kad_ranking *ranking, uint32_t item);

/* Finds the new place of `item`, whose rank has changed. */
void kad_ranking_move(struct kad_ranking *ranking, uint32_t item);

/* Removes `item`, which must be there. */
void kad_ranking_remove(struct kad_ranking *ranking, uint32_t item);

/* Returns the item that comes before all others, or KAD_NO_ITEM. */
uint32_t kad_ranking_first(const struct kad_ranking *ranking);

#endif
