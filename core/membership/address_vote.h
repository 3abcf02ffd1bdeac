/* A vote of contacts on our external address of a family, for the id that fits
 * it (own_id.h).
 *
 * Only replies to our own queries vote, and each subnet has one vote, its
 * latest, among the last KAD_VOTE_WINDOW. An address wins when its votes are
 * KAD_VOTE_MARGIN more than all others together. If a part p below a half of
 * the subnets that we query report one false address, it wins before the true
 * one with a chance of 1 / (1 + ((1 - p) / p)^8) (the gambler's ruin): 1 in 257
 * for a third, 1 in 65,537 for a fifth. Once the window is full, it needs 20 of
 * 32 votes. Where a node has few contacts, KAD_VOTE_FEW votes without any other
 * for KAD_VOTE_FEW_MS suffice.
 *
 * Ports do not matter: a NAT may have one for each contact.
 *
 * Tested by tests/unit/membership/own_id_test.c. */
#ifndef KAD_MEMBERSHIP_ADDRESS_VOTE_H
#define KAD_MEMBERSHIP_ADDRESS_VOTE_H

#include "kadenza.h"

enum {
  KAD_VOTE_WINDOW = 32,    /* votes that count: the latest */
  KAD_VOTE_MARGIN = 8,     /* of the winner over all others together */
  KAD_VOTE_FEW = 4,        /* votes of the winner, if there is no other */
  KAD_VOTE_FEW_MS = 600000 /* for so long there must be no other */
};

/* A vote, as keyed hashes. */
struct kad_vote {
  uint32_t subnet; /* of the voter */
  uint32_t ip;     /* that it reports */
};

/* The vote of a family. Zero-initialised there are no votes. */
struct kad_address_vote {
  struct kad_address winner; /* family 0: none yet. Its port is 0 */
  struct kad_vote *votes;    /* KAD_VOTE_WINDOW, or NULL: none yet */
  kad_time_ms agreed_since;  /* all votes in the window agree since then */
  uint8_t count;
  uint8_t next; /* the vote to replace when the window is full */
};

/* Frees the votes. */
void kad_address_vote_deinit(struct kad_node *node,
                             struct kad_address_vote *vote);

/* Counts the vote of `voter` for the ip of `observed`. Returns true if that is
 * another winner now. */
bool kad_address_vote_add(struct kad_node *node, struct kad_address_vote *vote,
                          const struct kad_address *voter,
                          const struct kad_address *observed);

#endif
