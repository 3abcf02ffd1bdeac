#include "lua/link.h"

struct kad_lua_link *kad_lua_link_new(void) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_lua_link *const link =
      allocator.resize(allocator.state, NULL, 0, sizeof *link);
  if (link != NULL) {
    *link = (struct kad_lua_link){.handles = 1};
  }
  return link;
}

struct kad_lua_link *kad_lua_link_share(struct kad_lua_link *link) {
  link->handles++;
  return link;
}

void kad_lua_link_release(struct kad_lua_link *link) {
  const struct kad_allocator allocator = kad_allocator_default();
  if (link != NULL && --link->handles == 0) {
    (void)allocator.resize(allocator.state, link, sizeof *link, 0);
  }
}

void kad_lua_push_metatable(lua_State *L, const char *name,
                            const luaL_Reg *methods, const luaL_Reg *more,
                            const luaL_Reg *meta) {
  luaL_checkstack(L, 4, NULL);
  if (luaL_newmetatable(L, name) == 0) {
    return;
  }
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  if (more != NULL) {
    luaL_setfuncs(L, more, 0);
  }
  lua_setfield(L, -2, "__index");
  luaL_setfuncs(L, meta, 0);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
}
