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
 * An address is asked once, on whichever path, and its answer decides which of
 * its ids is right: that one has answered, the others have failed. An id that
 * answers at several addresses counts once.
 *
 * Only the two closest live candidates of a subnet count, on each path and
 * among all that have answered. Others are ignored as if they were dead.
 *
 * Doubtful candidates are asked only when a path has no others left and too few
 * have answered. Candidates are doubtful that
 *   - are implausible: so close to the target that in an overlay of this size
 *     one lookup in a thousand has such a contact. They are the last holders.
 *     Contacts of our table, and the one whose id is the target, are exempt;
 *   - only misleading candidates named, directly or through others. A candidate
 *     misleads that named several dead contacts, and no live one or, where
 *     there are several paths, not more live ones than dead ones;
 * and a candidate waits while more replies named its id at another address,
 * where it may be.
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
  double nodes; /* of the overlay, estimated; 0: unknown */
  uint32_t count;
  struct kad_path path[KAD_PATHS_MAX]; /* only the first `count` are used */
};

/* The state of a path. */
struct kad_path_view {
  struct kad_candidate *next; /* the candidate to ask: the one of least cost
                                 that no path has asked, the closest among
                                 equals; or NULL */
  bool reached;               /* the k closest live candidates have answered,
                                 and the k closest secure ones, if preferred;
                                 or none is left, and k contacts have answered
                                 on all paths together */
  bool over;                  /* no candidate is awaited any more */
};

/* Makes `count` paths (1 … KAD_PATHS_MAX) without candidates. */
void kad_paths_init(struct kad_paths *paths, const struct kad_id *target,
                    uint32_t count, bool allow_local);
void kad_paths_deinit(struct kad_paths *paths,
                      const struct kad_allocator *allocator);

/* Adds a copy of `made` to path `number`, with the state of its address, or
 * notes that it was named again. Returns the new candidate, or NULL if there is
 * none. Moves the other candidates. */
struct kad_candidate *kad_paths_add(struct kad_paths *paths,
                                    const struct kad_allocator *allocator,
                                    uint32_t number,
                                    const struct kad_candidate *made);

/* Evaluates the k closest live candidates of path `number`. Farther ones
 * replace a slow one; the path waits for it only if fewer than k answer, and
 * unless it leaves slow ones. */
struct kad_path_view kad_paths_view(const struct kad_paths *paths,
                                    uint32_t number, uint32_t k);

/* Changes the state of a candidate of path `number`, that of the others with
 * its address, and the counts of the candidates that named them. */
void kad_paths_set(struct kad_paths *paths, uint32_t number,
                   struct kad_candidate *candidate,
                   enum kad_candidate_state state);

/* Writes up to `cap` candidates that answered on any path to `out`, closest
 * first, and returns their number. Valid until the lookup goes on. */
size_t kad_paths_closest(const struct kad_paths *paths,
                         const struct kad_candidate **out, size_t cap);

/* The same in the order in which they should hold a record: secure ones first,
 * if preferred, and implausible ones last. With `unasked`, also those that no
 * path has asked. */
size_t kad_paths_holders(const struct kad_paths *paths, bool unasked,
                         const struct kad_candidate **out, size_t cap);

#endif
