#include "lua/loader.h"

#include "kadenza_durable.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/record.h"
#include "lua/store_record.h"
#include "lua/value.h"
#include "records/load.h"

#include <stdio.h>

#define LOADER "kadenza.core.Loader"

struct loader {
  struct kad_durable *durable; /* NULL when closed */
  struct kad_lua_link *link;   /* of the network, which must end after it */
  unsigned bits;
  char failure[KAD_PROBLEM_SIZE]; /* why the disk refuses; "": it does not */
};

static unsigned check_bits(lua_State *L, int arg) {
  const lua_Integer bits = luaL_checkinteger(L, arg);
  luaL_argcheck(L, bits == 160 || bits == 256, arg, "must be 160 or 256");
  return (unsigned)bits;
}

/* Pushes nil, a reason and the name of a code. [-0, +3, m] */
static int push_refusal(lua_State *L, int error, const char *reason) {
  lua_pushstring(L, reason);
  return kad_lua_push_error_message(L, error);
}

/* check_record(record, bits) → true; or nil, reason, code: a node would refuse
 * it. Raises an error if a field has the wrong form. */
static int check_record(lua_State *L) {
  struct kad_record record;
  const char *reason = NULL;
  const unsigned bits = check_bits(L, 2);
  kad_lua_check_record(L, 1, bits, &record);
  const int error = kad_load_check(&record, bits, &reason);
  if (error != 0) {
    return push_refusal(L, error, reason);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static struct loader *check_open(lua_State *L) {
  struct loader *const self = luaL_checkudata(L, 1, LOADER);
  if (self->durable == NULL || self->link->network == NULL) {
    luaL_error(L, "closed loader");
  }
  return self;
}

static const char *outcome_name(enum kad_load_outcome outcome) {
  switch (outcome) {
  case KAD_LOAD_ADDED:
    return "added";
  case KAD_LOAD_HELD:
    return "held";
  case KAD_LOAD_OLDER:
    return "older";
  }
  return "added";
}

/* loader:load(record) → "added", "held" or "older"; or nil, reason, code.
 * Raises an error if a field has the wrong form. */
static int loader_load(lua_State *L) {
  struct kad_record record;
  struct kad_record_meta meta;
  enum kad_load_outcome outcome = KAD_LOAD_ADDED;
  const char *reason = NULL;
  struct loader *const self = check_open(L);
  const struct kad_lua_moment moment = {
      .now = kad_network_now(self->link->network),
      .wall_ms = kad_network_wall_clock(self->link->network) * 1000,
  };
  kad_lua_check_record(L, 2, self->bits, &record);
  (void)kad_lua_check_stored_meta(L, 2, &moment, &meta);
  int error = kad_load_check(&record, self->bits, &reason);
  if (error != 0) {
    return push_refusal(L, error, reason);
  }
  error = kad_load(kad_durable_store(self->durable), &record, &meta, &outcome);
  if (error != 0) {
    return push_refusal(L, error,
                        error == KAD_EFULL ? "too many values under one key"
                                           : kad_error_text(error));
  }
  lua_pushstring(L, outcome_name(outcome));
  return 1;
}

/* Ends the loader. If its network has ended before, so have the means to close
 * the store: what was not committed is lost. */
static void close_loader(struct loader *self) {
  if (self->link->network != NULL) {
    kad_durable_close(self->durable);
  }
  self->durable = NULL;
  kad_lua_link_release(self->link);
}

static void on_report(void *data, bool is_failing, const char *text) {
  struct loader *const self = data;
  (void)snprintf(self->failure, sizeof self->failure, "%s",
                 is_failing ? text : "");
}

/* loader:commit() → bytes in the journal; or nil, message, code: the disk
 * refuses to write now. Writes what was loaded to the journal. The network has
 * to run now and then, so that the journal is moved to the file of LMDB. */
static int loader_commit(lua_State *L) {
  struct kad_durable_counters stats;
  struct loader *const self = check_open(L);
  const struct kad_store *const store = kad_durable_store(self->durable);
  store->commit(store->state, kad_network_now(self->link->network), NULL, NULL);
  kad_durable_stats(self->durable, &stats);
  if (stats.disk_failing != 0) {
    return push_refusal(L, KAD_ESYSTEM, self->failure);
  }
  lua_pushinteger(L, (lua_Integer)stats.disk_journal_bytes);
  return 1;
}

/* loader:close() */
static int loader_close(lua_State *L) {
  close_loader(check_open(L));
  return 0;
}

static int loader_gc(lua_State *L) {
  struct loader *const self = luaL_checkudata(L, 1, LOADER);
  if (self->durable != NULL) {
    close_loader(self);
  }
  return 0;
}

/* open_loader(network, folder, bits) → loader; or nil, message, code. No node
 * may use the folder. */
static int open_loader(lua_State *L) {
  struct kad_problem problem = {""};
  const struct kad_lua_network *const network = kad_lua_check_network(L, 1);
  struct kad_durable_config config = {
      .folder = kad_lua_check_path(L, 2),
      .id_bits = check_bits(L, 3),
      .report = on_report,
  };
  struct loader *const self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (struct loader){.bits = config.id_bits};
  config.data = self;
  luaL_setmetatable(L, LOADER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);       /* keeps the network from the collector */
  (void)kad_lua_check_network(L, 1); /* a finalizer may have closed it */
  const int error = kad_durable_open(network->link->network, &config,
                                     &self->durable, &problem);
  if (error == 0) {
    self->link = kad_lua_link_share(network->link);
  } else {
    self->durable = NULL;
    return push_refusal(L, error,
                        problem.text[0] != '\0' ? problem.text
                                                : kad_error_text(error));
  }
  return 1;
}

/* ---------------------------------------------------------------- reading --
 */

/* Where the records of a folder go: the function at 2, if there is one. */
struct visit {
  lua_State *L;
  bool has_function;
  lua_Integer count;
  unsigned bits;
  int status; /* LUA_… of the function */
};

struct visited {
  const struct kad_record *record;
  const struct kad_address *origin;
  uint32_t republish_s;
  unsigned bits;
};

/* Calls the function at 2 with a record. [-0, +1, e] */
static int call_visitor(lua_State *L) {
  const struct visited *const visited = lua_touserdata(L, 1);
  luaL_checkstack(L, 8, NULL);
  kad_lua_push_record(L, visited->record, visited->bits);
  if (visited->origin->family != 0) {
    kad_lua_push_address(L, visited->origin);
    lua_setfield(L, -2, "origin");
  }
  if (visited->republish_s != UINT32_MAX) {
    kad_lua_set_integer(L, "republish", visited->republish_s);
  }
  lua_call(L, 1, 1);
  return 1;
}

static bool visit_record(void *data, const struct kad_record *record,
                         const struct kad_address *origin,
                         uint32_t republish_s) {
  struct visit *const visit = data;
  lua_State *const L = visit->L;
  struct visited visited = {record, origin, republish_s, visit->bits};
  visit->count++;
  if (!visit->has_function) {
    return true;
  }
  lua_pushcfunction(L, call_visitor);
  lua_pushlightuserdata(L, &visited);
  lua_pushvalue(L, 2);
  visit->status = lua_pcall(L, 2, 1, 0);
  if (visit->status != LUA_OK) {
    return false; /* the error stays at the top */
  }
  const bool goes_on = !lua_isboolean(L, -1) || lua_toboolean(L, -1);
  lua_pop(L, 1);
  return goes_on;
}

/* read_records(folder[, visit]) → number of records, width of the ids; or nil,
 * message, code. Calls visit(record) with each: `ttl`, `age`, `origin` (nil: of
 * this node) and `republish` (seconds; nil: never) are set; false as its result
 * ends it. Changes nothing in the folder, which a node may use meanwhile. */
static int read_records(lua_State *L) {
  const char *const folder = kad_lua_check_path(L, 1);
  struct kad_problem problem = {""};
  lua_settop(L, 2);
  struct visit visit = {
      .L = L, .has_function = !lua_isnil(L, 2), .bits = 160, .status = LUA_OK};
  luaL_checkstack(L, 8, NULL);
  const int error =
      kad_durable_read(folder, &visit.bits, visit_record, &visit, &problem);
  if (visit.status != LUA_OK) {
    return lua_error(L);
  }
  if (error != 0) {
    return push_refusal(L, error,
                        problem.text[0] != '\0' ? problem.text
                                                : kad_error_text(error));
  }
  lua_pushinteger(L, visit.count);
  lua_pushinteger(L, visit.bits);
  return 2;
}

void kad_lua_add_loader(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"load", loader_load},
      {"commit", loader_commit},
      {"close", loader_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", loader_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"check_record", check_record},
                                       {"open_loader", open_loader},
                                       {"read_records", read_records},
                                       {NULL, NULL}};
  static const luaL_Reg *const lists[] = {methods, NULL};
  kad_lua_push_metatable(L, LOADER, lists, meta);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
