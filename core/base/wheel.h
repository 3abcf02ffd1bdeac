/* A queue of thousands of deadlines, most of them near. It has a ring with a
 * list for each millisecond, and a heap for deadlines beyond the ring. It gives
 * the same order as a kad_heap. But it does not walk a tree that is spread over
 * the memory: adding, removing and popping cost the same for any number of
 * deadlines. The ring is made when there are enough deadlines.
 *
 *     struct kad_wheel wheel;
 *     kad_wheel_init(&wheel, &allocator);
 *     kad_wheel_add(&wheel, &query->timeout, now + 1000);
 *     while ((due = kad_wheel_pop_due(&wheel, now)) != NULL) {
 *       struct query *query = kad_container_of(due, struct query, timeout);
 *     }
 *     kad_wheel_deinit(&wheel);
 */
#ifndef KAD_BASE_WHEEL_H
#define KAD_BASE_WHEEL_H

#include "base/heap.h"

enum {
  KAD_WHEEL_SLOTS = 8192, /* milliseconds in the ring */
  KAD_WHEEL_FEW = 64      /* so many deadlines need no ring */
};

struct kad_wheel_ring;

struct kad_wheel {
  struct kad_allocator allocator;
  struct kad_wheel_ring *ring; /* NULL while there are few */
  struct kad_heap beyond;      /* its `added` numbers all deadlines */
  kad_time_ms base;            /* the ring starts here; late deadlines are
                                  in the list of this millisecond */
  size_t near;                 /* deadlines in the ring */
};

/* Makes an empty queue. Allocates nothing yet. Copies: `allocator`. */
void kad_wheel_init(struct kad_wheel *wheel,
                    const struct kad_allocator *allocator);

/* Frees the ring. The deadlines belong to the caller. */
void kad_wheel_deinit(struct kad_wheel *wheel);

/* Adds `deadline`, due at `at`. Moves it if it is in the queue already. Cannot
 * fail: without memory for the ring the heap is used. */
void kad_wheel_add(struct kad_wheel *wheel, struct kad_deadline *deadline,
                   kad_time_ms at);

/* Removes `deadline`. Has no effect if it is not in the queue. */
void kad_wheel_remove(struct kad_wheel *wheel, struct kad_deadline *deadline);

/* Returns when the earliest is due, KAD_TIME_NEVER if there is none. */
kad_time_ms kad_wheel_next(const struct kad_wheel *wheel);

/* Removes and returns the earliest if it is due at `now`, else NULL. `now` must
 * not be earlier than in any previous call. */
struct kad_deadline *kad_wheel_pop_due(struct kad_wheel *wheel,
                                       kad_time_ms now);

/* Returns a mark that tells earlier additions from later ones. */
static inline uint64_t kad_wheel_mark(const struct kad_wheel *wheel) {
  return kad_heap_mark(&wheel->beyond);
}

/* The same, but returns NULL also when the earliest was added after `mark`. A
 * loop over what is due thus leaves what it adds itself to the next loop. */
struct kad_deadline *kad_wheel_pop_due_before(struct kad_wheel *wheel,
                                              kad_time_ms now, uint64_t mark);

#endif
