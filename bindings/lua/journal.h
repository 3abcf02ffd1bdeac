/* journal.h: files to which texts are appended. */
#ifndef KAD_LUA_JOURNAL_H
#define KAD_LUA_JOURNAL_H

#include <lua.h>

/* Adds open_journal and read_journal to the table at the top. [-0, +0, m] */
void kad_lua_add_journal(lua_State *L);

#endif
