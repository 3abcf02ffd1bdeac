/* loader.h: the records of a state folder, for a program that runs no node.
 * Tested by tests/spec/dump_spec.lua, tests/spec/cli/load_spec.lua. */
#ifndef KAD_LUA_LOADER_H
#define KAD_LUA_LOADER_H

#include <lua.h>

/* Adds `check_record`, `open_loader` and `read_records` to the table at the
 * top. [-0, +0, m] */
void kad_lua_add_loader(lua_State *L);

#endif
