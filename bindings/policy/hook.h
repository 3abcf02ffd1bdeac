/* hook.h: what the files that run hooks share.
 *
 *   hook.c     asks: pushes what a hook is given, resumes it, reads its verdict
 *   runner.c   the coroutines on which hooks run
 *   waiting.c  hooks that wait, and how they end
 *   failure.c  hooks that fail */
#ifndef KAD_POLICY_HOOK_H
#define KAD_POLICY_HOOK_H

#include "policy/policy.h"

/* The places on the stack of a runner's coroutine, below what runs. */
enum {
  KAD_RUNNER_HOOKS = 1, /* list of functions, in the order of host->hooks */
  KAD_RUNNER_VIEWS,     /* the table of views */
  KAD_RUNNER_BASE = KAD_RUNNER_VIEWS
};

/* A failure to be counted and said. */
struct kad_failure {
  struct kad_lua_hook *hook;
  lua_State *thread; /* whose top is the error; NULL: `text` says it */
  const char *text;
  const struct kad_meter_entry *killed; /* the thread was; or NULL */
};

/* Returns the time of the host's network; 0 when there is none. */
static inline kad_time_ms kad_hook_now(const struct kad_host *host) {
  return host->node->network != NULL ? kad_network_now(host->node->network) : 0;
}

/* Pushes the function `name` that kad_hook_set_up was given. [-0, +1, m] */
void kad_hook_push_function(lua_State *L, const struct kad_host *host,
                            const char *name);

/* A kad_lua_report_fn for what needs none. */
void kad_hook_ignore(lua_State *L, int status);

/* Counts a failure, opens the breaker when there were too many, and says it,
 * unless the hook has been said to fail just now. [-0, +0, -] */
void kad_hook_report(struct kad_failure failure);

/* Tells whether the breaker of `hook` is open; closes it when it is time. */
bool kad_hook_is_suspended(struct kad_lua_hook *hook);

/* Returns how many calls one that begins now stands for; 0 if it is not timed.
 */
uint64_t kad_hook_weight(const struct kad_lua_hook *hook);

/* Notes that `weight` calls of a hook have run for `ns` nanoseconds each. */
void kad_hook_add_time(struct kad_lua_hook *hook, uint64_t ns, uint64_t weight);

/* Notes that a hook has run for `ns` nanoseconds in all. */
void kad_hook_count_time(struct kad_lua_hook *hook, uint64_t ns);

/* Returns an idle runner, or NULL when memory ends. */
struct kad_runner *kad_runner_take(struct kad_host *host);

/* Makes a runner idle, whose hook has returned. What it returned stays on the
 * stack of its coroutine until it is taken again. */
void kad_runner_give(struct kad_runner *runner);

/* Takes from a runner what its hook was asked, when memory has ended while it
 * was handed over: the scheduler may have it, so that it is freed with its
 * task, or with the host. */
void kad_runner_lose(struct kad_runner *runner);

/* Frees a runner that does not run. One that is held is only let go of. */
void kad_runner_free(struct kad_runner *runner);

/* Reads what the hook of `runner` has returned, the `count` values at the top
 * of `L`, into `runner->answer`. They and what it borrows are left there.
 * Returns a LUA_... status: otherwise the error is at the top instead.
 * [-count, +n, -] */
int kad_hook_read(lua_State *L, struct kad_runner *runner, int count);

/* The hook of `runner` has yielded `yielded` values: it waits. */
void kad_hook_suspend(struct kad_runner *runner, int yielded,
                      struct kad_hook_result *answer);

/* What the scheduler calls when a hook that waited has ended, and to find out
 * why one has to. */
int kad_hook_ended(lua_State *L);
int kad_hook_problem(lua_State *L);

#endif
