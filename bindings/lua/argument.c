#include "lua/argument.h"

#include "lua/shown.h"

#include <lauxlib.h>

#include <string.h>

lua_Integer kad_lua_check_integer(lua_State *L, int arg, lua_Integer min,
                                  lua_Integer max) {
  const lua_Integer value = luaL_checkinteger(L, arg);
  if (value < min || value > max) {
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "must be in %I to %I", (LUAI_UACINT)min,
                                  (LUAI_UACINT)max));
  }
  return value;
}

struct kad_slice kad_lua_check_slice(lua_State *L, int arg) {
  size_t len = 0;
  luaL_checktype(L, arg, LUA_TSTRING);
  const char *const data = lua_tolstring(L, arg, &len);
  return (struct kad_slice){.data = (const uint8_t *)data, .len = len};
}

const char *kad_lua_check_path(lua_State *L, int arg) {
  size_t len = 0;
  const char *const path = luaL_checklstring(L, arg, &len);
  luaL_argcheck(L, strlen(path) == len, arg, "a path has no zero byte");
  return path;
}

void kad_lua_check_id(lua_State *L, int arg, unsigned bits, struct kad_id *id) {
  const struct kad_slice bytes = kad_lua_check_slice(L, arg);
  if (bytes.len != bits / 8) {
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "an id of %d bits has %d bytes, not %d",
                                  (int)bits, (int)bits / 8, (int)bytes.len));
  }
  *id = (struct kad_id){{0}};
  memcpy(id->bytes, bytes.data, bytes.len);
}

void kad_lua_check_address(lua_State *L, int arg, struct kad_address *address) {
  if (kad_address_parse(kad_lua_check_slice(L, arg), address) != 0) {
    luaL_argerror(
        L, arg,
        lua_pushfstring(L, "'%s' is not an address such as 192.0.2.1:6881",
                        kad_lua_push_shown(L, arg)));
  }
}

void kad_lua_check_addresses(lua_State *L, int arg, size_t count,
                             struct kad_address *addresses) {
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    kad_lua_check_address(L, lua_gettop(L), &addresses[i]);
    lua_pop(L, 1);
  }
}

static bool is_one_of(struct kad_slice name, const char *const *names) {
  for (size_t i = 0; names[i] != NULL; i++) {
    if (kad_slice_equal(name, kad_slice_of(names[i]))) {
      return true;
    }
  }
  return false;
}

bool kad_lua_check_options(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) {
    return false;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  luaL_checkstack(L, 3, NULL);
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      luaL_argerror(L, arg, "options have string keys");
    }
    if (!is_one_of(kad_lua_check_slice(L, lua_gettop(L)), names)) {
      luaL_argerror(
          L, arg,
          lua_pushfstring(L, "unknown option '%s'", kad_lua_push_shown(L, -1)));
    }
  }
  return true;
}
