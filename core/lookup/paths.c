#include "lookup/paths.h"

#include "routing/subnets.h"

#include <assert.h>

void kad_paths_init(struct kad_paths *paths, const struct kad_id *target,
                    uint32_t count, bool allow_local) {
  assert(count > 0 && count <= KAD_PATHS_MAX);
  *paths = (struct kad_paths){
      .target = *target, .count = count, .allow_local = allow_local};
}

void kad_paths_deinit(struct kad_paths *paths,
                      const struct kad_allocator *allocator) {
  for (uint32_t i = 0; i < paths->count; i++) {
    kad_candidates_deinit(&paths->path[i].candidates, allocator);
  }
}

/* Returns the state of a candidate of path `number`: if it was asked on another
 * path, what became of it there. */
static enum kad_candidate_state state_of(
    const struct kad_paths *paths, uint32_t number,
    const struct kad_candidate *candidate) {
  if (candidate->state != KAD_CANDIDATE_HEARD) {
    return candidate->state;
  }
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidate *other =
        i == number ? NULL
                    : kad_candidates_find(&paths->path[i].candidates,
                                          &paths->target, &candidate->contact);
    if (other != NULL && other->state != KAD_CANDIDATE_HEARD) {
      return other->state;
    }
  }
  return KAD_CANDIDATE_HEARD;
}

/* Returns whoever named a candidate, NULL for our own contacts. */
static struct kad_candidate *source_of(const struct kad_paths *paths,
                                       uint32_t number,
                                       const struct kad_candidate *candidate) {
  return candidate->heard_from.address.family == 0
             ? NULL
             : kad_candidates_find(&paths->path[number].candidates,
                                   &paths->target, &candidate->heard_from);
}

static bool is_doubtful(const struct kad_paths *paths, uint32_t number,
                        const struct kad_candidate *candidate) {
  const struct kad_candidate *source = source_of(paths, number, candidate);
  return source != NULL && kad_candidate_misleads(source);
}

/* What there is among the candidates of a path. */
struct tally {
  struct kad_candidate *next;
  uint32_t answered;
  uint32_t waiting; /* that have to answer before it ends */
  uint32_t slow;
  uint32_t doubted; /* passed over */
  struct kad_subnets *subnets;
};

static void count_candidate(const struct kad_paths *paths, uint32_t number,
                            struct kad_candidate *candidate, bool credulous,
                            struct tally *tally) {
  const enum kad_candidate_state state = state_of(paths, number, candidate);
  if (state == KAD_CANDIDATE_HEARD && !credulous &&
      is_doubtful(paths, number, candidate)) {
    tally->doubted++;
    return;
  }
  if (state != KAD_CANDIDATE_SLOW && state != KAD_CANDIDATE_FAILED &&
      !kad_subnets_take(tally->subnets, &candidate->contact.address)) {
    return;
  }
  switch (state) {
  case KAD_CANDIDATE_HEARD:
    if (tally->next == NULL || candidate->cost < tally->next->cost) {
      tally->next = candidate;
    }
    tally->waiting++;
    return;
  case KAD_CANDIDATE_ASKED:
    tally->waiting++;
    return;
  case KAD_CANDIDATE_SLOW:
    tally->slow++;
    return;
  case KAD_CANDIDATE_ANSWERED:
    tally->answered++;
    return;
  case KAD_CANDIDATE_FAILED:
    return;
  }
}

static struct tally count_closest(const struct kad_paths *paths,
                                  uint32_t number, uint32_t k, bool credulous) {
  const struct kad_candidates *known = &paths->path[number].candidates;
  struct kad_subnets subnets;
  struct tally tally = {.subnets = &subnets};
  kad_subnets_init(&subnets, paths->allow_local);
  for (size_t i = 0; i < known->count && tally.answered + tally.waiting < k;
       i++) {
    count_candidate(paths, number, &known->items[i], credulous, &tally);
  }
  return tally;
}

struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k) {
  struct tally tally = count_closest(paths, number, k, false);
  if (tally.waiting == 0 && tally.slow == 0 && tally.answered < k &&
      tally.doubted > 0) {
    tally = count_closest(paths, number, k, true);
  }
  return (struct kad_path_view){
      .next = tally.next,
      .reached = tally.waiting == 0 && (tally.answered == k || tally.slow == 0),
  };
}

void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state) {
  struct kad_path *path = &paths->path[number];
  struct kad_candidate *source = source_of(paths, number, candidate);
  const enum kad_candidate_state before = candidate->state;
  path->in_flight -= before == KAD_CANDIDATE_ASKED;
  path->in_flight += state == KAD_CANDIDATE_ASKED;
  candidate->state = state;
  if (source == NULL) {
    return;
  }
  source->silent -= before == KAD_CANDIDATE_SLOW;
  source->silent +=
      state == KAD_CANDIDATE_SLOW || state == KAD_CANDIDATE_FAILED;
  source->spoke += state == KAD_CANDIDATE_ANSWERED;
}

/* Returns true for those that answered, and with `heard` for those that nobody
 * has asked. */
static bool is_wanted(const struct kad_paths *paths, uint32_t number,
                      const struct kad_candidate *candidate, bool heard) {
  return candidate->state == KAD_CANDIDATE_ANSWERED || candidate->bypassed ||
         (heard && state_of(paths, number, candidate) == KAD_CANDIDATE_HEARD);
}

/* Returns the path whose candidate at its place in `at` is the closest of all
 * that are wanted, moving each place to the next such one; `count` for none. */
static uint32_t closest_path(const struct kad_paths *paths,
                             size_t at[KAD_PATHS_MAX], bool heard) {
  uint32_t best = paths->count;
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    while (at[i] < known->count &&
           !is_wanted(paths, i, &known->items[at[i]], heard)) {
      at[i]++;
    }
    if (at[i] < known->count &&
        (best == paths->count ||
         kad_id_compare(
             &paths->target, &known->items[at[i]].contact.id,
             &paths->path[best].candidates.items[at[best]].contact.id) < 0)) {
      best = i;
    }
  }
  return best;
}

static size_t join(const struct kad_paths *paths, bool heard,
                   const struct kad_candidate **out, size_t cap) {
  size_t at[KAD_PATHS_MAX] = {0};
  size_t count = 0;
  struct kad_subnets subnets;
  kad_subnets_init(&subnets, paths->allow_local);
  while (count < cap) {
    const uint32_t best = closest_path(paths, at, heard);
    if (best == paths->count) {
      break;
    }
    const struct kad_candidate *candidate =
        &paths->path[best].candidates.items[at[best]++];
    if ((count == 0 ||
         !kad_id_equal(&out[count - 1]->contact.id, &candidate->contact.id)) &&
        kad_subnets_take(&subnets, &candidate->contact.address)) {
      out[count++] = candidate;
    }
  }
  return count;
}

size_t kad_paths_closest(const struct kad_paths *paths,
                         const struct kad_candidate **out, size_t cap) {
  return join(paths, false, out, cap);
}

size_t kad_paths_living(const struct kad_paths *paths,
                        const struct kad_candidate **out, size_t cap) {
  return join(paths, true, out, cap);
}
