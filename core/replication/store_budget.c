#include "replication/store_budget.h"

enum {
  US_PER_MS = 1000,
  US_PER_S = 1000000
};

/* Returns the microseconds between two stores, rounded up: it is a bound. */
static uint64_t gap_us(const struct kad_budget *budget) {
  uint64_t per_s = budget->per_s > 0 ? budget->per_s : 1;
  return (US_PER_S + per_s - 1) / per_s;
}

kad_time_ms kad_budget_free_at(const struct kad_budget *budget) {
  return budget->free_us / US_PER_MS;
}

/* Takes one. What is left of this millisecond counts, or the rate would be less
 * than was asked for; what was not used before it does not, or there were
 * bursts. */
static void take(struct kad_budget *budget, kad_time_ms now) {
  uint64_t now_us = now * US_PER_MS;
  uint64_t from = budget->free_us > now_us ? budget->free_us : now_us;
  budget->free_us = from + gap_us(budget);
}

bool kad_budget_take(struct kad_budget *budget, kad_time_ms now) {
  if (kad_budget_free_at(budget) > now) {
    return false;
  }
  take(budget, now);
  return true;
}

bool kad_budget_borrow(struct kad_budget *budget, kad_time_ms now) {
  if (kad_budget_free_at(budget) > now + US_PER_S / US_PER_MS) {
    return false;
  }
  take(budget, now);
  return true;
}

kad_time_ms kad_budget_span(const struct kad_budget *budget, uint32_t stores) {
  return stores * gap_us(budget) / US_PER_MS;
}
