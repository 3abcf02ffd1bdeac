/* file.h: what the state of a node on disk needs, and Lua does not have. */
#ifndef KAD_LUA_FILE_H
#define KAD_LUA_FILE_H

#include <lua.h>

enum {
  KAD_LUA_NOT_REGULAR = -2
};

/* Opens a file to read it, without waiting for the writer of a FIFO. Returns a
 * descriptor; -1 and errno; or KAD_LUA_NOT_REGULAR for what is neither a
 * regular file nor a folder, which cannot be read. */
int kad_lua_open_regular(const char *path);

/* Adds make_folder and write_file to the table at the top. [-0, +0, m] */
void kad_lua_add_file(lua_State *L);

#endif
