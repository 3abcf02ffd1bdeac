/* hook_pending.h: hooks that have yielded: they complete their call later.
 *
 * The coroutine of a pending hook is a task of kadenza.task. The scheduler
 * resumes it until it ends, or until it is canceled: at its deadline, or when
 * the core no longer waits for the result. */
#ifndef KAD_POLICY_HOOK_PENDING_H
#define KAD_POLICY_HOOK_PENDING_H

#include "policy/runner.h"

/* Makes the call of `runner` pending: its hook has yielded `yielded` values, or
 * none when it was preempted. */
void kad_hook_pending_begin(struct kad_runner *runner, int yielded,
                            struct kad_hook_result *result);

/* Cancels the pending hook of the call `call_id`. */
void kad_hook_pending_cancel(struct kad_host *host, uint64_t call_id);

/* ended(runner, succeeded, problem, overrun, nanoseconds, instructions,
 * result...) → call_id: the scheduler calls it when the task of a pending hook
 * has ended. `problem` is nil when there is nothing to report. */
int kad_hook_pending_ended(lua_State *L);

/* problem(runner) → why the pending hook must be canceled, if it must, and
 * whether that is an overrun */
int kad_hook_pending_problem(lua_State *L);

#endif
