#include "lookup/candidates.h"

#include "base/address.h"
#include "base/array.h"

#include <string.h>

enum {
  GROWTH = 32,   /* candidates by which the array grows */
  MISLEADING = 3 /* dead contacts that a misleading candidate named */
};

void kad_candidates_deinit(struct kad_candidates *candidates,
                           const struct kad_allocator *allocator) {
  KAD_ARRAY_FREE(allocator, &candidates->items, &candidates->cap);
  *candidates = (struct kad_candidates){0};
}

/* Returns the place of `id` in the order of distance. */
static size_t find_place(const struct kad_candidates *candidates,
                         const struct kad_id *target, const struct kad_id *id) {
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

static bool is_known(const struct kad_candidates *candidates,
                     const struct kad_contact *contact) {
  for (size_t i = 0; i < candidates->count; i++) {
    const struct kad_contact *other = &candidates->items[i].contact;
    if (kad_id_equal(&other->id, &contact->id) ||
        kad_address_equal(&other->address, &contact->address)) {
      return true;
    }
  }
  return false;
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

bool kad_candidates_add(struct kad_candidates *candidates,
                        const struct kad_allocator *allocator,
                        const struct kad_id *target,
                        const struct kad_candidate *made) {
  const size_t place = find_place(candidates, target, &made->contact.id);
  if (is_known(candidates, &made->contact) ||
      !make_room(candidates, allocator, place)) {
    return false;
  }
  memmove(&candidates->items[place + 1], &candidates->items[place],
          (candidates->count - place) * sizeof *candidates->items);
  candidates->items[place] = *made;
  candidates->count++;
  return place == 0;
}

struct kad_candidate *kad_candidates_find(
    const struct kad_candidates *candidates, const struct kad_id *target,
    const struct kad_contact *contact) {
  const size_t place = find_place(candidates, target, &contact->id);
  return place < candidates->count &&
                 kad_contact_equal(&candidates->items[place].contact, contact)
             ? &candidates->items[place]
             : NULL;
}

bool kad_candidate_misleads(const struct kad_candidate *candidate) {
  return candidate->named_live == 0 && candidate->named_dead >= MISLEADING;
}
