/* Keeps a store within its bounds: bytes and records in all, and records an
 * address. Over a bound, the largest user's farthest, soonest-to-expire record
 * goes first. */
#ifndef KAD_RECORDS_QUOTA_H
#define KAD_RECORDS_QUOTA_H

#include "records/store.h"

struct kad_quota {
  struct kad_id self;           /* farthest is measured from our own id */
  uint64_t max_bytes;
  uint32_t max_records;
  uint32_t max_records_address; /* of one address; our own user is exempt */
};

/* Tells whether a record of `bytes` from `origin` may enter `store` now, without
 * changing it: returns 0, or KAD_EQUOTA when nothing can go to make room or the
 * address has its share. Tokens are withheld then. */
int kad_quota_check(const struct kad_quota *quota,
                    const struct kad_store *store,
                    const struct kad_address *origin, size_t bytes);

/* Picks the record that has to go because the store is over a bound: 0 when it
 * is not. The caller removes it and asks again. */
kad_handle kad_quota_pick(const struct kad_quota *quota,
                          const struct kad_store *store);

#endif
