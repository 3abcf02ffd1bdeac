/* network_handle.h: the handle of a network in a Lua state. */
#ifndef KAD_LUA_NETWORK_HANDLE_H
#define KAD_LUA_NETWORK_HANDLE_H

#include "lua/context.h"
#include "lua/link.h"

/* Names of metatables. */
#define KAD_LUA_NETWORK          "kadenza.Network"
#define KAD_LUA_NETWORK_BORROWED "kadenza.Network (borrowed)"

/* The longest delay of a timer and length of a run: about 31 years. */
#define KAD_LUA_MAX_MS ((lua_Integer)1000000000000)

enum {
  KAD_LUA_SIGNALS = 4 /* signals that on_signal knows */
};

/* User values of the handle. */
enum {
  KAD_LUA_NETWORK_CALLBACKS = 1, /* table: see callback.h */
  KAD_LUA_NETWORK_NODES = 2,     /* table: node handle → true; owner only */
  KAD_LUA_NETWORK_VALUES = 2
};

/* The memory of the handle. */
struct kad_lua_network {
  struct kad_lua_link *link; /* NULL when closed */
  struct kad_lua_context *context;
  struct kad_lua_callback *callbacks; /* of timers, names, signals, the trace */
  lua_Integer serial;                 /* of the last callback */
  lua_Integer signals[KAD_LUA_SIGNALS]; /* serials of theirs; 0: none */
  lua_Integer trace;                    /* serial of its callback; 0: none */
  bool borrowed;
  bool simulated;
  bool running; /* callbacks may run: it must not be run or freed */
  bool closing; /* no node can be opened any more */
};

/* Returns the handle at argument `arg`, owning or borrowed, which may be
 * closed.
 * [-0, +0, v] */
struct kad_lua_network *kad_lua_network_handle(lua_State *L, int arg);

/* Does the same, but raises "closed network" if it is closed. [-0, +0, v] */
struct kad_lua_network *kad_lua_check_network(lua_State *L, int arg);

#endif
