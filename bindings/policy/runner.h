/* runner.h: the coroutines on which hooks run. A runner is used for hook after
 * hook, as long as they return without having been pending. */
#ifndef KAD_POLICY_RUNNER_H
#define KAD_POLICY_RUNNER_H

#include "policy/hook.h"

/* The places on the stack of a runner's coroutine, below what runs. */
enum {
  KAD_RUNNER_HOOKS = 1, /* list of functions, in the order of host->hooks */
  KAD_RUNNER_VIEWS,     /* the table of views */
  KAD_RUNNER_BASE = KAD_RUNNER_VIEWS
};

/* A coroutine, and the hook call that it runs. */
struct kad_runner {
  struct kad_runner *next_free; /* NULL for the last, and while it runs */
  struct kad_runner *next;      /* in the list of all runners of the host */
  struct kad_runner **link;     /* the pointer to this one in that list */
  struct kad_host *host;
  lua_State *thread;
  char thread_key; /* its address is the key of the thread in the registry */
  struct kad_hook *hook;
  const struct kad_hook_call *call; /* NULL once the call is pending */
  uint64_t call_id;                 /* of a pending call; else 0 */
  kad_time_ms call_started_at;
  struct kad_hook_result result; /* what the hook has returned */
  struct kad_view *subject;      /* a record or request; or NULL */
  struct kad_view *context;      /* NULL: the hook takes none */
  uint64_t ns;                   /* running time before it was pending */
  bool handover_failed; /* memory ended while the scheduler took it over */
  bool in_handover;     /* the scheduler takes it over: free it afterwards */
};

/* Tells whether a runner runs no hook, and none of its is pending. */
static inline bool kad_runner_is_idle(const struct kad_runner *runner) {
  return runner->call == NULL && runner->call_id == 0 && !runner->in_handover;
}

/* Returns an idle runner, or NULL when memory ends. */
struct kad_runner *kad_runner_acquire(struct kad_host *host);

/* Makes a runner idle whose hook has returned. The results stay on the stack of
 * its coroutine until it is acquired again. */
void kad_runner_release(struct kad_runner *runner);

/* Ends the call of a runner when memory has ended while it was handed to the
 * scheduler. The scheduler may have its coroutine: it is freed with its task,
 * or with the host. */
void kad_runner_abandon(struct kad_runner *runner);

/* Frees a runner that does not run. One that is held is freed by its holder. */
void kad_runner_free(struct kad_runner *runner);

/* Frees all runners of a host. None may be running. */
void kad_runner_free_all(struct kad_host *host);

#endif
