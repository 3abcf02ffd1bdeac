/* A queue of deadlines: an intrusive pairing heap. The earliest comes first.
 * Deadlines at the same time come in the order of their addition, so that a run
 * can be repeated byte for byte.
 *
 *     struct query {
 *       struct kad_deadline timeout;
 *     };
 *     struct kad_heap heap = {0};
 *     kad_heap_add(&heap, &query->timeout, now + 1000);
 *     while ((due = kad_heap_pop_due(&heap, now)) != NULL) {
 *       struct query *query = kad_container_of(due, struct query, timeout);
 *     }
 *
 * Adding allocates nothing and cannot fail; removing is O(log n) amortised. */
#ifndef KAD_BASE_HEAP_H
#define KAD_BASE_HEAP_H

#include "kadenza.h"

/* Returns the struct `type` whose `member` is at `pointer`. */
#define kad_container_of(pointer, type, member) \
  ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* An entry, embedded in a user's struct. Zero-initialised it is in no heap. */
struct kad_deadline {
  kad_time_ms at;             /* when it is due */
  uint64_t order;             /* its number among all additions */
  struct kad_deadline *child; /* first child */
  struct kad_deadline *next;  /* next sibling */
  struct kad_deadline *back;  /* parent of a first child, else left sibling */
  bool queued;
  bool near; /* in the ring of a wheel: see wheel.h */
};

/* Returns true if `a` comes before `b`. */
static inline bool kad_deadline_is_before(const struct kad_deadline *a,
                                          const struct kad_deadline *b) {
  return a->at != b->at ? a->at < b->at : a->order < b->order;
}

/* Zero-initialised it is empty. */
struct kad_heap {
  struct kad_deadline *root;
  uint64_t added; /* `order` of the next addition */
  size_t count;
};

/* Adds `deadline`, due at `at`. Moves it if it is in the heap already. */
void kad_heap_add(struct kad_heap *heap, struct kad_deadline *deadline,
                  kad_time_ms at);

/* Removes `deadline`. Has no effect if it is in no heap. */
void kad_heap_remove(struct kad_heap *heap, struct kad_deadline *deadline);

/* Returns when the earliest is due, KAD_TIME_NEVER if the heap is empty. */
kad_time_ms kad_heap_next(const struct kad_heap *heap);

/* Removes and returns the earliest if it is due at `now`, else NULL. */
struct kad_deadline *kad_heap_pop_due(struct kad_heap *heap, kad_time_ms now);

/* Returns a mark that tells earlier additions from later ones. */
static inline uint64_t kad_heap_mark(const struct kad_heap *heap) {
  return heap->added;
}

/* The same, but returns NULL also when the earliest was added after `mark`. A
 * loop over what is due thus leaves what it adds itself to the next loop. */
struct kad_deadline *kad_heap_pop_due_before(struct kad_heap *heap,
                                             kad_time_ms now, uint64_t mark);

#endif
