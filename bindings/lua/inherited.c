#define _POSIX_C_SOURCE 200809L

#include "lua/inherited.h"

#include "kadenza_inherited.h"
#include "lua/argument.h"

#include <lauxlib.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

/* Returns whether argument `arg` is a list that begins with a number.
 * [-0, +0, -] */
static bool is_socket_list(lua_State *L, int arg) {
  bool is_number = false;
  if (lua_istable(L, arg)) {
    is_number = lua_rawgeti(L, arg, 1) == LUA_TNUMBER;
    lua_pop(L, 1);
  }
  return is_number;
}

/* Raises that the item at the top, of the list `arg`, is of no use. */
static void refuse_item(lua_State *L, int arg, lua_Integer i,
                        const char *problem) {
  const char *const text =
      lua_pushfstring(L, "descriptor %s (item %I) %s",
                      luaL_tolstring(L, -1, NULL), (LUAI_UACINT)i, problem);
  luaL_argerror(L, arg, text);
}

/* Reads argument `arg`, a list of descriptors. Returns their number.
 * [-0, +0, v] */
static size_t check_sockets(lua_State *L, int arg, int *sockets) {
  const lua_Integer count = (lua_Integer)lua_rawlen(L, arg);
  luaL_argcheck(L, count <= KAD_LUA_MAX_LISTEN, arg, "more than 8 sockets");
  for (lua_Integer i = 1; i <= count; i++) {
    const char *problem = "is not a descriptor";
    (void)lua_rawgeti(L, arg, i);
    const lua_Integer fd = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : -1;
    if (fd >= 0 && fd <= INT_MAX) {
      problem = kad_inherited_socket_problem((int)fd, NULL);
    }
    for (lua_Integer j = 0; j < i - 1 && problem == NULL; j++) {
      problem = sockets[j] == fd ? "is given twice" : NULL;
    }
    if (problem != NULL) {
      refuse_item(L, arg, i, problem);
    }
    sockets[i - 1] = (int)fd;
    lua_pop(L, 1);
  }
  return (size_t)count;
}

void kad_lua_check_place(lua_State *L, int arg, struct kad_lua_place *place) {
  place->is_bound = is_socket_list(L, arg);
  place->count = place->is_bound ? check_sockets(L, arg, place->sockets)
                                 : kad_lua_check_listen(L, arg, place->listen);
}

/* inherited_socket(fd) → the address that a UDP socket is bound to; or nil and
 * why a node cannot use it */
static int inherited_socket(lua_State *L) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  struct kad_address address;
  const int fd = (int)kad_lua_check_integer(L, 1, 0, INT_MAX);
  const char *const problem = kad_inherited_socket_problem(fd, &address);
  if (problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, problem);
    return 2;
  }
  lua_pushstring(L, kad_address_format(&address, text));
  return 1;
}

/* close_on_exec(fd): keeps a descriptor from the programs that are started
 * here. Ignores one that is not open. */
static int close_on_exec(lua_State *L) {
  const int fd = (int)kad_lua_check_integer(L, 1, 0, INT_MAX);
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

/* take_variable(name) → the value of a variable of the environment, which is
 * removed, so that no program that is started here has it; or nil */
static int take_variable(lua_State *L) {
  const char *const name = luaL_checkstring(L, 1);
  luaL_argcheck(L, *name != '\0', 1, "a name is needed");
  lua_pushstring(L, getenv(name)); /* nil if NULL */
  (void)unsetenv(name);
  return 1;
}

void kad_lua_add_inherited(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"inherited_socket", inherited_socket},
      {"close_on_exec", close_on_exec},
      {"take_variable", take_variable},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
