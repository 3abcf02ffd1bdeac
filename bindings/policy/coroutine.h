/* coroutine.h: coroutines of sandboxed scripts, and those of programs.
 *
 * Coroutines of scripts differ from those of Lua in two points. The code in a
 * coroutine counts for the entry that has resumed it. And when it waits or is
 * preempted, it yields through all coroutines that have resumed it to the
 * scheduler: so a generator may sleep. A script sees only the coroutines that
 * scripts have made.
 *
 * Those of programs differ in the second point only. */
#ifndef KAD_POLICY_COROUTINE_H
#define KAD_POLICY_COROUTINE_H

#include <lua.h>

/* Pushes the coroutine library of scripts. [-0, +1, m] */
void kad_coroutine_push_library(lua_State *L);

/* Pushes a copy of the library `coroutine`, as it was at the first call.
 * [-0, +1, m] */
void kad_coroutine_push_lua_functions(lua_State *L);

/* Pushes a table of `resume` and `wrap`, to be used in place of Lua's own.
 * [-0, +1, m] */
void kad_coroutine_push_program_functions(lua_State *L);

#endif
