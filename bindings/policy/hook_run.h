/* hook_run.h: runs a hook for a hook call of the core.
 *
 * A hook that does not yield runs on a coroutine and sees views that are all
 * used again: only what the script reads is allocated. Strings in the result
 * live on that coroutine's stack until its next use. The engine copies them
 * before it makes another hook call. */
#ifndef KAD_POLICY_HOOK_RUN_H
#define KAD_POLICY_HOOK_RUN_H

#include "policy/hook.h"

/* A kad_hook_fn: runs the hook `state`, a struct kad_hook, and gives its
 * result. A host that is closed or stopped, or a hook whose circuit breaker is
 * open, gives KAD_VERDICT_FAILED. */
void kad_hook_run(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *result);

#endif
