/* An interpreter for tests with a release of Lua that has none:
 * `interpreter [-e CODE]... [SCRIPT [ARGUMENT]...]`. The crate that carries
 * Lua's sources leaves out lua.c. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>
#include <string.h>

/* Adds what called what to a message. */
static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* Runs the chunk on the stack, or says why there is none. Returns 0, or 1. */
static int run(lua_State *L, int status) {
  if (status == LUA_OK) {
    lua_pushcfunction(L, add_traceback);
    lua_insert(L, 1);
    status = lua_pcall(L, 0, 0, 1);
  }
  if (status != LUA_OK) {
    fprintf(stderr, "lua: %s\n", lua_tostring(L, -1));
  }
  lua_settop(L, 0);
  return status == LUA_OK ? 0 : 1;
}

/* Sets `arg`: the script is its field 0. */
static void set_arguments(lua_State *L, int argc, char **argv, int script) {
  lua_createtable(L, argc, 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - script);
  }
  lua_setglobal(L, "arg");
}

int main(int argc, char **argv) {
  lua_State *const L = luaL_newstate();
  int script = 1;
  int failed = L == NULL;
  while (script + 1 < argc && strcmp(argv[script], "-e") == 0) {
    script += 2;
  }
  if (failed || argc < 2) {
    fprintf(stderr, "usage: interpreter [-e CODE]... [SCRIPT [ARGUMENT]...]\n");
    return 2;
  }
  luaL_openlibs(L);
  set_arguments(L, argc, argv, script);
  for (int i = 2; i < script && !failed; i += 2) {
    failed = run(L, luaL_loadbuffer(L, argv[i], strlen(argv[i]), "=-e"));
  }
  if (script < argc && !failed) {
    failed = run(L, luaL_loadfile(L, argv[script]));
  }
  lua_close(L);
  return failed;
}
