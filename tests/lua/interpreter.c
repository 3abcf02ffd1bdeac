/* An interpreter for tests with a release of Lua that has none:
 * `interpreter SCRIPT [ARGUMENT]...`. The crate that carries Lua's sources
 * leaves out lua.c. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>

int main(int argc, char **argv) {
  lua_State *const L = luaL_newstate();
  if (L == NULL || argc < 2) {
    fprintf(stderr, "usage: interpreter SCRIPT [ARGUMENT]...\n");
    return 2;
  }
  luaL_openlibs(L);
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  if (luaL_dofile(L, argv[1]) != LUA_OK) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  lua_close(L);
  return 0;
}
