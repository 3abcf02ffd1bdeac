/* shown.h: texts of others in messages. A message is a text of C in many
 * places, which a zero byte would end. */
#ifndef KAD_LUA_SHOWN_H
#define KAD_LUA_SHOWN_H

#include <lua.h>

/* Pushes the start of the string at `index` for a message: each control as
 * "\x1b", at most 60 bytes before that, "..." for the rest. Other values as
 * luaL_tolstring shows them. Returns it. [-0, +1, e] */
const char *kad_lua_push_shown(lua_State *L, int index);

/* Adds the calls of `thread` from `level` on to the text at the top, as
 * luaL_traceback does; the text is kept whole. [-1, +1, m] */
void kad_lua_add_traceback(lua_State *L, lua_State *thread, int level);

#endif
