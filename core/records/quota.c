#include "records/quota.h"

#include "base/address.h"

#include <string.h>

/* Returns true if the store has records of others than our own user. */
static bool holds_others(const struct kad_store *store) {
  const struct kad_address own = {0};
  return kad_store_count(store) > kad_store_count_of(store, &own);
}

int kad_quota_check_room(const struct kad_quota *quota,
                         const struct kad_store *store, size_t bytes) {
  if (quota->max_records == 0 || bytes > quota->max_bytes) {
    return KAD_EQUOTA;
  }
  if (kad_store_count(store) < quota->max_records &&
      kad_store_bytes(store) <= quota->max_bytes - bytes) {
    return 0;
  }
  return store->victim != NULL && holds_others(store) ? 0 : KAD_EQUOTA;
}

/* Returns whether `publisher` is that of `claim`. Each may be NULL: none. */
static bool is_publisher(const struct kad_quota_claim *claim,
                         const uint8_t *publisher) {
  return claim->publisher != NULL && publisher != NULL &&
         memcmp(claim->publisher, publisher, KAD_PUBLISHER_SIZE) == 0;
}

void kad_quota_claim_replace(struct kad_quota_claim *claim,
                             const struct kad_store *store,
                             kad_record_handle handle) {
  struct kad_held held;
  if (handle == 0 || !kad_store_read(store, handle, &held)) {
    return;
  }
  const struct kad_address *origin = &held.meta.origin;
  claim->replaces_address += kad_address_same_host(origin, claim->origin);
  claim->replaces_publisher +=
      origin->family != 0 && is_publisher(claim, held.record.publisher);
}

void kad_quota_claim_yield(struct kad_quota_claim *claim,
                           const uint8_t *publisher) {
  claim->replaces_address -= claim->replaces_address > 0;
  claim->replaces_publisher -=
      claim->replaces_publisher > 0 && is_publisher(claim, publisher);
}

bool kad_quota_is_used_up(const struct kad_quota *quota,
                          const struct kad_store *store,
                          const struct kad_address *origin) {
  return origin->family != 0 &&
         kad_store_count_of(store, origin) >= quota->max_records_address;
}

static bool address_is_full(const struct kad_quota *quota,
                            const struct kad_store *store,
                            const struct kad_quota_claim *claim) {
  return claim->replaces_address == 0 &&
         kad_quota_is_used_up(quota, store, claim->origin);
}

static bool publisher_is_full(const struct kad_quota *quota,
                              const struct kad_store *store,
                              const struct kad_quota_claim *claim) {
  return claim->origin->family != 0 && claim->publisher != NULL &&
         claim->replaces_publisher == 0 && store->count_signed != NULL &&
         kad_store_count_signed(store, claim->publisher) >=
             quota->max_records_publisher;
}

int kad_quota_check(const struct kad_quota *quota,
                    const struct kad_store *store,
                    const struct kad_quota_claim *claim) {
  if (address_is_full(quota, store, claim) ||
      publisher_is_full(quota, store, claim)) {
    return KAD_EQUOTA;
  }
  return kad_quota_check_room(quota, store, claim->bytes);
}

kad_record_handle kad_quota_pick(const struct kad_quota *quota,
                                 const struct kad_store *store) {
  bool within = kad_store_count(store) <= quota->max_records &&
                kad_store_bytes(store) <= quota->max_bytes;
  if (within || store->victim == NULL) {
    return 0;
  }
  return kad_store_victim(store, &quota->self);
}
