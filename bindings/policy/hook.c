#include "policy/hook.h"

#include "lua/field.h"

enum {
  TIMED_CALLS = 256, /* the first calls, which are all timed */
  TIMED_EVERY = 16,  /* of the later calls, one in so many is timed */
  NS_PER_US = 1000
};

struct kad_hook *kad_hook_of_field(lua_State *L, struct kad_host *host,
                                   const char *name, enum kad_hook_kind kind) {
  uint32_t number = 0;
  (void)kad_lua_field_uint32(L, -1, name, 0, UINT32_MAX, &number);
  if (number == 0 || number > host->hook_count) {
    return NULL;
  }
  struct kad_hook *const hook = &host->hooks[number - 1];
  hook->kind = kind;
  return hook;
}

uint64_t kad_hook_time_weight(const struct kad_hook *hook) {
  if (hook->calls <= TIMED_CALLS) {
    return 1;
  }
  return hook->calls % TIMED_EVERY == 0 ? TIMED_EVERY : 0;
}

void kad_hook_add_time(struct kad_hook *hook, uint64_t ns, uint64_t weight) {
  size_t bucket = 0;
  uint64_t us = ns / NS_PER_US;
  while (us > 0 && bucket < KAD_HOOK_BUCKETS - 1) {
    us >>= 1;
    bucket++;
  }
  hook->histogram[bucket] += weight;
  hook->ns += ns * weight;
  hook->slowest_ns = ns > hook->slowest_ns ? ns : hook->slowest_ns;
}

void kad_hook_push_place(lua_State *L, const struct kad_hook *hook) {
  const lua_Integer number = hook - hook->host->hooks + 1;
  lua_Debug function;
  kad_host_push_field(L, hook->host, "places");
  const int type = lua_rawgeti(L, -1, number);
  lua_remove(L, -2);
  if (type == LUA_TSTRING) { /* the hook combines those of several policies */
    return;
  }
  lua_pop(L, 1);
  kad_host_push_field(L, hook->host, "hooks");
  lua_rawgeti(L, -1, number);
  lua_remove(L, -2);
  if (!lua_isfunction(L, -1)) {
    return;
  }
  lua_getinfo(L, ">S", &function);
  lua_pushfstring(L, "%s:%d", function.short_src, function.linedefined);
}

void kad_hook_push_stats(lua_State *L, const struct kad_hook *hook) {
  lua_newtable(L);
  kad_lua_set_integer(L, "calls", (lua_Integer)hook->calls);
  kad_lua_set_integer(L, "errors", (lua_Integer)hook->errors);
  kad_lua_set_integer(L, "overruns", (lua_Integer)hook->overruns);
  kad_lua_set_integer(L, "yields", (lua_Integer)hook->yields);
  kad_lua_set_integer(L, "instructions", (lua_Integer)hook->instructions);
  kad_lua_set_integer(L, "preempted", (lua_Integer)hook->preempted);
  kad_lua_set_number(L, "seconds", (lua_Number)hook->ns / 1e9);
  kad_lua_set_number(L, "slowest", (lua_Number)hook->slowest_ns / 1e9);
  lua_createtable(L, KAD_HOOK_BUCKETS, 0);
  for (lua_Integer i = 0; i < KAD_HOOK_BUCKETS; i++) {
    lua_pushinteger(L, (lua_Integer)hook->histogram[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "time");
  kad_lua_set_boolean(L, "breaker_open", hook->open_until != 0);
}

void kad_hook_push_all_stats(lua_State *L, const struct kad_host *host) {
  lua_newtable(L);
  lua_newtable(L);
  for (size_t i = 0; i < host->hook_count; i++) {
    kad_hook_push_stats(L, &host->hooks[i]);
    lua_setfield(L, -2, host->hooks[i].name);
  }
  lua_setfield(L, -2, "hooks");
  kad_lua_set_integer(L, "memory", (lua_Integer)host->memory_used);
  kad_lua_set_integer(L, "clamped", (lua_Integer)host->clamped);
  kad_lua_set_integer(L, "log_dropped", (lua_Integer)host->log_dropped);
}
