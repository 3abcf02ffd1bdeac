#include "lookup/paths.h"

#include "base/address.h"
#include "lookup/network_size.h"

#include <assert.h>

enum {
  SUBNETS_MAX = 192, /* addresses in one set */
  SUBNETS_SHARE = 2, /* of one subnet */
  MISLEADING = 3,    /* dead contacts that a misleading candidate named */
  IMPLAUSIBLE = 1024 /* a node is so many times closer than usual in so many
                        lookups */
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

/* Returns the candidate that named another one, NULL for our own contacts. */
static struct kad_candidate *find_source(const struct kad_paths *paths,
                                         uint32_t number,
                                         const struct kad_contact *contact) {
  return contact->address.family == 0
             ? NULL
             : kad_candidates_find(&paths->path[number].candidates,
                                   &paths->target, contact);
}

/* Returns true if `candidate` may have made up the contacts that it named:
 * several are dead, and none is live. Where paths are disjoint because contacts
 * may lie, as many live ones do not excuse it: they may be its accomplices. */
static bool misleads(const struct kad_paths *paths,
                     const struct kad_candidate *candidate) {
  const uint32_t excused = paths->count > 1 ? candidate->named_dead : 0;
  return candidate->named_dead >= MISLEADING &&
         candidate->named_live <= excused;
}

/* Returns true if `source` (NULL: our table), or one in the chain of those that
 * led to it, is misleading. Each has fewer hops than the next. */
static bool is_misled(const struct kad_paths *paths, uint32_t number,
                      const struct kad_candidate *source) {
  while (source != NULL && !misleads(paths, source)) {
    source = find_source(paths, number, &source->heard_from);
  }
  return source != NULL;
}

static bool is_doubtful(const struct kad_paths *paths, uint32_t number,
                        const struct kad_candidate *candidate) {
  return candidate->is_implausible ||
         (is_misled(paths, number,
                    find_source(paths, number, &candidate->heard_from)) &&
          (candidate->also_from.address.family == 0 ||
           is_misled(paths, number,
                     find_source(paths, number, &candidate->also_from))));
}

static bool is_dead(enum kad_candidate_state state) {
  return state == KAD_CANDIDATE_SLOW || state == KAD_CANDIDATE_FAILED;
}

/* Counts that the state of a contact has changed for the one that named it,
 * which may be NULL. */
static void count_change(struct kad_candidate *source,
                         enum kad_candidate_state before,
                         enum kad_candidate_state state) {
  if (source != NULL) {
    source->named_dead += is_dead(state);
    source->named_dead -= is_dead(before);
    source->named_live += state == KAD_CANDIDATE_ANSWERED;
    source->named_live -= before == KAD_CANDIDATE_ANSWERED;
  }
}

/* Changes the state of one candidate. */
static void set_state(const struct kad_paths *paths, uint32_t number,
                      struct kad_candidate *candidate,
                      enum kad_candidate_state state) {
  const enum kad_candidate_state before = candidate->state;
  candidate->state = state;
  count_change(find_source(paths, number, &candidate->heard_from), before,
               state);
  count_change(find_source(paths, number, &candidate->also_from), before,
               state);
}

/* Notes that `known` was named again, as `made`. A reply that names it twice
 * counts once. Of those that named it, keeps two: the one at least hops, and
 * one that is not misled. */
static void note_naming(const struct kad_paths *paths, uint32_t number,
                        struct kad_candidate *known,
                        const struct kad_candidate *made) {
  known->named += known->named_by != made->named_by;
  known->named_by = made->named_by;
  if (known->heard_from.address.family == 0 ||
      kad_contact_equal(&known->heard_from, &made->heard_from) ||
      kad_contact_equal(&known->also_from, &made->heard_from)) {
    return;
  }
  if (made->hop < known->hop) {
    known->also_from = known->heard_from;
    known->heard_from = made->heard_from;
    known->hop = made->hop;
  } else if (known->also_from.address.family == 0 ||
             is_misled(paths, number,
                       find_source(paths, number, &known->also_from))) {
    known->also_from = made->heard_from;
  } else {
    return;
  }
  count_change(find_source(paths, number, &made->heard_from),
               KAD_CANDIDATE_HEARD, known->state);
}

/* Returns the state of a candidate at an address where `other` has been asked.
 */
static enum kad_candidate_state state_beside(
    const struct kad_candidate *candidate, const struct kad_candidate *other) {
  return other->state == KAD_CANDIDATE_ANSWERED &&
                 !kad_id_equal(&candidate->contact.id, &other->contact.id)
             ? KAD_CANDIDATE_FAILED
             : other->state;
}

/* Gives a new candidate the state of its address, if that was asked. */
static void take_state(const struct kad_paths *paths, uint32_t number,
                       struct kad_candidate *made) {
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    for (size_t j = 0; j < known->count; j++) {
      const struct kad_candidate *other = &known->items[j];
      if (other != made && other->state != KAD_CANDIDATE_HEARD &&
          !other->elsewhere &&
          kad_address_equal(&other->contact.address, &made->contact.address)) {
        made->elsewhere = true;
        set_state(paths, number, made, state_beside(made, other));
        return;
      }
    }
  }
}

/* Returns true if hardly any lookup finds a contact that is so close. Those of
 * our own table are plausible: they answer us all the time. */
static bool is_implausible(const struct kad_paths *paths,
                           const struct kad_candidate *candidate) {
  const struct kad_id *id = &candidate->contact.id;
  return paths->nodes > 0 && candidate->heard_from.address.family != 0 &&
         !kad_id_equal(&paths->target, id) &&
         kad_network_size_share(&paths->target, id) * paths->nodes *
                 IMPLAUSIBLE <
             1;
}

struct kad_candidate *kad_paths_add(struct kad_paths *paths,
                                    const struct kad_allocator *allocator,
                                    uint32_t number,
                                    const struct kad_candidate *made) {
  struct kad_candidates *candidates = &paths->path[number].candidates;
  struct kad_candidate *known =
      kad_candidates_find(candidates, &paths->target, &made->contact);
  if (known != NULL) {
    note_naming(paths, number, known, made);
    return NULL;
  }
  known = kad_candidates_add(candidates, allocator, &paths->target, made);
  if (known != NULL) {
    known->is_implausible = is_implausible(paths, known);
    take_state(paths, number, known);
  }
  return known;
}

/* Returns how many replies on all paths named `contact`. */
static uint32_t count_namings(const struct kad_paths *paths,
                              const struct kad_contact *contact) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidate *known = kad_candidates_find(
        &paths->path[i].candidates, &paths->target, contact);
    count += known != NULL ? known->named : 0;
  }
  return count;
}

/* Returns true if more replies named the id of `candidate` at another address,
 * where it may be: nothing shows yet that it is not. */
static bool is_outvoted(const struct kad_paths *paths,
                        const struct kad_candidate *candidate) {
  const struct kad_id *id = &candidate->contact.id;
  uint32_t namings = 0;
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    for (size_t j = kad_candidates_place(known, &paths->target, id);
         j < known->count && kad_id_equal(&known->items[j].contact.id, id);
         j++) {
      const struct kad_candidate *rival = &known->items[j];
      if (is_dead(rival->state) ||
          kad_address_equal(&rival->contact.address,
                            &candidate->contact.address)) {
        continue;
      }
      namings =
          namings > 0 ? namings : count_namings(paths, &candidate->contact);
      if (count_namings(paths, &rival->contact) > namings) {
        return true;
      }
    }
  }
  return false;
}

/* Counts of the candidates of a path. */
struct tally {
  struct kad_candidate *next;
  uint32_t answered;
  uint32_t waiting; /* have to answer before the path ends */
  uint32_t secure;  /* of those that answered or have to */
  uint32_t slow;
  uint32_t doubtful; /* named by misleading candidates; not counted otherwise */
  const struct kad_candidate *last; /* that has answered */
  struct subnets *subnets;
};

static void count_candidate(const struct kad_paths *paths, uint32_t number,
                            struct kad_candidate *candidate, bool with_doubtful,
                            struct tally *tally) {
  const enum kad_candidate_state state = candidate->state;
  if (state == KAD_CANDIDATE_HEARD && is_outvoted(paths, candidate)) {
    return;
  }
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
    if (tally->last == NULL ||
        !kad_id_equal(&tally->last->contact.id, &candidate->contact.id)) {
      tally->answered++;
      tally->secure += candidate->is_secure;
    }
    tally->last = candidate;
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

/* Gives the other candidates with the address of `asked` their state. */
static void spread_state(struct kad_paths *paths,
                         const struct kad_candidate *asked) {
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    for (size_t j = 0; j < known->count; j++) {
      struct kad_candidate *other = &known->items[j];
      if (other != asked &&
          kad_address_equal(&other->contact.address, &asked->contact.address)) {
        other->elsewhere = true;
        set_state(paths, i, other, state_beside(other, asked));
      }
    }
  }
}

void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state) {
  struct kad_path *path = &paths->path[number];
  path->in_flight -=
      !candidate->elsewhere && candidate->state == KAD_CANDIDATE_ASKED;
  path->in_flight += state == KAD_CANDIDATE_ASKED;
  candidate->elsewhere = false;
  set_state(paths, number, candidate, state);
  spread_state(paths, candidate);
}

/* In which order holders are chosen. */
enum rank {
  RANK_FIRST,
  RANK_INSECURE,    /* where secure ones are preferred */
  RANK_IMPLAUSIBLE, /* probably chosen for the key */
  RANKS
};

static enum rank rank_of(const struct kad_paths *paths,
                         const struct kad_candidate *candidate) {
  if (candidate->is_implausible) {
    return RANK_IMPLAUSIBLE;
  }
  return paths->prefer_secure && !candidate->is_secure ? RANK_INSECURE
                                                       : RANK_FIRST;
}

/* Which candidates a merge of the paths takes. */
struct merge {
  const struct kad_paths *paths;
  bool unasked; /* also those that no path has asked */
  bool by_rank; /* only those of `rank` */
  enum rank rank;
  size_t at[KAD_PATHS_MAX]; /* of each path, the next candidate */
  struct subnets *subnets;
};

static bool is_wanted(const struct merge *merge,
                      const struct kad_candidate *candidate) {
  if ((merge->by_rank && rank_of(merge->paths, candidate) != merge->rank) ||
      is_outvoted(merge->paths, candidate)) {
    return false;
  }
  return (candidate->state == KAD_CANDIDATE_ANSWERED &&
          !candidate->elsewhere) ||
         candidate->asked_find_node ||
         (merge->unasked && candidate->state == KAD_CANDIDATE_HEARD);
}

/* Moves each path's place to its next wanted candidate. Returns the path with
 * the closest of these, or the number of paths if there is none. */
static uint32_t find_closest_path(struct merge *merge) {
  const struct kad_paths *paths = merge->paths;
  size_t *at = merge->at;
  uint32_t best = paths->count;
  for (uint32_t i = 0; i < paths->count; i++) {
    const struct kad_candidates *known = &paths->path[i].candidates;
    while (at[i] < known->count && !is_wanted(merge, &known->items[at[i]])) {
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
  for (int rank = RANK_FIRST; rank < RANKS; rank++) {
    struct merge merge = {
        .paths = paths,
        .unasked = unasked,
        .by_rank = true,
        .rank = (enum rank)rank,
        .subnets = &subnets,
    };
    count = append_merged(&merge, out, count, cap);
  }
  return count;
}

/* Returns true if k contacts have answered on all paths together. */
static bool has_result(const struct kad_paths *paths, uint32_t k) {
  const struct kad_candidate *closest[KAD_K_MAX];
  return paths->count > 1 && kad_paths_closest(paths, closest, k) == k;
}

struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k) {
  struct tally tally = count_closest(paths, number, k, false);
  if (tally.waiting == 0 && tally.answered < k && has_result(paths, k)) {
    return (struct kad_path_view){.reached = true, .over = true};
  }
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
