/* metered.h: metered functions of Lua, for the scheduler and for scripts. */
#ifndef KAD_POLICY_METERED_H
#define KAD_POLICY_METERED_H

#include <lua.h>

/* Adds to the table at the top metered forms of coroutine.create, resume and
 * close, and the functions `run`, `used`, `carry` and `has_time` for the
 * scheduler. [-0, +0, m] */
void kad_metered_add_functions(lua_State *L);

/* pcall(fn, ...) of scripts. It is refused in deep recursions: to recover from
 * an error takes time in proportion to the depth, which is not metered. */
int kad_metered_pcall(lua_State *L);

#endif
