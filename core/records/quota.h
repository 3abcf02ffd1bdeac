/* Limits a store: bytes and records in all, and records of one address. Above a
 * limit, a record of the address that takes the most bytes is removed: the one
 * farthest from us that expires first. So an address that stores many records
 * loses its own and cannot displace those of others. Our own user's records are
 * removed last, and never to make room for those of others.
 *
 *     if (kad_quota_check(&quota, store, &origin, value_len) == 0 &&
 *         kad_store_add(store, &record, &meta, &handle) == 0) {
 *       while ((victim = kad_quota_pick(&quota, store)) != 0) {
 *         kad_store_remove(store, victim);
 *       }
 *     }
 *     // !kad_store_read(store, handle, &held): the new record was removed. */
#ifndef KAD_RECORDS_QUOTA_H
#define KAD_RECORDS_QUOTA_H

#include "records/store.h"

struct kad_quota {
  struct kad_id self; /* our own id, from which distances are measured */
  uint64_t max_bytes;
  uint32_t max_records;
  uint32_t max_records_address; /* of one IPv4 address or IPv6 /64; our own user
                                   is exempt */
};

/* Checks that `store` could accept a record of `bytes` now: there is room, or
 * removing a record would make it. Otherwise no tokens are issued. Takes
 * constant time. Returns 0 or KAD_EQUOTA. */
KAD_MUST_CHECK int kad_quota_check_room(const struct kad_quota *quota,
                                        const struct kad_store *store,
                                        size_t bytes);

/* Checks that `store` may accept a new record of `bytes` from `origin`. Changes
 * nothing. A record that confirms or replaces one of the same address needs no
 * check. Takes constant time. Returns 0, or KAD_EQUOTA when there is no room or
 * the address has reached its limit. */
KAD_MUST_CHECK int kad_quota_check(const struct kad_quota *quota,
                                   const struct kad_store *store,
                                   const struct kad_address *origin,
                                   size_t bytes);

/* Returns the record to remove because the store is above a limit; 0 when it is
 * not, or when the store has no `victim`. The caller removes it and calls
 * again. It may be the record that was just added, if that is the first to
 * remove: storing it has failed then. */
kad_record_handle kad_quota_pick(const struct kad_quota *quota,
                                 const struct kad_store *store);

#endif
