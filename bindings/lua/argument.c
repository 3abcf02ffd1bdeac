#include "lua/kadenza_lua.h"

#include <string.h>

static bool is_one_of(const char *name, const char *const *names) {
  for (size_t i = 0; names[i] != NULL; i++) {
    if (strcmp(name, names[i]) == 0) {
      return true;
    }
  }
  return false;
}

void kad_lua_check_options(lua_State *L, int arg, const char *const *names) {
  if (lua_isnoneornil(L, arg)) {
    return;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  luaL_checkstack(L, 3, NULL);
  lua_pushnil(L);
  while (lua_next(L, arg) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      luaL_argerror(L, arg, "options have string keys");
    }
    if (!is_one_of(lua_tostring(L, -1), names)) {
      luaL_argerror(
          L, arg,
          lua_pushfstring(L, "unknown option '%s'", lua_tostring(L, -1)));
    }
  }
}

/* Pushes a field of the table at `index`, metamethods aside. [-0, +1, m] */
static int push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, NULL);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

bool kad_lua_field_integer(lua_State *L, int index, const char *name,
                           lua_Integer min, lua_Integer max,
                           lua_Integer *value) {
  if (push_field(L, index, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  int whole = 0;
  const lua_Integer integer = lua_tointegerx(L, -1, &whole);
  if (lua_type(L, -1) != LUA_TNUMBER || !whole) {
    luaL_error(L, "field '%s' must be an integer, not %s", name,
               lua_type(L, -1) == LUA_TNUMBER ? "a fraction"
                                              : luaL_typename(L, -1));
  }
  if (integer < min || integer > max) {
    luaL_error(L, "field '%s' must be in %I to %I", name, (LUAI_UACINT)min,
               (LUAI_UACINT)max);
  }
  lua_pop(L, 1);
  *value = integer;
  return true;
}

bool kad_lua_field_boolean(lua_State *L, int index, const char *name,
                           bool *value) {
  const int type = push_field(L, index, name);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) {
    luaL_error(L, "field '%s' must be a boolean, not %s", name,
               luaL_typename(L, -1));
  }
  if (type == LUA_TBOOLEAN) {
    *value = lua_toboolean(L, -1) != 0;
  }
  lua_pop(L, 1);
  return type == LUA_TBOOLEAN;
}

bool kad_lua_field_string(lua_State *L, int index, const char *name, size_t min,
                          size_t max, struct kad_slice *value) {
  const int type = push_field(L, index, name);
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  if (type != LUA_TSTRING) {
    luaL_error(L, "field '%s' must be a string, not %s", name,
               luaL_typename(L, -1));
  }
  size_t len = 0;
  const char *const data = lua_tolstring(L, -1, &len);
  if (len < min || len > max) {
    const char *const range =
        min == max ? lua_pushfstring(L, "%I", (LUAI_UACINT)min)
                   : lua_pushfstring(L, "%I to %I", (LUAI_UACINT)min,
                                     (LUAI_UACINT)max);
    luaL_error(L, "field '%s' must have %s bytes, not %I", name, range,
               (LUAI_UACINT)len);
  }
  lua_pop(L, 1); /* the table still keeps it */
  *value = (struct kad_slice){.data = (const uint8_t *)data, .len = len};
  return true;
}

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
    luaL_argerror(L, arg,
                  lua_pushfstring(L,
                                  "'%s' is no address such as 192.0.2.1:6881",
                                  lua_tostring(L, arg)));
  }
}
