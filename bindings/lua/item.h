/* item.h: targets and signatures of the items of BEP 44. */
#ifndef KAD_LUA_ITEM_H
#define KAD_LUA_ITEM_H

#include <lua.h>

/* Adds functions to the module at the top. [-0, +0, m] */
void kad_lua_add_item(lua_State *L);

#endif
