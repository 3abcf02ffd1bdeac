#include "base/wheel.h"

#include "base/allocator.h"
#include "base/time.h"

#include <assert.h>

enum {
  WORD_BITS = 64,
  WORDS = KAD_WHEEL_SLOTS / WORD_BITS
};

/* The deadlines of one millisecond, in the order of their addition. Late ones
 * are at the start of the list of the base. */
struct wheel_slot {
  struct kad_deadline *first;
  struct kad_deadline *last;
};

struct kad_wheel_ring {
  uint64_t busy[WORDS]; /* a bit for each slot: it has deadlines */
  struct wheel_slot slots[KAD_WHEEL_SLOTS];
};

/* Returns the slot of a time in the ring; that of the base for a late one. */
static size_t slot_of(const struct kad_wheel *wheel, kad_time_ms at) {
  const kad_time_ms planned = at > wheel->base ? at : wheel->base;
  return (size_t)(planned % KAD_WHEEL_SLOTS);
}

static bool is_near(const struct kad_wheel *wheel, kad_time_ms at) {
  return wheel->ring != NULL && at < kad_time_add(wheel->base, KAD_WHEEL_SLOTS);
}

/* Adds `deadline` to its slot, nearly always at the end. */
static void link_near(struct kad_wheel *wheel, struct kad_deadline *deadline) {
  const size_t index = slot_of(wheel, deadline->at);
  struct wheel_slot *slot = &wheel->ring->slots[index];
  struct kad_deadline *back = slot->last;
  while (back != NULL && kad_deadline_is_before(deadline, back)) {
    back = back->back;
  }
  deadline->back = back;
  deadline->next = back != NULL ? back->next : slot->first;
  *(back != NULL ? &back->next : &slot->first) = deadline;
  *(deadline->next != NULL ? &deadline->next->back : &slot->last) = deadline;
  deadline->queued = true;
  deadline->near = true;
  wheel->ring->busy[index / WORD_BITS] |= UINT64_C(1) << index % WORD_BITS;
  wheel->near++;
}

static void unlink_near(struct kad_wheel *wheel,
                        struct kad_deadline *deadline) {
  const size_t index = slot_of(wheel, deadline->at);
  struct wheel_slot *slot = &wheel->ring->slots[index];
  struct kad_deadline *back = deadline->back;
  struct kad_deadline *next = deadline->next;
  *(back != NULL ? &back->next : &slot->first) = next;
  *(next != NULL ? &next->back : &slot->last) = back;
  deadline->back = NULL;
  deadline->next = NULL;
  deadline->queued = false;
  deadline->near = false;
  if (slot->first == NULL) {
    wheel->ring->busy[index / WORD_BITS] &= ~(UINT64_C(1) << index % WORD_BITS);
  }
  wheel->near--;
}

/* Moves deadlines that are near now from the heap to the ring. This happens
 * before a later addition to the ring, so the order is kept. */
static void move_near(struct kad_wheel *wheel) {
  while (wheel->beyond.root != NULL && is_near(wheel, wheel->beyond.root->at)) {
    struct kad_deadline *deadline = wheel->beyond.root;
    kad_heap_remove(&wheel->beyond, deadline);
    link_near(wheel, deadline);
  }
}

void kad_wheel_init(struct kad_wheel *wheel,
                    const struct kad_allocator *allocator) {
  *wheel = (struct kad_wheel){.allocator = *allocator};
}

void kad_wheel_deinit(struct kad_wheel *wheel) {
  kad_release(&wheel->allocator, wheel->ring, sizeof *wheel->ring);
  wheel->ring = NULL;
}

/* Makes the ring. Without memory only the heap is used until a later try. */
static void make_ring(struct kad_wheel *wheel) {
  wheel->ring = kad_alloc_zero(&wheel->allocator, sizeof *wheel->ring);
  move_near(wheel);
}

void kad_wheel_add(struct kad_wheel *wheel, struct kad_deadline *deadline,
                   kad_time_ms at) {
  kad_wheel_remove(wheel, deadline);
  if (wheel->ring == NULL && wheel->beyond.count >= KAD_WHEEL_FEW) {
    make_ring(wheel);
  }
  if (!is_near(wheel, at)) {
    kad_heap_add(&wheel->beyond, deadline, at);
    return;
  }
  *deadline = (struct kad_deadline){
      .at = at,
      .order = wheel->beyond.added++,
  };
  link_near(wheel, deadline);
}

void kad_wheel_remove(struct kad_wheel *wheel, struct kad_deadline *deadline) {
  if (deadline->near) {
    unlink_near(wheel, deadline);
  } else {
    kad_heap_remove(&wheel->beyond, deadline);
  }
}

/* Returns the first busy slot at or after the base. There must be one. */
static const struct wheel_slot *first_slot(const struct kad_wheel *wheel) {
  const struct kad_wheel_ring *ring = wheel->ring;
  const size_t from = slot_of(wheel, wheel->base);
  size_t word = from / WORD_BITS;
  uint64_t bits = ring->busy[word] & UINT64_MAX << from % WORD_BITS;
  while (bits == 0) { /* may wrap round to the bits before `from` */
    word = (word + 1) % WORDS;
    bits = ring->busy[word];
  }
  return &ring->slots[word * WORD_BITS + (size_t)__builtin_ctzll(bits)];
}

/* All deadlines of the ring are due before those of the heap. */
static struct kad_deadline *first_of(const struct kad_wheel *wheel) {
  return wheel->near > 0 ? first_slot(wheel)->first : wheel->beyond.root;
}

kad_time_ms kad_wheel_next(const struct kad_wheel *wheel) {
  const struct kad_deadline *first = first_of(wheel);
  return first != NULL ? first->at : KAD_TIME_NEVER;
}

/* Returns the earliest if it is due at `now`, else NULL. It stays queued. */
static struct kad_deadline *find_due(struct kad_wheel *wheel, kad_time_ms now) {
  const kad_time_ms next = kad_wheel_next(wheel);
  const kad_time_ms base = next < now ? next : now;
  if (base > wheel->base) { /* all slots before it are empty */
    wheel->base = base;
    move_near(wheel);
  }
  return next <= now ? first_of(wheel) : NULL;
}

struct kad_deadline *kad_wheel_pop_due(struct kad_wheel *wheel,
                                       kad_time_ms now) {
  return kad_wheel_pop_due_before(wheel, now, UINT64_MAX);
}

struct kad_deadline *kad_wheel_pop_due_before(struct kad_wheel *wheel,
                                              kad_time_ms now, uint64_t mark) {
  struct kad_deadline *due = find_due(wheel, now);
  if (due == NULL || due->order >= mark) {
    return NULL;
  }
  kad_wheel_remove(wheel, due);
  return due;
}
