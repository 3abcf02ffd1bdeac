/* Tested by tests/spec/durable_spec.lua. */
#include "lua/durable.h"

#include "base/allocator.h"
#include "kadenza_durable.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/record.h"
#include "lua/value.h"

#include <lauxlib.h>

#include <stdio.h>

#define DURABLE "kadenza.core.Durable"

/* What a handle and its store share. The node frees the store, perhaps after
 * the handle was collected. */
struct shared {
  struct kad_durable *durable; /* NULL: it is freed */
  bool has_handle;
  char failure[KAD_PROBLEM_SIZE]; /* "": the disk takes what it is given */
};

struct handle {
  struct shared *shared; /* NULL until the store is open */
  bool is_taken;         /* a node closes the store */
};

static void free_shared(struct shared *shared) {
  const struct kad_allocator allocator = kad_allocator_default();
  if (shared->durable == NULL && !shared->has_handle) {
    kad_release(&allocator, shared, sizeof *shared);
  }
}

/* -------------------------------------------------------------- callbacks --
 */

static void on_report(void *data, bool is_failing, const char *text) {
  struct shared *const shared = data;
  (void)snprintf(shared->failure, sizeof shared->failure, "%s",
                 is_failing ? text : "");
}

static void on_closed(void *data) {
  struct shared *const shared = data;
  shared->durable = NULL;
  free_shared(shared);
}

/* ---------------------------------------------------------------- methods --
 */

static struct handle *check_handle(lua_State *L, int arg) {
  return luaL_checkudata(L, arg, DURABLE);
}

/* Returns the store of the handle at `arg`; NULL if it is closed. */
static struct kad_durable *store_at(lua_State *L, int arg) {
  const struct handle *const self = check_handle(L, arg);
  return self->shared != NULL ? self->shared->durable : NULL;
}

/* durable:stats() → table of counters, or nil if it is closed */
static int durable_stats(lua_State *L) {
  struct kad_durable_counters stats;
  const struct kad_durable *const durable = store_at(L, 1);
  if (durable == NULL) {
    return 0;
  }
  kad_durable_stats(durable, &stats);
  lua_newtable(L);
#define SET_FIELD(name, text) \
  kad_lua_set_integer(L, #name, (lua_Integer)stats.name);
  KAD_DURABLE_STATS_MAP(SET_FIELD)
#undef SET_FIELD
  return 1;
}

/* durable:failure() → why the disk refuses to write, or nil */
static int durable_failure(lua_State *L) {
  const struct handle *const self = check_handle(L, 1);
  if (store_at(L, 1) == NULL || self->shared->failure[0] == '\0') {
    return 0;
  }
  lua_pushstring(L, self->shared->failure);
  return 1;
}

/* durable:give(): a node that has opened closes the store from now on */
static int durable_give(lua_State *L) {
  check_handle(L, 1)->is_taken = true;
  return 0;
}

/* durable:finish() → true, or nil, message, code: writes what has changed and
 * closes the files */
static int durable_finish(lua_State *L) {
  struct kad_durable *const durable = store_at(L, 1);
  return kad_lua_push_outcome(L, durable != NULL ? kad_durable_finish(durable)
                                                 : KAD_ECLOSED);
}

/* durable:close(): closes a store that no node has */
static int durable_close(lua_State *L) {
  struct handle *const self = check_handle(L, 1);
  if (!self->is_taken) {
    kad_durable_close(store_at(L, 1));
  }
  return 0;
}

static int durable_gc(lua_State *L) {
  struct handle *const self = check_handle(L, 1);
  (void)durable_close(L);
  if (self->shared != NULL) {
    self->shared->has_handle = false;
    free_shared(self->shared);
    self->shared = NULL;
  }
  return 0;
}

/* ---------------------------------------------------------------- opening --
 */

/* Pushes nil, a message and the name of the code. [-0, +3, m] */
static int push_problem(lua_State *L, int error,
                        const struct kad_problem *problem) {
  lua_pushstring(L, problem->text[0] != '\0' ? problem->text
                                             : kad_error_text(error));
  return kad_lua_push_error_message(L, error);
}

static void check_config(lua_State *L, int arg,
                         struct kad_durable_config *config) {
  static const char *const names[] = {"folder", "bits", "flushes", "max_bytes",
                                      NULL};
  lua_Integer bits = 160;
  lua_Integer max_bytes = 0;
  bool flushes = false;
  (void)kad_lua_check_options(L, arg, names);
  luaL_argcheck(L, kad_lua_push_field(L, arg, "folder"), arg, "folder");
  config->folder = luaL_checkstring(L, -1); /* the table at `arg` keeps it */
  lua_pop(L, 1);
  (void)kad_lua_field_integer(L, arg, "bits", 160, 256, &bits);
  (void)kad_lua_field_integer(L, arg, "max_bytes", 0, LUA_MAXINTEGER,
                              &max_bytes);
  (void)kad_lua_field_boolean(L, arg, "flushes", &flushes);
  config->id_bits = (unsigned)bits;
  config->max_bytes = (uint64_t)max_bytes;
  config->sync = flushes ? KAD_DURABLE_SYNC_COMMIT : KAD_DURABLE_SYNC_INTERVAL;
}

/* open_durable(network, { folder, bits, flushes, max_bytes }) → store, or nil,
 * message, code. With `flushes`, stores are acknowledged when they are on the
 * disk. */
static int open_durable(lua_State *L) {
  const struct kad_allocator allocator = kad_allocator_default();
  struct kad_lua_network *const network = kad_lua_check_network(L, 1);
  struct kad_durable_config config = {.report = on_report, .closed = on_closed};
  struct kad_problem problem = {""};
  check_config(L, 2, &config);
  struct handle *const self = lua_newuserdatauv(L, sizeof *self, 1);
  *self = (struct handle){.shared = NULL};
  luaL_setmetatable(L, DURABLE);
  lua_pushvalue(L, 1);
  (void)lua_setiuservalue(L, -2, 1); /* the network outlives the store */
  (void)kad_lua_check_network(L, 1); /* a finalizer may have closed it */
  self->shared = kad_alloc_zero(&allocator, sizeof *self->shared);
  if (self->shared == NULL) {
    return push_problem(L, KAD_ENOMEM, &problem);
  }
  self->shared->has_handle = true;
  config.data = self->shared;
  const int error = kad_durable_open(network->link->network, &config,
                                     &self->shared->durable, &problem);
  return error == 0 ? 1 : push_problem(L, error, &problem);
}

void kad_lua_durable_field(lua_State *L, int arg, struct kad_config *config) {
  if (!kad_lua_push_field(L, arg, "durable")) {
    return;
  }
  config->store = kad_durable_store(store_at(L, -1));
  lua_pop(L, 1);
}

void kad_lua_add_durable(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"stats", durable_stats}, {"failure", durable_failure},
      {"give", durable_give},   {"finish", durable_finish},
      {"close", durable_close}, {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", durable_gc}, {"__close", durable_close}, {NULL, NULL}};
  static const luaL_Reg *const lists[] = {methods, NULL};
  kad_lua_push_metatable(L, DURABLE, lists, meta);
  lua_pop(L, 1);
  lua_pushcfunction(L, open_durable);
  lua_setfield(L, -2, "open_durable");
}
