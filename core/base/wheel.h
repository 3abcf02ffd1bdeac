/* A queue of deadlines for thousands at a time, most of them near: a ring of
 * milliseconds, each with a list, and a heap for what lies beyond the ring. It
 * says what a kad_heap says, in the same order, but without walking a tree that
 * is spread all over the memory: adding, removing and taking the first cost the
 * same however many there are. The ring is made when there are enough deadlines
 * to be worth it.
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
  KAD_WHEEL_FEW = 64      /* deadlines that need no ring */
};

struct kad_wheel_ring;

struct kad_wheel {
  struct kad_allocator allocator;
  struct kad_wheel_ring *ring; /* NULL while there are few */
  struct kad_heap beyond;      /* its `added` numbers all deadlines */
  kad_time_ms base;            /* nothing in the ring is due before, but what
                                  was late already */
  size_t near;                 /* deadlines in the ring */
};

/* Makes an empty queue that allocates nothing yet. Copies: `allocator`. */
void kad_wheel_init(struct kad_wheel *wheel,
                    const struct kad_allocator *allocator);

/* Frees the ring. The deadlines are the caller's. */
void kad_wheel_deinit(struct kad_wheel *wheel);

/* Adds `deadline`, due at `at`; if it is queued already, it is moved. Cannot
 * fail: without memory for the ring the heap does. */
void kad_wheel_add(struct kad_wheel *wheel, struct kad_deadline *deadline,
                   kad_time_ms at);

/* Removes `deadline`; one that is not queued is left as it is. */
void kad_wheel_remove(struct kad_wheel *wheel, struct kad_deadline *deadline);

/* Returns when the earliest is due, KAD_TIME_NEVER when there is none. */
kad_time_ms kad_wheel_next(const struct kad_wheel *wheel);

/* Removes and returns the earliest if it is due at `now`, else NULL. `now` must
 * not be earlier than in any previous call. */
struct kad_deadline *kad_wheel_pop_due(struct kad_wheel *wheel,
                                       kad_time_ms now);

/* Returns a mark that tells earlier additions from later ones. */
static inline uint64_t kad_wheel_mark(const struct kad_wheel *wheel) {
  return kad_heap_mark(&wheel->beyond);
}

/* The same as kad_wheel_pop_due, but returns NULL also when the earliest was
 * added after `mark`. A loop over what is due thus leaves what it adds itself
 * to the next loop. */
struct kad_deadline *kad_wheel_pop_due_before(struct kad_wheel *wheel,
                                              kad_time_ms now, uint64_t mark);

#endif
