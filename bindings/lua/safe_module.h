/* safe_module.h: the functions of kadenza.core that are safe in a sandbox. */
#ifndef KAD_LUA_SAFE_MODULE_H
#define KAD_LUA_SAFE_MODULE_H

#include <lua.h>

/* Pushes a new table with ids (key, hex, unhex, distance, compare), signatures
 * (keypair, sign, verify), addresses, bencode (encode, decode), plain values,
 * config_options, place, traceback, and `errors`, the texts of codes.
 * [-0, +1, m] */
void kad_lua_push_safe_module(lua_State *L);

#endif
