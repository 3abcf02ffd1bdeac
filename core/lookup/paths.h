/* The disjoint paths of a lookup. Each is a search of its own: it knows only
 * its share of our own contacts and what it was told by those that it asked. A
 * contact is asked on one path only, the first that gets to it; the others that
 * have heard of it wait for its answer, but learn nothing of it. So whoever
 * lies leads one path astray. A lookup on one path is Kademlia's.
 *
 *   our contacts ─┬─► path 0: candidates ─► asked ─┐
 *                 ├─► path 1: candidates ─► asked ─┼─► the k closest answers
 *                 └─► …                            ┘
 *
 * Of one subnet two live candidates count, the closest, on each path and of all
 * that have answered: a third is passed over as if it were dead.
 *
 * Whoever named several contacts of which none is heard of in time is not
 * believed any more: what else it named is asked when nothing else is left.
 * Source: S/Kademlia §4.4. */
#ifndef KAD_LOOKUP_PATHS_H
#define KAD_LOOKUP_PATHS_H

#include "lookup/candidates.h"

/* A path. */
struct kad_path {
  struct kad_candidates candidates;
  uint32_t in_flight; /* asked, and not slow */
  uint32_t burst;     /* queries that may go out whatever is in flight */
  uint32_t fruitless; /* answers in a row that brought nothing closer */
  uint32_t asked;     /* candidates */
};

struct kad_paths {
  struct kad_id target;
  bool allow_local; /* local addresses are exempt from subnet bounds */
  uint32_t count;
  struct kad_path path[KAD_PATHS_MAX]; /* but the first `count` are unused */
};

/* What a path waits for, and whom to ask next. */
struct kad_path_view {
  struct kad_candidate *next; /* of those that nobody has asked the one that
                                 costs least, of equals the closest; or NULL */
  bool reached;               /* the k closest live candidates have answered */
};

/* Begins with `count` paths (1 … KAD_PATHS_MAX) that know nobody. */
void kad_paths_init(struct kad_paths *paths, const struct kad_id *target,
                    uint32_t count, bool allow_local);
void kad_paths_deinit(struct kad_paths *paths,
                      const struct kad_allocator *allocator);

/* Looks at the k closest live candidates of path `number`. One that is slow
 * counts as dead while there are others: farther ones are asked in its stead,
 * and only for want of k answers is it awaited. */
struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k);

/* Changes the state of a candidate of path `number`, and what is thought of
 * whoever named it. */
void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state);

/* Copies up to `cap` candidates of all paths that answered, closest first, to
 * `out`, and returns their number. */
size_t kad_paths_closest(const struct kad_paths *paths,
                         const struct kad_candidate **out, size_t cap);

/* The same, with those that have not been asked on any path. */
size_t kad_paths_living(const struct kad_paths *paths,
                        const struct kad_candidate **out, size_t cap);

#endif
