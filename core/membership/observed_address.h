/* Our own addresses as other nodes see them. A reply says from which address
 * its query came (`ip`, BEP 42). When several nodes in different subnets report
 * another address one after the other, our address has changed: the machine has
 * moved, or a NAT has changed its mapping. The node then refreshes its table,
 * so that others learn the new address. Tested by tests/sim/recovery_test.c,
 * tests/unit/sim/nat_test.c. */
#ifndef KAD_MEMBERSHIP_OBSERVED_ADDRESS_H
#define KAD_MEMBERSHIP_OBSERVED_ADDRESS_H

#include "kadenza.h"

enum {
  KAD_OBSERVED_VOTES = 4 /* from different subnets, to change our address */
};

/* Our address of one family. Zero-initialised it is not known. */
struct kad_observed_address {
  struct kad_address address;   /* family 0: not known */
  struct kad_address candidate; /* the latest reports, if they differ from it */
  struct kad_address voters[KAD_OBSERVED_VOTES - 1]; /* for the candidate */
  uint8_t votes;
};

/* Notes that the node at `from`, which has answered, sees us at `observed`,
 * whose family may be 0. */
void kad_observed_address_vote(struct kad_node *node,
                               const struct kad_address *from,
                               const struct kad_address *observed);

#endif
