/* hook_failure.h: counts and reports the failures of hooks, and stops calling a
 * hook that keeps failing (circuit breaker).
 *
 *     closed ──10 failures in 10 s──► open ──30 s──► closed
 *
 * While the breaker is open the hook is not called: each call fails. */
#ifndef KAD_POLICY_HOOK_FAILURE_H
#define KAD_POLICY_HOOK_FAILURE_H

#include "policy/hook.h"

enum {
  KAD_BREAKER_FAILURES = 10,
  KAD_BREAKER_WINDOW_MS = 10000,
  KAD_BREAKER_OPEN_MS = 30000,
  KAD_REPORT_EVERY_MS = 10000 /* at most one report of a hook in this time */
};

struct kad_hook_failure {
  struct kad_hook *hook;
  lua_State *thread; /* has the error value at its top; NULL: see `text` */
  const char *text;  /* borrowed; NULL: the error has no text */
  const struct kad_meter_entry *killed; /* the entry, if it was killed */
};

/* Counts a failure, opens the breaker if there were too many, and reports the
 * failure unless one of the same hook was reported recently. [-0, +0, -] */
void kad_hook_failure_report(struct kad_hook_failure failure);

/* Does the same for a failure that `text` describes. [-0, +0, -] */
void kad_hook_failure_report_text(struct kad_hook *hook, const char *text);

/* Tells whether the breaker of `hook` is open, and closes it when its time is
 * over. */
bool kad_hook_failure_breaker_is_open(struct kad_hook *hook);

/* Forgets the failures of a hook: its breaker is closed, and its next failure
 * is reported. */
void kad_hook_failure_forget(struct kad_hook *hook);

#endif
