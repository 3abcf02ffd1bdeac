/* process.h: what a program needs of its process, and Lua does not have.
 * Sandboxed policies do not have this. */
#ifndef KAD_LUA_PROCESS_H
#define KAD_LUA_PROCESS_H

#include <lua.h>

/* Prepares a process that will open sockets, write to pipes and start programs:
 * opens standard streams that are closed; makes a write to a closed pipe, or
 * beyond the limit of a file's size, fail instead of ending the process;
 * unblocks all signals; makes signals end process 1, as they end others. */
void kad_lua_prepare_process(void);

/* Adds prepare_process, pid, variables and quit to the top table.
 * [-0, +0, m] */
void kad_lua_add_process(lua_State *L);

#endif
