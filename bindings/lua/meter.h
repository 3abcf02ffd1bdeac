/* meter.h: budgets of running time, counted in instructions, so that they are
 * the same on every machine and in simulation.
 *
 * An *entry* is one way from C, or from the scheduler, into a script. Whatever
 * the script calls, on whatever coroutine, is charged to it: what an inner
 * entry has used is added to the outer one. One over its budget, or out of
 * memory, is killed: its coroutine is yielded and never resumed. Where it
 * cannot yield, an error is raised, again and again, until it can or has ended:
 * no pcall or
 * __close of the script outlives it. Only kadenza's own modules are left to
 * finish what they are at, so that the scheduler is never torn. */
#ifndef KAD_LUA_METER_H
#define KAD_LUA_METER_H

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
  KAD_METER_SLICE = 1000,   /* instructions between two looks at the meter */
  KAD_METER_BUDGET = 20000, /* slices of one entry: some 100 ms in all */
  KAD_METER_CPU_MS = 1000, /* processor time of one entry: a backstop for single
                              instructions that take long, such as comparing
                              strings of megabytes */
  KAD_METER_DEPTH = 190    /* calls above which a script has no pcall */
};

/* One entry; lives on the C stack of who enters. */
struct kad_meter_entry {
  struct kad_meter_entry *outer;
  lua_State *thread;
  uint32_t work; /* of C functions, in instructions, less than a slice */
  uint32_t used; /* slices */
  clock_t since; /* processor time at the first look; 0 before */
  bool killed;
  bool starved; /* killed for memory */
};

/* The meter of a Lua state. */
struct kad_meter {
  struct kad_meter_entry *entry; /* the innermost; NULL outside of scripts */
  uint32_t budget;               /* slices of an entry */
};

/* Returns the meter of the state of `L`, made at the first call. Valid as long
 * as the state. [-0, +0, m] */
struct kad_meter *kad_meter_of(lua_State *L);

/* Adds the metered forms of coroutine.create, resume and close to the table at
 * the top. [-0, +0, m] */
void kad_meter_add_functions(lua_State *L);

/* pcall(fn, ...) of scripts. It is refused deep in a recursion: to recover from
 * an error takes as long as the calls are deep, which no instruction counts. */
int kad_meter_pcall(lua_State *L);

/* Charges the innermost entry `work` instructions, for what a C function does
 * on its own in about their time. [-0, +0, -] */
void kad_meter_charge(const struct kad_meter *meter, uint64_t work);

/* Tells whether the innermost entry has used up its budget, with what the
 * entries inside of it have used. [-0, +0, -] */
bool kad_meter_is_spent(const struct kad_meter *meter);

/* Kills the innermost entry: an allocation has failed for good. [-0, +0, -] */
void kad_meter_starve(const struct kad_meter *meter);

/* Pushes why `entry`, which was killed, was, and where. [-0, +1, m] */
void kad_meter_push_reason(lua_State *L, const struct kad_meter *meter,
                           const struct kad_meter_entry *entry);

/* Has the code that runs on `L` metered from now on. [-0, +0, -] */
void kad_meter_watch(lua_State *L);

/* Begins an entry, whose code will run on `L`, and ends it. [-0, +0, -] */
void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry);
void kad_meter_leave(struct kad_meter *meter);

#endif
