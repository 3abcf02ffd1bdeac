/* hook.h: a hook of a host, with its counters. */
#ifndef KAD_POLICY_HOOK_H
#define KAD_POLICY_HOOK_H

#include "policy/host.h"

enum {
  KAD_HOOK_NAME_MAX = 96,      /* bytes of "policy: type.hook" */
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

#endif
