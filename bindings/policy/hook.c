#include "policy/hook.h"

enum {
  TIMED_CALLS = 256, /* the first calls, which are all timed */
  TIMED_EVERY = 16,  /* of the later calls, one in so many is timed */
  NS_PER_US = 1000
};

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

static void set_count(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, uint64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

void kad_hook_push_stats(lua_State *L, const struct kad_hook *hook) {
  lua_newtable(L);
  set_count(L, "calls", hook->calls);
  set_count(L, "errors", hook->errors);
  set_count(L, "overruns", hook->overruns);
  set_count(L, "yields", hook->yields);
  set_count(L, "instructions", hook->instructions);
  set_count(L, "preempted", hook->preempted);
  set_seconds(L, "seconds", hook->ns);
  set_seconds(L, "slowest", hook->slowest_ns);
  lua_createtable(L, KAD_HOOK_BUCKETS, 0);
  for (lua_Integer i = 0; i < KAD_HOOK_BUCKETS; i++) {
    lua_pushinteger(L, (lua_Integer)hook->histogram[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "time");
  lua_pushboolean(L, hook->open_until != 0);
  lua_setfield(L, -2, "breaker_open");
}
