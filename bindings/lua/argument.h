/* argument.h: reads arguments of functions. Errors name the argument. */
#ifndef KAD_LUA_ARGUMENT_H
#define KAD_LUA_ARGUMENT_H

#include "kadenza.h"

#include <lua.h>

/* Reads an integer in `min` … `max`. [-0, +0, v] */
lua_Integer kad_lua_check_integer(lua_State *L, int arg, lua_Integer min,
                                  lua_Integer max);

/* Reads a string; numbers are not converted. Borrows it. [-0, +0, v] */
struct kad_slice kad_lua_check_slice(lua_State *L, int arg);

/* Reads a path. A zero byte, where the system would cut it, is an error.
 * [-0, +0, v] */
const char *kad_lua_check_path(lua_State *L, int arg);

/* Reads a binary id of `bits` (160 or 256). [-0, +0, v] */
void kad_lua_check_id(lua_State *L, int arg, unsigned bits, struct kad_id *id);

/* Reads an address like "192.0.2.1:6881". [-0, +0, v] */
void kad_lua_check_address(lua_State *L, int arg, struct kad_address *address);

/* Reads the first `count` items of a list of addresses. [-0, +0, v] */
void kad_lua_check_addresses(lua_State *L, int arg, size_t count,
                             struct kad_address *addresses);

/* Raises unless the argument is nil, or a table whose keys are all in `names`,
 * which ends with NULL. Returns whether it is a table. [-0, +0, v] */
bool kad_lua_check_options(lua_State *L, int arg, const char *const *names);

#endif
