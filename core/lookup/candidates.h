/* The contacts that one path of a lookup has heard of, closest to the target
 * first.
 *
 *     struct kad_candidates known = {0};
 *     struct kad_candidate made = {.contact = *contact, .hop = 1};
 *     if (kad_candidates_add(&known, &allocator, &target, &made)) {
 *       …                                    it is the closest by now
 *     }
 *     kad_candidates_deinit(&known, &allocator);
 */
#ifndef KAD_LOOKUP_CANDIDATES_H
#define KAD_LOOKUP_CANDIDATES_H

#include "kadenza_codec.h"

enum {
  KAD_CANDIDATES_MAX = 256 /* remembered at a time; the farthest go first */
};

enum kad_candidate_state {
  KAD_CANDIDATE_HEARD,
  KAD_CANDIDATE_ASKED,
  KAD_CANDIDATE_SLOW,
  KAD_CANDIDATE_ANSWERED,
  KAD_CANDIDATE_FAILED
};

struct kad_candidate {
  struct kad_contact contact;
  struct kad_contact heard_from; /* family 0: our table */
  enum kad_candidate_state state;
  bool bypassed; /* asked find_node after a custom query */
  uint32_t hop;
  uint32_t cost;  /* of asking it, by distance and round-trip time */
  uint32_t step;  /* its place in the list of steps, once asked */
  uint32_t spoke; /* contacts that it was the first to name and that answered */
  uint32_t silent; /* such that are slow, or have failed */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
};

struct kad_candidates {
  struct kad_candidate *items;
  size_t count;
  size_t cap;
};

/* Frees what was added. */
void kad_candidates_deinit(struct kad_candidates *candidates,
                           const struct kad_allocator *allocator);

/* Adds a copy of `made`, unless its id or its address is known, or there is no
 * room: when there are KAD_CANDIDATES_MAX, the farthest goes if it is farther
 * and has not been asked. Moves the others. Returns true if it is closer to
 * `target` than every one before. */
bool kad_candidates_add(struct kad_candidates *candidates,
                        const struct kad_allocator *allocator,
                        const struct kad_id *target,
                        const struct kad_candidate *made);

/* Finds a candidate by id and address; NULL if there is none. Valid until the
 * next one is added. */
struct kad_candidate *kad_candidates_find(
    const struct kad_candidates *candidates, const struct kad_id *target,
    const struct kad_contact *contact);

/* Returns true if several of those that `candidate` named were asked, and not
 * one has answered in time: it may have made them up. */
bool kad_candidate_misleads(const struct kad_candidate *candidate);

#endif
