/* file.h: what the state of a node on disk needs, and Lua does not have. */
#ifndef KAD_LUA_FILE_H
#define KAD_LUA_FILE_H

#include <lua.h>

/* Adds make_folder and write_file to the table at the top. [-0, +0, m] */
void kad_lua_add_file(lua_State *L);

#endif
