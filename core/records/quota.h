/* Keeps a store within its bounds: bytes and records in all, and records an
 * address. Over a bound, the largest user's farthest, soonest-to-expire record
 * goes first: whoever stores most pays for what he stores next, and cannot push
 * out what others stored. Our own user's records go last, and never for those
 * of others.
 *
 *     if (kad_quota_check(&quota, store, &origin, value_len) == 0 &&
 *         kad_store_add(store, &record, &meta, &handle) == 0) {
 *       while ((victim = kad_quota_pick(&quota, store)) != 0) {
 *         kad_store_remove(store, victim);
 *       }
 *     }
 *     if (!kad_store_read(store, handle, &held)) { …it went itself… } */
#ifndef KAD_RECORDS_QUOTA_H
#define KAD_RECORDS_QUOTA_H

#include "records/store.h"

struct kad_quota {
  struct kad_id self; /* farthest is measured from our own id */
  uint64_t max_bytes;
  uint32_t max_records;
  uint32_t max_records_address; /* of one address, an IPv6 one with its /64; our
                                   own user is exempt */
};

/* Tells whether a record of `bytes`, from anyone, could enter `store` now:
 * there is room, or something can go to make it. Tokens are withheld otherwise.
 * Takes a constant time. Returns 0 or KAD_EQUOTA. */
KAD_MUST_CHECK int kad_quota_check_room(const struct kad_quota *quota,
                                        const struct kad_store *store,
                                        size_t bytes);

/* Tells whether a record of `bytes` from `origin` may enter `store` beside
 * those held, without changing it. A record that confirms or replaces one of
 * the same address need not be asked about. Takes a constant time. Returns 0,
 * or KAD_EQUOTA when there is no room or the address has its share. */
KAD_MUST_CHECK int kad_quota_check(const struct kad_quota *quota,
                                   const struct kad_store *store,
                                   const struct kad_address *origin,
                                   size_t bytes);

/* Picks the record that has to go because the store is over a bound in all: 0
 * when it is not, or when the store cannot tell. The caller removes it and asks
 * again. It may be the one that has just been added, when that is the farthest
 * of the largest user: its store has failed then. */
kad_record_handle kad_quota_pick(const struct kad_quota *quota,
                                 const struct kad_store *store);

#endif
