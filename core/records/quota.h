/* Limits a store: bytes and records in all, and records of one address and of
 * one publisher. Above a limit, a record of the user (address or publisher)
 * that takes the most bytes is removed: the one farthest from us that expires
 * first. So an address that stores many records loses its own and cannot
 * displace those of others, nor can a publisher who stores from many addresses.
 * Our own user's records are removed last, and never to make room for those of
 * others.
 *
 *     struct kad_quota_claim claim = kad_quota_claim_of(&record, &meta);
 *     if (kad_quota_check(&quota, store, &claim) == 0 &&
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
  /* Our own user is exempt from both. */
  uint32_t max_records_address; /* of one IPv4 address or IPv6 /64 */
  uint32_t max_records_publisher;
};

/* What a new record would take. */
struct kad_quota_claim {
  const struct kad_address *origin;
  const uint8_t *publisher; /* NULL: none */
  size_t bytes;             /* of its value */
  /* How many records of the same address, and of the same publisher, it may
   * replace: with one, that limit is not checked. */
  size_t replaces_address;
  size_t replaces_publisher;
};

/* Returns the claim of `record` with `meta`, which replaces nothing. */
static inline struct kad_quota_claim kad_quota_claim_of(
    const struct kad_record *record, const struct kad_record_meta *meta) {
  return (struct kad_quota_claim){.origin = &meta->origin,
                                  .publisher = record->publisher,
                                  .bytes = record->value.len};
}

/* Notes that the record `handle` will be removed for the new one. Ignores a
 * handle that names no record. */
void kad_quota_claim_replace(struct kad_quota_claim *claim,
                             const struct kad_store *store,
                             kad_record_handle handle);

/* Notes that another new record of the same address, with `publisher`, has used
 * what it may replace before this one. */
void kad_quota_claim_yield(struct kad_quota_claim *claim,
                           const uint8_t *publisher);

/* Checks that `store` could accept a record of `bytes` now: there is room, or
 * removing a record would make it. Otherwise no tokens are issued. Takes
 * constant time. Returns 0 or KAD_EQUOTA. */
KAD_MUST_CHECK int kad_quota_check_room(const struct kad_quota *quota,
                                        const struct kad_store *store,
                                        size_t bytes);

/* Returns whether the host of `origin` has as many records as it may. Takes
 * constant time. */
bool kad_quota_is_used_up(const struct kad_quota *quota,
                          const struct kad_store *store,
                          const struct kad_address *origin);

/* Checks that `store` may accept a new record. Changes nothing. A record that
 * confirms one needs no check. Takes constant time. Returns 0, or KAD_EQUOTA
 * when there is no room, or the address or the publisher has reached its limit.
 */
KAD_MUST_CHECK int kad_quota_check(const struct kad_quota *quota,
                                   const struct kad_store *store,
                                   const struct kad_quota_claim *claim);

/* Returns the record to remove because the store is above a limit; 0 when it is
 * not, or when the store has no `victim`. The caller removes it and calls
 * again. It may be the record that was just added, if that is the first to
 * remove: storing it has failed then. */
kad_record_handle kad_quota_pick(const struct kad_quota *quota,
                                 const struct kad_store *store);

#endif
