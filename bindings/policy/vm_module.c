/* For fdopen. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _POSIX_C_SOURCE 200809L

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/file.h"
#include "lua/safe_module.h"
#include "policy/coroutine.h"
#include "policy/hook.h"
#include "policy/host.h"
#include "policy/meter.h"
#include "policy/metered.h"
#include "policy/pattern.h"
#include "policy/registry.h"
#include "policy/resumption.h"
#include "policy/vm.h"

#include <lauxlib.h>
#include <lualib.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

enum {
  SOURCE_MAX = 1048576, /* bytes of a policy file */
  READ_SIZE = 4096,     /* bytes read at a time */
  NOT_REGULAR = -1      /* no errno */
};

int kad_vm_module_search(lua_State *L) {
  const char *const name = luaL_checkstring(L, 1);
  size_t len = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.module_sources);
  lua_getfield(L, -1, name);
  const char *const text = lua_tolstring(L, -1, &len);
  if (text == NULL) {
    lua_pushfstring(L, "no module '%s' for policies", name);
    return 1;
  }
  const char *const chunk = lua_pushfstring(L, "=%s", name);
  if (luaL_loadbufferx(L, text, len, chunk, "bt") != LUA_OK) {
    return lua_error(L);
  }
  lua_pushstring(L, chunk);
  return 2;
}

/* Pushes the text of a file. Returns false if it cannot be read: errno says
 * why, or is 0 for a file that is too large. [-0, +1, m] */
static bool read_file(lua_State *L, FILE *file) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  size_t total = 0;
  size_t got = 0;
  do {
    char *const room = luaL_prepbuffsize(&buffer, READ_SIZE);
    got = fread(room, 1, READ_SIZE, file);
    luaL_addsize(&buffer, got);
    total += got;
  } while (got > 0 && total <= SOURCE_MAX);
  const int number = ferror(file) ? errno : 0;
  luaL_pushresult(&buffer);
  errno = number;
  return number == 0 && total <= SOURCE_MAX;
}

/* __gc of the file that read_source reads, which an error leaves open. */
static int close_file(lua_State *L) {
  FILE **const file = lua_touserdata(L, 1);
  if (*file != NULL) {
    fclose(*file);
  }
  return 0;
}

/* Pushes nil and "path: call: reason"; tells the host if the machine is the
 * reason. Pushes then whether there is no such file. [-0, +2|3, m] */
static int push_unread(lua_State *L, const char *path, const char *call,
                       int number) {
  if (number == 0 || number == NOT_REGULAR) {
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: %s", path,
                    number == 0 ? "it is larger than a mebibyte"
                                : "not a regular file: save it in one");
    return 2;
  }
  const int error = kad_lua_error_of_errno(number);
  if (number != ENOENT && number != ENOTDIR && number != EISDIR &&
      error != KAD_EACCESS) {
    struct kad_host *const host = kad_lua_context(L)->host;
    host->load_error = error;
  }
  (void)kad_lua_push_system_failure(L, error, path, call, number);
  lua_pop(L, 1);
  lua_pushboolean(L, number == ENOENT || number == ENOTDIR);
  return 3;
}

/* Opens a regular file. Returns NULL and sets `*number` to the errno; to -1 if
 * it is of another kind. */
static FILE *open_file(const char *path, int *number) {
  const int fd = kad_lua_open_regular(path);
  FILE *const file = fd >= 0 ? fdopen(fd, "rb") : NULL;
  *number = fd == KAD_LUA_NOT_REGULAR ? NOT_REGULAR : errno;
  if (file == NULL && fd >= 0) {
    (void)close(fd);
  }
  return file;
}

/* read_source(path) → text; or nil, message and whether there is no such file.
 * Only regular files are read: nothing else can make the node wait. */
static int read_source(lua_State *L) {
  const char *const path = kad_lua_check_path(L, 1);
  int number = 0;
  FILE **const file = lua_newuserdatauv(L, sizeof(FILE *), 0);
  *file = NULL;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, close_file);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  *file = open_file(path, &number);
  if (*file == NULL) {
    return push_unread(L, path, "open", number);
  }
  const bool is_read = read_file(L, *file);
  number = errno;
  fclose(*file);
  *file = NULL;
  return is_read ? 1 : push_unread(L, path, "read", number);
}

/* source(name) → the text of a module that the VM was given, or nil */
static int source(lua_State *L) {
  const char *const name = luaL_checkstring(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.module_sources);
  lua_getfield(L, -1, name);
  return 1;
}

/* freeze_strings(library): makes it the methods of strings, for good */
static int freeze_strings(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  return 0;
}

/* Makes `require` search the disk, after the sources of the VM. `path` and
 * `cpath` are at 1 and 2. [-0, +0, e] */
static void widen_require(lua_State *L) {
  lua_pushcfunction(L, luaopen_package);
  lua_pushliteral(L, LUA_LOADLIBNAME);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "path");
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "cpath");
  lua_getfield(L, -1, "searchers");
  for (lua_Integer i = luaL_len(L, -1); i >= 2; i--) {
    lua_rawgeti(L, -1, i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushcfunction(L, kad_vm_module_search);
  lua_rawseti(L, -2, 2);
  lua_pop(L, 1);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, LUA_LOADLIBNAME);
  lua_pop(L, 1);
  lua_setglobal(L, LUA_LOADLIBNAME);
}

/* open_standard(path, cpath): opens the libraries that a sandbox does not have,
 * for trusted files. The environments of other files do not show them. */
static int open_standard(lua_State *L) {
  static const luaL_Reg libraries[] = {
      {LUA_IOLIBNAME, luaopen_io},
      {LUA_OSLIBNAME, luaopen_os},
      {LUA_DBLIBNAME, luaopen_debug},
      {NULL, NULL},
  };
  luaL_checkstring(L, 1);
  luaL_checkstring(L, 2);
  lua_settop(L, 2);
  for (const luaL_Reg *library = libraries; library->name != NULL; library++) {
    luaL_requiref(L, library->name, library->func, 1);
    lua_pop(L, 1);
  }
  widen_require(L);
  /* Modules that a trusted file requires get the coroutines of scripts. Those
   * of kadenza that need the scheduler's have them already. */
  kad_coroutine_push_library(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, LUA_COLIBNAME);
  lua_pop(L, 1);
  lua_setglobal(L, LUA_COLIBNAME);
  return 0;
}

/* is_spent() → whether the entry that runs has used up its budget */
static int is_spent(lua_State *L) {
  lua_pushboolean(L, kad_meter_is_spent(kad_meter_of(L)));
  return 1;
}

/* policy_stats() → the statistics of the policies in this state */
static int policy_stats(lua_State *L) {
  kad_hook_push_all_stats(L, kad_lua_context(L)->host);
  return 1;
}

/* answer(id, succeeded, text): passes an answer to the program; see
 * kad_host_answer */
static int answer(lua_State *L) {
  const lua_Integer id = luaL_checkinteger(L, 1);
  kad_host_answer(kad_lua_context(L)->host, id, lua_toboolean(L, 2),
                  kad_lua_check_slice(L, 3));
  return 0;
}

/* charge(work): charges what a C function is about to do, in instructions */
static int charge(lua_State *L) {
  const lua_Number work = luaL_checknumber(L, 1);
  if (work > 0) {
    kad_meter_charge(kad_meter_of(L), work < 1e9 ? (uint64_t)work : 1000000000);
  }
  return 0;
}

/* has_length(table) → whether its metatable has __len */
static int has_length(lua_State *L) {
  lua_pushboolean(L, luaL_getmetafield(L, 1, "__len") != LUA_TNIL);
  return 1;
}

int kad_vm_module_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read_source", read_source},
      {"source", source},
      {"freeze_strings", freeze_strings},
      {"pcall", kad_metered_pcall},
      {"answer", answer},
      {"charge", charge},
      {"is_spent", is_spent},
      {"open_standard", open_standard},
      {"policy_stats", policy_stats},
      {"has_length", has_length},
      {NULL, NULL},
  };
  kad_lua_push_safe_module(L);
  luaL_setfuncs(L, functions, 0);
  kad_resumption_add_functions(L);
  kad_pattern_add_functions(L);
  lua_pushstring(L, kad_version());
  lua_setfield(L, -2, "version");
  kad_coroutine_push_library(L);
  lua_setfield(L, -2, "coroutine");
  return 1;
}
