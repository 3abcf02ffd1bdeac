#include "lua/blocklist.h"

#include "kadenza_blocklist.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/handle.h"
#include "lua/shown.h"

#include <lauxlib.h>

typedef int (*replace_fn)(struct kad_node *node,
                          const struct kad_address_range *ranges, size_t count);

/* Reads the item `index` of the list at 2. */
static void check_range(lua_State *L, size_t index,
                        struct kad_address_range *range) {
  lua_rawgeti(L, 2, (lua_Integer)index + 1);
  if (lua_type(L, -1) != LUA_TSTRING ||
      kad_address_range_parse(kad_lua_check_slice(L, lua_gettop(L)), range) !=
          0) {
    lua_pushfstring(L, "item %I is no address, prefix or range: %s",
                    (LUAI_UACINT)index + 1,
                    kad_lua_push_shown(L, lua_gettop(L)));
    luaL_argerror(L, 2, lua_tostring(L, -1));
  }
  lua_pop(L, 1);
}

/* Replaces a list of the node by the one at 2. */
static int replace(lua_State *L, replace_fn fn) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const size_t count = (size_t)lua_rawlen(L, 2);
  if (count > KAD_RANGES_MAX) {
    luaL_argerror(L, 2,
                  lua_pushfstring(L, "more than %d ranges", KAD_RANGES_MAX));
  }
  struct kad_address_range *const ranges =
      lua_newuserdatauv(L, (count > 0 ? count : 1) * sizeof *ranges, 0);
  for (size_t i = 0; i < count; i++) {
    check_range(L, i, &ranges[i]);
  }
  return kad_lua_push_outcome(L, fn(self->link->node, ranges, count));
}

int kad_lua_node_block(lua_State *L) {
  return replace(L, kad_node_block);
}

int kad_lua_node_exempt(lua_State *L) {
  return replace(L, kad_node_exempt);
}

int kad_lua_is_address_range(lua_State *L) {
  struct kad_address_range range;
  lua_pushboolean(
      L, kad_address_range_parse(kad_lua_check_slice(L, 1), &range) == 0);
  return 1;
}
