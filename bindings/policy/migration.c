#include "policy/migration.h"

/* The saved state of one policy on its way. */
struct migration {
  struct kad_host *from;
  struct kad_host *to;
  lua_Integer index; /* of the policy, from 1 */
  const char *bytes; /* its saved state; NULL: it has none */
  size_t len;
  bool last;     /* there is no policy of that index */
  bool lost;     /* `save` could not be called */
  bool restored; /* else `to` has left the problem */
};

/* Calls setup.save(index) → the saved bytes, which are left; nil; or false
 * behind the last policy. [-0, +0, e] */
static int call_save(lua_State *L) {
  struct migration *const migration = lua_touserdata(L, 1);
  kad_host_push_field(L, migration->from, "save");
  lua_pushinteger(L, migration->index);
  lua_call(L, 1, 1);
  migration->last = lua_isboolean(L, -1);
  kad_host_set_text(L, migration->from);
  return 0;
}

/* Calls setup.restore(bytes) → true, or nil and a message, which is left.
 * [-0, +0, e] */
static int call_restore(lua_State *L) {
  struct migration *const migration = lua_touserdata(L, 1);
  kad_host_push_field(L, migration->to, "restore");
  lua_pushlstring(L, migration->bytes, migration->len);
  lua_call(L, 1, 2);
  migration->restored = lua_toboolean(L, -2);
  kad_host_set_text(L, migration->to);
  return 0;
}

/* Migrates one policy. Returns false when its state cannot be restored. */
static bool migrate_policy(struct migration *migration) {
  struct kad_host *const from = migration->from;
  bool restored = true;
  kad_host_clear_text(from);
  if (kad_host_run(from, call_save, migration) != LUA_OK) {
    kad_host_clear_text(from);
    migration->last = true;
    migration->lost = true;
  }
  migration->bytes = kad_host_get_text(from, &migration->len);
  if (migration->bytes != NULL) {
    restored = kad_host_run(migration->to, call_restore, migration) == LUA_OK &&
               migration->restored;
  }
  lua_pop(from->L, 1);
  return restored;
}

bool kad_migration_run(struct kad_host *from, struct kad_host *to, bool *lost) {
  struct migration migration = {.from = from, .to = to};
  const bool stopped = from->stopped;
  bool restored = true;
  from->stopped = true;
  while (restored && !migration.last) {
    migration.index++;
    restored = migrate_policy(&migration);
  }
  from->stopped = stopped;
  *lost = migration.lost;
  return restored;
}
