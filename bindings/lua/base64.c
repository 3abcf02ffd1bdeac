#include "lua/base64.h"

#include "lua/argument.h"
#include "lua/error.h"

#include <lauxlib.h>
#include <sodium.h>

enum {
  LONGEST = 1 << 24 /* bytes */
};

/* base64(bytes) → text */
static int base64(lua_State *L) {
  luaL_Buffer buffer;
  const struct kad_slice bytes = kad_lua_check_slice(L, 1);
  luaL_argcheck(L, bytes.len <= LONGEST, 1, "too long");
  const size_t size =
      sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
  char *const text = luaL_buffinitsize(L, &buffer, size);
  (void)sodium_bin2base64(text, size, bytes.data, bytes.len,
                          sodium_base64_VARIANT_ORIGINAL);
  luaL_pushresultsize(&buffer, size - 1); /* without its zero byte */
  return 1;
}

/* unbase64(text) → bytes, or nil, message, code */
static int unbase64(lua_State *L) {
  luaL_Buffer buffer;
  size_t len = 0;
  const struct kad_slice text = kad_lua_check_slice(L, 1);
  luaL_argcheck(L, text.len <= LONGEST, 1, "too long");
  const size_t size = text.len / 4 * 3 + 3;
  char *const bytes = luaL_buffinitsize(L, &buffer, size);
  const int error = sodium_base642bin(
      (unsigned char *)bytes, size, (const char *)text.data, text.len, NULL,
      &len, NULL, sodium_base64_VARIANT_ORIGINAL);
  luaL_pushresultsize(&buffer, error == 0 ? len : 0);
  if (error == 0) {
    return 1;
  }
  lua_pushliteral(L, "not base64");
  return kad_lua_push_error_message(L, KAD_EINVAL);
}

void kad_lua_add_base64(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"base64", base64}, {"unbase64", unbase64}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 0);
}
