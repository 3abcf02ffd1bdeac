#include "replication/republish.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "replication/commit.h"
#include "replication/held.h"

/* ------------------------------------------------------------- timers -- */

static void expire_due(struct kad_node *node, struct kad_timer *timer);
static void republish_due(struct kad_node *node, struct kad_timer *timer);

/* Sets `timer` to `at`, or cancels it if that is never. A timer that is set to
 * that time keeps its turn among the timers that are due. */
static void plan_timer(struct kad_node *node, struct kad_timer *timer,
                       kad_time_ms at, kad_timer_fn fire) {
  kad_time_ms now = kad_node_now(node);
  kad_time_ms planned = timer->deadline.at > now ? timer->deadline.at : now;
  at = at > now ? at : now;
  if (at == KAD_TIME_NEVER) {
    kad_timer_cancel(node, timer);
  } else if (!timer->deadline.queued || planned != at) {
    kad_timer_set(node, timer, at, fire);
  }
}

/* Returns when the next record, held or published, is due. */
static kad_time_ms next_due(const struct kad_node *node) {
  kad_time_ms held;
  kad_time_ms published;
  if (kad_store_due_republish(node->store, &held) == 0) {
    held = KAD_TIME_NEVER;
  }
  (void)kad_publications_due(node, &published);
  return held < published ? held : published;
}

void kad_republish_plan(struct kad_node *node) {
  const struct kad_store *store = node->store;
  struct kad_republish *republish = &node->republish;
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
  kad_time_ms published = kad_publications_next_expiry(node);
  plan_timer(node, &republish->expiry, at < published ? at : published,
             expire_due);
  at = next_due(node);
  plan_timer(node, &republish->timer,
             at > republish->free_at ? at : republish->free_at, republish_due);
}

static void expire_due(struct kad_node *node, struct kad_timer *timer) {
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

/* -------------------------------------------------------- under way -- */

/* Counts a republish, and reserves the time that its stores take in the store
 * budget. */
static void begin_republish(struct kad_node *node) {
  struct kad_republish *republish = &node->republish;
  kad_time_ms span = kad_store_budget_span(&node->store_budget, node->config.k);
  republish->under_way++;
  republish->free_at = kad_time_add(kad_node_now(node), span);
}

/* Ends a republish that has stored nothing: the next one need not wait. */
static void skip_republish(struct kad_node *node) {
  node->republish.under_way--;
  node->republish.free_at = 0;
}

static void end_republish(struct kad_node *node, int status) {
  node->republish.under_way--;
  node->stats.republishes += status == 0;
  kad_republish_plan(node);
}

/* Returns how many may be under way: as many as the store budget allows in two
 * seconds, which is about the time that a lookup takes. */
static uint32_t max_under_way(const struct kad_node *node) {
  uint32_t most = 2 * (node->config.stores_per_s / node->config.k);
  most = most < KAD_REPUBLISHES_MAX ? most : KAD_REPUBLISHES_MAX;
  return most > KAD_REPUBLISHES_MIN ? most : KAD_REPUBLISHES_MIN;
}

/* ------------------------------------------------------- held records -- */

static void end_held(void *data, const struct kad_result *result) {
  end_republish(data, result->status);
}

/* Sets the next republish of a held record to `seconds` from now; 0 and
 * UINT32_MAX mean never. */
static void postpone_held(struct kad_node *node, const struct kad_held *held,
                          uint32_t seconds) {
  struct kad_record_meta meta = held->meta;
  meta.republish_at = KAD_TIME_NEVER;
  if (seconds != 0 && seconds != UINT32_MAX) {
    kad_time_ms period = (kad_time_ms)seconds * KAD_MS_PER_S;
    meta.republish_at =
        kad_time_add(kad_node_now(node), kad_rng_jitter(node, period));
  }
  kad_store_set_meta(node->store, held->handle, &meta);
}

/* Stores a held record at its k closest, with the rest of its life. Returns
 * false when there is nothing to store. */
static bool store_held(struct kad_node *node, kad_record_handle handle) {
  struct kad_held held;
  if (!kad_store_read(node->store, handle, &held)) {
    return false;
  }
  kad_held_age(&held.meta, kad_node_now(node), &held.record);
  return held.record.ttl > 0 &&
         node->events->republish(node, &held.record, false, end_held, node) ==
             0;
}

static void apply_check(struct kad_node *node, kad_record_handle handle,
                        bool holds_all) {
  if (holds_all || !store_held(node, handle)) {
    skip_republish(node);
  }
  kad_republish_plan(node);
}

/* Republishes a held record. A holder that is not one of the k closest any more
 * leaves that to them, if the closest one holds the record: of all that were
 * ever holders, only the current ones republish. Returns false when there is
 * nothing to do. */
static bool republish_held(struct kad_node *node, kad_record_handle handle) {
  return kad_handoff_check(node, handle, apply_check) ||
         store_held(node, handle);
}

/* Returns the seconds to the next republish; 0 and UINT32_MAX mean never. */
static uint32_t period_of(const struct kad_node *node,
                          const struct kad_record *record,
                          const struct kad_hook_result *result) {
  const struct kad_type *type = kad_ruleset_type(node->ruleset, record->type);
  if (result->verdict == KAD_VERDICT_ACCEPT) {
    return result->seconds < KAD_RECORD_TTL_MAX_S ? result->seconds
                                                  : KAD_RECORD_TTL_MAX_S;
  }
  return type != NULL ? type->republish : UINT32_MAX;
}

/* Applies the result of the hook `republish_at` for a held record. */
static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  const kad_record_handle handle = *(const kad_record_handle *)self;
  struct kad_held held;
  bool begun = false;
  if (kad_store_read(node->store, handle, &held)) {
    uint32_t seconds = period_of(node, &held.record, result);
    postpone_held(node, &held, seconds);
    begun =
        seconds != 0 && seconds != UINT32_MAX && republish_held(node, handle);
  }
  if (!begun) {
    skip_republish(node);
  }
  kad_republish_plan(node);
}

static void *keep_handle(struct kad_node *node, void *self) {
  kad_record_handle *kept = kad_alloc(&node->env.allocator, sizeof *kept);
  if (kept != NULL) {
    *kept = *(const kad_record_handle *)self;
  }
  return kept;
}

static void resume_held(struct kad_node *node, void *self,
                        const struct kad_hook_result *result) {
  if (!node->closing) {
    apply_result(node, self, result);
  }
  kad_release(&node->env.allocator, self, sizeof(kad_record_handle));
}

/* Calls the hook `republish_at` of `type` (NULL: unknown), if there is one. The
 * hook gets a copy of the record, because it may change the store. The record
 * is not due again while the call is pending. */
static void call_hook(struct kad_node *node, struct kad_held *held,
                      const struct kad_type *type) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result, .keep = keep_handle, .resume = resume_held};
  const bool has_hook = type != NULL && type->republish_at != NULL;
  struct kad_bundle copy = {0};
  if (has_hook) {
    kad_held_age(&held->meta, kad_node_now(node), &held->record);
    int error = kad_bundle_copy(&copy, &node->env.allocator, &held->record, 1);
    postpone_held(node, held, type->republish);
    if (error != 0) {
      skip_republish(node);
      return;
    }
  }
  struct kad_hook_call call = {.reason = KAD_REASON_REPUBLISH,
                               .record = copy.records};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = &held->handle,
      .ruleset = node->ruleset,
      .hook = has_hook ? type->republish_at : NULL,
      .default_verdict = KAD_VERDICT_FAILED,
      .state = has_hook ? type->state : NULL,
  };
  (void)kad_hook_call_start(node, &caller, &call);
  kad_bundle_free(&copy, &node->env.allocator);
}

/* ------------------------------------------------------- publications -- */

/* A publication that is under way. */
struct publishing {
  struct kad_node *node;
  kad_record_handle handle;
};

static void end_publication(void *data, const struct kad_result *result) {
  struct publishing *publishing = data;
  struct kad_node *node = publishing->node;
  if (result->status == KAD_ENOCONTACTS || result->status == KAD_ETIMEOUT) {
    node->publications.retry_at =
        kad_time_add(kad_node_now(node), KAD_PUBLICATION_RETRY_MS);
    kad_publications_postpone(node, publishing->handle,
                              KAD_PUBLICATION_RETRY_MS);
  }
  kad_release(&node->env.allocator, publishing, sizeof *publishing);
  end_republish(node, result->status);
}

static void republish_publication(struct kad_node *node,
                                  kad_record_handle handle) {
  struct kad_record record;
  if (!kad_publications_read(node, handle, &record)) {
    return;
  }
  struct publishing *publishing =
      kad_alloc(&node->env.allocator, sizeof *publishing);
  bool begun = false;
  if (publishing != NULL) {
    *publishing = (struct publishing){.node = node, .handle = handle};
    begun = node->events->republish(node, &record, true, end_publication,
                                    publishing) == 0;
  }
  kad_time_ms period = KAD_PUBLICATION_RETRY_MS;
  if (begun) {
    begin_republish(node);
    period = kad_publications_period(node, &record);
  } else {
    kad_release(&node->env.allocator, publishing, sizeof *publishing);
  }
  kad_publications_postpone(node, handle, period);
}

/* ---------------------------------------------------------------- due -- */

/* Republishes the record that is due first, unless too many are under way. */
static void republish_due(struct kad_node *node, struct kad_timer *timer) {
  const kad_time_ms now = kad_node_now(node);
  struct kad_held held;
  kad_time_ms at;
  (void)timer;
  if (node->republish.under_way >= max_under_way(node)) {
    node->republish.free_at = kad_time_add(now, KAD_REPUBLISH_RETRY_MS);
    kad_republish_plan(node);
    return;
  }
  kad_record_handle handle = kad_publications_due(node, &at);
  if (handle != 0 && at <= now && at <= next_due(node)) {
    republish_publication(node, handle);
    kad_republish_plan(node);
    return;
  }
  handle = kad_store_due_republish(node->store, &at);
  const bool is_due = handle != 0 && at <= now;
  if (is_due && kad_store_read(node->store, handle, &held)) {
    begin_republish(node);
    call_hook(node, &held, kad_ruleset_type(node->ruleset, held.record.type));
  } else if (is_due) {
    node->republish.free_at = kad_time_add(now, KAD_REPUBLISH_RETRY_MS);
  }
  kad_republish_plan(node);
}

void kad_republish_stop(struct kad_node *node) {
  kad_timer_cancel(node, &node->republish.expiry);
  kad_timer_cancel(node, &node->republish.timer);
}
