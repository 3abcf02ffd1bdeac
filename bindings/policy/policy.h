/* policy.h: what the files of the policy host share.
 *
 *   engine ──call──► hook.c: a runner, i.e. a coroutine of the host's state
 *                         │ runs the script, verdict.c reads what it returns
 *                         ├─ returned ──► the answer
 *                         ├─ waits ─────► KAD_VERDICT_PENDING; the coroutine is
 * a task of │               kadenza.task, whose end answers └─ failed ────►
 * KAD_VERDICT_FAILED, counted, said
 *
 * A host is the policies of one node in one Lua state: a VM of its own for
 * files, the caller's for tables. hook.c does not care which. */
#ifndef KAD_POLICY_POLICY_H
#define KAD_POLICY_POLICY_H

#include "lua/kadenza_lua.h"
#include "policy/meter.h"
#include "policy/view.h"

enum {
  KAD_HOOK_NAME_MAX = 96,        /* bytes of "policy: type.hook" */
  KAD_HOOK_DEADLINE_MS = 2000,   /* what a kad_policy has by default */
  KAD_BREAKER_FAILURES = 10,     /* within … */
  KAD_BREAKER_WINDOW_MS = 10000, /* … open the breaker for … */
  KAD_BREAKER_OPEN_MS = 30000,
  KAD_REPORT_EVERY_MS = 10000, /* a hook's failures are said so often */
  KAD_HOOK_TIMES = 20          /* buckets: under 1 us … over 0.26 s */
};

/* What a hook is asked, and so what it may return. */
enum kad_hook_kind {
  KAD_HOOK_VALIDATE,
  KAD_HOOK_MERGE,
  KAD_HOOK_SELECT,
  KAD_HOOK_EXPIRE,
  KAD_HOOK_REPUBLISH,
  KAD_HOOK_TOLD, /* on_store, on_expire */
  KAD_HOOK_REQUEST,
  KAD_HOOK_CONTACT,
  KAD_HOOK_RPC,
  KAD_HOOK_CODEC /* not asked as the others are; see codec.c */
};

struct kad_host;

/* One hook of a host. */
struct kad_lua_hook {
  struct kad_host *host;
  enum kad_hook_kind kind;
  char name[KAD_HOOK_NAME_MAX]; /* for messages and counters */
  int arguments;                /* that its function takes; more are not made */
  uint32_t deadline_ms;         /* for an answer that waits */
  uint64_t calls;
  uint64_t errors;
  uint64_t overruns;  /* among the errors */
  uint64_t yields;    /* calls that waited */
  uint64_t preempted; /* calls that had not ended with their share of a turn */
  uint64_t instructions; /* about */
  uint64_t ns;           /* running time in all */
  uint64_t slowest_ns;
  uint64_t times[KAD_HOOK_TIMES]; /* calls by time: less than 2^i us, the last
                                     more */
  uint32_t recent;                /* failures in the present window */
  kad_time_ms window_from;        /* its begin */
  kad_time_ms open_until;         /* the breaker; 0 when it is closed */
  kad_time_ms said_at;            /* the last report; 0 for never */
  uint64_t unsaid;                /* failures since then */
  kad_time_ms clamped_at;         /* seconds out of range were said; 0: never */
  uint64_t clamped_unsaid;        /* such since then */
  bool steady;                    /* its breaker never opens */
};

/* The hooks of a type, by their place: see type_hooks in policy.c. */
enum {
  KAD_TYPE_HOOKS = 7
};

struct kad_lua_type {
  struct kad_lua_hook *hooks[KAD_TYPE_HOOKS];
};

/* A coroutine that runs hooks, one at a time, and the views of its call. */
struct kad_runner {
  struct kad_runner *next_free; /* NULL for the last, and while it runs */
  struct kad_runner *before;    /* in the list of all */
  struct kad_runner *after;
  struct kad_host *host;
  lua_State *thread;
  struct kad_lua_hook *hook;        /* that runs */
  const struct kad_hook_call *call; /* NULL once the hook has waited */
  uint64_t call_id;                 /* of a hook that waits; else 0 */
  kad_time_ms began;                /* when the hook was asked */
  struct kad_hook_result answer;    /* what the hook has said */
  struct kad_view *subject;         /* a record or request; or NULL */
  struct kad_view *context;         /* NULL: nobody asked for one */
  uint64_t ns;                      /* that it ran before it waited */
  bool lost; /* memory ended while it was handed over to the scheduler */
  bool held; /* it is being handed over: it is freed only afterwards */
};

/* The codec of a host that has one. */
struct kad_lua_codec {
  struct kad_codec codec;
  struct kad_lua_hook *encode;
  struct kad_lua_hook *decode;
  lua_State *thread; /* on which they run */
  bool busy;         /* one of them runs */
};

/* The policies of one node in one Lua state. Counted: the node's ruleset, and
 * the handle in the state that attached it. */
struct kad_host {
  struct kad_lua_link *node; /* shared; its node is NULL once closed */
  lua_State *L;              /* the main thread; NULL once it is gone */
  lua_State *parent;         /* whose registry has the log, under the host */
  bool owns_state;
  uint32_t users;
  unsigned bits;
  struct kad_meter *meter; /* of its state */
  struct kad_views *views; /* of its state */
  size_t memory_used;      /* bytes of an own state */
  size_t memory_limit;
  bool refused;               /* the last block was */
  unsigned pace;              /* how full it was when its collector was set */
  struct kad_runner *runners; /* all of them */
  struct kad_runner *free_runners;
  struct kad_lua_hook *hooks; /* `hook_count` of them */
  size_t hook_count;
  struct kad_lua_type *types; /* `type_count` of them */
  size_t type_count;
  struct kad_lua_hook *on_request; /* NULL: there is none */
  struct kad_lua_hook *on_contact;
  struct kad_lua_codec codec;
  uint64_t clamped; /* returns out of range */
  uint64_t asked;   /* call_id of a call of ask.c that waits; 0: none */
  uint64_t asks;    /* such questions so far */
  bool stopped;     /* for want of memory: its hooks fail, nothing runs */
  uint32_t starved; /* callbacks without memory in the window */
  kad_time_ms starved_since; /* its begin */
  kad_time_ms log_since;     /* the begin of the present window of the log */
  uint32_t log_lines;        /* written in it */
  uint64_t log_dropped;      /* lines over the bound, in all */
};

/* Answers a call by running a hook; `state` is a kad_lua_hook. */
void kad_hook_complete(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer);

/* Pushes where the function of a hook is defined, "file:line". [-0, +1, m] */
void kad_hook_push_place(lua_State *L, const struct kad_lua_hook *hook);

/* Counts a failure of a hook that is not run here, and says it, `text`, unless
 * one has been said just now. [-0, +0, -] */
void kad_hook_fail(struct kad_lua_hook *hook, const char *text);

/* Cancels the hook that waits with `call_id`. */
void kad_hook_abandon(struct kad_host *host, uint64_t call_id);

/* Frees the runners of a host whose state is going. None may be running. */
void kad_hook_free_runners(struct kad_host *host);

/* What a set-up table is turned into. The arrays are userdata on the stack. */
struct kad_installation {
  struct kad_host *host;
  struct kad_policy policy;
  int error; /* 0 or KAD_E… */
};

/* Installs the set-up table at 2 in the node of the host. [-0, +n, e] */
void kad_policy_install(lua_State *L, struct kad_installation *installation);

/* Ends one use of a host, whose Lua side has ended when it is the last. */
void kad_host_drop(struct kad_host *host);

/* Makes functions of Lua known to hook.c: the table at `index` has hooks,
 * adopt, suspended, cancel and report, and is given `ended`, `problem` and the
 * metered functions of coroutines. [-0, +0, m] */
void kad_hook_set_up(lua_State *L, struct kad_host *host, int index);

/* log(level, message, name, value, …) of VMs: hands an event to the function
 * that the parent has under the host. */
int kad_vm_log(lua_State *L);

/* Makes a VM for `host`: a state with a capped allocator, where `require` finds
 * the modules of the table at `sources` of `L` (name → text or compiled code)
 * and nothing else. Returns 0 or KAD_ENOMEM. [-0, +0, m] */
KAD_MUST_CHECK
int kad_vm_new(lua_State *L, int sources, struct kad_host *host);

/* Sets the collector of a host's own state by how full that is. [-0, +0, -] */
void kad_vm_pace(struct kad_host *host);

/* Reads what the hook of `runner` has returned, at 1 … `count` of the stack,
 * into `runner->answer`, which then borrows it. Raises for what it may not
 * return. [-0, +1, v] */
void kad_verdict_read(lua_State *L, struct kad_runner *runner, int count);

/* handle:ask(number, call): asks the hook of that number, as the engine
 * would, and returns its answer as a table; nothing while the hook waits. The
 * call has record (with age), held, from (with proven), reason, method and
 * args; a failure is said each time, and no breaker opens. [-0, +0|1, v] */
int kad_host_ask(lua_State *L, struct kad_host *host);

/* handle:take_answer(): the answer of the hook that waited, or nil.
 * [-0, +1, m] */
int kad_host_take_answer(lua_State *L, struct kad_host *host);

/* Takes the answer of a hook that kad_host_ask has asked and that waited. */
void kad_host_answered(struct kad_lua_hook *hook,
                       const struct kad_hook_result *answer);

/* handle:describe(): what describe of the set-up returns, a string.
 * [-0, +1, m] */
int kad_host_describe(lua_State *L, struct kad_host *host);

#endif
