/* Tested by tests/spec/node_spec.lua, tests/spec/node_held_spec.lua. */
#include "lua/held.h"

#include "kadenza_held.h"
#include "lua/argument.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/record.h"
#include "lua/value.h"

#include <stdint.h>

enum {
  PAGE_MAX = 1000 /* records of a page */
};

void kad_lua_push_without_collector(lua_State *L, lua_CFunction push,
                                    void *data) {
  const bool is_running = lua_gc(L, LUA_GCISRUNNING) != 0;
  (void)lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, data);
  const int status = lua_pcall(L, 1, 1, 0);
  if (is_running) {
    (void)lua_gc(L, LUA_GCRESTART);
  }
  if (status != LUA_OK) {
    (void)lua_error(L);
  }
}

/* The records that node:held asks for. */
struct held_query {
  const struct kad_lua_node *self;
  struct kad_id key;
  struct kad_slice type;
  size_t max;
  size_t total;
};

/* Pushes a list of held records. [-0, +1, m] */
static int push_held(lua_State *L) {
  struct held_query *const query = lua_touserdata(L, 1);
  const struct kad_node *const node = query->self->link->node;
  query->total = kad_node_held(node, &query->key, query->type, NULL, 0);
  const size_t count = query->total < query->max ? query->total : query->max;
  struct kad_record *const records =
      lua_newuserdatauv(L, count * sizeof *records + 1, 0);
  (void)kad_node_held(node, &query->key, query->type, records, count);
  kad_lua_push_records(L, records, count, query->self->bits);
  return 1;
}

/* node:held(key, type, max or nil) → list of the records that it holds, newest
 * first, and the number of all */
int kad_lua_node_held(lua_State *L) {
  struct held_query query = {.self = kad_lua_check_node(L, 1), .max = SIZE_MAX};
  kad_lua_check_id(L, 2, query.self->bits, &query.key);
  query.type = kad_lua_check_slice(L, 3);
  if (!lua_isnoneornil(L, 4)) {
    query.max = (size_t)kad_lua_check_integer(L, 4, 0, LUA_MAXINTEGER);
  }
  kad_lua_push_without_collector(L, push_held, &query);
  lua_pushinteger(L, (lua_Integer)query.total);
  return 2;
}

/* Pushes a table: type → number of records, or nil if there are records that
 * the store does not count. [-0, +1, m] */
static int push_types(lua_State *L) {
  const struct kad_lua_node *const self = lua_touserdata(L, 1);
  const struct kad_node *const node = self->link->node;
  const size_t total = kad_node_held_types(node, NULL, 0);
  struct kad_stats stats;
  kad_node_stats(node, &stats);
  if (total == 0 && stats.records > 0) {
    lua_pushnil(L);
    return 1;
  }
  struct kad_type_count *const counts =
      lua_newuserdatauv(L, total * sizeof *counts + 1, 0);
  (void)kad_node_held_types(node, counts, total);
  lua_createtable(L, 0, (int)total);
  for (size_t i = 0; i < total; i++) {
    kad_lua_push_slice(L, counts[i].type);
    lua_pushinteger(L, (lua_Integer)counts[i].records);
    lua_rawset(L, -3);
  }
  return 1;
}

/* node:held_types() → type → number of records, or nil */
int kad_lua_node_held_types(lua_State *L) {
  kad_lua_push_without_collector(L, push_types, kad_lua_check_node(L, 1));
  return 1;
}

/* A page that node:held_page asks for. */
struct page {
  const struct kad_lua_node *self;
  uint64_t cursor;
  lua_Integer room;
  bool is_last;
};

/* Pushes a list of held records. [-0, +1, m] */
static int push_page(lua_State *L) {
  struct page *const page = lua_touserdata(L, 1);
  struct kad_held held;
  lua_Integer count = 0;
  lua_newtable(L);
  for (lua_Integer i = 0; i < page->room && !page->is_last; i++) {
    page->is_last =
        !kad_node_next_held(page->self->link->node, &page->cursor, &held);
    if (!page->is_last && held.record.type.len > 0) {
      kad_lua_push_record(L, &held.record, page->self->bits);
      if (held.meta.origin.family != 0) {
        kad_lua_push_address(L, &held.meta.origin);
        lua_setfield(L, -2, "origin");
      }
      lua_rawseti(L, -2, ++count);
    }
  }
  return 1;
}

/* node:held_page(cursor, count) → list of up to `count` records, and the cursor
 * of the next page, or nil at the end */
int kad_lua_node_held_page(lua_State *L) {
  struct page page = {.self = kad_lua_check_node(L, 1)};
  page.cursor = (uint64_t)luaL_checkinteger(L, 2);
  page.room = kad_lua_check_integer(L, 3, 1, PAGE_MAX);
  kad_lua_push_without_collector(L, push_page, &page);
  if (page.is_last) {
    return 1;
  }
  lua_pushinteger(L, (lua_Integer)page.cursor);
  return 2;
}
