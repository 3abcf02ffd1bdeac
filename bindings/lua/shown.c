#include "lua/shown.h"

#include "lua/value.h"

#include <lauxlib.h>

#include <stdio.h>

enum {
  SHOWN_MAX = 60, /* bytes of a text */
  ESCAPE_SIZE = 5 /* "\x1b", and the zero byte */
};

const char *kad_lua_push_shown(lua_State *L, int index) {
  size_t len = 0;
  luaL_Buffer buffer;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, NULL);
  const char *const text = luaL_tolstring(L, index, &len);
  const size_t shown = kad_lua_cut_text(text, len, SHOWN_MAX);
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < shown; i++) {
    const unsigned char byte = (unsigned char)text[i];
    if (byte >= ' ' && byte != 0x7F) {
      luaL_addchar(&buffer, text[i]);
    } else {
      char *const room = luaL_prepbuffsize(&buffer, ESCAPE_SIZE);
      (void)snprintf(room, ESCAPE_SIZE, "\\x%02x", byte);
      luaL_addsize(&buffer, ESCAPE_SIZE - 1);
    }
  }
  if (shown < len) {
    luaL_addstring(&buffer, "...");
  }
  luaL_pushresult(&buffer);
  lua_remove(L, -2);
  return lua_tostring(L, -1);
}

void kad_lua_add_traceback(lua_State *L, lua_State *thread, int level) {
  luaL_checkstack(L, 3, NULL);
  lua_pushliteral(L, "\n");
  luaL_traceback(L, thread, NULL, level);
  lua_concat(L, 3);
}
