#include "rpc/replay_filter.h"

#include "base/array.h"
#include "base/time.h"

#include <string.h>

enum {
  FIRST_SLOTS = 64, /* a power of two */
  SLOTS_MAX = 2 * KAD_REPLAY_MAX
};

void kad_replay_filter_init(struct kad_replay_filter *filter,
                            const struct kad_allocator *allocator,
                            kad_time_ms span_ms, kad_time_ms now) {
  *filter = (struct kad_replay_filter){
      .allocator = *allocator, .span_ms = span_ms, .began_at = now};
}

void kad_replay_filter_deinit(struct kad_replay_filter *filter) {
  KAD_ARRAY_FREE(&filter->allocator, &filter->young.slots, &filter->young.cap);
  KAD_ARRAY_FREE(&filter->allocator, &filter->old.slots, &filter->old.cap);
}

/* Returns the slot of `mark`, or the free one where it belongs. At least half
 * of the slots are free. */
static uint64_t *find_slot(const struct kad_replay_generation *generation,
                           uint64_t mark) {
  size_t i = (size_t)mark & (generation->cap - 1);
  while (generation->slots[i] != 0 && generation->slots[i] != mark) {
    i = (i + 1) & (generation->cap - 1);
  }
  return &generation->slots[i];
}

static bool has(const struct kad_replay_generation *generation, uint64_t mark) {
  return generation->cap > 0 && *find_slot(generation, mark) == mark;
}

/* Moves `generation` to a table of twice as many slots. Returns false, with
 * nothing changed, at the greatest size or when out of memory. */
static bool grow(const struct kad_replay_filter *filter,
                 struct kad_replay_generation *generation) {
  const size_t cap = generation->cap == 0 ? FIRST_SLOTS : 2 * generation->cap;
  struct kad_replay_generation grown = {.count = generation->count};
  if (cap > SLOTS_MAX || KAD_ARRAY_RESERVE(&filter->allocator, &grown.slots,
                                           &grown.cap, cap) != 0) {
    return false;
  }
  memset(grown.slots, 0, cap * sizeof *grown.slots);
  for (size_t i = 0; i < generation->cap; i++) {
    if (generation->slots[i] != 0) {
      *find_slot(&grown, generation->slots[i]) = generation->slots[i];
    }
  }
  KAD_ARRAY_FREE(&filter->allocator, &generation->slots, &generation->cap);
  *generation = grown;
  return true;
}

/* Begins a generation; forgets the one before the last. */
static void begin_generation(struct kad_replay_filter *filter,
                             kad_time_ms now) {
  KAD_ARRAY_FREE(&filter->allocator, &filter->old.slots, &filter->old.cap);
  filter->old = filter->young;
  filter->young = (struct kad_replay_generation){0};
  filter->began_at = now;
}

static bool is_full(const struct kad_replay_generation *generation) {
  return 2 * generation->count >= generation->cap;
}

bool kad_replay_filter_admit(struct kad_replay_filter *filter,
                             const uint8_t *nonce, kad_time_ms now) {
  uint64_t mark;
  memcpy(&mark, nonce, sizeof mark);
  mark = mark == 0 ? 1 : mark;
  if (kad_time_since(filter->began_at, now) > filter->span_ms) {
    begin_generation(filter, now);
  }
  if (has(&filter->young, mark) || has(&filter->old, mark)) {
    return false;
  }
  if (is_full(&filter->young) && !grow(filter, &filter->young)) {
    begin_generation(filter, now);
    if (!grow(filter, &filter->young)) {
      return true;
    }
  }
  *find_slot(&filter->young, mark) = mark;
  filter->young.count++;
  return true;
}
