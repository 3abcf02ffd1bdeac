#include "lua/operation.h"

#include "kadenza_names.h"
#include "kadenza_network_key.h"
#include "lua/argument.h"
#include "lua/bencode.h"
#include "lua/callback.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/record.h"
#include "lua/result.h"
#include "lua/value.h"

struct finished {
  struct kad_lua_callback *callback;
  const struct kad_result *result;
};

/* Calls done with the values of kad_lua_push_result. [-0, +0, e] */
static int call_finished(lua_State *L) {
  const struct finished *const finished = lua_touserdata(L, 1);
  if (!kad_lua_callback_push(L, finished->callback, false)) {
    return 0;
  }
  const struct kad_lua_node *const self = lua_touserdata(L, -2);
  if (self->link == NULL && self->callbacks == NULL && !self->borrowed) {
    kad_lua_node_handle_release(L, -2); /* closed: this is its last call */
  }
  lua_call(L, kad_lua_push_result(L, finished->result, self->bits), 0);
  return 0;
}

static void operation_done(void *data, const struct kad_result *result) {
  struct kad_lua_callback *const callback = data;
  struct finished finished = {.callback = callback, .result = result};
  kad_lua_callback_unlink(callback);
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_finished, &finished);
  }
  kad_lua_callback_free(callback);
}

/* Makes the callback of an operation. To allocate may run the collector, and a
 * finalizer may close the node: so this checks again that it is open.
 * [-0, +0, v] */
static struct kad_lua_callback *new_callback(lua_State *L,
                                             struct kad_lua_node *self,
                                             int function) {
  luaL_checktype(L, function, LUA_TFUNCTION);
  struct kad_lua_callback *const callback =
      kad_lua_callback_new(L, 1, function, &self->callbacks, &self->serial);
  if (!kad_lua_node_handle_is_open(self)) {
    kad_lua_callback_remove(L, 1, callback);
    luaL_error(L, "closed node");
  }
  return callback;
}

/* Pushes the operation, or the error of beginning it. [-0, +1|3, m] */
static int push_operation(lua_State *L, struct kad_lua_callback *callback,
                          int status) {
  if (status != 0) {
    kad_lua_callback_remove(L, 1, callback);
    return kad_lua_push_error(L, status);
  }
  lua_pushinteger(L, callback->serial);
  return 1;
}

/* Reads the options of a lookup for items. [-0, +0, v] */
static void check_item_options(lua_State *L, int arg,
                               struct kad_lookup_options *options) {
  lua_Integer cas = 0;
  lua_Integer seq = 0;
  (void)kad_lua_field_string(L, arg, "salt", 0, KAD_SALT_MAX, &options->salt);
  options->has_cas =
      kad_lua_field_integer(L, arg, "cas", 0, LUA_MAXINTEGER, &cas);
  options->cas = cas;
  options->has_seq =
      kad_lua_field_integer(L, arg, "seq", 0, LUA_MAXINTEGER, &seq);
  options->seq = seq;
}

/* Reads the options of a lookup. [-0, +0, v] */
static void check_options(lua_State *L, int arg,
                          struct kad_lookup_options *options) {
  static const char *const names[] = {
      "alpha",       "beta",       "k",       "paths", "quorum",
      "deadline_ms", "min_stored", "publish", "seed",  "noseed",
      "scrape",      "salt",       "cas",     "seq",   NULL};
  *options = (struct kad_lookup_options){.alpha = 0};
  if (!kad_lua_check_options(L, arg, names)) {
    return;
  }
  (void)kad_lua_field_uint32(L, arg, "alpha", 1, KAD_ALPHA_MAX,
                             &options->alpha);
  (void)kad_lua_field_uint32(L, arg, "beta", 1, KAD_ALPHA_MAX, &options->beta);
  (void)kad_lua_field_uint32(L, arg, "k", 1, KAD_K_MAX, &options->k);
  (void)kad_lua_field_uint32(L, arg, "paths", 1, KAD_PATHS_MAX,
                             &options->paths);
  (void)kad_lua_field_uint32(L, arg, "quorum", 0, KAD_K_MAX, &options->quorum);
  (void)kad_lua_field_uint32(L, arg, "deadline_ms", 1, UINT32_MAX,
                             &options->deadline_ms);
  (void)kad_lua_field_uint32(L, arg, "min_stored", 0, KAD_K_MAX,
                             &options->min_stored);
  (void)kad_lua_field_boolean(L, arg, "publish", &options->publish);
  (void)kad_lua_field_boolean(L, arg, "seed", &options->seed);
  (void)kad_lua_field_boolean(L, arg, "noseed", &options->noseed);
  (void)kad_lua_field_boolean(L, arg, "scrape", &options->scrape);
  check_item_options(L, arg, options);
}

/* A lookup, with what it is begun with. */
struct lookup {
  struct kad_lua_node *self;
  struct kad_id key;
  struct kad_lookup_options options;
};

/* Reads the node at 1, the key at 2, the options at `arg`. [-0, +0, v] */
static struct lookup check_lookup(lua_State *L, int arg) {
  struct lookup lookup = {.self = kad_lua_check_node(L, 1)};
  kad_lua_check_id(L, 2, lookup.self->bits, &lookup.key);
  check_options(L, arg, &lookup.options);
  return lookup;
}

/* node:bootstrap(texts, nil, done): texts are addresses and names */
static int node_bootstrap(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const size_t count = lua_rawlen(L, 2);
  luaL_argcheck(L, count <= 4096, 2, "too many addresses");
  struct kad_slice *const texts =
      lua_newuserdatauv(L, count * sizeof *texts + 1, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    luaL_argcheck(L, lua_type(L, -1) == LUA_TSTRING, 2, "strings are needed");
    texts[i] = kad_lua_check_slice(L, lua_gettop(L));
    lua_pop(L, 1); /* the table keeps it */
  }
  struct kad_lua_callback *const callback = new_callback(L, self, 4);
  const int status =
      kad_network_bootstrap(self->link->network, self->link->node, texts, count,
                            operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:ping(address, nil, done) */
static int node_ping(lua_State *L) {
  struct kad_address address;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_address(L, 2, &address);
  struct kad_lua_callback *const callback = new_callback(L, self, 4);
  const int status = kad_node_ping(self->link->node, &address, operation_done,
                                   callback, &callback->id);
  return push_operation(L, callback, status);
}

/* Encodes the arguments of a custom query, a table or nil at `arg`. The
 * encoding is left at the top. [-0, +0|1, v] */
static struct kad_slice encode_args(lua_State *L, int arg) {
  if (lua_isnil(L, arg)) {
    return (struct kad_slice){.len = 0};
  }
  kad_lua_bencode_encode(L, arg, "args", true);
  return kad_lua_check_slice(L, lua_gettop(L));
}

/* node:call(address, id or nil, method, args, done) */
static int node_call(lua_State *L) {
  struct kad_contact to = {.id = {{0}}};
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_address(L, 2, &to.address);
  if (!lua_isnil(L, 3)) {
    kad_lua_check_id(L, 3, self->bits, &to.id);
  }
  const struct kad_slice method = kad_lua_check_slice(L, 4);
  const struct kad_slice args = encode_args(L, 5);
  struct kad_lua_callback *const callback = new_callback(L, self, 6);
  const int status = kad_node_call(self->link->node, &to, method, args,
                                   operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* One of the functions of kadenza_sample.h. */
typedef int (*ask_fn)(struct kad_node *node, const struct kad_contact *to,
                      const struct kad_id *target, kad_done_fn done, void *data,
                      kad_operation_id *operation);

/* Asks a node for what it has near a target. [-0, +1|3, v] */
static int ask_near(lua_State *L, ask_fn ask) {
  struct kad_contact to = {.id = {{0}}};
  struct kad_id target;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_address(L, 2, &to.address);
  if (!lua_isnil(L, 3)) {
    kad_lua_check_id(L, 3, self->bits, &to.id);
  }
  kad_lua_check_id(L, 4, self->bits, &target);
  struct kad_lua_callback *const callback = new_callback(L, self, 5);
  const int status = ask(self->link->node, &to, &target, operation_done,
                         callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:sample(address, id or nil, target, done) */
static int node_sample(lua_State *L) {
  return ask_near(L, kad_node_sample);
}

/* node:neighbours(address, id or nil, target, done) */
static int node_neighbours(lua_State *L) {
  return ask_near(L, kad_node_neighbours);
}

/* A reply to a query along a lookup path, and the verdict of the script. */
struct path_reply {
  const struct kad_lua_callback *callback;
  const struct kad_contact *from;
  struct kad_slice reply;
  enum kad_reply_verdict verdict;
};

/* Calls done(false, reply, contact). Its result says what becomes of the reply:
 * true ends the lookup, nil counts the reply, false ignores it. [-0, +0, e] */
static int call_reply(lua_State *L) {
  struct path_reply *const reply = lua_touserdata(L, 1);
  if (!kad_lua_callback_push(L, reply->callback, true)) {
    return 0;
  }
  const struct kad_lua_node *const self = lua_touserdata(L, -2);
  lua_pushboolean(L, 0);
  if (kad_lua_bencode_decode(L, reply->reply) != 0) {
    lua_newtable(L);
  }
  kad_lua_push_contact(L, reply->from, self->bits);
  lua_call(L, 3, 1);
  if (lua_toboolean(L, -1)) {
    reply->verdict = KAD_REPLY_VERDICT_STOP;
  } else if (lua_isnil(L, -1)) {
    reply->verdict = KAD_REPLY_VERDICT_COUNT;
  }
  return 0;
}

/* If the script fails, the reply is ignored. */
static enum kad_reply_verdict reply_received(void *data,
                                             const struct kad_contact *from,
                                             struct kad_slice reply) {
  struct kad_lua_callback *const callback = data;
  struct path_reply path_reply = {.callback = callback,
                                  .from = from,
                                  .reply = reply,
                                  .verdict = KAD_REPLY_VERDICT_IGNORE};
  if (callback->handle != NULL) {
    (void)kad_lua_context_enter(callback->context, call_reply, &path_reply);
  }
  return path_reply.verdict;
}

/* node:query(key, method, args, options, done): also calls done(false, reply,
 * contact) for each reply; see call_reply */
static int node_query(lua_State *L) {
  const struct lookup lookup = check_lookup(L, 5);
  const struct kad_custom_query query = {
      .method = kad_lua_check_slice(L, 3),
      .args = encode_args(L, 4),
      .on_reply = reply_received,
  };
  struct kad_lua_callback *const callback = new_callback(L, lookup.self, 6);
  const int status =
      kad_node_query(lookup.self->link->node, &lookup.key, &query,
                     &lookup.options, operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:find_node(id, options, done) */
static int node_find_node(lua_State *L) {
  const struct lookup lookup = check_lookup(L, 3);
  struct kad_lua_callback *const callback = new_callback(L, lookup.self, 4);
  const int status =
      kad_node_find_node(lookup.self->link->node, &lookup.key, &lookup.options,
                         operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:get(key, type, options, done) */
static int node_get(lua_State *L) {
  const struct lookup lookup = check_lookup(L, 4);
  const struct kad_slice type = kad_lua_check_slice(L, 3);
  struct kad_lua_callback *const callback = new_callback(L, lookup.self, 5);
  const int status =
      kad_node_get(lookup.self->link->node, &lookup.key, type, &lookup.options,
                   operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* Tells whether the value of the record at argument 2 is too large for any type
 * of the node. That is a failure which node:put returns. [-0, +0, v] */
static bool value_is_too_big(lua_State *L, const struct kad_node *node) {
  struct kad_slice value = {.len = 0};
  luaL_checktype(L, 2, LUA_TTABLE);
  (void)kad_lua_field_string(L, 2, "value", 0, SIZE_MAX / 2, &value);
  return value.len > kad_node_value_room(node);
}

/* node:put(record, options, done) */
static int node_put(lua_State *L) {
  struct kad_record record;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  if (value_is_too_big(L, self->link->node)) {
    return kad_lua_push_error(L, KAD_ETOOBIG);
  }
  kad_lua_check_record(L, 2, self->bits, &record);
  check_options(L, 3, &options);
  struct kad_lua_callback *const callback = new_callback(L, self, 4);
  const int status = kad_node_put(self->link->node, &record, &options,
                                  operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:get_peers(info_hash, options, done) */
static int node_get_peers(lua_State *L) {
  const struct lookup lookup = check_lookup(L, 3);
  struct kad_lua_callback *const callback = new_callback(L, lookup.self, 4);
  const int status =
      kad_node_get_peers(lookup.self->link->node, &lookup.key, &lookup.options,
                         operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:announce(info_hash, port, options, done) */
static int node_announce(lua_State *L) {
  const struct lookup lookup = check_lookup(L, 4);
  const uint16_t port = (uint16_t)kad_lua_check_integer(L, 3, 0, UINT16_MAX);
  struct kad_lua_callback *const callback = new_callback(L, lookup.self, 5);
  const int status = kad_node_announce(lookup.self->link->node, &lookup.key,
                                       port, &lookup.options, operation_done,
                                       callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:leave(deadline_ms, done) */
static int node_leave(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const lua_Integer deadline_ms = kad_lua_check_integer(L, 2, 1, UINT32_MAX);
  struct kad_lua_callback *const callback = new_callback(L, self, 3);
  const int status = kad_node_leave(self->link->node, (uint32_t)deadline_ms,
                                    operation_done, callback, &callback->id);
  return push_operation(L, callback, status);
}

/* node:cancel(operation) → whether it had not ended yet */
static int node_cancel(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_node_handle(L, 1);
  const struct kad_lua_callback *const callback =
      kad_lua_callback_find(L, 1, luaL_checkinteger(L, 2));
  const bool canceled = callback != NULL && kad_lua_node_handle_is_open(self) &&
                        kad_node_cancel(self->link->node, callback->id) == 0;
  lua_pushboolean(L, canceled);
  return 1;
}

const luaL_Reg kad_lua_operation_methods[] = {
    {"bootstrap", node_bootstrap},
    {"ping", node_ping},
    {"call", node_call},
    {"sample", node_sample},
    {"neighbours", node_neighbours},
    {"query", node_query},
    {"find_node", node_find_node},
    {"get", node_get},
    {"put", node_put},
    {"get_peers", node_get_peers},
    {"announce", node_announce},
    {"leave", node_leave},
    {"cancel", node_cancel},
    {NULL, NULL},
};
