/* passphrase.h: passphrases, and secrets that they seal. */
#ifndef KAD_LUA_PASSPHRASE_H
#define KAD_LUA_PASSPHRASE_H

#include <lua.h>

/* Adds functions to the module at the top. [-0, +0, m] */
void kad_lua_add_passphrase(lua_State *L);

#endif
