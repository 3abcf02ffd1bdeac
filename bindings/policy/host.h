/* host.h: a host, which is the policies of one node in one Lua state: a VM of
 * its own for files, the caller's state for tables.
 *
 * The files of the policy host call each other in one direction:
 *
 *     handle ─► install ─► codec ──────────────────────────┐
 *        │         └─────► hook_run ─► view                  │
 *        │                    │                              ▼
 *        ├─► hook_probe, ─────┤             hook_failure ─► hook ─► host
 *        │   hook_serve       │                              │
 *        └─► vm               └► hook_pending ─► verdict ─►──┤        │
 *                                     └────────► runner ─►───┘        ▼
 *                                                                   meter
 *
 * hook_run runs a hook on a runner, which is a coroutine of the host's state.
 *   - The hook returns: verdict.c reads the result.
 *   - The hook yields: the result is KAD_VERDICT_PENDING. The coroutine becomes
 *     a task of kadenza.task, and the end of that task completes the call.
 *   - The hook raises, or is killed: the result is KAD_VERDICT_FAILED, and
 *     hook_failure.c counts and reports it. */
#ifndef KAD_POLICY_HOST_H
#define KAD_POLICY_HOST_H

#include "kadenza_codec.h"
#include "lua/context.h"
#include "lua/handle.h"
#include "policy/meter.h"
#include "policy/registry.h"
#include "policy/view.h"

struct kad_hook;
struct kad_host;
struct kad_runner;

/* The hooks of a record type, as in struct kad_type. NULL: there is none. */
struct kad_host_type {
  struct kad_hook *validate;
  struct kad_hook *merge;
  struct kad_hook *select;
  struct kad_hook *expire;
  struct kad_hook *republish_at;
  struct kad_hook *stored;
  struct kad_hook *dropped;
};

/* The codec of a host that has one. */
struct kad_host_codec {
  struct kad_codec codec;
  struct kad_hook *encode;
  struct kad_hook *decode;
  lua_State *thread; /* on which they run */
  bool busy;         /* one of them runs */
};

/* Takes the result of a pending probe; see hook_probe.c. */
typedef void kad_probe_done_fn(struct kad_hook *hook,
                               const struct kad_hook_result *result);

struct kad_host_probe {
  uint64_t call_id; /* of the pending probe; 0: none */
  uint64_t count;   /* probes so far */
  kad_probe_done_fn *done;
};

/* Takes the result of a pending call of the program; see hook_serve.c. */
typedef void kad_served_done_fn(struct kad_host *host, uint64_t call_id,
                                const struct kad_hook_result *result);

struct kad_host_served {
  uint64_t count;   /* calls so far */
  uint32_t pending; /* of them */
  kad_served_done_fn *done;
};

/* Counted: its users are the node's ruleset, and a handle in `parent`. */
struct kad_host {
  struct kad_lua_dependent dependent; /* it ends with its node */
  struct kad_lua_link *link;          /* shared; its node is NULL once closed */
  lua_State *L;        /* the main thread; NULL once it is closed */
  lua_State *parent;   /* the state that made the host */
  bool owns_state;     /* the state is a VM */
  bool handle_is_gone; /* the handle was collected while the VM ran */
  bool stopped;        /* out of memory too often: hooks fail, nothing runs */
  uint32_t users;
  unsigned bits;           /* width of ids */
  struct kad_meter *meter; /* of its state */
  struct kad_views *views; /* of its state */
  struct kad_host_keys keys;
  struct kad_runner *runners;      /* all of them */
  struct kad_runner *free_runners; /* those that run no hook */
  struct kad_hook *hooks;          /* `hook_count` of them */
  size_t hook_count;
  struct kad_host_type *types; /* `type_count` of them */
  size_t type_count;
  struct kad_hook *on_request; /* NULL: there is none */
  struct kad_hook *on_contact; /* NULL: there is none */
  struct kad_host_codec codec;
  struct kad_host_probe probe;
  struct kad_host_served served;
  uint64_t clamped; /* results out of range */
  /* The rest belongs to vm.c and is used in VMs only. */
  struct kad_lua_outside *outside; /* of the parent */
  size_t memory_used;              /* bytes */
  size_t memory_limit;             /* bytes */
  bool block_refused;              /* the last block was */
  unsigned gc_pace;                /* memory in use when the collector was tuned
                                      last, in sixteenths of the limit */
  int load_error;           /* KAD_E… of a source that the machine could not
                               read; 0: there is none */
  uint32_t memory_failures; /* callbacks without memory in the window */
  kad_time_ms memory_failures_since; /* start of that window */
  kad_time_ms log_since;             /* start of the window of the log */
  uint32_t log_lines;                /* in that window */
  uint64_t log_dropped;              /* lines over the bound, in all */
};

/* Makes a host of a node, with one user and no state; NULL: out of memory. */
struct kad_host *kad_host_new(lua_State *L, const struct kad_lua_node *node);

/* Removes one user of a host. The last one frees it, after kad_host_close. */
void kad_host_release(struct kad_host *host);

/* Returns the time of the host's network; 0 when that is closed. */
static inline kad_time_ms kad_host_now(const struct kad_host *host) {
  return host->link->network != NULL ? kad_network_now(host->link->network) : 0;
}

/* Begins a share of the meter if the network is in another turn. */
static inline void kad_host_begin_turn(const struct kad_host *host) {
  if (host->link->network != NULL) {
    kad_meter_turn(host->meter, host->link->network);
  }
}

/* Pushes the field `name` of the set-up. [-0, +1, m] */
void kad_host_push_field(lua_State *L, const struct kad_host *host,
                         const char *name);

/* A kad_lua_report_fn that reports nothing. */
void kad_host_ignore_error(lua_State *L, int status);

/* Runs `body` protected in the state of `host`; in a VM as an entry of the
 * meter. `is_internal`: kadenza's own code runs, not a script's; it may use the
 * memory kept in reserve. Returns a LUA_… status. [-0, +0, -] */
int kad_host_protect(struct kad_host *host, bool is_internal,
                     lua_CFunction body, void *argument,
                     kad_lua_report_fn *report);

/* Does the same for a body that sets a text. In a VM the message of an error is
 * set in its place. [-0, +0, -] */
int kad_host_run(struct kad_host *host, bool is_internal, lua_CFunction body,
                 void *argument);

/* Pops a string or nil and keeps it as the text. [-1, +0, m] */
void kad_host_set_text(lua_State *L, const struct kad_host *host);

/* Pushes the text on the stack of `host->L` and returns it; NULL if there is
 * none. [-0, +1, -] */
const char *kad_host_get_text(const struct kad_host *host, size_t *len);

/* Pushes the text on `L`, which may be another state; "out of memory" if there
 * is none. [-0, +1, m] */
void kad_host_copy_text(lua_State *L, const struct kad_host *host);

/* Clears the text. [-0, +0, -] */
void kad_host_clear_text(const struct kad_host *host);

/* Cancels the tasks that are left in the VM of a host whose policies are
 * released. With `at_last`, drops the tasks that do not end now. Returns true
 * when none is left. */
bool kad_host_finish(struct kad_host *host, bool at_last);

/* Closes the VM of a host; a host without a VM leaves its state. The host has
 * no state then: its hooks fail. Its runners have been freed. The values of the
 * host in the registry of `L`, the state that made it, are removed.
 * [-0, +0, m] */
void kad_host_close(lua_State *L, struct kad_host *host);

/* The first id of the calls of the program. */
static const uint64_t kad_host_served_first = UINT64_C(1) << 62;

/* Tells whether a call is one of the program, and no probe. */
static inline bool kad_host_is_served(const struct kad_host *host,
                                      uint64_t call_id) {
  return call_id >= kad_host_served_first &&
         call_id < kad_host_served_first + host->served.count;
}

/* Gives the parent an answer: calls the function of handle:on_answer with
 * `id`, `succeeded` and `bytes`; without bytes if `bytes.data` is NULL.
 * [-0, +0, -] */
void kad_host_answer(struct kad_host *host, lua_Integer id, bool succeeded,
                     struct kad_slice bytes);

/* Tells whether the VM of `host` is running: what it calls in the parent, such
 * as the log, must not close it. */
bool kad_host_is_running(const struct kad_host *host);

#endif
