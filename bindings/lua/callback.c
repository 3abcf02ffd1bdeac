#include "lua/callback.h"

void kad_lua_callback_free(struct kad_lua_callback *callback) {
  const struct kad_allocator allocator = kad_allocator_default();
  kad_lua_callback_unlink(callback);
  (void)allocator.resize(allocator.state, callback, sizeof *callback, 0);
}

static void link_callback(struct kad_lua_callback **list,
                          struct kad_lua_callback *callback) {
  callback->next = *list;
  callback->link = list;
  if (*list != NULL) {
    (*list)->link = &callback->next;
  }
  *list = callback;
}

/* Removes the entries of `serial` from the table at the top. [-0, +0, -] */
static void clear_entries(lua_State *L, lua_Integer serial) {
  lua_pushnil(L);
  lua_rawseti(L, -2, serial);
  lua_pushnil(L);
  lua_rawseti(L, -2, -serial);
}

struct kad_lua_callback *kad_lua_callback_new(lua_State *L, int index,
                                              int function,
                                              struct kad_lua_callback **list,
                                              lua_Integer *serial) {
  struct kad_lua_context *const context = kad_lua_context(L);
  index = lua_absindex(L, index);
  function = lua_absindex(L, function);
  const lua_Integer number = ++*serial;
  lua_getiuservalue(L, index, 1);
  lua_pushvalue(L, function);
  lua_rawseti(L, -2, number);
  lua_pushboolean(L, 0); /* to set the block later cannot raise then */
  lua_rawseti(L, -2, -number);
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_lua_callback *const callback =
      allocator.resize(allocator.state, NULL, 0, sizeof *callback);
  if (callback == NULL) {
    clear_entries(L, number);
    luaL_error(L, "not enough memory");
    return NULL;
  }
  lua_pushlightuserdata(L, callback);
  lua_rawseti(L, -2, -number);
  lua_pop(L, 1);
  *callback = (struct kad_lua_callback){
      .context = context,
      .handle = lua_touserdata(L, index),
      .serial = number,
  };
  link_callback(list, callback);
  return callback;
}

struct kad_lua_callback *kad_lua_callback_find(lua_State *L, int index,
                                               lua_Integer serial) {
  if (serial <= 0) {
    return NULL;
  }
  lua_getiuservalue(L, index, 1);
  lua_rawgeti(L, -1, -serial);
  struct kad_lua_callback *const callback = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return callback;
}

void kad_lua_callback_remove(lua_State *L, int index,
                             struct kad_lua_callback *callback) {
  lua_getiuservalue(L, index, 1);
  clear_entries(L, callback->serial);
  lua_pop(L, 1);
  kad_lua_callback_free(callback);
}

bool kad_lua_callback_push(lua_State *L,
                           const struct kad_lua_callback *callback, bool keep) {
  kad_lua_context_push_handle(L, callback->handle);
  if (!lua_isuserdata(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_getiuservalue(L, -1, 1);
  lua_rawgeti(L, -1, callback->serial);
  lua_insert(L, -2);
  if (!keep) {
    clear_entries(L, callback->serial);
  }
  lua_pop(L, 1);
  return true;
}

void kad_lua_callback_unlink(struct kad_lua_callback *callback) {
  if (callback->link == NULL) {
    return;
  }
  *callback->link = callback->next;
  if (callback->next != NULL) {
    callback->next->link = callback->link;
  }
  callback->next = NULL;
  callback->link = NULL;
}

void kad_lua_callback_orphan(struct kad_lua_callback *list) {
  for (; list != NULL; list = list->next) {
    list->handle = NULL;
  }
}

void kad_lua_callback_move(struct kad_lua_callback **from,
                           struct kad_lua_callback **to) {
  while (*from != NULL) {
    struct kad_lua_callback *const callback = *from;
    kad_lua_callback_unlink(callback);
    link_callback(to, callback);
  }
}

void kad_lua_callback_free_all(struct kad_lua_callback **list) {
  while (*list != NULL) {
    kad_lua_callback_free(*list);
  }
}
