#include "replication/store_budget.h"

enum {
  LOAN_MS = 1000 /* of the flow, that kad_budget_borrow may take ahead */
};

void kad_budget_init(struct kad_budget *budget, uint32_t per_s) {
  const uint64_t rate = per_s > 0 ? per_s : 1;
  *budget = (struct kad_budget){
      .rate = {.per_s = rate, .cap = (LOAN_MS + 1) * rate + KAD_TOKEN}};
}

kad_time_ms kad_budget_free_at(const struct kad_budget *budget) {
  return kad_time_add(
      budget->stores.filled_at,
      kad_token_bucket_full_after(&budget->stores, &budget->rate));
}

/* Takes a store that may leave `early_ms` before the budget has it. What is
 * left of this millisecond counts, or the rate would be less than per_s; what
 * was not used before it does not, or there were bursts. */
static bool take(struct kad_budget *budget, kad_time_ms now,
                 kad_time_ms early_ms) {
  kad_token_bucket_fill(&budget->stores, &budget->rate, now);
  if (kad_budget_free_at(budget) > kad_time_add(now, early_ms)) {
    return false;
  }
  kad_token_bucket_take(&budget->stores, &budget->rate, KAD_TOKEN);
  return true;
}

bool kad_budget_take(struct kad_budget *budget, kad_time_ms now) {
  return take(budget, now, 0);
}

bool kad_budget_borrow(struct kad_budget *budget, kad_time_ms now) {
  return take(budget, now, LOAN_MS);
}

kad_time_ms kad_budget_span(const struct kad_budget *budget, uint32_t stores) {
  return stores * KAD_TOKEN / budget->rate.per_s;
}
