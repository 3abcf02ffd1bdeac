#include "lua/node.h"

#include "kadenza_inherited.h"
#include "kadenza_network_key.h"
#include "kadenza_socket.h"
#include "lua/argument.h"
#include "lua/blocklist.h"
#include "lua/config.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/held.h"
#include "lua/histogram.h"
#include "lua/inherited.h"
#include "lua/names.h"
#include "lua/network_key.h"
#include "lua/operation.h"
#include "lua/publication.h"
#include "lua/reachability.h"
#include "lua/record.h"
#include "lua/store.h"
#include "lua/talkers.h"
#include "lua/tally.h"
#include "lua/tap.h"
#include "lua/value.h"

#include <sodium.h>

#include <errno.h>

enum {
  FIRST_FREE_PORT = 1024, /* binding a lower one needs a privilege */
  HANDLE = 6              /* where open_node has its handle on the stack */
};

/* -------------------------------------------------------------- methods -- */

static int node_id(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_push_id(L, kad_node_id(self->link->node), self->bits);
  return 1;
}

/* node:secure_id() → table: `address` or nil, `fits`, `may_move`, `moves`, and
 * `previous` if it has moved */
static int node_secure_id(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  struct kad_secure_id_info info = {.moves = 0};
  (void)kad_node_secure_id(self->link->node, &info);
  lua_createtable(L, 0, 5);
  kad_lua_set_boolean(L, "fits", info.fits);
  kad_lua_set_boolean(L, "may_move", info.may_move);
  kad_lua_set_integer(L, "moves", info.moves);
  if (info.address.family != 0) {
    kad_lua_push_address(L, &info.address);
    lua_setfield(L, -2, "address");
  }
  if (info.moves > 0) {
    kad_lua_push_id(L, &info.previous, self->bits);
    lua_setfield(L, -2, "previous");
  }
  return 1;
}

static int node_id_bits(lua_State *L) {
  lua_pushinteger(L, kad_lua_node_handle(L, 1)->bits);
  return 1;
}

static int node_is_open(lua_State *L) {
  lua_pushboolean(L, kad_lua_node_handle_is_open(kad_lua_node_handle(L, 1)));
  return 1;
}

/* node:addresses() → list of "ip:port" */
static int node_addresses(lua_State *L) {
  struct kad_address addresses[KAD_LUA_MAX_LISTEN];
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const size_t total = kad_network_addresses(
      self->link->network, self->link->node, addresses, KAD_LUA_MAX_LISTEN);
  const size_t count = total < KAD_LUA_MAX_LISTEN ? total : KAD_LUA_MAX_LISTEN;
  kad_lua_push_addresses(L, addresses, count);
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
#define SET_FIELD(name, text) \
  kad_lua_set_integer(L, #name, (lua_Integer)stats.name);
  KAD_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  struct kad_socket_stats sockets = {0};
  (void)kad_network_socket_stats(self->link->network, self->link->node,
                                 &sockets, NULL);
#define SET_FIELD(name, text) \
  kad_lua_set_integer(L, #name, (lua_Integer)sockets.name);
  KAD_SOCKET_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  return 1;
}

/* node:send_failure() → {count, to, error, name}, or nil if all were sent */
static int node_send_failure(lua_State *L) {
  struct kad_socket_stats sockets = {0};
  struct kad_send_failure failure = {0};
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  (void)kad_network_socket_stats(self->link->network, self->link->node,
                                 &sockets, &failure);
  if (failure.count == 0) {
    return 0;
  }
  char text[KAD_ADDRESS_TEXT_SIZE];
  lua_newtable(L);
  kad_lua_set_integer(L, "count", (lua_Integer)failure.count);
  kad_lua_set_string(L, "to", kad_address_format(&failure.to, text));
  kad_lua_set_string(L, "error", failure.error_text);
  kad_lua_set_string(L, "name", failure.error_name);
  return 1;
}

/* Pushes a contact of the table; `idle`, `rtt` in seconds. [-0, +1, m] */
static void push_info(lua_State *L, const struct kad_contact_info *info,
                      kad_time_ms now_ms, unsigned bits) {
  const kad_time_ms seen_ms =
      info->last_seen < now_ms ? info->last_seen : now_ms;
  kad_lua_push_contact(L, &info->contact, bits);
  kad_lua_set_number(L, "idle", (lua_Number)(now_ms - seen_ms) / 1000.0);
  kad_lua_set_number(L, "rtt", info->rtt_ms / 1000.0);
  kad_lua_set_integer(L, "failures", info->failures);
  kad_lua_set_boolean(L, "good", info->good);
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

/* node:configure(config) → true, or nil, message, code. Sets the live options
 * of the node; those that `config` lacks to their defaults. */
static int node_configure(lua_State *L) {
  struct kad_config config;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_config_check(L, 2, &config);
  return kad_lua_push_outcome(L, kad_node_configure(self->link->node, &config));
}

/* node:publish(record, within) → true, or nil, message, code. The first store
 * is at a random time in the next `within` seconds. */
static int node_publish(lua_State *L) {
  struct kad_record record;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  kad_lua_check_record(L, 2, self->bits, &record);
  const lua_Integer within = kad_lua_check_integer(L, 3, 0, UINT32_MAX);
  (void)kad_lua_check_node(L, 1); /* a finalizer may have closed it */
  return kad_lua_push_outcome(
      L, kad_node_publish(self->link->node, &record, (uint32_t)within));
}

/* node:unpublish(key, type, value or nil) → true, or nil, message, code */
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
  const int status = kad_node_unpublish(self->link->node, &key, type,
                                        has_value ? &value : NULL);
  return kad_lua_push_outcome(L, status);
}

/* Pushes a list of publications. [-0, +1, m] */
static int push_publications(lua_State *L) {
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

/* node:message_room() → bytes of the largest message that it sends */
static int node_message_room(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  lua_pushinteger(L, (lua_Integer)kad_node_message_room(self->link->node));
  return 1;
}

/* node:value_room() → bytes of the largest value, whatever its type allows */
static int node_value_room(lua_State *L) {
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  lua_pushinteger(L, (lua_Integer)kad_node_value_room(self->link->node));
  return 1;
}

/* node:publications() → list of the records that it keeps alive */
static int node_publications(lua_State *L) {
  kad_lua_push_without_collector(L, push_publications,
                                 kad_lua_check_node(L, 1));
  return 1;
}

/* node:network() → the handle of its network; owning handles only */
static int node_network(lua_State *L) {
  (void)kad_lua_node_handle(L, 1);
  lua_getiuservalue(L, 1, KAD_LUA_NODE_NETWORK);
  return 1;
}

static int node_tostring(lua_State *L) {
  char hex[65];
  const struct kad_lua_node *const self = kad_lua_node_handle(L, 1);
  if (!kad_lua_node_handle_is_open(self)) {
    lua_pushliteral(L, "kadenza.core.Node (closed)");
    return 1;
  }
  kad_id_format(kad_node_id(self->link->node), self->bits, hex);
  lua_pushfstring(L, "kadenza.core.Node (%s)", hex);
  return 1;
}

/* ---------------------------------------------------------------- ending -- */

/* node:close(): its operations end with KAD_ECLOSED. May be repeated. */
static int node_close(lua_State *L) {
  const struct kad_lua_node *const self = luaL_checkudata(L, 1, KAD_LUA_NODE);
  if (self->link != NULL) {
    kad_lua_check_not_in_store(L, self->link);
    kad_lua_node_close(L, 1, false);
  }
  return 0;
}

/* Cancels the operations of a borrowed handle. Their callbacks are freed when
 * the core calls them. */
static void close_borrowed(struct kad_lua_node *self) {
  struct kad_node *const node = self->link->node;
  while (self->callbacks != NULL) {
    struct kad_lua_callback *const callback = self->callbacks;
    kad_lua_callback_unlink(callback);
    callback->handle = NULL;
    if (node != NULL) {
      (void)kad_node_cancel(node, callback->id);
    }
  }
  kad_lua_link_release(self->link);
  self->link = NULL;
}

static int node_gc(lua_State *L) {
  struct kad_lua_node *const self = kad_lua_node_handle(L, 1);
  if (!self->borrowed) {
    kad_lua_node_handle_close(L, 1, true);
  } else if (self->link != NULL) {
    close_borrowed(self);
  }
  return 0;
}

/* ------------------------------------------------------------ transport -- */

/* A datagram to send. */
struct outgoing {
  const struct kad_lua_node *from;
  const struct kad_address *to;
  struct kad_slice bytes;
};

/* Calls send(bytes, address). [-0, +0, e] */
static int call_send(lua_State *L) {
  const struct outgoing *const outgoing = lua_touserdata(L, 1);
  kad_lua_context_push_handle(L, outgoing->from);
  if (lua_isuserdata(L, -1)) {
    lua_getiuservalue(L, -1, KAD_LUA_NODE_SEND);
    kad_lua_push_slice(L, outgoing->bytes);
    kad_lua_push_address(L, outgoing->to);
    lua_call(L, 2, 0);
  }
  return 0;
}

/* The `send` of a transport. */
static void send_by_lua(void *state, const struct kad_address *to,
                        struct kad_slice datagram) {
  const struct kad_lua_node *const self = state;
  struct outgoing outgoing = {.from = self, .to = to, .bytes = datagram};
  if (self->link != NULL) {
    (void)kad_lua_context_enter(self->context, call_send, &outgoing);
  }
}

/* node:receive(bytes, address) → true, or nil, message, code */
static int node_receive(lua_State *L) {
  struct kad_address from;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  kad_lua_check_address(L, 3, &from);
  return kad_lua_push_outcome(
      L,
      kad_network_receive(self->link->network, self->link->node, &from, bytes));
}

/* -------------------------------------------------------- construction -- */

static const luaL_Reg shared_methods[] = {
    {"id", node_id},
    {"id_bits", node_id_bits},
    {"secure_id", node_secure_id},
    {"reachability", kad_lua_node_reachability},
    {"is_open", node_is_open},
    {"addresses", node_addresses},
    {"state", node_state},
    {"send_failure", node_send_failure},
    {"stats", node_stats},
    {"histograms", kad_lua_node_histograms},
    {"tallies", kad_lua_node_tallies},
    {"contacts", node_contacts},
    {"held", kad_lua_node_held},
    {"held_types", kad_lua_node_held_types},
    {"held_page", kad_lua_node_held_page},
    {"publish", node_publish},
    {"unpublish", node_unpublish},
    {"publications", node_publications},
    {"message_room", node_message_room},
    {"value_room", node_value_room},
    {NULL, NULL},
};

static const luaL_Reg owner_methods[] = {
    {"receive", node_receive},
    {"tap", kad_lua_node_tap},
    {"configure", node_configure},
    {"block", kad_lua_node_block},
    {"exempt", kad_lua_node_exempt},
    {"count_talkers", kad_lua_node_count_talkers},
    {"talkers", kad_lua_node_talkers},
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

/* Pushes a closed handle. [-0, +1, m] */
static struct kad_lua_node *new_handle(lua_State *L, bool borrowed) {
  static const luaL_Reg *const methods_of_borrowed[] = {
      shared_methods, kad_lua_operation_methods, kad_lua_name_methods, NULL};
  static const luaL_Reg *const methods_of_owner[] = {
      shared_methods,
      kad_lua_operation_methods,
      kad_lua_name_methods,
      owner_methods,
      kad_lua_network_key_methods,
      kad_lua_publication_methods,
      NULL};
  struct kad_lua_context *const context = kad_lua_context(L);
  struct kad_lua_node *const self =
      lua_newuserdatauv(L, sizeof *self, KAD_LUA_NODE_VALUES);
  *self = (struct kad_lua_node){.context = context, .borrowed = borrowed};
  lua_newtable(L);
  lua_setiuservalue(L, -2, KAD_LUA_NODE_CALLBACKS);
  if (borrowed) {
    kad_lua_push_metatable(L, KAD_LUA_NODE_BORROWED, methods_of_borrowed,
                           borrowed_meta);
  } else {
    kad_lua_push_metatable(L, KAD_LUA_NODE, methods_of_owner, owner_meta);
  }
  lua_setmetatable(L, -2);
  kad_lua_context_register_handle(L);
  return self;
}

struct kad_lua_node *kad_lua_node_borrow(lua_State *L,
                                         const struct kad_lua_node *owner) {
  struct kad_lua_node *const self = new_handle(L, true);
  self->bits = owner->bits;
  self->link = kad_lua_link_share(owner->link);
  return self;
}

/* Makes the network at 1 keep the node at the top. [-0, +0, m] */
static void keep_node(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, KAD_LUA_NODE_NETWORK);
  lua_getiuservalue(L, 1, KAD_LUA_NETWORK_NODES);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* Opens the node of the handle at 6. The function at 4, if there is one, is its
 * transport. Returns 0 or an error. [-0, +0, m] */
static int open_node(lua_State *L, const struct kad_lua_network *network,
                     const struct kad_config *config,
                     const struct kad_lua_place *place) {
  struct kad_lua_node *const self = lua_touserdata(L, HANDLE);
  struct kad_node **const node = &self->link->node;
  if (place->is_bound) {
    return kad_network_open_on_sockets(network->link->network, config,
                                       place->sockets, place->count, node);
  }
  if (lua_isnil(L, 4)) {
    return kad_network_open_node(network->link->network, config, place->listen,
                                 place->count, node);
  }
  const struct kad_transport transport = {.state = self, .send = send_by_lua};
  lua_pushvalue(L, 4);
  lua_setiuservalue(L, HANDLE, KAD_LUA_NODE_SEND);
  return kad_network_open_on_transport(network->link->network, config,
                                       place->listen, place->count, &transport,
                                       node);
}

/* Opens the store at 5, if there is one, then the node. Returns 0, or an error,
 * with a message at the top if the store could not be read. [-0, +0|1, m] */
static int open_with_store(lua_State *L, struct kad_lua_network *network,
                           struct kad_config *config,
                           const struct kad_lua_place *place) {
  int status = 0;
  if (!lua_isnil(L, 5)) {
    status = kad_lua_store_open(L, 5, network, HANDLE, &config->store);
  }
  return status != 0 ? status : open_node(L, network, config, place);
}

/* Pushes nil, message and code: why a node could not be opened; and true if the
 * message begins with the address. Returns their number. [-0, +3|4, m] */
static int push_open_failure(lua_State *L, const struct kad_network *network,
                             int error) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  const struct kad_system_failure failure = kad_network_failure(network);
  if (failure.call == NULL || !lua_isnil(L, 4)) {
    return kad_lua_push_error(L, error);
  }
  (void)kad_lua_push_system_failure(L, error,
                                    kad_address_format(&failure.address, text),
                                    failure.call, failure.number);
  if (failure.number == EACCES && failure.address.port < FIRST_FREE_PORT) {
    lua_pushfstring(L, "%s (ports below %d need root or CAP_NET_BIND_SERVICE)",
                    lua_tostring(L, -2), FIRST_FREE_PORT);
    lua_replace(L, -3);
  }
  lua_pushboolean(L, 1);
  return 4;
}

/* Opens the node of the handle at 6 with the keys of the table at 2.
 * [-0, +0|1, v] */
static int open_sealed(lua_State *L, struct kad_lua_network *network,
                       struct kad_config *config,
                       const struct kad_lua_place *place) {
  struct kad_network_keys keys;
  const bool has_keys =
      lua_istable(L, 2) && kad_lua_field_network_keys(L, 2, &keys);
  (void)kad_lua_check_network(L, 1); /* a finalizer may have closed it */
  config->network_keys = has_keys ? &keys : NULL;
  const int status = open_with_store(L, network, config, place);
  config->network_keys = NULL;
  if (has_keys) {
    sodium_memzero(&keys, sizeof keys);
  }
  return status;
}

/* Forgets the handle at 6, whose node could not be opened. Its store stays the
 * caller's. [-0, +0, m] */
static void discard(lua_State *L) {
  struct kad_lua_node *const self = lua_touserdata(L, HANDLE);
  kad_lua_store_discard(L, HANDLE);
  kad_lua_link_release(self->link);
  self->link = NULL;
  kad_lua_node_handle_release(L, HANDLE);
}

/* Reads the arguments of open_node, and makes the handle at 6. [-0, +1, v] */
static struct kad_lua_network *check_arguments(lua_State *L,
                                               struct kad_config *config,
                                               struct kad_lua_place *place) {
  struct kad_lua_network *const network = kad_lua_check_network(L, 1);
  if (network->closing) {
    luaL_error(L, "closed network");
  }
  kad_lua_config_check(L, 2, config);
  kad_lua_check_place(L, 3, place);
  lua_settop(L, 5);
  if (!lua_isnil(L, 4)) {
    luaL_argcheck(L, !place->is_bound, 4, "a node with it has no sockets");
    luaL_checktype(L, 4, LUA_TFUNCTION);
  }
  if (!lua_isnil(L, 5)) {
    luaL_checktype(L, 5, LUA_TTABLE);
  }
  struct kad_lua_node *const self = new_handle(L, false);
  self->bits = config->id_bits;
  keep_node(L);
  return kad_lua_check_network(L, 1); /* a finalizer may have closed it */
}

/* network:open_node(config, listen[, send[, store]]) → node, or nil, message,
 * code, and whether the message names the address. `listen` has addresses, or
 * the descriptors of bound sockets, which the node then owns. A node with
 * `send` has no sockets: send(bytes, address) sends its datagrams. `store` is
 * the table of lua/store.h. */
int kad_lua_node_open(lua_State *L) {
  struct kad_config config;
  struct kad_lua_place place;
  struct kad_lua_network *const network = check_arguments(L, &config, &place);
  struct kad_lua_node *const self = lua_touserdata(L, HANDLE);
  self->link = kad_lua_link_new();
  int status = KAD_ENOMEM;
  if (self->link != NULL) {
    status = open_sealed(L, network, &config, &place);
  }
  if (status != 0) {
    const bool has_message = lua_gettop(L) > HANDLE;
    discard(L);
    return has_message ? kad_lua_push_error_message(L, status)
                       : push_open_failure(L, network->link->network, status);
  }
  self->link->network = network->link->network;
  self->link->home = network->link;
  kad_lua_store_begin(L, HANDLE);
  kad_lua_context_collect(L);
  lua_settop(L, HANDLE);
  return 1;
}
