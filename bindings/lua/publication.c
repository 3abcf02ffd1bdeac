/* Tested by tests/spec/publication_spec.lua. */
#include "lua/publication.h"

#include "lua/argument.h"
#include "lua/handle.h"
#include "lua/record.h"
#include "replication/publications.h"

/* A change of the publications. */
struct publication_change {
  const struct kad_lua_node *node;
  const struct kad_record *record;
  bool is_published;
};

/* Calls fn(record, is_published). [-0, +0, e] */
static int call_published(lua_State *L) {
  const struct publication_change *const change = lua_touserdata(L, 1);
  kad_lua_context_push_handle(L, change->node);
  if (lua_isuserdata(L, -1)) {
    lua_getiuservalue(L, -1, KAD_LUA_NODE_PUBLISHED);
    kad_lua_push_record(L, change->record, change->node->bits);
    lua_pushboolean(L, change->is_published);
    lua_call(L, 2, 0);
  }
  return 0;
}

static void publication_changed(void *data, const struct kad_record *record,
                                bool is_published) {
  struct publication_change change = {
      .node = data, .record = record, .is_published = is_published};
  (void)kad_lua_context_enter(change.node->context, call_published, &change);
}

/* node:watch_publications(fn): calls fn(record, is_published) for each that is
 * published or prolonged, and for each that is unpublished or replaced */
static int node_watch_publications(lua_State *L) {
  struct kad_lua_node *const self = luaL_checkudata(L, 1, KAD_LUA_NODE);
  (void)kad_lua_check_node(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 1, KAD_LUA_NODE_PUBLISHED);
  kad_publications_watch(self->link->node, publication_changed, self);
  return 0;
}

const luaL_Reg kad_lua_publication_methods[] = {
    {"watch_publications", node_watch_publications},
    {NULL, NULL},
};
