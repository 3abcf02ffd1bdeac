/* lock.h: lock files. The operating system holds the lock for the process: it
 * ends with the process, whatever ends that, and no program that it starts
 * inherits it. A file that is left behind locks nothing. */
#ifndef KAD_LUA_LOCK_H
#define KAD_LUA_LOCK_H

#include <lua.h>

/* Adds lock_file to the table at the top. [-0, +0, m] */
void kad_lua_add_lock(lua_State *L);

#endif
