/* store_record.h: records as a store in Lua sees them: tables with the fields
 * of a record, and stored_at, expires_at  seconds since 1970 UTC republish_at
 * the same; nil: never origin                 "ip:port" of the node that stored
 * it; nil: this node seed                   true for a peer that has the whole
 * torrent Tested by tests/spec/store_spec.lua. */
#ifndef KAD_LUA_STORE_RECORD_H
#define KAD_LUA_STORE_RECORD_H

#include "kadenza_store.h"

#include <lua.h>

/* One moment by the clock of a node and by that of the machine. */
struct kad_lua_moment {
  kad_time_ms now;
  int64_t wall_ms;
};

/* Pushes a record with its meta. [-0, +1, m] */
void kad_lua_push_stored(lua_State *L, const struct kad_record *record,
                         const struct kad_record_meta *meta, unsigned bits,
                         const struct kad_lua_moment *moment);

/* Pushes a table with the fields of the meta only. [-0, +1, m] */
void kad_lua_push_stored_meta(lua_State *L, const struct kad_record_meta *meta,
                              const struct kad_lua_moment *moment);

/* Reads the fields of the meta of the table at `index`. Returns `stored_at` in
 * milliseconds since 1970, which may be before the clock of the node began.
 * [-0, +0, v] */
int64_t kad_lua_check_stored_meta(lua_State *L, int index,
                                  const struct kad_lua_moment *moment,
                                  struct kad_record_meta *meta);

#endif
