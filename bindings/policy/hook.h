/* hook.h: a hook of a host: its counters, its calls and its failures. */
#ifndef KAD_POLICY_HOOK_H
#define KAD_POLICY_HOOK_H

#include "policy/host.h"

enum {
  KAD_HOOK_NAME_MAX = 192,     /* bytes of "policy: type.hook" */
  KAD_HOOK_DEADLINE_MS = 2000, /* default of a pending hook */
  KAD_HOOK_BUCKETS = 20 /* of the histogram: under 1 us … over 0.26 s */
};

/* What a hook is about, and so what it may return. */
enum kad_hook_kind {
  KAD_HOOK_KIND_VALIDATE,
  KAD_HOOK_KIND_MERGE,
  KAD_HOOK_KIND_SELECT,
  KAD_HOOK_KIND_EXPIRE,
  KAD_HOOK_KIND_REPUBLISH,
  KAD_HOOK_KIND_NOTICE, /* on_store, on_expire: the result is ignored */
  KAD_HOOK_KIND_REQUEST,
  KAD_HOOK_KIND_CONTACT,
  KAD_HOOK_KIND_RPC,
  KAD_HOOK_KIND_HTTP, /* packed values in and out; see hook_serve.c */
  KAD_HOOK_KIND_CODEC /* not run by hook_run.c; see codec.c */
};

struct kad_hook {
  struct kad_host *host;
  enum kad_hook_kind kind;
  char name[KAD_HOOK_NAME_MAX]; /* for messages and counters */
  int arguments;        /* parameters of its function; more are not made */
  uint32_t deadline_ms; /* once it is pending */
  uint64_t calls;
  uint64_t errors;    /* failures of all kinds */
  uint64_t overruns;  /* among the errors */
  uint64_t yields;    /* calls that became pending */
  uint64_t preempted; /* calls that did not end within their share of a turn */
  uint64_t instructions; /* estimate */
  uint64_t ns;           /* running time in all */
  uint64_t slowest_ns;
  uint64_t histogram[KAD_HOOK_BUCKETS]; /* bucket i: calls that took less than
                                           2^i us; the last: all longer ones */
  bool breaker_disabled;                /* its circuit breaker never opens */
  uint32_t recent_failures;             /* in the window of the breaker */
  kad_time_ms window_start;             /* of that window */
  kad_time_ms open_until;               /* the breaker; 0: it is closed */
  kad_time_ms reported_at;              /* the last failure; 0: never */
  uint64_t unreported;                  /* failures since then */
  kad_time_ms clamp_reported_at; /* seconds out of range, which were clamped; 0:
                                    never */
  uint64_t clamps_unreported;    /* clamped since then */
};

/* Returns the hook whose number is the field `name` of the table at the top,
 * set up as `kind`; NULL if there is none. [-0, +0, v] */
struct kad_hook *kad_hook_of_field(lua_State *L, struct kad_host *host,
                                   const char *name, enum kad_hook_kind kind);

/* Returns the weight in the running time of the call that begins now: the
 * number of calls for which it is a sample; 0 if it is not timed. */
uint64_t kad_hook_time_weight(const struct kad_hook *hook);

/* Adds `weight` calls of `ns` nanoseconds each to the running time. */
void kad_hook_add_time(struct kad_hook *hook, uint64_t ns, uint64_t weight);

/* Pushes where the function of a hook is defined, "file:line". [-0, +1, m] */
void kad_hook_push_place(lua_State *L, const struct kad_hook *hook);

/* Pushes the counters of a hook as a table. [-0, +1, m] */
void kad_hook_push_stats(lua_State *L, const struct kad_hook *hook);

/* Pushes the statistics of a host, a table: `hooks` by name, `memory`,
 * `clamped` and `log_dropped`. [-0, +1, m] */
void kad_hook_push_all_stats(lua_State *L, const struct kad_host *host);

/* --------------------------------------------------------------- calls -- */

/* A kad_hook_fn: runs the hook `state`, a struct kad_hook, and gives its
 * result. A host that is closed or stopped, or a hook whose circuit breaker is
 * open, gives KAD_VERDICT_FAILED.
 *
 * A hook that does not yield runs on a coroutine and sees views that are all
 * used again: only what the script reads is allocated. Strings in the result
 * live on that coroutine's stack until its next use. The engine copies them
 * before it makes another hook call. */
void kad_hook_run(void *state, const struct kad_hook_call *call,
                  struct kad_hook_result *result);

/* ------------------------------------------------------- pending hooks -- */

/* The coroutine of a hook that has yielded is a task of kadenza.task. The
 * scheduler resumes it until it ends, or until it is canceled: at its deadline,
 * or when the core no longer waits for the result. */

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

/* -------------------------------------------------------------- probes -- */

/* A probe calls one hook with the arguments that a table describes, as the
 * engine would call it, and gives its result as a table. Tests of policies use
 * it. Such a call has a call_id that no node uses, so that the result of a
 * pending hook finds its way back. A host has one probe at a time. */

/* handle:probe(number, call) → table: the result of the hook of that number;
 * nothing while it is pending. The call has record (with age), held, from (with
 * proven), reason, method and args. Each failure is reported, and no circuit
 * breaker opens. [-0, +0|1, v] */
int kad_hook_probe(lua_State *L, struct kad_host *host);

/* Pushes the result of the pending probe, or nil; forgets it. [-0, +1, m] */
void kad_hook_probe_take_result(lua_State *L, struct kad_host *host);

/* ------------------------------------------------- calls of the program -- */

/* The program calls the hook of a route with a packed request, and gets a
 * packed response, at once or later. The core does not know of such a call: its
 * id is one that no node uses. The program cancels it at its deadline. */

/* handle:serve(number, request) → the response; or the id of the call, an
 * integer, while it is pending: the function of handle:on_answer receives the
 * id, whether the hook has returned, and the response. Or nil and
 *   "failed"   the hook failed
 *   "open"     its circuit breaker is open
 *   "stopped"  the policies are stopped
 *   "busy"     too many calls are pending
 * [-0, +1|2, v] */
int kad_hook_serve(lua_State *L, struct kad_host *host);

/* ------------------------------------------------------------ failures -- */

/* Failures are counted and reported. A hook that keeps failing is not called
 * (circuit breaker):
 *
 *     closed ──10 failures in 10 s──► open ──30 s──► closed
 *
 * While the breaker is open each call fails. */

enum {
  KAD_BREAKER_FAILURES = 10,
  KAD_BREAKER_WINDOW_MS = 10000,
  KAD_BREAKER_OPEN_MS = 30000,
  KAD_REPORT_EVERY_MS = 10000 /* at most one report of a hook in this time */
};

struct kad_hook_failure {
  struct kad_hook *hook;
  lua_State *thread; /* has the error value at its top; NULL: see `text` */
  const char *text;  /* borrowed */
  size_t len;        /* of the text */
  const struct kad_meter_entry *killed; /* the entry, if it was killed */
};

/* Counts a failure, opens the breaker if there were too many, and reports the
 * failure unless one of the same hook was reported recently. [-0, +0, -] */
void kad_hook_failure_report(struct kad_hook_failure failure);

/* Does the same for a failure that `text` describes. [-0, +0, -] */
void kad_hook_failure_report_text(struct kad_hook *hook, const char *text);

/* Does the same for a failure with the error at `index`. [-0, +0, m] */
void kad_hook_failure_report_error(struct kad_hook *hook, lua_State *L,
                                   int index);

/* Tells whether the breaker of `hook` is open. Closes it after its time. */
bool kad_hook_failure_breaker_is_open(struct kad_hook *hook);

/* Forgets the failures: closes the breaker, and the next one is reported. */
void kad_hook_failure_forget(struct kad_hook *hook);

#endif
