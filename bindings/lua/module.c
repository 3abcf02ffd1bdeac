#include "link.h"

/* Adds `errors`: the text of every KAD_E… code, by its name. [-0, +0, m] */
static void add_errors(lua_State *L) {
  lua_newtable(L);
#define ADD_ERROR(code, value, text) \
  lua_pushstring(L, text);           \
  lua_setfield(L, -2, #code);
  KAD_ERROR_MAP(ADD_ERROR)
#undef ADD_ERROR
  lua_setfield(L, -2, "errors");
}

/* A build without the policy host has a module without it. */
__attribute__((weak)) void kad_lua_add_policy_host(lua_State *L) {
  (void)L;
}

int luaopen_kadenza_core(lua_State *L) {
  luaL_checkversion(L);
  (void)kad_lua_context(L);
  kad_lua_push_safe_module(L);
  kad_lua_add_networks(L);
  kad_lua_add_files(L);
  add_errors(L);
  kad_lua_add_policy_host(L);
  lua_pushstring(L, kad_version());
  lua_setfield(L, -2, "version");
  return 1;
}
