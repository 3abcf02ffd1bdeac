#include "lua/store_record.h"

#include "lua/field.h"
#include "lua/record.h"
#include "lua/value.h"

#include <lauxlib.h>

#include <math.h>

/* The latest time of the node's clock that is read: 100,000 years. */
static const lua_Number latest_ms = 3.2e15;

/* Returns `at`, of the node's clock, as seconds since 1970. */
static lua_Number to_seconds(const struct kad_lua_moment *moment,
                             kad_time_ms at) {
  const lua_Number left_ms = at >= moment->now
                                 ? (lua_Number)(at - moment->now)
                                 : -(lua_Number)(moment->now - at);
  return ((lua_Number)moment->wall_ms + left_ms) / 1000.0;
}

/* Converts seconds since 1970 to the node's clock: 0 for what was before its
 * beginning. */
static kad_time_ms from_seconds(const struct kad_lua_moment *moment,
                                lua_Number seconds) {
  const lua_Number at_ms =
      seconds * 1000.0 - (lua_Number)moment->wall_ms + (lua_Number)moment->now;
  if (at_ms <= 0.0) {
    return 0;
  }
  return (kad_time_ms)(at_ms < latest_ms ? at_ms + 0.5 : latest_ms);
}

static void set_meta(lua_State *L, const struct kad_record_meta *meta,
                     const struct kad_lua_moment *moment) {
  kad_lua_set_number(L, "stored_at", to_seconds(moment, meta->stored_at));
  kad_lua_set_number(L, "expires_at", to_seconds(moment, meta->expires_at));
  if (meta->republish_at != KAD_TIME_NEVER) {
    kad_lua_set_number(L, "republish_at",
                       to_seconds(moment, meta->republish_at));
  }
  if (meta->origin.family != 0) {
    kad_lua_push_address(L, &meta->origin);
    lua_setfield(L, -2, "origin");
  }
  if (meta->is_seed) {
    kad_lua_set_boolean(L, "seed", true);
  }
}

void kad_lua_push_stored(lua_State *L, const struct kad_record *record,
                         const struct kad_record_meta *meta, unsigned bits,
                         const struct kad_lua_moment *moment) {
  struct kad_record bare = *record;
  bare.ttl = 0;
  bare.is_seed = false;
  kad_lua_push_record(L, &bare, bits);
  lua_pushnil(L);
  lua_setfield(L, -2, "age");
  set_meta(L, meta, moment);
}

void kad_lua_push_stored_meta(lua_State *L, const struct kad_record_meta *meta,
                              const struct kad_lua_moment *moment) {
  lua_createtable(L, 0, 5);
  set_meta(L, meta, moment);
}

/* Reads seconds since 1970; returns false if the field is nil. [-0, +0, v] */
static bool read_seconds(lua_State *L, int index, const char *name,
                         lua_Number *seconds) {
  if (!kad_lua_push_field(L, index, name)) {
    return false;
  }
  const lua_Number read = lua_tonumber(L, -1);
  if (lua_type(L, -1) != LUA_TNUMBER || !isfinite(read)) {
    luaL_error(L, "field '%s' must be a number of seconds since 1970", name);
  }
  lua_pop(L, 1);
  *seconds = read;
  return true;
}

static void read_origin(lua_State *L, int index, struct kad_address *origin) {
  struct kad_slice text;
  if (kad_lua_field_string(L, index, "origin", 1, KAD_ADDRESS_TEXT_SIZE,
                           &text) &&
      kad_address_parse(text, origin) != 0) {
    luaL_error(L, "field 'origin' must be an address and a port");
  }
}

int64_t kad_lua_check_stored_meta(lua_State *L, int index,
                                  const struct kad_lua_moment *moment,
                                  struct kad_record_meta *meta) {
  lua_Number stored = 0.0;
  lua_Number expires = 0.0;
  lua_Number republish = 0.0;
  struct kad_record_meta read = {.republish_at = KAD_TIME_NEVER};
  if (!read_seconds(L, index, "stored_at", &stored) ||
      !read_seconds(L, index, "expires_at", &expires)) {
    luaL_error(L, "fields 'stored_at' and 'expires_at' are needed");
  }
  read.stored_at = from_seconds(moment, stored);
  read.expires_at = from_seconds(moment, expires);
  if (read_seconds(L, index, "republish_at", &republish)) {
    read.republish_at = from_seconds(moment, republish);
  }
  if (stored > expires) {
    luaL_error(L, "field 'stored_at' is after 'expires_at'");
  }
  (void)kad_lua_field_boolean(L, index, "seed", &read.is_seed);
  read_origin(L, index, &read.origin);
  *meta = read;
  return (int64_t)fmax(fmin(stored * 1000.0, latest_ms), -latest_ms);
}
