#include "lua/link.h"
#include "lua/pending.h"

#include <string.h>

/* Every operation takes its arguments, a table of options or nil, and a
 * function that is called once with what kad_lua_push_result pushes. It returns
 * the operation, an integer for `cancel`, or nil, message, code. */

struct finished {
  struct kad_lua_pending *pending;
  const struct kad_result *result;
};

static int call_finished(lua_State *L) {
  const struct finished *const finished = lua_touserdata(L, 1);
  if (!kad_lua_pending_push(L, finished->pending, false)) {
    return 0;
  }
  const struct kad_lua_node *const self = lua_touserdata(L, -2);
  if (self->link == NULL && self->pending == NULL && !self->borrowed) {
    kad_lua_release_node(L, -2); /* it was closed and this is its last word */
  }
  lua_call(L, kad_lua_push_result(L, finished->result, self->bits), 0);
  return 0;
}

static void operation_done(void *data, const struct kad_result *result) {
  struct kad_lua_pending *const pending = data;
  struct finished finished = {.pending = pending, .result = result};
  kad_lua_pending_unlink(pending);
  if (pending->handle != NULL) {
    (void)kad_lua_enter(pending->context, call_finished, &finished);
  }
  kad_lua_pending_free(pending);
}

/* Makes the callback of an operation. What this allocates may run the
 * collector, and that a finalizer that closes the node: it is open afterwards.
 * [-0, +0, v] */
static struct kad_lua_pending *begin(lua_State *L, struct kad_lua_node *self,
                                     int function) {
  luaL_checktype(L, function, LUA_TFUNCTION);
  struct kad_lua_pending *const pending =
      kad_lua_pending_new(L, 1, function, &self->pending, &self->serial);
  if (self->link == NULL || self->link->node == NULL) {
    kad_lua_pending_drop(L, 1, pending);
    luaL_error(L, "closed node");
  }
  return pending;
}

static int end(lua_State *L, struct kad_lua_pending *pending, int status) {
  if (status != 0) {
    kad_lua_pending_drop(L, 1, pending);
    return kad_lua_push_error(L, status);
  }
  lua_pushinteger(L, pending->serial);
  return 1;
}

/* Reads how a lookup runs: alpha, beta, k, paths, quorum, deadline_ms and keep.
 * [-0, +0, v] */
static void check_lookup(lua_State *L, int arg,
                         struct kad_lookup_options *options) {
  static const char *const names[] = {
      "alpha", "beta", "k", "paths", "quorum", "deadline_ms", "publish", NULL};
  lua_Integer alpha = 0;
  lua_Integer beta = 0;
  lua_Integer k = 0;
  lua_Integer paths = 0;
  lua_Integer quorum = 0;
  lua_Integer deadline_ms = 0;
  *options = (struct kad_lookup_options){.alpha = 0};
  kad_lua_check_options(L, arg, names);
  if (!lua_istable(L, arg)) {
    return;
  }
  (void)kad_lua_field_integer(L, arg, "alpha", 1, 32, &alpha);
  (void)kad_lua_field_integer(L, arg, "beta", 1, 32, &beta);
  (void)kad_lua_field_integer(L, arg, "k", 1, 64, &k);
  (void)kad_lua_field_integer(L, arg, "paths", 1, 16, &paths);
  (void)kad_lua_field_integer(L, arg, "quorum", 0, 64, &quorum);
  (void)kad_lua_field_integer(L, arg, "deadline_ms", 1, UINT32_MAX,
                              &deadline_ms);
  (void)kad_lua_field_boolean(L, arg, "publish", &options->publish);
  options->alpha = (uint32_t)alpha;
  options->beta = (uint32_t)beta;
  options->k = (uint32_t)k;
  options->paths = (uint32_t)paths;
  options->quorum = (uint32_t)quorum;
  options->deadline_ms = (uint32_t)deadline_ms;
}

/* node:bootstrap(addresses, nil, done) */
static int node_bootstrap(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const size_t count = lua_rawlen(L, 2);
  luaL_argcheck(L, count <= 4096, 2, "too many addresses");
  struct kad_address *const known =
      lua_newuserdatauv(L, count * sizeof *known + 1, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    kad_lua_check_address(L, lua_gettop(L), &known[i]);
    lua_pop(L, 1);
  }
  struct kad_lua_pending *const pending = begin(L, self, 4);
  return end(L, pending,
             kad_node_bootstrap(self->link->node, known, count, operation_done,
                                pending, &pending->name));
}

/* node:ping(address, nil, done) */
static int node_ping(lua_State *L) {
  struct kad_address address;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_address(L, 2, &address);
  struct kad_lua_pending *const pending = begin(L, self, 4);
  return end(L, pending,
             kad_node_ping(self->link->node, &address, operation_done, pending,
                           &pending->name));
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
  struct kad_slice args = {.len = 0};
  if (!lua_isnil(L, 5)) {
    kad_lua_bencode_encode(L, 5, "args", true);
    args = kad_lua_check_slice(L, lua_gettop(L));
  }
  struct kad_lua_pending *const pending = begin(L, self, 6);
  return end(L, pending,
             kad_node_call(self->link->node, &to, method, args, operation_done,
                           pending, &pending->name));
}

/* A reply to a query along a lookup path, and what the script says to it. */
struct heard {
  const struct kad_lua_pending *pending;
  const struct kad_contact *from;
  struct kad_slice reply;
  enum kad_reply_verdict verdict;
};

/* Calls done(false, reply, contact): true ends the lookup, false passes the
 * reply over, nil lets it count. */
static int call_heard(lua_State *L) {
  struct heard *const heard = lua_touserdata(L, 1);
  if (!kad_lua_pending_push(L, heard->pending, true)) {
    return 0;
  }
  const struct kad_lua_node *const self = lua_touserdata(L, -2);
  lua_pushboolean(L, 0);
  if (kad_lua_bencode_decode(L, heard->reply) != 0) {
    lua_newtable(L);
  }
  kad_lua_push_contact(L, heard->from, self->bits);
  lua_call(L, 3, 1);
  if (lua_toboolean(L, -1)) {
    heard->verdict = KAD_REPLY_VERDICT_STOP;
  } else if (lua_isnil(L, -1)) {
    heard->verdict = KAD_REPLY_VERDICT_COUNT;
  }
  return 0;
}

/* What the script fails to say passes the reply over. */
static enum kad_reply_verdict reply_came(void *data,
                                         const struct kad_contact *from,
                                         struct kad_slice reply) {
  struct kad_lua_pending *const pending = data;
  struct heard heard = {.pending = pending,
                        .from = from,
                        .reply = reply,
                        .verdict = KAD_REPLY_VERDICT_IGNORE};
  if (pending->handle != NULL) {
    (void)kad_lua_enter(pending->context, call_heard, &heard);
  }
  return heard.verdict;
}

/* node:query(key, method, args, options, done): `done` is called with false and
 * each reply, too; see call_heard */
static int node_query(lua_State *L) {
  struct kad_id key;
  struct kad_lookup_options options;
  struct kad_custom_query query = {.on_reply = reply_came};
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &key);
  query.method = kad_lua_check_slice(L, 3);
  check_lookup(L, 5, &options);
  if (!lua_isnil(L, 4)) {
    kad_lua_bencode_encode(L, 4, "args", true);
    query.args = kad_lua_check_slice(L, lua_gettop(L));
  }
  struct kad_lua_pending *const pending = begin(L, self, 6);
  return end(L, pending,
             kad_node_query(self->link->node, &key, &query, &options,
                            operation_done, pending, &pending->name));
}

/* node:find_node(id, options, done) */
static int node_find_node(lua_State *L) {
  struct kad_id target;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &target);
  check_lookup(L, 3, &options);
  struct kad_lua_pending *const pending = begin(L, self, 4);
  return end(L, pending,
             kad_node_find_node(self->link->node, &target, &options,
                                operation_done, pending, &pending->name));
}

/* node:get(key, type, options, done) */
static int node_get(lua_State *L) {
  struct kad_id key;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &key);
  const struct kad_slice type = kad_lua_check_slice(L, 3);
  check_lookup(L, 4, &options);
  struct kad_lua_pending *const pending = begin(L, self, 5);
  return end(L, pending,
             kad_node_get(self->link->node, &key, type, &options,
                          operation_done, pending, &pending->name));
}

/* Returns true if the value of the record at argument 2 is over the limit of
 * all types, which is no mistake of the caller's. [-0, +0, m] */
static bool value_is_too_big(lua_State *L) {
  struct kad_slice value = {.len = 0};
  luaL_checktype(L, 2, LUA_TTABLE);
  (void)kad_lua_field_string(L, 2, "value", 0, SIZE_MAX / 2, &value);
  return value.len > KAD_VALUE_MAX;
}

/* node:put(record, options, done) */
static int node_put(lua_State *L) {
  struct kad_record record;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  if (value_is_too_big(L)) {
    return kad_lua_push_error(L, KAD_ETOOBIG);
  }
  kad_lua_check_record(L, 2, self->bits, &record);
  check_lookup(L, 3, &options);
  struct kad_lua_pending *const pending = begin(L, self, 4);
  return end(L, pending,
             kad_node_put(self->link->node, &record, &options, operation_done,
                          pending, &pending->name));
}

/* node:get_peers(info_hash, options, done) */
static int node_get_peers(lua_State *L) {
  struct kad_id info_hash;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &info_hash);
  check_lookup(L, 3, &options);
  struct kad_lua_pending *const pending = begin(L, self, 4);
  return end(L, pending,
             kad_node_get_peers(self->link->node, &info_hash, &options,
                                operation_done, pending, &pending->name));
}

/* node:announce(info_hash, port, options, done) */
static int node_announce(lua_State *L) {
  struct kad_id info_hash;
  struct kad_lookup_options options;
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &info_hash);
  const uint16_t port = (uint16_t)kad_lua_check_integer(L, 3, 0, UINT16_MAX);
  check_lookup(L, 4, &options);
  struct kad_lua_pending *const pending = begin(L, self, 5);
  return end(L, pending,
             kad_node_announce(self->link->node, &info_hash, port, &options,
                               operation_done, pending, &pending->name));
}

/* node:leave(deadline_ms, done) */
static int node_leave(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const lua_Integer deadline_ms = luaL_checkinteger(L, 2);
  luaL_argcheck(L, deadline_ms >= 1 && deadline_ms <= UINT32_MAX, 2,
                "out of range");
  struct kad_lua_pending *const pending = begin(L, self, 3);
  return end(L, pending,
             kad_node_leave(self->link->node, (uint32_t)deadline_ms,
                            operation_done, pending, &pending->name));
}

/* node:cancel(operation) → whether it was still under way */
static int node_cancel(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_to_node(L, 1);
  const struct kad_lua_pending *const pending =
      kad_lua_pending_find(L, 1, luaL_checkinteger(L, 2));
  const bool canceled = pending != NULL && self->link != NULL &&
                        self->link->node != NULL &&
                        kad_node_cancel(self->link->node, pending->name) == 0;
  lua_pushboolean(L, canceled);
  return 1;
}

const luaL_Reg kad_lua_operations[] = {
    {"bootstrap", node_bootstrap},
    {"ping", node_ping},
    {"call", node_call},
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
