/* network_key.h: the keys of sealed overlays, as objects that wipe themselves.
 */
#ifndef KAD_LUA_NETWORK_KEY_H
#define KAD_LUA_NETWORK_KEY_H

#include "kadenza_network_key.h"

#include <lauxlib.h>
#include <lua.h>

/* Pushes a key of KAD_NETWORK_KEY_SIZE bytes. [-0, +1, m] */
void kad_lua_push_network_key(lua_State *L, const uint8_t *bytes);

/* Reads the field `network_keys` of the table at `arg`, a list of keys, if it
 * has it. Returns whether it does; the caller wipes `*keys` then.
 * [-0, +0, v] */
bool kad_lua_field_network_keys(lua_State *L, int arg,
                                struct kad_network_keys *keys);

/* Methods of a node that belong to its program:
 *   node:set_network_keys(list) → true, or nil, message, code
 *   node:is_sealed() → boolean
 *   node:next_seal_notice(cursor) → cursor, "key" or "clock", address, seconds
 *     that its clock is ahead; nil if there is none */
extern const luaL_Reg kad_lua_network_key_methods[];

/* Adds functions to the module at the top. [-0, +0, m] */
void kad_lua_add_network_key(lua_State *L);

#endif
