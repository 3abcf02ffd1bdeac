/* terminal.h: what a program must know of a terminal before it writes to it.
 * Sandboxed policies do not have this. */
#ifndef KAD_LUA_TERMINAL_H
#define KAD_LUA_TERMINAL_H

#include <lua.h>

/* Adds is_terminal, is_foreground, terminal_columns, text_width to the top
 * table. [-0, +0, m] */
void kad_lua_add_terminal(lua_State *L);

#endif
