/* spawn.h: runs other programs, such as one that draws charts: by name and list
 * of arguments, without a shell. Sandboxed policies do not have this. */
#ifndef KAD_LUA_SPAWN_H
#define KAD_LUA_SPAWN_H

#include <lua.h>

/* Adds spawn to the table at the top. [-0, +0, m] */
void kad_lua_add_spawn(lua_State *L);

#endif
