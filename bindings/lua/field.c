#include "lua/field.h"

#include "lua/value.h"

#include <lauxlib.h>

#include <string.h>

bool kad_lua_push_field(lua_State *L, int index, const char *name) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, NULL);
  lua_pushstring(L, name);
  if (lua_rawget(L, index) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  return true;
}

bool kad_lua_field_integer(lua_State *L, int index, const char *name,
                           lua_Integer min, lua_Integer max,
                           lua_Integer *value) {
  if (!kad_lua_push_field(L, index, name)) {
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

bool kad_lua_field_uint32(lua_State *L, int index, const char *name,
                          uint32_t min, uint32_t max, uint32_t *value) {
  lua_Integer integer = 0;
  if (!kad_lua_field_integer(L, index, name, min, max, &integer)) {
    return false;
  }
  *value = (uint32_t)integer;
  return true;
}

bool kad_lua_field_boolean(lua_State *L, int index, const char *name,
                           bool *value) {
  if (!kad_lua_push_field(L, index, name)) {
    return false;
  }
  if (!lua_isboolean(L, -1)) {
    luaL_error(L, "field '%s' must be a boolean, not %s", name,
               luaL_typename(L, -1));
  }
  *value = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return true;
}

bool kad_lua_field_string(lua_State *L, int index, const char *name, size_t min,
                          size_t max, struct kad_slice *value) {
  if (!kad_lua_push_field(L, index, name)) {
    return false;
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
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
  lua_pop(L, 1); /* the table keeps it */
  *value = (struct kad_slice){.data = (const uint8_t *)data, .len = len};
  return true;
}

bool kad_lua_field_id(lua_State *L, int index, const char *name, unsigned bits,
                      struct kad_id *id) {
  struct kad_slice bytes;
  if (!kad_lua_field_string(L, index, name, bits / 8, bits / 8, &bytes)) {
    return false;
  }
  *id = (struct kad_id){{0}};
  memcpy(id->bytes, bytes.data, bytes.len);
  return true;
}

void kad_lua_set_integer(lua_State *L, const char *name, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

void kad_lua_set_number(lua_State *L, const char *name, lua_Number value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, name);
}

void kad_lua_set_boolean(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

void kad_lua_set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

void kad_lua_set_slice(lua_State *L, const char *name, struct kad_slice value) {
  kad_lua_push_slice(L, value);
  lua_setfield(L, -2, name);
}
