/* Write tokens. A token proves that a node has received our reply at the
 * address from which it stores. It is a keyed hash (SipHash-2-4) of the ip, the
 * target and the time slot. It does not cover the port, because NATs change
 * ports. Source: BEP 5 "announce_peer". */
#ifndef KAD_RECORDS_TOKEN_H
#define KAD_RECORDS_TOKEN_H

#include "kadenza.h"

enum {
  KAD_TOKEN_SIZE = 8,
  KAD_TOKEN_SECRET_SIZE = 16
};

/* Makes and checks tokens. Secret: kad_node_free wipes it. */
struct kad_token_maker {
  uint8_t secret[KAD_TOKEN_SECRET_SIZE];
  kad_time_ms slot_ms; /* length of a time slot; tokens of this slot and of the
                          previous one are accepted */
};

/* Writes the token for `address` and `target` at `now`. */
void kad_token_make(const struct kad_token_maker *maker,
                    const struct kad_address *address,
                    const struct kad_id *target, kad_time_ms now,
                    uint8_t token[KAD_TOKEN_SIZE]);

/* Returns true if `token`, of any length, is valid. Takes constant time. */
bool kad_token_check(const struct kad_token_maker *maker,
                     const struct kad_address *address,
                     const struct kad_id *target, kad_time_ms now,
                     struct kad_slice token);

#endif
