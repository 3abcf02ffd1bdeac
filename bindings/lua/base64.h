/* base64.h: base64, with padding and without line breaks (RFC 4648 §4). Tested
 * by tests/spec/dump_spec.lua. */
#ifndef KAD_LUA_BASE64_H
#define KAD_LUA_BASE64_H

#include <lua.h>

/* Adds `base64` and `unbase64` to the table at the top. [-0, +0, m] */
void kad_lua_add_base64(lua_State *L);

#endif
