/* The `kadenza` program: makes a Lua state with the built-in scripts and runs
 * the module kadenza.cli. */

#ifdef KAD_EDIT
#include "edit/line_editor.h"
#endif
#ifdef KAD_HTTP
#include "http/module.h"
#endif
#include "lua/process.h"
#include "scripts.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>
#include <string.h>

enum {
  EXIT_FAILED = 1, /* out of memory */
  EXIT_BROKEN = 3  /* a bug */
};

/* Registry key of the program's name, as it was called. */
static const char program_key = 0;

int luaopen_kadenza_core(lua_State *L);

/* Returns the built-in script `name`, or NULL. */
static const struct kad_script *find_script(const char *name) {
  for (const struct kad_script *script = kad_scripts; script->name != NULL;
       script++) {
    if (strcmp(script->name, name) == 0) {
      return script;
    }
  }
  return NULL;
}

/* source(name) → the text of a built-in script, or nil */
static int built_in_source(lua_State *L) {
  const struct kad_script *script = find_script(luaL_checkstring(L, 1));
  if (script == NULL) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, script->source, script->len);
  }
  return 1;
}

/* scripts() → list of the names of the built-in scripts */
static int built_in_scripts(lua_State *L) {
  lua_newtable(L);
  for (lua_Integer i = 0; kad_scripts[i].name != NULL; i++) {
    lua_pushstring(L, kad_scripts[i].name);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* program() → the program's name, as it was called */
static int built_in_program(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &program_key);
  return 1;
}

static const luaL_Reg built_in_functions[] = {
    {"source", built_in_source},
    {"scripts", built_in_scripts},
    {"program", built_in_program},
    {NULL, NULL},
};

static int open_built_in(lua_State *L) {
  luaL_newlib(L, built_in_functions);
  return 1;
}

/* A searcher of `require` for built-in scripts. [-0, +1|2, e] */
static int search_scripts(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const struct kad_script *script = find_script(name);
  if (script == NULL) {
    lua_pushfstring(L, "no built-in script '%s'", name);
    return 1;
  }
  const char *chunk = lua_pushfstring(L, "@%s.lua", name);
  if (luaL_loadbufferx(L, script->source, script->len, chunk, "t") != LUA_OK) {
    return lua_error(L);
  }
  lua_pushstring(L, chunk);
  return 2;
}

/* Puts search_scripts first, so that no file of the system shadows a built-in
 * script. [-0, +0, m] */
static void add_searcher(lua_State *L) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 1; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, search_scripts);
  lua_rawseti(L, -2, 1);
  lua_pop(L, 2);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

struct arguments {
  int count;
  char **values;
};

/* Runs the program. Argument: a pointer to struct arguments. Result: the exit
 * status. [-0, +1, e] */
static int run_program(lua_State *L) {
  const struct arguments *arguments = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_pushstring(L, arguments->count > 0 ? arguments->values[0] : "kadenza");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &program_key);
  preload(L, "kadenza.core", luaopen_kadenza_core);
  preload(L, "kadenza.built_in", open_built_in);
#ifdef KAD_EDIT
  preload(L, "kadenza.line_editor", luaopen_kadenza_line_editor);
#endif
#ifdef KAD_HTTP
  preload(L, "kadenza.httpd", luaopen_kadenza_httpd);
#endif
  add_searcher(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "kadenza.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_createtable(L, arguments->count, 0);
  for (int i = 1; i < arguments->count; i++) {
    lua_pushstring(L, arguments->values[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 1, 1);
  return 1;
}

/* A message handler: returns the error's text with a traceback. [-1, +1, m] */
static int describe_error(lua_State *L) {
  const char *text = luaL_tolstring(L, 1, NULL);
  luaL_traceback(L, L, text, 1);
  return 1;
}

static int report_no_memory(void) {
  fputs("kadenza: out of memory\n", stderr);
  return EXIT_FAILED;
}

int main(int argc, char **argv) {
  struct arguments arguments = {.count = argc, .values = argv};
  kad_lua_prepare_process();
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    return report_no_memory();
  }
  lua_pushcfunction(L, describe_error);
  lua_pushcfunction(L, run_program);
  lua_pushlightuserdata(L, &arguments);
  int status = EXIT_BROKEN;
  const int outcome = lua_pcall(L, 1, 1, 1);
  if (outcome == LUA_OK) {
    status = (int)lua_tointeger(L, -1);
  } else if (outcome == LUA_ERRMEM) {
    status = report_no_memory();
  } else {
    fprintf(stderr, "kadenza: internal error: %s\n", lua_tostring(L, -1));
  }
  lua_close(L);
  return status;
}
