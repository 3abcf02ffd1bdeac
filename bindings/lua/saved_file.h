/* saved_file.h: reads files of a folder that another program may have touched.
 */
#ifndef KAD_LUA_SAVED_FILE_H
#define KAD_LUA_SAVED_FILE_H

#include <lua.h>

/* Adds read_saved to the table at the top. [-0, +0, m] */
void kad_lua_add_saved_file(lua_State *L);

#endif
