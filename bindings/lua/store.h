/* store.h: record stores in Lua. A store is an object with methods that keep
 * records under numbers: a backend (kadenza_backend.h) whose functions are
 * calls into Lua. scripts/kadenza/store.lua has its interface for users.
 * Tested by tests/spec/store_spec.lua. */
#ifndef KAD_LUA_STORE_H
#define KAD_LUA_STORE_H

#include "lua/handle.h"

/* Opens the store at `index` for the node of the handle `node` at `node_index`,
 * which is not open yet: a table with
 *   object   the store
 *   restore  function(load): calls load(number, record) for each record there
 *            is, which returns true, or nil, message, code; or raises an error
 *            if `record` has the wrong form
 *   failed   function(call, message): logs a failure
 * Returns 0 and sets `*store`; KAD_ENOMEM; or KAD_ESYSTEM with a message at the
 * top. After a failure kad_lua_store_discard is called. [-0, +0|1, m] */
int kad_lua_store_open(lua_State *L, int index, struct kad_lua_network *network,
                       int node_index, struct kad_store **store);

/* Notes that the node of the handle at `index` has opened. [-0, +0, -] */
void kad_lua_store_begin(lua_State *L, int index);

/* Forgets the store of the handle at `index`, whose node could not be opened.
 * The object stays the caller's, and is not closed. [-0, +0, m] */
void kad_lua_store_discard(lua_State *L, int index);

#endif
