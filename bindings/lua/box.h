/* box.h: texts for one recipient (crypto_box_seal of libsodium). Tested by
 * tests/spec/box_spec.lua. */
#ifndef KAD_LUA_BOX_H
#define KAD_LUA_BOX_H

#include <lua.h>

/* Adds `box_keypair`, `box_seal` and `box_open` to the table at the top.
 * [-0, +0, m] */
void kad_lua_add_box(lua_State *L);

#endif
