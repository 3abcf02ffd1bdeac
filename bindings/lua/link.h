/* link.h: what the handles of one network, or one node, have in common. */
#ifndef KAD_LUA_LINK_H
#define KAD_LUA_LINK_H

#include "kadenza_sim.h"
#include "lua/kadenza_lua.h"

/* Makes a link with one handle. NULL when memory ends. */
struct kad_lua_link *kad_lua_link_new(void);

/* Adds a handle and returns `link`. */
struct kad_lua_link *kad_lua_link_share(struct kad_lua_link *link);

/* Takes a handle off; the last one frees the link. NULL is ignored. */
void kad_lua_link_release(struct kad_lua_link *link);

/* Pushes the metatable `name`, made at the first call from the method tables
 * `methods` and `more` (may be NULL) and from `meta`. [-0, +1, m] */
void kad_lua_push_metatable(lua_State *L, const char *name,
                            const luaL_Reg *methods, const luaL_Reg *more,
                            const luaL_Reg *meta);

/* The names of metatables. */
#define KAD_LUA_NETWORK          "kadenza.Network"
#define KAD_LUA_NETWORK_BORROWED "kadenza.Network (borrowed)"
#define KAD_LUA_NODE             "kadenza.core.Node"
#define KAD_LUA_NODE_BORROWED    "kadenza.core.Node (borrowed)"

/* Returns the handle at `arg`, closed or not. [-0, +0, v] */
struct kad_lua_network *kad_lua_to_network(lua_State *L, int arg);
struct kad_lua_node *kad_lua_to_node(lua_State *L, int arg);

/* Closes the node of an owning handle. Its operations end; `silently`,
 * they do so without calling Lua. */
void kad_lua_close_node(struct kad_lua_node *self, bool silently);

/* Lets the network's handle forget the node handle at `index`. [-0, +0, -] */
void kad_lua_release_node(lua_State *L, int index);

/* Reads a configuration table, which may have only fields of kad_config.
 * [-0, +0, v] */
void kad_lua_check_config(lua_State *L, int arg, struct kad_config *config);

/* core.config_options(): returns the options of a node, a list of tables with
 * the fields of struct kad_option: name, type ("boolean" or "integer"),
 * default, min, max, unit, text. [-0, +1, m] */
int kad_lua_config_options(lua_State *L);

enum {
  KAD_LUA_MAX_LISTEN = 8 /* addresses of a node */
};

/* Reads the list of 1 to KAD_LUA_MAX_LISTEN addresses at argument `arg` and
 * returns how many there are. [-0, +0, v] */
size_t kad_lua_check_listen(lua_State *L, int arg, struct kad_address *listen);

/* The methods that begin operations. Ends with NULL. */
extern const luaL_Reg kad_lua_operations[];

/* Reads argument 1, the options of a simulated network. `quantiles` has room
 * for KAD_SIM_QUANTILES_MAX, and `config` may point there. [-0, +0, v] */
void kad_lua_check_sim_config(lua_State *L, struct kad_sim_config *config,
                              struct kad_sim_quantile *quantiles);

/* The methods of simulated networks. Ends with NULL. */
extern const luaL_Reg kad_lua_sim_methods[];

/* The longest delay of a timer and length of a run: about 31 years. */
#define KAD_LUA_MAX_MS ((lua_Integer)1000000000000)

/* The methods of networks that call back: timers and names. Ends with NULL. */
extern const luaL_Reg kad_lua_waits[];

/* The method on_signal of owning handles. [-0, +1|3, v] */
int kad_lua_network_on_signal(lua_State *L);

/* Adds the network constructors to the table at the top. [-0, +0, m] */
void kad_lua_add_networks(lua_State *L);

/* Adds what a node's state on disk needs to the table at the top. [-0, +0, m]
 */
void kad_lua_add_files(lua_State *L);

/* Adds what runs other programs to the table at the top. [-0, +0, m] */
void kad_lua_add_spawn(lua_State *L);

/* Adds what catches Ctrl-C to the table at the top. [-0, +0, m] */
void kad_lua_add_interrupt(lua_State *L);

#endif
