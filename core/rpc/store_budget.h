/* The store budget: limits the stores that a node sends by itself, to
 * republish, hand off, repair and cache. They leave one by one: in no second
 * are there more than stores_per_s of them, however many are due at once,
 * except those that kad_store_budget_borrow takes in advance.
 *
 *     if (kad_store_budget_take(&node->store_budget, now)) {
 *       …send one store…
 *     } else {
 *       kad_timer_set(node, &timer,
 *                     kad_store_budget_free_at(&node->store_budget), send);
 *     } */
#ifndef KAD_RPC_STORE_BUDGET_H
#define KAD_RPC_STORE_BUDGET_H

#include "base/token_bucket.h"

struct kad_store_budget {
  struct kad_token_rate rate;
  struct kad_token_bucket stores;
};

/* Initialises a budget of `per_s` stores a second; 0 counts as 1. */
void kad_store_budget_init(struct kad_store_budget *budget, uint32_t per_s);

/* Returns when the next store may leave. That may be in the past. */
kad_time_ms kad_store_budget_free_at(const struct kad_store_budget *budget);

/* Takes one store. Returns false if none may leave `now`. */
bool kad_store_budget_take(struct kad_store_budget *budget, kad_time_ms now);

/* Takes one store in advance, at most a second early; waiting stores leave
 * later by as much. Returns false if the stores of a second have been taken in
 * advance already. */
bool kad_store_budget_borrow(struct kad_store_budget *budget, kad_time_ms now);

/* Returns the time in which `stores` may leave. */
kad_time_ms kad_store_budget_span(const struct kad_store_budget *budget,
                                  uint32_t stores);

#endif
