#include "lua/pending.h"

static struct kad_lua_pending *allocate(void) {
  const struct kad_allocator allocator = kad_allocator_default();
  return allocator.resize(allocator.state, NULL, 0,
                          sizeof(struct kad_lua_pending));
}

void kad_lua_pending_free(struct kad_lua_pending *pending) {
  const struct kad_allocator allocator = kad_allocator_default();
  (void)allocator.resize(allocator.state, pending, sizeof *pending, 0);
}

static void insert(struct kad_lua_pending **list,
                   struct kad_lua_pending *pending) {
  pending->next = *list;
  pending->link = list;
  if (*list != NULL) {
    (*list)->link = &pending->next;
  }
  *list = pending;
}

struct kad_lua_pending *kad_lua_pending_new(lua_State *L, int index,
                                            int function,
                                            struct kad_lua_pending **list,
                                            lua_Integer *serial) {
  struct kad_lua_context *const context = kad_lua_context(L);
  index = lua_absindex(L, index);
  function = lua_absindex(L, function);
  const lua_Integer number = ++*serial;
  lua_getiuservalue(L, index, 1);
  lua_pushvalue(L, function);
  lua_rawseti(L, -2, number);
  lua_pushboolean(L, 0); /* takes the room, so that the block's is no risk */
  lua_rawseti(L, -2, -number);
  struct kad_lua_pending *const pending = allocate();
  if (pending == NULL) {
    lua_pushnil(L);
    lua_rawseti(L, -2, number);
    lua_pushnil(L);
    lua_rawseti(L, -2, -number);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  lua_pushlightuserdata(L, pending);
  lua_rawseti(L, -2, -number);
  lua_pop(L, 1);
  *pending = (struct kad_lua_pending){
      .context = context,
      .handle = lua_touserdata(L, index),
      .serial = number,
  };
  insert(list, pending);
  return pending;
}

struct kad_lua_pending *kad_lua_pending_find(lua_State *L, int index,
                                             lua_Integer serial) {
  if (serial <= 0) {
    return NULL;
  }
  lua_getiuservalue(L, index, 1);
  lua_rawgeti(L, -1, -serial);
  struct kad_lua_pending *const pending = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return pending;
}

/* Empties the places of `serial` in the table at the top. [-0, +0, -] */
static void clear_places(lua_State *L, lua_Integer serial) {
  lua_pushnil(L);
  lua_rawseti(L, -2, serial);
  lua_pushnil(L);
  lua_rawseti(L, -2, -serial);
}

void kad_lua_pending_drop(lua_State *L, int index,
                          struct kad_lua_pending *pending) {
  lua_getiuservalue(L, index, 1);
  clear_places(L, pending->serial);
  lua_pop(L, 1);
  kad_lua_pending_unlink(pending);
  kad_lua_pending_free(pending);
}

bool kad_lua_pending_push(lua_State *L, const struct kad_lua_pending *pending,
                          bool keep) {
  kad_lua_push_handle(L, pending->handle);
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_getiuservalue(L, -1, 1);
  lua_rawgeti(L, -1, pending->serial);
  lua_insert(L, -2);
  if (!keep) {
    clear_places(L, pending->serial);
  }
  lua_pop(L, 1);
  return true;
}

void kad_lua_pending_unlink(struct kad_lua_pending *pending) {
  if (pending->link == NULL) {
    return;
  }
  *pending->link = pending->next;
  if (pending->next != NULL) {
    pending->next->link = pending->link;
  }
  pending->next = NULL;
  pending->link = NULL;
}

void kad_lua_pending_orphan(struct kad_lua_pending *list) {
  for (; list != NULL; list = list->next) {
    list->handle = NULL;
  }
}

void kad_lua_pending_move(struct kad_lua_pending **from,
                          struct kad_lua_pending **to) {
  while (*from != NULL) {
    struct kad_lua_pending *const pending = *from;
    kad_lua_pending_unlink(pending);
    insert(to, pending);
  }
}

void kad_lua_pending_free_all(struct kad_lua_pending **list) {
  while (*list != NULL) {
    struct kad_lua_pending *const pending = *list;
    kad_lua_pending_unlink(pending);
    kad_lua_pending_free(pending);
  }
}
