/* operation.h: the methods of nodes that begin operations.
 *
 * Each takes its arguments, a table of options or nil, and a function that is
 * called once with the values of kad_lua_push_result. It returns the operation,
 * an integer for `cancel`, or nil, message, code. */
#ifndef KAD_LUA_OPERATION_H
#define KAD_LUA_OPERATION_H

#include <lauxlib.h>
#include <lua.h>

/* Ends with NULL. */
extern const luaL_Reg kad_lua_operation_methods[];

#endif
