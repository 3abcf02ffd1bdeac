/* module.h: `require "kadenza.core"`, the whole module. A VM of policies has
 * only its safe part, and its tasks run on a borrowed handle of the network. */
#ifndef KAD_LUA_MODULE_H
#define KAD_LUA_MODULE_H

#include "kadenza.h"

#include <lua.h>

/* [-1, +1, m] */
KAD_API int luaopen_kadenza_core(lua_State *L);

#endif
