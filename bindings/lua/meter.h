/* meter.h: budgets of running time, counted in instructions, so that they are
 * the same on every machine and in simulation.
 *
 * An *entry* is one way from C, or from the scheduler, into a script. Whatever
 * the script calls, on whatever coroutine, is charged to it: what an inner
 * entry has used is added to the outer one. One over its budget is raised at,
 * again and again, until it has ended: no pcall, message handler or __close of
 * the script outlives it. Only kadenza's own modules are left to finish what
 * they are at, so that the scheduler is never torn. */
#ifndef KAD_LUA_METER_H
#define KAD_LUA_METER_H

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

enum {
  KAD_METER_SLICE = 10000, /* instructions between two looks at the meter */
  KAD_METER_BUDGET = 2000  /* slices of one entry: some 100 ms in all */
};

/* One entry; lives on the C stack of who enters. */
struct kad_meter_entry {
  struct kad_meter_entry *outer;
  uint32_t used; /* slices */
  bool killed;
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

/* Has the code that runs on `L` metered from now on. [-0, +0, -] */
void kad_meter_watch(lua_State *L);

/* Begins an entry, whose code will run on `L`, and ends it. [-0, +0, -] */
void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry);
void kad_meter_leave(struct kad_meter *meter);

#endif
