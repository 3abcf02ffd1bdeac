#include "replication/republish.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "replication/commit.h"

enum {
  LATER_MS = 1000 /* until it is tried again when too many are under way */
};

static void expire(struct kad_node *node, struct kad_timer *timer);
static void republish(struct kad_node *node, struct kad_timer *timer);

/* Sets `timer` to `at`, or unsets it when that is never. What is overdue is due
 * now: a backlog has its turn after what else is due, not before. */
static void plan(struct kad_node *node, struct kad_timer *timer, kad_time_ms at,
                 kad_timer_fn ring) {
  kad_time_ms now = kad_node_now(node);
  kad_time_ms planned = timer->deadline.at > now ? timer->deadline.at : now;
  at = at > now ? at : now;
  if (at == KAD_TIME_NEVER) {
    kad_timer_cancel(node, timer);
  } else if (!timer->deadline.queued || planned != at) {
    kad_timer_set(node, timer, at, ring);
  }
}

/* Returns when the next record, held or our own, is to be stored again. */
static kad_time_ms next_turn(const struct kad_node *node) {
  kad_time_ms held;
  kad_time_ms own;
  if (kad_store_due_republish(node->store, &held) == 0) {
    held = KAD_TIME_NEVER;
  }
  (void)kad_publications_due(node, &own);
  return held < own ? held : own;
}

void kad_republish_plan(struct kad_node *node) {
  const struct kad_store *store = node->store;
  struct kad_republish *state = &node->republish;
  kad_time_ms at;
  if (node->closing) {
    return;
  }
  if (node->neighbours == NULL && kad_store_count(store) > 0) {
    kad_neighbours_start(node);
  }
  if (kad_store_due_expire(store, &at) == 0) {
    at = KAD_TIME_NEVER;
  }
  kad_time_ms end = kad_publications_ends_at(node);
  plan(node, &state->expiry_timer, at < end ? at : end, expire);
  at = next_turn(node);
  if (at < state->free_at) {
    at = state->free_at;
  }
  plan(node, &state->timer, at, republish);
}

void kad_republish_stop(struct kad_node *node) {
  kad_timer_cancel(node, &node->republish.expiry_timer);
  kad_timer_cancel(node, &node->republish.timer);
}

/* Drops what is due, some at a time. */
static void expire(struct kad_node *node, struct kad_timer *timer) {
  const struct kad_store *store = node->store;
  (void)timer;
  kad_publications_expire(node);
  for (int i = 0; i < KAD_EXPIRE_BATCH; i++) {
    kad_time_ms at;
    kad_record_handle handle = kad_store_due_expire(store, &at);
    if (handle == 0 || at > kad_node_now(node)) {
      break;
    }
    kad_commit_remove(node, handle, KAD_REASON_EXPIRE);
    node->stats.expired++;
  }
  kad_republish_plan(node);
}

/* Takes a share of the budget: a place among those under way, and the time that
 * its stores fill. */
static void take_share(struct kad_node *node) {
  struct kad_republish *state = &node->republish;
  kad_time_ms gap = kad_budget_span(&node->budget, node->config.k);
  state->running++;
  state->free_at = kad_time_add(kad_node_now(node), gap);
}

/* Gives back a share that nothing was stored for. */
static void return_share(struct kad_node *node) {
  struct kad_republish *state = &node->republish;
  state->running--;
  state->free_at = 0;
}

void kad_republish_ended(struct kad_node *node, bool well) {
  node->republish.running--;
  node->stats.republishes += well;
  kad_republish_plan(node);
}

static void republished(void *data, const struct kad_result *result) {
  struct kad_node *node = data;
  kad_republish_ended(node, result->status == 0);
}

/* Moves the next republish of a held record to `seconds` from now. */
static void postpone(struct kad_node *node, const struct kad_held *held,
                     uint32_t seconds) {
  struct kad_record_meta meta = held->meta;
  meta.republish_at = KAD_TIME_NEVER;
  if (seconds != 0 && seconds != UINT32_MAX) {
    kad_time_ms period = (kad_time_ms)seconds * KAD_MS_PER_S;
    meta.republish_at =
        kad_time_add(kad_node_now(node), kad_rng_jitter(node, period));
  }
  kad_store_touch(node->store, held->handle, &meta);
}

/* Stores a held record again, with what is left of its life. Returns false when
 * there is nothing to store. */
static bool publish(struct kad_node *node, kad_record_handle handle) {
  struct kad_held held;
  if (!kad_store_read(node->store, handle, &held)) {
    return false;
  }
  kad_held_age(&held.meta, kad_node_now(node), &held.record);
  return held.record.ttl > 0 &&
         kad_put_republish(node, &held.record, false, republished, node) == 0;
}

static void apply_check(struct kad_node *node, kad_record_handle handle,
                        bool holds_all) {
  if (holds_all || !publish(node, handle)) {
    return_share(node);
  }
  kad_republish_plan(node);
}

/* Begins to republish. A holder that is no longer one of the k closest leaves
 * it to them, once it has seen that the closest one holds the record: of all
 * that were holders at some time, one republishes. Returns false when there is
 * nothing to do. */
static bool begin(struct kad_node *node, kad_record_handle handle) {
  return kad_handoff_check(node, handle, apply_check) || publish(node, handle);
}

/* Returns the seconds to the next republish, 0 or UINT32_MAX for never. */
static uint32_t period_of(const struct kad_node *node,
                          const struct kad_record *record,
                          const struct kad_hook_result *answer) {
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    return answer->seconds < KAD_LIFE_MAX_S ? answer->seconds : KAD_LIFE_MAX_S;
  }
  return type != NULL ? type->republish : UINT32_MAX;
}

/* Acts on what the policy said of a record whose republish is due, for which
 * there is a share of the budget. */
static void decide(struct kad_node *node, kad_record_handle handle,
                   const struct kad_hook_result *answer) {
  struct kad_held held;
  bool published = false;
  if (kad_store_read(node->store, handle, &held)) {
    uint32_t seconds = period_of(node, &held.record, answer);
    postpone(node, &held, seconds);
    published = seconds != 0 && seconds != UINT32_MAX && begin(node, handle);
  }
  if (!published) {
    return_share(node);
  }
  kad_republish_plan(node);
}

static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  decide(node, *(const kad_record_handle *)self, result);
}

static void *keep_handle(struct kad_node *node, void *self) {
  kad_record_handle *kept = kad_alloc(&node->env.allocator, sizeof *kept);
  if (kept != NULL) {
    *kept = *(const kad_record_handle *)self;
  }
  return kept;
}

static void resume_decision(struct kad_node *node, void *self,
                            const struct kad_hook_result *result) {
  if (!node->closing) {
    apply_result(node, self, result);
  }
  kad_release(&node->env.allocator, self, sizeof(kad_record_handle));
}

/* Asks the policy about a record. While it has not answered, the record is not
 * due again. It gets a copy: the hook may do what changes the store. */
static void ask(struct kad_node *node, struct kad_held *held,
                const struct kad_type *type) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result,
      .keep = keep_handle,
      .resume = resume_decision,
  };
  struct kad_bundle copy = {0};
  kad_held_age(&held->meta, kad_node_now(node), &held->record);
  const int error =
      kad_bundle_copy(&copy, &node->env.allocator, &held->record, 1);
  postpone(node, held, type->republish);
  if (error != 0) {
    return_share(node);
    return;
  }
  struct kad_hook_call call = {.reason = KAD_REASON_REPUBLISH,
                               .record = copy.records};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = &held->handle,
      .ruleset = node->ruleset,
      .hook = type->republish_at,
      .default_verdict = KAD_VERDICT_FAILED,
      .state = type->state,
  };
  (void)kad_hook_call_start(node, &caller, &call);
  kad_bundle_free(&copy, &node->env.allocator);
}

/* Stores one of our own records again. */
static void republish_own(struct kad_node *node, kad_record_handle handle) {
  take_share(node);
  if (!kad_publications_publish(node, handle)) {
    return_share(node);
  }
  kad_republish_plan(node);
}

/* Returns how many may be under way: what the budget allows in two seconds,
 * about as long as a lookup takes. */
static uint32_t most_at_once(const struct kad_node *node) {
  uint32_t most = 2 * (node->config.stores_per_s / node->config.k);
  most = most < KAD_REPUBLISHES_MOST ? most : KAD_REPUBLISHES_MOST;
  return most > KAD_REPUBLISHES_MAX ? most : KAD_REPUBLISHES_MAX;
}

/* Republishes the record that is due, unless too many are under way. */
static void republish(struct kad_node *node, struct kad_timer *timer) {
  const struct kad_store *store = node->store;
  struct kad_republish *state = &node->republish;
  struct kad_held held;
  kad_time_ms now = kad_node_now(node);
  kad_time_ms at;
  (void)timer;
  if (state->running >= most_at_once(node)) {
    state->free_at = kad_time_add(now, LATER_MS);
    kad_republish_plan(node);
    return;
  }
  kad_time_ms own_at;
  kad_record_handle own = kad_publications_due(node, &own_at);
  if (own != 0 && own_at <= now && own_at <= next_turn(node)) {
    republish_own(node, own);
    return;
  }
  kad_record_handle handle = kad_store_due_republish(store, &at);
  if (handle == 0 || at > now || !kad_store_read(store, handle, &held)) {
    kad_republish_plan(node);
    return;
  }
  const struct kad_type *type =
      kad_ruleset_type(node->ruleset, held.record.type);
  const struct kad_hook_result none = {.verdict = KAD_VERDICT_FAILED};
  take_share(node);
  if (type != NULL && type->republish_at != NULL) {
    ask(node, &held, type);
  } else {
    decide(node, handle, &none);
  }
  kad_republish_plan(node);
}
