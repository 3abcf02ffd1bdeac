/* resumption.h: coroutines through which a task waits.
 *
 * A task may resume a coroutine that waits, for example a generator that gets a
 * record. Then the coroutine yields to the scheduler, *through* all coroutines
 * that have resumed one another, up to the task; and all of them continue when
 * the wait ends. A preemption passes through them in the same way. This works
 * for coroutines that are resumed here, so `resume` and `wrap` of scripts and
 * of programs call kad_resumption_resume (coroutine.h).
 *
 * While a coroutine is resumed here, a record says by which. The records are on
 * the C stack, so they are in the order in which the coroutines call one
 * another. Code that resumes by other means leaves a gap: a coroutine behind it
 * belongs to no task. */
#ifndef KAD_POLICY_RESUMPTION_H
#define KAD_POLICY_RESUMPTION_H

#include "policy/meter.h"

/* What resuming gives. */
enum kad_resumption_mode {
  KAD_RESUMPTION_MODE_RESUME, /* true and the values, or false and the error */
  KAD_RESUMPTION_MODE_WRAP,   /* the values, or raises */
  KAD_RESUMPTION_MODE_PLACED  /* does so with the place of the call before the
                                 text of the error, as coroutine.wrap of Lua */
};

/* Resumes the coroutine at 1 with the values above it, or raises or returns why
 * it cannot be resumed. [-*, +n, e] */
int kad_resumption_resume(lua_State *L, enum kad_resumption_mode mode);

/* Begins and ends a call of the code of `thread` by `L`. */
void kad_resumption_enter(struct kad_meter *meter,
                          struct kad_resumption *resumption, lua_State *L,
                          lua_State *thread);
void kad_resumption_leave(struct kad_meter *meter);

/* Returns what coroutine.status says of `thread`. [-0, +0, -] */
const char *kad_resumption_status(lua_State *L, lua_State *thread);

/* Adds to the table at the top what the scheduler needs:
 *   running() → the coroutine that has resumed the one that runs, through all
 *     in between: that of a task, if a task runs
 *   blocked() → the coroutine that cannot yield, of those from the one that
 *     runs up to the task; or nil
 *   suspend(...): yields to the scheduler
 *   inner(thread) → the coroutine through which it waits, or nil
 * [-0, +0, m] */
void kad_resumption_add_functions(lua_State *L);

#endif
