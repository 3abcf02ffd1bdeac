#include "lua/link.h"
#include "lua/pending.h"

#include <string.h>

/* -------------------------------------------------------------- handles -- */

struct kad_lua_node *kad_lua_to_node(lua_State *L, int arg) {
  void *handle = luaL_testudata(L, arg, KAD_LUA_NODE_BORROWED);
  if (handle == NULL) {
    handle = luaL_checkudata(L, arg, KAD_LUA_NODE);
  }
  return handle;
}

static bool is_open(const struct kad_lua_node *self) {
  return self->link != NULL && self->link->node != NULL;
}

struct kad_lua_node *kad_lua_check_node(lua_State *L, int arg) {
  struct kad_lua_node *const self = kad_lua_to_node(L, arg);
  if (!is_open(self)) {
    luaL_error(L, "closed node");
  }
  return self;
}

/* -------------------------------------------------------------- methods -- */

static int node_id(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_push_id(L, kad_node_id(self->link->node), self->bits);
  return 1;
}

static int node_id_bits(lua_State *L) {
  lua_pushinteger(L, kad_lua_to_node(L, 1)->bits);
  return 1;
}

static int node_is_open(lua_State *L) {
  lua_pushboolean(L, is_open(kad_lua_to_node(L, 1)));
  return 1;
}

/* node:addresses() → list of "ip:port" */
static int node_addresses(lua_State *L) {
  struct kad_address addresses[KAD_LUA_MAX_LISTEN];
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const size_t total = kad_network_addresses(
      self->link->network, self->link->node, addresses, KAD_LUA_MAX_LISTEN);
  const size_t count = total < KAD_LUA_MAX_LISTEN ? total : KAD_LUA_MAX_LISTEN;
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_address(L, &addresses[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int node_state(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  lua_pushstring(L, kad_state_name(kad_node_state(self->link->node)));
  return 1;
}

static int node_stats(lua_State *L) {
  struct kad_stats stats;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_node_stats(self->link->node, &stats);
  lua_newtable(L);
#define SET_FIELD(name, text)                  \
  lua_pushinteger(L, (lua_Integer)stats.name); \
  lua_setfield(L, -2, #name);
  KAD_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  return 1;
}

/* Pushes what the table knows of a contact; `idle` and `rtt` are seconds.
 * [-0, +1, m] */
static void push_info(lua_State *L, const struct kad_contact_info *info,
                      kad_time_ms now_ms, unsigned bits) {
  const kad_time_ms seen_ms =
      info->last_seen < now_ms ? info->last_seen : now_ms;
  kad_lua_push_contact(L, &info->contact, bits);
  lua_pushnumber(L, (lua_Number)(now_ms - seen_ms) / 1000.0);
  lua_setfield(L, -2, "idle");
  lua_pushnumber(L, info->rtt_ms / 1000.0);
  lua_setfield(L, -2, "rtt");
  lua_pushinteger(L, info->failures);
  lua_setfield(L, -2, "failures");
  lua_pushboolean(L, info->good);
  lua_setfield(L, -2, "good");
}

/* node:contacts() → list of contacts */
static int node_contacts(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const size_t room = kad_node_contacts(self->link->node, NULL, 0);
  struct kad_contact_info *const infos =
      lua_newuserdatauv(L, room * sizeof *infos + 1, 0);
  (void)kad_lua_check_node(L, 1); /* a finalizer may have closed it */
  const size_t total = kad_node_contacts(self->link->node, infos, room);
  const size_t count = total < room ? total : room;
  const kad_time_ms now_ms =
      kad_network_node_now(self->link->network, self->link->node);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_info(L, &infos[i], now_ms, self->bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Calls `push`, which returns one value, with `data`, while no finalizer runs:
 * one might close the node, or drop the records that it lends. [-0, +1, e] */
static void push_undisturbed(lua_State *L, lua_CFunction push, void *data) {
  const bool runs = lua_gc(L, LUA_GCISRUNNING) != 0;
  (void)lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, data);
  const int status = lua_pcall(L, 1, 1, 0);
  if (runs) {
    (void)lua_gc(L, LUA_GCRESTART);
  }
  if (status != LUA_OK) {
    (void)lua_error(L);
  }
}

/* What is looked for among the records that a node holds. */
struct search {
  const struct kad_lua_node *self;
  struct kad_id key;
  struct kad_slice type;
};

/* [-0, +1, m] */
static int push_held(lua_State *L) {
  const struct search *const search = lua_touserdata(L, 1);
  const struct kad_node *const node = search->self->link->node;
  const size_t total = kad_node_held(node, &search->key, search->type, NULL, 0);
  struct kad_record *const records =
      lua_newuserdatauv(L, total * sizeof *records + 1, 0);
  (void)kad_node_held(node, &search->key, search->type, records, total);
  lua_createtable(L, (int)total, 0);
  for (size_t i = 0; i < total; i++) {
    kad_lua_push_record(L, &records[i], search->self->bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* node:held(key, type) → list of the records that it holds, newest first */
static int node_held(lua_State *L) {
  struct search search = {.self = kad_lua_check_node(L, 1)};
  kad_lua_check_id(L, 2, search.self->bits, &search.key);
  search.type = kad_lua_check_slice(L, 3);
  push_undisturbed(L, push_held, &search);
  return 1;
}

/* node:keep(record, within) → true, or nil, message, code */
static int node_publish(lua_State *L) {
  struct kad_record record;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_record(L, 2, self->bits, &record);
  const lua_Integer within = luaL_checkinteger(L, 3);
  luaL_argcheck(L, within >= 0 && within <= UINT32_MAX, 3, "out of range");
  const int error =
      kad_node_publish(self->link->node, &record, (uint32_t)within);
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  lua_pushboolean(L, true);
  return 1;
}

/* node:withdraw(key, type, value or nil) → true, or nil, message, code */
static int node_unpublish(lua_State *L) {
  struct kad_id key = {{0}};
  struct kad_slice value = {0};
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_id(L, 2, self->bits, &key);
  const struct kad_slice type = kad_lua_check_slice(L, 3);
  const bool has_value = !lua_isnoneornil(L, 4);
  if (has_value) {
    value = kad_lua_check_slice(L, 4);
  }
  const int error = kad_node_unpublish(self->link->node, &key, type,
                                       has_value ? &value : NULL);
  if (error != 0) {
    return kad_lua_push_error(L, error);
  }
  lua_pushboolean(L, true);
  return 1;
}

/* [-0, +1, m] */
static int push_own(lua_State *L) {
  const struct kad_lua_node *const self = lua_touserdata(L, 1);
  uint64_t cursor = 0;
  struct kad_record record;
  lua_newtable(L);
  while (kad_node_next_publication(self->link->node, &cursor, &record)) {
    kad_lua_push_record(L, &record, self->bits);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  }
  return 1;
}

/* node:own() → list of the records that it keeps as its own */
static int node_publications(lua_State *L) {
  push_undisturbed(L, push_own, kad_lua_check_node(L, 1));
  return 1;
}

/* node:network() → the handle of its network; owning handles only */
static int node_network(lua_State *L) {
  (void)kad_lua_to_node(L, 1);
  lua_getiuservalue(L, 1, KAD_LUA_NODE_NETWORK);
  return 1;
}

static int node_tostring(lua_State *L) {
  char hex[65];
  const struct kad_lua_node *const self = kad_lua_to_node(L, 1);
  if (!is_open(self)) {
    lua_pushliteral(L, "kadenza.core.Node (closed)");
    return 1;
  }
  kad_id_format(kad_node_id(self->link->node), self->bits, hex);
  lua_pushfstring(L, "kadenza.core.Node (%s)", hex);
  return 1;
}

/* ---------------------------------------------------------------- ending -- */

void kad_lua_close_node(struct kad_lua_node *self, bool silently) {
  if (silently) {
    while (self->pending != NULL) { /* the core will call them: then freed */
      self->pending->handle = NULL;
      kad_lua_pending_unlink(self->pending);
    }
  }
  if (self->link == NULL) {
    return;
  }
  struct kad_lua_link *const link = self->link;
  struct kad_network *const network = link->network;
  struct kad_node *const node = link->node;
  self->link = NULL;
  link->network = NULL;
  link->node = NULL;
  kad_lua_link_release(link);
  if (node != NULL) {
    kad_network_close_node(network, node);
  }
}

/* node:close(): its operations end with KAD_ECLOSED. Does nothing when it is
 * closed already. */
static int node_close(lua_State *L) {
  struct kad_lua_node *const self = luaL_checkudata(L, 1, KAD_LUA_NODE);
  if (self->link == NULL) {
    return 0;
  }
  lua_getiuservalue(L, 1, KAD_LUA_NODE_NETWORK);
  struct kad_lua_network *const network = lua_touserdata(L, -1);
  const bool running = network->running;
  network->running = true;
  kad_lua_close_node(self, false);
  network->running = running;
  if (self->pending == NULL) {
    kad_lua_release_node(L, 1);
  }
  if (!running) {
    kad_lua_rethrow(L);
  }
  return 0;
}

/* Cancels what was begun through a borrowed handle. The blocks are freed when
 * the core has called back. */
static void end_borrower(struct kad_lua_node *self) {
  struct kad_node *const node = self->link->node;
  while (self->pending != NULL) {
    struct kad_lua_pending *const pending = self->pending;
    kad_lua_pending_unlink(pending);
    pending->handle = NULL;
    if (node != NULL) {
      (void)kad_node_cancel(node, pending->name);
    }
  }
  kad_lua_link_release(self->link);
  self->link = NULL;
}

static int node_gc(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_to_node(L, 1);
  if (!self->borrowed) {
    kad_lua_close_node(self, true);
  } else if (self->link != NULL) {
    end_borrower(self);
  }
  return 0;
}

/* ----------------------------------------------------------- construction --
 */

static const luaL_Reg shared_methods[] = {
    {"id", node_id},
    {"id_bits", node_id_bits},
    {"is_open", node_is_open},
    {"addresses", node_addresses},
    {"state", node_state},
    {"stats", node_stats},
    {"contacts", node_contacts},
    {"held", node_held},
    {"publish", node_publish},
    {"unpublish", node_unpublish},
    {"publications", node_publications},
    {NULL, NULL},
};

/* ------------------------------------------------------------ transport -- */

/* A datagram on its way out. */
struct parcel {
  const struct kad_lua_node *from;
  const struct kad_address *to;
  struct kad_slice bytes;
};

/* Calls send(bytes, address). [-0, +0, e] */
static int call_send(lua_State *L) {
  const struct parcel *const parcel = lua_touserdata(L, 1);
  kad_lua_push_handle(L, parcel->from);
  if (lua_isuserdata(L, -1)) {
    lua_getiuservalue(L, -1, KAD_LUA_NODE_SEND);
    kad_lua_push_slice(L, parcel->bytes);
    kad_lua_push_address(L, parcel->to);
    lua_call(L, 2, 0);
  }
  return 0;
}

static void carry(void *state, const struct kad_address *to,
                  struct kad_slice datagram) {
  const struct kad_lua_node *const self = state;
  struct parcel parcel = {.from = self, .to = to, .bytes = datagram};
  if (self->link != NULL) {
    (void)kad_lua_enter(self->context, call_send, &parcel);
  }
}

/* node:receive(bytes, address) → true, or nil, message, code */
static int node_receive(lua_State *L) {
  struct kad_address from;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  kad_lua_check_address(L, 3, &from);
  const int status =
      kad_network_receive(self->link->network, self->link->node, &from, bytes);
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg owner_methods[] = {
    {"receive", node_receive},
    {"network", node_network},
    {"close", node_close},
    {NULL, NULL},
};

static const luaL_Reg owner_meta[] = {
    {"__gc", node_gc},
    {"__close", node_close},
    {"__tostring", node_tostring},
    {NULL, NULL},
};

static const luaL_Reg borrowed_meta[] = {
    {"__gc", node_gc},
    {"__tostring", node_tostring},
    {NULL, NULL},
};

/* Sets the metatable of the handle at the top. [-0, +0, m] */
static void set_metatable(lua_State *L, bool borrowed) {
  const char *const name = borrowed ? KAD_LUA_NODE_BORROWED : KAD_LUA_NODE;
  kad_lua_push_metatable(L, name, shared_methods, kad_lua_operations,
                         borrowed ? borrowed_meta : owner_meta);
  if (!borrowed) {
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, owner_methods, 0);
    lua_pop(L, 1);
  }
  lua_setmetatable(L, -2);
}

/* Pushes a closed handle. [-0, +1, m] */
static struct kad_lua_node *new_handle(lua_State *L, bool borrowed) {
  struct kad_lua_context *const context = kad_lua_context(L);
  struct kad_lua_node *const self =
      lua_newuserdatauv(L, sizeof *self, KAD_LUA_NODE_VALUES);
  *self = (struct kad_lua_node){.context = context, .borrowed = borrowed};
  lua_newtable(L);
  lua_setiuservalue(L, -2, KAD_LUA_NODE_CALLBACKS);
  set_metatable(L, borrowed);
  kad_lua_register_handle(L);
  return self;
}

struct kad_lua_node *kad_lua_borrow_node(lua_State *L,
                                         const struct kad_lua_node *owner) {
  struct kad_lua_node *const self = new_handle(L, true);
  self->bits = owner->bits;
  self->link = kad_lua_link_share(owner->link);
  return self;
}

size_t kad_lua_check_listen(lua_State *L, int arg, struct kad_address *listen) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const size_t count = lua_rawlen(L, arg);
  luaL_argcheck(L, count >= 1 && count <= KAD_LUA_MAX_LISTEN, arg,
                "1 to 8 addresses are needed");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    kad_lua_check_address(L, lua_gettop(L), &listen[i]);
    lua_pop(L, 1);
  }
  return count;
}

/* Lets the network at argument 1 keep the node at the top. [-0, +0, m] */
static void keep_node(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, KAD_LUA_NODE_NETWORK);
  lua_getiuservalue(L, 1, KAD_LUA_NETWORK_NODES);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void kad_lua_release_node(lua_State *L, int index) {
  index = lua_absindex(L, index);
  luaL_checkstack(L, 5, NULL);
  if (lua_getiuservalue(L, index, KAD_LUA_NODE_NETWORK) == LUA_TUSERDATA) {
    lua_getiuservalue(L, -1, KAD_LUA_NETWORK_NODES);
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Opens the node of the handle at the top, with the function at 4, if there is
 * one, as its transport. Returns 0 or an error. [-0, +0, m] */
static int open_node(lua_State *L, const struct kad_lua_network *network,
                     const struct kad_config *config,
                     const struct kad_address *listen, size_t count) {
  struct kad_lua_node *const self = lua_touserdata(L, -1);
  struct kad_node **const node = &self->link->node;
  if (lua_isnil(L, 4)) {
    return kad_network_open_node(network->link->network, config, listen, count,
                                 node);
  }
  const struct kad_transport transport = {.state = self, .send = carry};
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, -2, KAD_LUA_NODE_SEND);
  return kad_network_open_on_transport(network->link->network, config, listen,
                                       count, &transport, node);
}

/* network:open_node(config, listen[, send]) → node, or nil, message, code. With
 * `send` the node has no sockets. */
int kad_lua_network_open_node(lua_State *L) {
  struct kad_config config;
  struct kad_address listen[KAD_LUA_MAX_LISTEN];
  const struct kad_lua_network *const network = kad_lua_check_network(L, 1);
  if (network->closing) {
    return luaL_error(L, "closed network");
  }
  kad_lua_check_config(L, 2, &config);
  const size_t count = kad_lua_check_listen(L, 3, listen);
  lua_settop(L, 4);
  if (!lua_isnil(L, 4)) {
    luaL_checktype(L, 4, LUA_TFUNCTION);
  }
  struct kad_lua_node *const self = new_handle(L, false);
  keep_node(L);
  self->bits = config.id_bits;
  self->link = kad_lua_link_new();
  int status = KAD_ENOMEM;
  if (self->link != NULL) {
    status = open_node(L, network, &config, listen, count);
  }
  if (status != 0) {
    kad_lua_link_release(self->link);
    self->link = NULL;
    kad_lua_release_node(L, -1);
    return kad_lua_push_error(L, status);
  }
  self->link->network = network->link->network;
  return 1;
}
