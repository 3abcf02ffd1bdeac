/* coroutine.h: coroutines of sandboxed scripts.
 *
 * They differ from those of Lua in two points. The code in a coroutine counts
 * for the entry that has resumed it. And when it waits or is preempted, it
 * yields through all coroutines that have resumed it to the scheduler: so a
 * generator may sleep.
 *
 * A script sees only the coroutines that scripts have made. */
#ifndef KAD_POLICY_COROUTINE_H
#define KAD_POLICY_COROUTINE_H

#include <lua.h>

/* Pushes the coroutine library of scripts. [-0, +1, m] */
void kad_coroutine_push_library(lua_State *L);

/* Sets `running` of the scheduler's coroutine library, the table at the top. It
 * gives the coroutine of the task, also inside a coroutine that the script has
 * made. [-0, +0, m] */
void kad_coroutine_set_running(lua_State *L);

#endif
