/* Tested by tests/spec/figures_spec.lua. */
#include "lua/tally.h"

#include "kadenza_tally.h"
#include "lua/field.h"
#include "lua/handle.h"

enum {
  FIELDS = 3,
  ROOM = 64 /* more than there are */
};

int kad_lua_node_tallies(lua_State *L) {
  struct kad_tally tallies[ROOM];
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const size_t total = kad_node_tallies(self->link->node, tallies, ROOM);
  const size_t count = total < ROOM ? total : ROOM;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_createtable(L, 0, FIELDS);
    kad_lua_set_string(L, "subject", tallies[i].subject);
    kad_lua_set_string(L, "kind", tallies[i].kind);
    kad_lua_set_integer(L, "count", (lua_Integer)tallies[i].count);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
