/* Questions to the policy, and the ones that it answers later.
 *
 *     ask ──answered at once──► the asker goes on
 *      └──KAD_VERDICT_PENDING──► open ──kad_node_complete_hook──► resume, with
 * the answer ├──deadline────────────► resume, KAD_VERDICT_FAILED
 *                       └──withdrawn───────────► nothing (the asker has gone)
 */
#ifndef KAD_ENGINE_HOOK_CALL_H
#define KAD_ENGINE_HOOK_CALL_H

#include "base/map.h"
#include "engine/ruleset.h"
#include "engine/timer.h"

/* Goes on with an answer that came later. `answer->verdict` is never
 * KAD_VERDICT_PENDING. `answer` is borrowed until it returns. */
typedef void (*kad_hook_resume_fn)(struct kad_node *node, void *asker,
                                   const struct kad_hook_result *answer);

/* Who asks: what kad_hook_call_begin needs to come back. */
struct kad_hook_caller {
  void *self;
  kad_hook_resume_fn resume;
  struct kad_ruleset *ruleset; /* kept until the answer has come */
};

/* The pending hook calls of a node. */
struct kad_pending_hooks {
  struct kad_map open; /* by call_id */
  uint64_t last_id;
  size_t count;
};

/* Begins without any call. */
void kad_pending_hooks_init(struct kad_node *node);

/* Fails every open call, so that the askers end, and frees the map. The
 * node is closing: no hook is asked any more. */
void kad_pending_hooks_deinit(struct kad_node *node);

/* Asks `hook` with `state`. Fills in node, call_id and now of `call`, and
 * `*answer`. Returns the verdict; after KAD_VERDICT_PENDING `asker->resume`
 * will be called once with the answer, unless the call `call->call_id` is
 * withdrawn. A hook that breaks the contract, or too many pending hook calls,
 * is KAD_VERDICT_FAILED. */
enum kad_verdict kad_hook_call_begin(struct kad_node *node, kad_hook_fn hook,
                                     void *state,
                                     const struct kad_hook_caller *asker,
                                     struct kad_hook_call *call,
                                     struct kad_hook_result *answer);

/* Sets the `self` of an open call's asker, when what has to wait is copied
 * only once it is known to. */
void kad_hook_call_set_context(struct kad_node *node, uint64_t call_id,
                               void *self);

/* Withdraws an open call: nobody is resumed, the policy is told. */
void kad_hook_call_cancel(struct kad_node *node, uint64_t call_id);

#endif
