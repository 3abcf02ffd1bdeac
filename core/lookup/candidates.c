#include "lookup/candidates.h"

#include "base/address.h"
#include "base/array.h"

#include <assert.h>
#include <string.h>

enum {
  GROWTH = 32 /* candidates by which the array grows */
};

void kad_candidates_deinit(struct kad_candidates *candidates,
                           const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &candidates->items, &candidates->cap);
  *candidates = (struct kad_candidates){0};
}

size_t kad_candidates_place(const struct kad_candidates *candidates,
                            const struct kad_id *target,
                            const struct kad_id *id) {
  size_t low = 0;
  size_t high = candidates->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (kad_id_compare(target, &candidates->items[middle].contact.id, id) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Makes room for a candidate at `place`. Returns false if there is none. */
static bool make_room(struct kad_candidates *candidates,
                      const struct kad_allocator *allocator, size_t place) {
  if (candidates->count < candidates->cap) {
    return true;
  }
  if (candidates->cap >= KAD_CANDIDATES_MAX) {
    const size_t last = candidates->count - 1;
    if (place > last || candidates->items[last].state != KAD_CANDIDATE_HEARD) {
      return false;
    }
    candidates->count--;
    return true;
  }
  return KAD_ARRAY_RESERVE(allocator, &candidates->items, &candidates->cap,
                           candidates->cap + GROWTH) == 0;
}

struct kad_candidate *kad_candidates_add(struct kad_candidates *candidates,
                                         const struct kad_allocator *allocator,
                                         const struct kad_id *target,
                                         const struct kad_candidate *made) {
  assert(candidates->cap == 0 || candidates->items != NULL);
  const size_t place =
      kad_candidates_place(candidates, target, &made->contact.id);
  if (kad_candidates_find(candidates, target, &made->contact) != NULL ||
      !make_room(candidates, allocator, place)) {
    return NULL;
  }
  memmove(&candidates->items[place + 1], &candidates->items[place],
          (candidates->count - place) * sizeof *candidates->items);
  candidates->items[place] = *made;
  candidates->count++;
  return &candidates->items[place];
}

struct kad_candidate *kad_candidates_find(
    const struct kad_candidates *candidates, const struct kad_id *target,
    const struct kad_contact *contact) {
  size_t place = kad_candidates_place(candidates, target, &contact->id);
  for (; place < candidates->count &&
         kad_id_equal(&candidates->items[place].contact.id, &contact->id);
       place++) {
    struct kad_candidate *candidate = &candidates->items[place];
    if (kad_address_equal(&candidate->contact.address, &contact->address)) {
      return candidate;
    }
  }
  return NULL;
}
