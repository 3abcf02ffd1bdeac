#include "lua/item.h"

#include "kadenza_item.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/value.h"

#include <lauxlib.h>

enum {
  TARGET_BITS = 160
};

/* Returns the salt at argument `arg`, which may be nil. [-0, +0, v] */
static struct kad_slice optional_salt(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) {
    return (struct kad_slice){.len = 0};
  }
  return kad_lua_check_slice(L, arg);
}

/* Pushes a target, or the error of making it. [-0, +1|3, m] */
static int push_target(lua_State *L, int status, const struct kad_id *target) {
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  kad_lua_push_id(L, target, TARGET_BITS);
  return 1;
}

/* immutable_target(bencoded value) → target, or nil, message, code */
static int immutable_target(lua_State *L) {
  struct kad_id target;
  const int status =
      kad_item_target_immutable(kad_lua_check_slice(L, 1), &target);
  return push_target(L, status, &target);
}

/* mutable_target(publisher [, salt]) → target, or nil, message, code */
static int mutable_target(lua_State *L) {
  struct kad_id target;
  const struct kad_slice publisher = kad_lua_check_slice(L, 1);
  luaL_argcheck(L, publisher.len == KAD_PUBLISHER_SIZE, 1,
                "a publisher has 32 bytes");
  const int status =
      kad_item_target_mutable(publisher.data, optional_salt(L, 2), &target);
  return push_target(L, status, &target);
}

/* sign_item(bencoded value, salt or nil, seq, secret) → signature, or nil,
 * message, code */
static int sign_item(lua_State *L) {
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_slice value = kad_lua_check_slice(L, 1);
  const struct kad_slice salt = optional_salt(L, 2);
  const lua_Integer seq = kad_lua_check_integer(L, 3, 0, LUA_MAXINTEGER);
  const struct kad_slice secret = kad_lua_check_slice(L, 4);
  luaL_argcheck(L, secret.len == KAD_SECRET_SIZE, 4, "a secret has 64 bytes");
  const int status = kad_item_sign(value, salt, seq, secret.data, signature);
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  lua_pushlstring(L, (const char *)signature, sizeof signature);
  return 1;
}

void kad_lua_add_item(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"immutable_target", immutable_target},
      {"mutable_target", mutable_target},
      {"sign_item", sign_item},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
