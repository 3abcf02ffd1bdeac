#include "records/quota.h"

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

int kad_quota_check(const struct kad_quota *quota,
                    const struct kad_store *store,
                    const struct kad_address *origin, size_t bytes) {
  if (origin->family != 0 &&
      kad_store_count_of(store, origin) >= quota->max_records_address) {
    return KAD_EQUOTA;
  }
  return kad_quota_check_room(quota, store, bytes);
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
