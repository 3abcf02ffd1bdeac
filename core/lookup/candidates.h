/* The shortlist of one path of a lookup: the contacts that it knows, closest to
 * the target first.
 *
 * A candidate is an id at an address. What a contact names may be wrong, so an
 * id may be at several addresses, and an address may have several ids, until an
 * answer shows which is right: the first to name an id or an address cannot
 * hide it. See paths.h.
 *
 * Tested by tests/unit/lookup/lookup_test.c, tests/sim/lookup_rules_test.c. */
#ifndef KAD_LOOKUP_CANDIDATES_H
#define KAD_LOOKUP_CANDIDATES_H

#include "kadenza_codec.h"

enum {
  KAD_CANDIDATES_MAX = 256, /* the farthest are removed first */
  KAD_CANDIDATE_OWN = 1000  /* more than any number of replies */
};

/* See lookup.h. */
enum kad_candidate_state {
  KAD_CANDIDATE_HEARD,
  KAD_CANDIDATE_ASKED,
  KAD_CANDIDATE_SLOW,
  KAD_CANDIDATE_ANSWERED,
  KAD_CANDIDATE_FAILED
};

struct kad_candidate {
  struct kad_contact contact;
  struct kad_contact heard_from; /* named it, at least hops; family 0: it was in
                                    our table */
  struct kad_contact also_from;  /* named it, too; family 0: none */
  enum kad_candidate_state state;
  bool is_implausible; /* too close to the target: see paths.h */
  bool elsewhere;      /* not asked itself: a candidate with its address was */
  uint32_t named;      /* replies that named it; KAD_CANDIDATE_OWN: our table */
  uint32_t named_by;   /* step of the candidate that named it last */
  bool is_secure;      /* its id fits its address, or need not */
  bool asked_find_node; /* asked find_node after a custom query */
  bool proves;          /* asked again with `token`, to prove our address */
  uint32_t hop;         /* 1: it was in the table */
  uint32_t cost;        /* of a query to it, by distance and round-trip time */
  uint32_t step;        /* its place in the list of steps, once asked */
  uint32_t named_live;  /* contacts that it named and that answered */
  uint32_t named_dead;  /* the same, but slow, failed, or with another id */
  bool knows_ttl;       /* its reply had `total`: see record_query.h */
  bool has_seq;
  int64_t seq; /* of the item that it says it holds */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
};

/* Zero-initialised it is empty. */
struct kad_candidates {
  struct kad_candidate *items;
  size_t count;
  size_t cap;
};

/* Frees the array. */
void kad_candidates_deinit(struct kad_candidates *candidates,
                           const struct kad_allocator *allocator);

/* Adds a copy of `made`, unless it is known, there is no memory, or there are
 * KAD_CANDIDATES_MAX. In the latter case `made` replaces the farthest candidate
 * if that is farther and has not been asked. Moves the other candidates.
 * Returns the new candidate, or NULL. */
struct kad_candidate *kad_candidates_add(struct kad_candidates *candidates,
                                         const struct kad_allocator *allocator,
                                         const struct kad_id *target,
                                         const struct kad_candidate *made);

/* Returns the index of the first candidate that is as far from `target` as `id`
 * or farther. */
size_t kad_candidates_place(const struct kad_candidates *candidates,
                            const struct kad_id *target,
                            const struct kad_id *id);

/* Finds a candidate by id and address. NULL if there is none. Valid until the
 * next candidate is added. */
struct kad_candidate *kad_candidates_find(
    const struct kad_candidates *candidates, const struct kad_id *target,
    const struct kad_contact *contact);

#endif
