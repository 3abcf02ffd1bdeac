/* The disjoint paths of a lookup. Each path is a search of its own. It knows
 * its share of our own contacts, and the contacts that it learnt from the
 * replies to its own queries. Only the first path that comes to a contact asks
 * it. The other paths that know the contact wait for its answer too, but do not
 * learn the contacts that it names. So a contact that lies misleads one path
 * only. A lookup on one path is Kademlia's.
 *
 *   our contacts ─┬─► path 0: candidates ─► asked ─┐
 *                 ├─► path 1: candidates ─► asked ─┼─► the k closest answers
 *                 └─► …                            ┘
 *
 * Where secure candidates are preferred, a path also waits for the k closest of
 * these, and they are the first holders: an attacker who chose ids near a key
 * cannot take their places. Others are asked only while they are among the k
 * closest of all. Source: BEP 42 "Enforcement".
 *
 * Only the two closest live candidates of a subnet count, on each path and
 * among all that have answered. Others are ignored as if they were dead.
 *
 * A candidate that named several dead contacts and no live one is misleading:
 * the other contacts that it named are asked only when no others are left.
 *
 * Tested by tests/sim/lookup_paths_test.c, tests/unit/lookup/lookup_test.c.
 * Source: S/Kademlia §4.4. */
#ifndef KAD_LOOKUP_PATHS_H
#define KAD_LOOKUP_PATHS_H

#include "lookup/candidates.h"

struct kad_path {
  struct kad_candidates candidates;
  uint32_t in_flight; /* queries that are not slow */
  uint32_t burst;     /* queries that may be sent beyond α in flight */
  uint32_t fruitless; /* replies in a row that named no closer contact */
  uint32_t asked;     /* candidates */
};

struct kad_paths {
  struct kad_id target;
  bool allow_local; /* local addresses are exempt from subnet bounds */
  bool leaves_slow; /* slow candidates are not awaited */
  bool prefer_secure;
  uint32_t count;
  struct kad_path path[KAD_PATHS_MAX]; /* only the first `count` are used */
};

/* The state of a path. */
struct kad_path_view {
  struct kad_candidate *next; /* the candidate to ask: the one of least cost
                                 that no path has asked, the closest among
                                 equals; or NULL */
  bool reached;               /* the k closest live candidates have answered,
                                 and the k closest secure ones, if preferred */
  bool over;                  /* no candidate is awaited any more */
};

/* Makes `count` paths (1 … KAD_PATHS_MAX) without candidates. */
void kad_paths_init(struct kad_paths *paths, const struct kad_id *target,
                    uint32_t count, bool allow_local);
void kad_paths_deinit(struct kad_paths *paths,
                      const struct kad_allocator *allocator);

/* Evaluates the k closest live candidates of path `number`. Farther ones
 * replace a slow one; the path waits for it only if fewer than k answer, and
 * unless it leaves slow ones. */
struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k);

/* Changes the state of a candidate of path `number`, and the counts of the
 * candidate that named it. */
void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state);

/* Writes up to `cap` candidates that answered on any path to `out`, closest
 * first, and returns their number. Valid until the lookup goes on. */
size_t kad_paths_closest(const struct kad_paths *paths,
                         const struct kad_candidate **out, size_t cap);

/* The same in the order in which they should hold a record: secure ones first,
 * if preferred. With `unasked`, also those that no path has asked. */
size_t kad_paths_holders(const struct kad_paths *paths, bool unasked,
                         const struct kad_candidate **out, size_t cap);

#endif
