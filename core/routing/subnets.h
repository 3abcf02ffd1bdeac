/* The share of each subnet in a set of contacts: at most two of one subnet (/24
 * or /64) are taken, so that an attacker needs many networks and not only many
 * addresses. Local addresses are exempt where they are allowed.
 *
 *     struct kad_subnets subnets;
 *     kad_subnets_init(&subnets, config->allow_local);
 *     if (kad_subnets_take(&subnets, &contact->address)) { … }
 *
 * Tested by tests/unit/lookup/lookup_test.c, tests/sim/sybil_search_test.c. */
#ifndef KAD_ROUTING_SUBNETS_H
#define KAD_ROUTING_SUBNETS_H

#include "kadenza.h"

enum {
  KAD_SUBNETS_MAX = 192, /* addresses in one set */
  KAD_SUBNETS_SHARE = 2  /* of one subnet */
};

struct kad_subnets {
  bool allow_local;
  size_t count;
  const struct kad_address *taken[KAD_SUBNETS_MAX]; /* borrowed */
};

/* Makes an empty set. */
void kad_subnets_init(struct kad_subnets *subnets, bool allow_local);

/* Adds `address` to the set. Returns false if its subnet has its share already
 * or the set is full. Borrows: `address`. */
bool kad_subnets_take(struct kad_subnets *subnets,
                      const struct kad_address *address);

#endif
