/* Write tokens: proof that whoever stores has received our answer at the
 * address it stores from. A keyed hash (SipHash-2-4) over address, target and
 * time slot; the port is left out, since NATs move ports (BEP 5 binds the
 * address). Source: BEP 5 "announce_peer". */
#ifndef KAD_RECORDS_TOKEN_H
#define KAD_RECORDS_TOKEN_H

#include "kadenza.h"

enum {
  KAD_TOKEN_SIZE = 8,
  KAD_TOKEN_SECRET_SIZE = 16
};

/* What makes and checks tokens. Secret: wiped by the node when it is freed. */
struct kad_token_maker {
  uint8_t secret[KAD_TOKEN_SECRET_SIZE];
  kad_time_ms slot_ms; /* length of a time slot; this one and the one before
                          are accepted */
};

/* Writes the token for `address` and `target` at `now`. */
void kad_token_make(const struct kad_token_maker *maker,
                    const struct kad_address *address,
                    const struct kad_id *target, kad_time_ms now,
                    uint8_t token[KAD_TOKEN_SIZE]);

/* Checks `token`, in constant time. Any length is allowed in. */
bool kad_token_check(const struct kad_token_maker *maker,
                     const struct kad_address *address,
                     const struct kad_id *target, kad_time_ms now,
                     struct kad_slice token);

#endif
