#include "rpc/store_budget.h"

enum {
  LOAN_MS = 1000 /* of the rate, which kad_store_budget_borrow may take */
};

void kad_store_budget_init(struct kad_store_budget *budget, uint32_t per_s) {
  const uint64_t rate = per_s > 0 ? per_s : 1;
  *budget = (struct kad_store_budget){
      .rate = {.per_s = rate, .cap = (LOAN_MS + 1) * rate + KAD_TOKEN}};
}

kad_time_ms kad_store_budget_free_at(const struct kad_store_budget *budget) {
  return kad_time_add(
      budget->stores.filled_at,
      kad_token_bucket_full_after(&budget->stores, &budget->rate));
}

/* Takes a store that may leave `early_ms` before its turn. The rest of this
 * millisecond counts: otherwise the rate would be lower than per_s. Tokens that
 * were not used before are lost: otherwise there would be bursts. */
static bool take_early(struct kad_store_budget *budget, kad_time_ms now,
                       kad_time_ms early_ms) {
  kad_token_bucket_fill(&budget->stores, &budget->rate, now);
  if (kad_store_budget_free_at(budget) > kad_time_add(now, early_ms)) {
    return false;
  }
  kad_token_bucket_take(&budget->stores, &budget->rate, KAD_TOKEN);
  return true;
}

bool kad_store_budget_take(struct kad_store_budget *budget, kad_time_ms now) {
  return take_early(budget, now, 0);
}

bool kad_store_budget_borrow(struct kad_store_budget *budget, kad_time_ms now) {
  return take_early(budget, now, LOAN_MS);
}

kad_time_ms kad_store_budget_span(const struct kad_store_budget *budget,
                                  uint32_t stores) {
  return stores * KAD_TOKEN / budget->rate.per_s;
}
