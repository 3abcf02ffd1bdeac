#include "lua/histogram.h"

#include "kadenza_histogram.h"
#include "lua/field.h"
#include "lua/handle.h"

enum {
  FIELDS = 5
};

/* Pushes a histogram. [-0, +1, m] */
static void push_histogram(lua_State *L, const struct kad_histogram *it) {
  lua_createtable(L, 0, FIELDS);
  kad_lua_set_string(L, "subject", it->subject);
  kad_lua_set_string(L, "kind", it->kind);
  kad_lua_set_string(L, "outcome", it->outcome);
  kad_lua_set_number(L, "seconds", (lua_Number)it->sum_ms / 1000.0);
  lua_createtable(L, KAD_HISTOGRAM_BUCKETS, 0);
  for (lua_Integer i = 0; i < KAD_HISTOGRAM_BUCKETS; i++) {
    lua_pushinteger(L, (lua_Integer)it->counts[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "counts");
}

int kad_lua_node_histograms(lua_State *L) {
  const struct kad_lua_node *self = kad_lua_check_node(L, 1);
  const size_t room = kad_node_histograms(self->link->node, NULL, 0);
  struct kad_histogram *const histograms =
      lua_newuserdatauv(L, room * sizeof *histograms + 1, 0);
  self = kad_lua_check_node(L, 1); /* a finalizer may have closed it */
  const size_t total = kad_node_histograms(self->link->node, histograms, room);
  const size_t count = total < room ? total : room;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_histogram(L, &histograms[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
