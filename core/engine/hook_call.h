/* Calls of the policy's hooks. A hook may give its result at once, or later:
 * it returns KAD_VERDICT_PENDING, and the call waits.
 *
 *     start ──result──────► apply
 *       └─────pending─────► keep ──kad_node_complete_hook──► resume
 *                            ├──deadline or node freed─────► resume, FAILED
 *                            └──cancel─────────────────────► nothing
 *
 * A call that does not wait allocates nothing. */
#ifndef KAD_ENGINE_HOOK_CALL_H
#define KAD_ENGINE_HOOK_CALL_H

#include "base/map.h"
#include "engine/ruleset.h"

/* Acts on a result, whose verdict is never KAD_VERDICT_PENDING. `result` is
 * borrowed during the call. */
typedef void (*kad_hook_result_fn)(struct kad_node *node, void *self,
                                   const struct kad_hook_result *result);

/* What the caller of a hook does with its result. */
struct kad_hook_handler {
  /* Acts on a result before kad_hook_call_start returns. */
  kad_hook_result_fn apply;
  /* Copies what a pending call needs, and returns what `resume` gets as `self`.
   * Returns NULL when out of memory: the call fails. `keep` may be NULL: then
   * `resume` gets `self`. */
  void *(*keep)(struct kad_node *node, void *self);
  /* Acts on the result of a pending call, and goes on with what waited for it.
   * Frees what `keep` has made. */
  kad_hook_result_fn resume;
};

/* One hook, and its caller. */
struct kad_hook_caller {
  const struct kad_hook_handler *handler;
  void *self;                  /* given to the handler */
  struct kad_ruleset *ruleset; /* of the hook; retained while the call waits */
  kad_hook_fn hook;            /* NULL: none, `default_verdict` is applied */
  enum kad_verdict default_verdict;
  void *state; /* given to the hook */
};

/* The pending hook calls of a node. */
struct kad_pending_hooks {
  struct kad_map open; /* by call_id */
  uint64_t last_id;
  size_t count;
};

/* Begins without any call. */
void kad_pending_hooks_init(struct kad_node *node);

/* Fails every pending call and frees the map. The node is closing: no hook is
 * called any more. */
void kad_pending_hooks_deinit(struct kad_node *node);

/* Calls a hook. Fills in node, call_id and now of `call`. Returns true after
 * `apply`. Returns false if the call is pending: `resume` follows once, unless
 * the call `call->call_id` is cancelled.
 * A hook that breaks the contract, a call over max_pending_hooks, and a node
 * that is closing give KAD_VERDICT_FAILED. */
bool kad_hook_call_start(struct kad_node *node,
                         const struct kad_hook_caller *caller,
                         struct kad_hook_call *call);

/* Calls a hook whose result does not matter. */
void kad_hook_call_notify(struct kad_node *node, struct kad_ruleset *ruleset,
                          kad_hook_fn hook, void *state,
                          struct kad_hook_call *call);

/* Cancels a pending call and tells the policy: nothing is resumed. A call that
 * is not pending is ignored. */
void kad_hook_call_cancel(struct kad_node *node, uint64_t call_id);

/* Returns the code of the KRPC error that says why a hook did not accept, and
 * sets `*reason` to its text. */
int kad_hook_result_error(const struct kad_hook_result *result,
                          struct kad_slice *reason);

#endif
