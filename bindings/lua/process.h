/* process.h: what a program needs of its process, and Lua does not have.
 * Sandboxed policies do not have this. */
#ifndef KAD_LUA_PROCESS_H
#define KAD_LUA_PROCESS_H

#include <lua.h>

/* Prepares a process that will open sockets and write to pipes: opens standard
 * streams that are closed, and makes a write to a closed pipe, or beyond the
 * limit of a file's size, fail instead of ending the process. */
void kad_lua_prepare_process(void);

/* Adds prepare_process, is_terminal, pid, variables and quit to the top table.
 * [-0, +0, m] */
void kad_lua_add_process(lua_State *L);

#endif
