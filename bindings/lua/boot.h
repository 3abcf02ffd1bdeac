/* boot.h: the clock of the machine, which no one sets. */
#ifndef KAD_LUA_BOOT_H
#define KAD_LUA_BOOT_H

#include <lua.h>

/* Adds boot to the table at the top. [-0, +0, m] */
void kad_lua_add_boot(lua_State *L);

#endif
