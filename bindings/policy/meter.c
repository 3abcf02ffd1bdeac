/* time.h needs more of the system than C11 shows. */
#define _DEFAULT_SOURCE

#include "policy/meter.h"

#include "lua/handle.h"
#include "policy/registry.h"

#include <lauxlib.h>

#include <string.h>

enum {
  GRACE = 100000,    /* instructions of kadenza's own code after a kill */
  SLOW_NS = 2000000, /* more time than this between two count hooks is slow */
  KNOWN_NS = 100000000, /* at most so much time that was not measured counts as
                           processor time */
  NS_PER_S = 1000000000
};

struct kad_meter *kad_meter_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.meter);
  struct kad_meter *meter = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (meter == NULL) {
    meter = lua_newuserdatauv(L, sizeof *meter, 0);
    *meter = (struct kad_meter){
        .budget = KAD_METER_BUDGET,
        .share = KAD_METER_SHARE,
        .turn = UINT64_MAX, /* none: what loading took is no part of a turn */
    };
    lua_rawsetp(L, LUA_REGISTRYINDEX, &kad_policy_keys.meter);
  }
  return meter;
}

uint64_t kad_meter_clock_ns(void) {
  struct timespec time = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_nsec;
}

/* Tells whether `text` ends with `end`. */
static bool ends_with(const char *text, const char *end) {
  const size_t len = strlen(text);
  const size_t end_len = strlen(end);
  return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Tells whether `source` is that of a module that runs for the script, and may
 * be killed: its work depends on the script's values. */
static bool is_for_script(const char *source) {
  return strcmp(source, "=kadenza.policy.pattern") == 0 ||
         strcmp(source, "=kadenza.plain_json") == 0 ||
         strcmp(source, "=kadenza.number_text") == 0;
}

/* Tells whether the code that runs is kadenza's own. In a VM its modules have
 * names that no file can have; elsewhere only the scheduler counts. */
static bool is_own(lua_State *L, lua_Debug *at, const struct kad_meter *meter) {
  static const char module[] = "=kadenza.";
  lua_getinfo(L, "S", at);
  if (strncmp(at->source, module, sizeof module - 1) == 0) {
    return !is_for_script(at->source);
  }
  return !meter->is_vm && (ends_with(at->source, "kadenza/task.lua") ||
                           ends_with(at->source, "kadenza/scheduler.lua"));
}

static void count_hook(lua_State *L, lua_Debug *at);

static void set_hook(lua_State *L, int instructions) {
  lua_sethook(L, count_hook, LUA_MASKCOUNT, instructions);
}

static void kill_entry(struct kad_meter_entry *entry) {
  entry->killed = true;
  kad_meter_mark_killed(entry->thread);
}

/* Counts the processor time of an entry, `slow_ns` after the last count hook.
 * At the first call nothing but these nanoseconds is known of it. */
static void count_cpu(struct kad_meter_entry *entry, uint64_t slow_ns) {
  const clock_t now = clock();
  if (entry->cpu_start == 0) {
    const uint64_t known = slow_ns < KNOWN_NS ? slow_ns : KNOWN_NS;
    entry->cpu_start =
        now - entry->use.cpu - (clock_t)(known / (NS_PER_S / CLOCKS_PER_SEC));
  }
  entry->use.cpu = now - entry->cpu_start;
}

/* Tells whether an entry has used more processor time than any budget of
 * instructions stands for. Processor time does not pass while the process is
 * stopped, and no entry within its budget reaches this limit, so simulations
 * repeat. To read that clock takes long: it is read only when instructions take
 * long, too. Then the next count hook is soon, and the share is used up. */
static bool is_over_time(lua_State *L, struct kad_meter *meter,
                         struct kad_meter_entry *entry, int executed) {
  const uint64_t now = kad_meter_clock_ns();
  const uint64_t before = entry->last_hook_ns;
  int next =
      executed * 4 < KAD_METER_HOOK_MAX ? executed * 4 : KAD_METER_HOOK_MAX;
  entry->last_hook_ns = now;
  if (before == 0) {
    return false;
  }
  if (now - before > SLOW_NS) {
    count_cpu(entry, now - before);
    if (!meter->is_virtual) { /* simulations must repeat */
      next = KAD_METER_HOOK_FIRST;
      meter->spent = meter->share;
    }
  }
  if (next != executed) {
    set_hook(L, next);
  }
  return entry->use.cpu > (clock_t)KAD_METER_CPU_MS * (CLOCKS_PER_SEC / 1000);
}

/* Preempts the entry if its share is used up and it can yield. */
static void preempt(lua_State *L, lua_Debug *at, struct kad_meter *meter,
                    const struct kad_meter_entry *entry) {
  const uint64_t share = kad_meter_share(meter, entry->used_before > 0);
  if (entry->may_pause && meter->spent >= share && lua_isyieldable(L) &&
      kad_meter_is_entered(meter, L) && !is_own(L, at, meter)) {
    meter->passing = L;
    lua_yield(L, 0); /* in a count hook: the function that runs yields */
  }
}

/* Stops a killed entry. Kadenza's own code has GRACE instructions to finish. */
static void stop_killed(lua_State *L, lua_Debug *at, struct kad_meter *meter,
                        struct kad_meter_entry *entry) {
  if (entry->hooks_after_kill < GRACE && is_own(L, at, meter)) {
    entry->hooks_after_kill++;
    return;
  }
  if (lua_isyieldable(L)) {
    meter->passing = L;
    lua_yield(L, 0);
    return;
  }
  kad_meter_push_reason(L, meter, entry);
  lua_error(L);
}

/* Called every few instructions; after a kill, at every instruction. */
static void count_hook(lua_State *L, lua_Debug *at) {
  struct kad_meter *const meter = kad_meter_of(L);
  struct kad_meter_entry *const entry = meter->entry;
  const int executed = lua_gethookcount(L);
  if (entry == NULL) {
    return;
  }
  meter->spent += (uint64_t)executed;
  entry->use.instructions += (uint64_t)executed;
  if (!entry->killed) {
    if (entry->use.instructions < meter->budget &&
        !is_over_time(L, meter, entry, executed)) {
      preempt(L, at, meter, entry);
      return;
    }
    kill_entry(entry);
  }
  if (executed != KAD_METER_HOOK_KILLED) {
    set_hook(L, KAD_METER_HOOK_KILLED);
  }
  stop_killed(L, at, meter, entry);
}

void kad_meter_charge(struct kad_meter *meter, uint64_t work) {
  struct kad_meter_entry *const entry = meter->entry;
  if (entry == NULL || entry->killed) {
    return;
  }
  work = work < meter->budget ? work : meter->budget;
  entry->use.instructions += work;
  meter->spent += work;
  if (entry->use.instructions >= meter->budget) {
    kill_entry(entry);
  }
}

bool kad_meter_is_spent(const struct kad_meter *meter) {
  const struct kad_meter_entry *const entry = meter->entry;
  return entry != NULL && entry->use.instructions >= meter->budget;
}

void kad_meter_set_near_limit(const struct kad_meter *meter) {
  if (meter->entry != NULL) {
    meter->entry->near_limit = true;
  }
}

void kad_meter_kill_out_of_memory(struct kad_meter *meter) {
  if (meter->entry != NULL) {
    meter->entry->out_of_memory = true;
    meter->must_collect = true;
    kill_entry(meter->entry);
  }
}

void kad_meter_collect(lua_State *L, struct kad_meter *meter) {
  if (meter->must_collect && meter->entry == NULL &&
      meter->collected != meter->turn + 1) {
    meter->must_collect = false;
    meter->collected = meter->turn + 1;
    meter->spent = meter->share; /* it takes as long as many scripts */
    (void)lua_gc(L, LUA_GCCOLLECT);
  }
}

void kad_meter_push_reason(lua_State *L, const struct kad_meter *meter,
                           const struct kad_meter_entry *entry) {
  lua_Debug at;
  const char *place = "";
  luaL_checkstack(L, 3, NULL);
  if (lua_getstack(entry->thread, 0, &at) &&
      lua_getinfo(entry->thread, "Sl", &at) && at.currentline > 0) {
    place = lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
  } else {
    lua_pushliteral(L, "");
  }
  if (entry->out_of_memory) {
    lua_pushfstring(L, "%sout of memory", place);
  } else {
    lua_pushfstring(L, "%sran too long: over its budget of %I instructions",
                    place, (LUAI_UACINT)meter->budget);
  }
  lua_remove(L, -2);
}

lua_State *kad_meter_root(const struct kad_meter *meter, lua_State *thread) {
  const struct kad_resumption *resumption = meter->resumption;
  while (resumption != NULL && resumption->thread == thread) {
    thread = resumption->from;
    resumption = resumption->outer;
  }
  return thread;
}

bool kad_meter_is_entered(const struct kad_meter *meter, lua_State *thread) {
  return meter->entry != NULL &&
         kad_meter_root(meter, thread) == meter->entry->thread;
}

void kad_meter_mark_killed(lua_State *thread) {
  set_hook(thread, KAD_METER_HOOK_KILLED);
}

bool kad_meter_is_killed(lua_State *thread) {
  return lua_gethook(thread) == count_hook &&
         lua_gethookcount(thread) == KAD_METER_HOOK_KILLED;
}

void kad_meter_watch(lua_State *L) {
  set_hook(L, KAD_METER_HOOK_FIRST);
}

void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry) {
  *entry = (struct kad_meter_entry){.outer = meter->entry, .thread = L};
  meter->entry = entry;
  set_hook(L, KAD_METER_HOOK_FIRST);
}

void kad_meter_leave(struct kad_meter *meter) {
  const struct kad_meter_entry *const entry = meter->entry;
  meter->entry = entry->outer;
  meter->last = entry->use;
  meter->last_ns = 0;
  meter->last_killed = entry->killed;
  if (entry->outer != NULL) {
    entry->outer->use.instructions +=
        entry->use.instructions - entry->used_before;
    entry->outer->near_limit |= entry->near_limit;
  }
}

/* Short entries are frequent, so most end early between two count hooks. */
uint64_t kad_meter_unseen(lua_State *L) {
  return (uint64_t)lua_gethookcount(L) / 4;
}

void kad_meter_turn(struct kad_meter *meter,
                    const struct kad_network *network) {
  const uint64_t turn = kad_network_turn(network);
  if (meter->turn != turn) {
    meter->turn = turn;
    meter->spent = 0;
    meter->is_virtual = kad_network_fd(network) < 0;
    meter->share =
        meter->is_virtual ? KAD_METER_SHARE_VIRTUAL : KAD_METER_SHARE;
  }
}

const char *kad_meter_reset(struct kad_meter *meter, lua_State *thread,
                            int *status) {
  if (meter->closing >= KAD_METER_CLOSES) {
    return "too many coroutines are being closed within one another";
  }
  meter->closing++;
  *status = lua_resetthread(thread);
  meter->closing--;
  return NULL;
}
