#include "lookup/paths.h"

#include "base/address.h"

#include <assert.h>

enum {
  SUBNETS_MAX = 192, /* addresses in one set */
  SUBNETS_SHARE = 2  /* of one subnet */
};

/* The share of each subnet in a set of contacts: at most two of one subnet (/24
 * or /64) are taken, so that an attacker needs many networks and not only many
 * addresses. Local addresses are exempt where they are allowed. */
struct subnets {
  bool allow_local;
  size_t count;
  const struct kad_address *taken[SUBNETS_MAX];
};

/* Adds `address` to the set. Returns false if its subnet has its share already
 * or the set is full. Borrows: `address`. */
static bool take_subnet(struct subnets *subnets,
                        const struct kad_address *address) {
  size_t taken = 0;
  if (subnets->count == SUBNETS_MAX) {
    return false;
  }
  for (size_t i = 0; i < subnets->count && taken < SUBNETS_SHARE; i++) {
    taken += kad_address_same_subnet(subnets->taken[i], address);
  }
  if (taken == SUBNETS_SHARE &&
      !(subnets->allow_local && kad_address_is_local(address))) {
    return false;
  }
  subnets->taken[subnets->count++] = address;
  return true;
}

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

/* Returns a candidate's state; if another path asked it, its state there. */
static enum kad_candidate_state find_state(
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

/* Returns the candidate that named another one, NULL for our own contacts. */
static struct kad_candidate *find_source(
    const struct kad_paths *paths, uint32_t number,
    const struct kad_candidate *candidate) {
  return candidate->heard_from.address.family == 0
             ? NULL
             : kad_candidates_find(&paths->path[number].candidates,
                                   &paths->target, &candidate->heard_from);
}

static bool is_doubtful(const struct kad_paths *paths, uint32_t number,
                        const struct kad_candidate *candidate) {
  const struct kad_candidate *source = find_source(paths, number, candidate);
  return source != NULL && kad_candidate_misleads(source);
}

/* Counts of the candidates of a path. */
struct tally {
  struct kad_candidate *next;
  uint32_t answered;
  uint32_t waiting; /* have to answer before the path ends */
  uint32_t secure;  /* of those that answered or have to */
  uint32_t slow;
  uint32_t doubtful; /* named by misleading candidates; not counted otherwise */
  struct subnets *subnets;
};

static void count_candidate(const struct kad_paths *paths, uint32_t number,
                            struct kad_candidate *candidate, bool with_doubtful,
                            struct tally *tally) {
  const enum kad_candidate_state state = find_state(paths, number, candidate);
  if (state == KAD_CANDIDATE_HEARD && !with_doubtful &&
      is_doubtful(paths, number, candidate)) {
    tally->doubtful++;
    return;
  }
  if (state != KAD_CANDIDATE_SLOW && state != KAD_CANDIDATE_FAILED &&
      !take_subnet(tally->subnets, &candidate->contact.address)) {
    return;
  }
  switch (state) {
  case KAD_CANDIDATE_HEARD:
    if (tally->next == NULL || candidate->cost < tally->next->cost) {
      tally->next = candidate;
    }
    tally->waiting++;
    tally->secure += candidate->is_secure;
    return;
  case KAD_CANDIDATE_ASKED:
    tally->waiting++;
    tally->secure += candidate->is_secure;
    return;
  case KAD_CANDIDATE_SLOW:
    tally->slow++;
    return;
  case KAD_CANDIDATE_ANSWERED:
    tally->answered++;
    tally->secure += candidate->is_secure;
    return;
  case KAD_CANDIDATE_FAILED:
    return;
  }
}

static struct tally count_closest(const struct kad_paths *paths,
                                  uint32_t number, uint32_t k,
                                  bool with_doubtful) {
  const struct kad_candidates *known = &paths->path[number].candidates;
  struct subnets subnets;
  struct tally tally = {.subnets = &subnets};
  subnets.allow_local = paths->allow_local;
  subnets.count = 0;
  for (size_t i = 0; i < known->count; i++) {
    const bool has_enough = tally.answered + tally.waiting >= k;
    if (has_enough && (!paths->prefer_secure || tally.secure >= k)) {
      break;
    }
    if (!has_enough || known->items[i].is_secure) {
      count_candidate(paths, number, &known->items[i], with_doubtful, &tally);
    }
  }
  return tally;
}

struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k) {
  struct tally tally = count_closest(paths, number, k, false);
  if (tally.waiting == 0 && tally.slow == 0 && tally.answered < k &&
      tally.doubtful > 0) {
    tally = count_closest(paths, number, k, true);
  }
  const bool reached =
      tally.waiting == 0 && (tally.answered >= k || tally.slow == 0);
  return (struct kad_path_view){
      .next = tally.next,
      .reached = reached,
      .over = reached || (tally.waiting == 0 && paths->leaves_slow),
  };
}

void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state) {
  struct kad_path *path = &paths->path[number];
  struct kad_candidate *source = find_source(paths, number, candidate);
  const enum kad_candidate_state before = candidate->state;
  path->in_flight -= before == KAD_CANDIDATE_ASKED;
  path->in_flight += state == KAD_CANDIDATE_ASKED;
  candidate->state = state;
  if (source == NULL) {
    return;
  }
  source->named_dead -= before == KAD_CANDIDATE_SLOW;
  source->named_dead +=
      state == KAD_CANDIDATE_SLOW || state == KAD_CANDIDATE_FAILED;
  source->named_live += state == KAD_CANDIDATE_ANSWERED;
}

/* Which candidates a merge of the paths takes. */
struct merge {
  const struct kad_paths *paths;
  bool unasked;     /* also those that no path has asked */
  bool by_security; /* only those that are, or are not, `secure` */
  bool secure;
  size_t at[KAD_PATHS_MAX]; /* of each path, the next candidate */
  struct subnets *subnets;
};

static bool is_wanted(const struct merge *merge, uint32_t number,
                      const struct kad_candidate *candidate) {
  if (merge->by_security && candidate->is_secure != merge->secure) {
    return false;
  }
  return candidate->state == KAD_CANDIDATE_ANSWERED ||
         candidate->asked_find_node ||
         (merge->unasked &&
          find_state(merge->paths, number, candidate) == KAD_CANDIDATE_HEARD);
}

/* Moves each path's place to its next wanted candidate. Returns the path with
 * the closest of these, or the number of paths if there is none. */
static uint32_t find_closest_path(struct merge *merge) {
  const struct kad_paths *paths = merge->paths;
  size_t *at = merge->at;
  uint32_t best = paths->count;
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    while (at[i] < known->count && !is_wanted(merge, i, &known->items[at[i]])) {
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

/* Appends wanted candidates, closest first, to the `count` in `out`. Returns
 * their number. */
static size_t append_merged(struct merge *merge,
                            const struct kad_candidate **out, size_t count,
                            size_t cap) {
  while (count < cap) {
    const uint32_t best = find_closest_path(merge);
    if (best == merge->paths->count) {
      break;
    }
    const struct kad_candidate *candidate =
        &merge->paths->path[best].candidates.items[merge->at[best]++];
    if ((count == 0 ||
         !kad_id_equal(&out[count - 1]->contact.id, &candidate->contact.id)) &&
        take_subnet(merge->subnets, &candidate->contact.address)) {
      out[count++] = candidate;
    }
  }
  return count;
}

size_t kad_paths_closest(const struct kad_paths *paths,
                         const struct kad_candidate **out, size_t cap) {
  struct subnets subnets;
  struct merge merge = {.paths = paths, .subnets = &subnets};
  subnets.allow_local = paths->allow_local;
  subnets.count = 0;
  return append_merged(&merge, out, 0, cap);
}

size_t kad_paths_holders(const struct kad_paths *paths, bool unasked,
                         const struct kad_candidate **out, size_t cap) {
  struct subnets subnets;
  size_t count = 0;
  subnets.allow_local = paths->allow_local;
  subnets.count = 0;
  for (int pass = paths->prefer_secure ? 0 : 1; pass < 2; pass++) {
    struct merge merge = {
        .paths = paths,
        .unasked = unasked,
        .by_security = paths->prefer_secure,
        .secure = pass == 0,
        .subnets = &subnets,
    };
    count = append_merged(&merge, out, count, cap);
  }
  return count;
}
