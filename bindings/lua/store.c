/* Each call into Lua is protected, on the main thread of the state. Whatever it
 * does wrong is a failure, which the backed store counts and this file has
 * logged. While it runs, `in_store` of the links makes the methods of the node,
 * and those that end or run its network, raise an error: the node is in the
 * middle of something. */
#include "lua/store.h"

#include "kadenza_backend.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/record.h"
#include "lua/store_record.h"
#include "lua/value.h"

#include <string.h>

/* A record that was got, with the bytes that it points to. */
struct got {
  struct kad_record record;
  uint8_t type[KAD_TYPE_NAME_MAX];
  uint8_t value[KAD_VALUE_MAX];
  uint8_t salt[KAD_SALT_MAX];
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
};

struct kad_lua_store {
  struct kad_lua_context *context;
  const void *handle; /* of the node */
  struct kad_lua_link *link;
  struct kad_lua_link *network_link;
  struct kad_network *network;
  struct kad_node *node; /* NULL until it has opened */
  struct kad_store *store;
  unsigned bits;
  bool is_discarded;
  struct got got;
};

/* A call of a method. */
struct call {
  struct kad_lua_store *self;
  const char *method;
  uint64_t number;                 /* 0: not an argument */
  const struct kad_record *record; /* `put`; NULL: `touch`, with `meta` only */
  const struct kad_record_meta *meta; /* NULL: not an argument */
  bool gets;                          /* the result is a record */
  int error;                          /* what to return if it did not fail */
};

/* ---------------------------------------------------------------- calling --
 */

/* Pushes the table of the store; nil if it is gone. [-0, +1, m] */
static void push_table(lua_State *L, const struct kad_lua_store *self) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, self) == LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  kad_lua_context_push_handle(L, self->handle);
  if (lua_isuserdata(L, -1)) {
    lua_getiuservalue(L, -1, KAD_LUA_NODE_STORE);
    lua_remove(L, -2);
  }
}

/* Pushes the store and its method `name`, below it. Raises an error if it has
 * no such method. [-0, +2, e] */
static void push_method(lua_State *L, const struct kad_lua_store *self,
                        const char *name) {
  push_table(L, self);
  if (!lua_istable(L, -1)) {
    luaL_error(L, "the store is closed");
  }
  lua_getfield(L, -1, "object");
  lua_replace(L, -2);
  lua_getfield(L, -1, name);
  lua_insert(L, -2);
}

static struct kad_lua_moment moment_of(const struct kad_lua_store *self) {
  return (struct kad_lua_moment){
      .now = self->node != NULL ? kad_node_time(self->node)
                                : kad_network_now(self->network),
      .wall_ms = kad_network_wall_clock(self->network) * 1000,
  };
}

/* Raises an error if the two results at the top say that a call failed: false,
 * or nil and a message. [-0, +0, v] */
static void check_results(lua_State *L) {
  const bool is_false = lua_isboolean(L, -2) && !lua_toboolean(L, -2);
  const bool has_message = lua_isnil(L, -2) && !lua_isnil(L, -1);
  if (is_false || has_message) {
    if (lua_isnil(L, -1)) {
      lua_pushliteral(L, "it returned false");
    }
    (void)lua_error(L);
  }
}

static const uint8_t *copy_bytes(uint8_t *to, const uint8_t *from, size_t len) {
  return from != NULL && len > 0 ? memcpy(to, from, len) : NULL;
}

/* Copies the record that the table at the top has. [-0, +0, v] */
static void copy_record(lua_State *L, struct kad_lua_store *self) {
  struct got *const got = &self->got;
  struct kad_record *const record = &got->record;
  kad_lua_check_record(L, lua_gettop(L), self->bits, record);
  record->type.data =
      copy_bytes(got->type, record->type.data, record->type.len);
  record->value.data =
      copy_bytes(got->value, record->value.data, record->value.len);
  record->salt.data =
      copy_bytes(got->salt, record->salt.data, record->salt.len);
  record->publisher =
      copy_bytes(got->publisher, record->publisher, KAD_PUBLISHER_SIZE);
  record->signature =
      copy_bytes(got->signature, record->signature, KAD_SIGNATURE_SIZE);
}

/* Calls method(store[, number[, record]]), in a protected call. [-0, +0, e] */
static int call_method(lua_State *L) {
  struct call *const call = lua_touserdata(L, 1);
  struct kad_lua_store *const self = call->self;
  const struct kad_lua_moment moment = moment_of(self);
  int arguments = 1;
  luaL_checkstack(L, 10, NULL);
  push_method(L, self, call->method);
  if (call->number > 0) {
    lua_pushinteger(L, (lua_Integer)call->number);
    arguments++;
  }
  if (call->record != NULL) {
    kad_lua_push_stored(L, call->record, call->meta, self->bits, &moment);
    arguments++;
  } else if (call->meta != NULL) {
    kad_lua_push_stored_meta(L, call->meta, &moment);
    arguments++;
  }
  lua_call(L, arguments, 2);
  check_results(L);
  if (!call->gets) {
    return 0;
  }
  lua_pop(L, 1);
  if (lua_isnil(L, -1)) {
    call->error = KAD_ENOTFOUND;
    return 0;
  }
  copy_record(L, self);
  return 0;
}

/* Calls failed(method, message), both below; its own errors are dropped.
 * [-0, +0, m] */
static int call_failed(lua_State *L) {
  const struct call *const call = lua_touserdata(L, 1);
  push_table(L, call->self);
  if (lua_istable(L, -1) && lua_getfield(L, -1, "failed") == LUA_TFUNCTION) {
    lua_pushstring(L, call->method);
    (void)luaL_tolstring(L, 2, NULL);
    lua_call(L, 2, 0);
  }
  return 0;
}

/* Has the failure whose message is at the top logged. [-0, +0, -] */
static void report(lua_State *L, struct call *call) {
  lua_pushcfunction(L, call_failed);
  lua_pushlightuserdata(L, call);
  lua_pushvalue(L, -3);
  (void)lua_pcall(L, 2, 0, 0);
}

static void enter(struct kad_lua_store *self) {
  self->link->in_store++;
  self->network_link->in_store++;
}

static void leave(struct kad_lua_store *self) {
  self->link->in_store--;
  self->network_link->in_store--;
}

/* Makes a call. Returns 0 or a KAD_E… code. [-0, +0, -] */
static int make_call(struct call *call) {
  lua_State *const L = call->self->context->main;
  const int top = lua_gettop(L);
  if (!lua_checkstack(L, 8)) {
    return KAD_ENOMEM;
  }
  enter(call->self);
  lua_pushcfunction(L, call_method);
  lua_pushlightuserdata(L, call);
  const int status = lua_pcall(L, 1, 0, 0);
  if (status == LUA_OK && call->error == KAD_ENOTFOUND) {
    lua_pushliteral(L, "the record is lost");
    report(L, call);
  } else if (status != LUA_OK) {
    call->error = status == LUA_ERRMEM ? KAD_ENOMEM : KAD_ESYSTEM;
    report(L, call);
  }
  lua_settop(L, top);
  leave(call->self);
  return call->error;
}

/* ------------------------------------------------------------- the backend --
 */

static int put(void *state, uint64_t number, const struct kad_record *record,
               const struct kad_record_meta *meta) {
  struct call call = {.self = state,
                      .method = "put",
                      .number = number,
                      .record = record,
                      .meta = meta};
  return make_call(&call);
}

static int touch(void *state, uint64_t number,
                 const struct kad_record_meta *meta) {
  struct call call = {
      .self = state, .method = "touch", .number = number, .meta = meta};
  return make_call(&call);
}

static int get(void *state, uint64_t number, struct kad_record *record) {
  struct kad_lua_store *const self = state;
  struct call call = {
      .self = self, .method = "get", .number = number, .gets = true};
  const int error = make_call(&call);
  if (error == 0) {
    *record = self->got.record;
  }
  return error;
}

static void mismatched(void *state, uint64_t number) {
  struct kad_lua_store *const self = state;
  lua_State *const L = self->context->main;
  struct call call = {.self = self, .method = "get", .number = number};
  const int top = lua_gettop(L);
  if (lua_checkstack(L, 8)) {
    lua_pushliteral(L, "the record is not the one that was put");
    report(L, &call);
    lua_settop(L, top);
  }
}

static int remove_record(void *state, uint64_t number) {
  struct call call = {.self = state, .method = "remove", .number = number};
  return make_call(&call);
}

static int commit(void *state) {
  struct call call = {.self = state, .method = "commit"};
  return make_call(&call);
}

/* Calls close(store), if there is such a method. [-0, +0, e] */
static int call_close(lua_State *L) {
  const struct call *const call = lua_touserdata(L, 1);
  luaL_checkstack(L, 6, NULL);
  push_method(L, call->self, "close");
  if (lua_isnil(L, -2)) {
    return 0;
  }
  lua_call(L, 1, 2);
  check_results(L);
  return 0;
}

/* Clears the pointer that the handle has, unless the handle was collected, and
 * removes the store from the registry. [-0, +0, m] */
static int forget(lua_State *L) {
  struct kad_lua_store *const self = lua_touserdata(L, 1);
  kad_lua_context_push_handle(L, self->handle);
  struct kad_lua_node *const handle = lua_touserdata(L, -1);
  if (handle != NULL && handle->store == self) { /* else another's memory */
    handle->store = NULL;
    lua_pushnil(L);
    lua_setiuservalue(L, -2, KAD_LUA_NODE_STORE);
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, self);
  return 0;
}

/* Ends the backend: closes the object, unless its node was not opened. */
static void close_backend(void *state) {
  struct kad_lua_store *const self = state;
  const struct kad_allocator allocator = kad_allocator_default();
  lua_State *const L = self->context->main;
  struct call call = {.self = self, .method = "close"};
  const int top = lua_gettop(L);
  if (lua_checkstack(L, 8)) {
    enter(self);
    lua_pushcfunction(L, call_close);
    lua_pushlightuserdata(L, &call);
    if (!self->is_discarded && lua_pcall(L, 1, 0, 0) != LUA_OK) {
      report(L, &call);
    }
    lua_settop(L, top);
    leave(self);
    lua_pushcfunction(L, forget);
    lua_pushlightuserdata(L, self);
    (void)lua_pcall(L, 1, 0, 0);
    lua_settop(L, top);
  }
  kad_lua_link_release(self->link);
  kad_lua_link_release(self->network_link);
  (void)allocator.resize(allocator.state, self, sizeof *self, 0);
}

/* ---------------------------------------------------------------- opening --
 */

/* load(number, record) → true, or nil, message, code */
static int load_record(lua_State *L) {
  struct kad_record record;
  struct kad_record_meta meta;
  const struct kad_lua_store *const self =
      lua_touserdata(L, lua_upvalueindex(1));
  const struct kad_lua_moment moment = moment_of(self);
  const lua_Integer number =
      kad_lua_check_integer(L, 1, 1, (lua_Integer)KAD_BACKED_NUMBER_MAX);
  kad_lua_check_record(L, 2, self->bits, &record);
  const int64_t order = kad_lua_check_stored_meta(L, 2, &moment, &meta);
  return kad_lua_push_outcome(
      L, kad_backed_store_restore(self->store, (uint64_t)number, &record, &meta,
                                  order));
}

static const struct kad_backend methods = {
    .put = put,
    .get = get,
    .remove = remove_record,
    .mismatched = mismatched,
    .close = close_backend,
};

/* Makes the store of `self`, which is freed with it. Returns 0 or KAD_ENOMEM.
 */
static int make_store(struct kad_lua_store *self, bool has_touch,
                      bool has_commit) {
  const struct kad_allocator allocator =
      kad_lua_context_allocator(self->context);
  struct kad_backend backend = methods;
  uint8_t secret[KAD_BACKED_SECRET_SIZE];
  backend.state = self;
  backend.set_meta = has_touch ? touch : NULL;
  backend.commit = has_commit ? commit : NULL;
  kad_network_random(self->network, secret, sizeof secret);
  return kad_backed_store_new(&backend, &allocator, secret, &self->store);
}

/* Makes the store of `self` from the table at 1, for the handle at 2, and calls
 * restore(load), in a protected call. [-0, +0, e] */
static int open_body(lua_State *L) {
  struct kad_lua_store *const self = lua_touserdata(L, 3);
  luaL_checkstack(L, 6, NULL);
  lua_getfield(L, 1, "object");
  const bool has_touch = lua_getfield(L, -1, "touch") != LUA_TNIL;
  const bool has_commit = lua_getfield(L, -2, "commit") != LUA_TNIL;
  if (make_store(self, has_touch, has_commit) != 0) {
    return luaL_error(L, "%s", kad_error_text(KAD_ENOMEM));
  }
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, KAD_LUA_NODE_STORE);
  lua_pushboolean(L, 0); /* to keep it there later cannot raise then */
  lua_rawsetp(L, LUA_REGISTRYINDEX, self);
  lua_getfield(L, 1, "restore");
  lua_pushlightuserdata(L, self);
  lua_pushcclosure(L, load_record, 1);
  lua_call(L, 1, 0);
  kad_backed_store_sort(self->store);
  return 0;
}

/* While it opens, nothing that is called may end the network. */
int kad_lua_store_open(lua_State *L, int index, struct kad_lua_network *network,
                       int node_index, struct kad_store **store) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_lua_node *const node = lua_touserdata(L, node_index);
  struct kad_lua_store *const self =
      allocator.resize(allocator.state, NULL, 0, sizeof *self);
  if (self == NULL) {
    return KAD_ENOMEM;
  }
  *self = (struct kad_lua_store){
      .context = node->context,
      .handle = node,
      .link = kad_lua_link_share(node->link),
      .network_link = kad_lua_link_share(network->link),
      .network = network->link->network,
      .bits = node->bits,
  };
  node->store = self;
  index = lua_absindex(L, index);
  enter(self);
  lua_pushcfunction(L, open_body);
  lua_pushvalue(L, index);
  lua_pushvalue(L, node_index);
  lua_pushlightuserdata(L, self);
  const int status = lua_pcall(L, 3, 0, 0);
  leave(self);
  *store = self->store;
  if (status != LUA_OK) {
    lua_pushfstring(L, "the record store could not be read: %s",
                    lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1)
                                                   : luaL_typename(L, -1));
  }
  return status == LUA_OK ? 0 : KAD_ESYSTEM;
}

void kad_lua_store_begin(lua_State *L, int index) {
  const struct kad_lua_node *const node = lua_touserdata(L, index);
  if (node->store != NULL) {
    node->store->node = node->link->node;
  }
}

void kad_lua_store_discard(lua_State *L, int index) {
  struct kad_lua_node *const node = lua_touserdata(L, index);
  struct kad_lua_store *const self = node->store;
  if (self != NULL) {
    node->store = NULL;
    self->is_discarded = true;
    if (self->store != NULL) {
      kad_backed_store_free(self->store);
    } else {
      close_backend(self);
    }
  }
}
