/* The budget of the stores that a node sends unasked: to republish, to hand
 * records over, to leave copies. They leave one by one, evenly: no second has
 * more than stores_per_s of them, however many are due at once.
 *
 *     if (kad_budget_take(&node->budget, now)) {
 *       …send one store…
 *     } else {
 *       kad_timer_set(node, &timer, kad_budget_free_at(&node->budget), again);
 *     } */
#ifndef KAD_REPLICATION_STORE_BUDGET_H
#define KAD_REPLICATION_STORE_BUDGET_H

#include "base/token_bucket.h"

struct kad_budget {
  struct kad_token_rate rate;
  struct kad_token_bucket stores;
};

/* Begins a budget of `per_s` stores a second; 0 counts as 1. */
void kad_budget_init(struct kad_budget *budget, uint32_t per_s);

/* Returns when the next store may leave: not before the last, but perhaps long
 * ago. */
kad_time_ms kad_budget_free_at(const struct kad_budget *budget);

/* Takes one store off the budget. Returns false if none may leave `now`. */
bool kad_budget_take(struct kad_budget *budget, kad_time_ms now);

/* Takes one that leaves now or never, though others are ahead of it: by at most
 * a second, which is how long those that can wait have to wait longer for it.
 * Returns false if that much has been taken already. */
bool kad_budget_borrow(struct kad_budget *budget, kad_time_ms now);

/* Returns how long `stores` of them take. */
kad_time_ms kad_budget_span(const struct kad_budget *budget, uint32_t stores);

#endif
