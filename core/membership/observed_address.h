/* Our own addresses, as others see them: replies tell where their query came
 * from (`ip`, BEP 42). When several strangers to one another tell of another
 * one in a row, it has changed: a machine has moved, or a NAT has given it
 * another mapping. Others know us by the old one, and are looked up. */
#ifndef KAD_MEMBERSHIP_OBSERVED_ADDRESS_H
#define KAD_MEMBERSHIP_OBSERVED_ADDRESS_H

#include "kadenza.h"

enum {
  KAD_OBSERVED_VOTES = 4 /* of different subnets, that make an address ours */
};

/* Our address of one family. Zero-initialised it is not known. */
struct kad_observed_address {
  struct kad_address address;   /* family 0: not known */
  struct kad_address candidate; /* that the last ones told of instead */
  struct kad_address voters[KAD_OBSERVED_VOTES - 1];
  uint8_t votes;
};

/* Notes that `from`, which has answered us, sees us at `observed`, which may be
 * of family 0. */
void kad_observed_address_vote(struct kad_node *node,
                               const struct kad_address *from,
                               const struct kad_address *observed);

#endif
