/* meter.h: budgets of running time, counted in instructions, so that they are
 * the same on every machine and in simulation.
 *
 * An *entry* is one call from C, or from the scheduler, into a script. All that
 * the script calls, on any coroutine, is charged to it: what an inner entry has
 * used is added to the outer one. An entry that is over its budget, or out of
 * memory, is *killed*: its coroutine yields and is never resumed. Where it
 * cannot yield, an error is raised at each instruction, until it can yield or
 * has ended: no pcall or __close of the script survives it. Only kadenza's own
 * modules may finish what they are doing, so that the scheduler's state stays
 * consistent.
 *
 * All entries of one turn of the network share one *share* of instructions. An
 * entry is *preempted* when the share is used up: its coroutine yields, and the
 * code that resumed it lets it continue in a later turn, with the budget that
 * is left. Where it cannot yield, for example in a comparator of table.sort, it
 * continues. */
#ifndef KAD_POLICY_METER_H
#define KAD_POLICY_METER_H

#include "kadenza.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
  /* Instructions: */
  KAD_METER_HOOK_FIRST = 32,   /* before the first count hook of an entry */
  KAD_METER_HOOK_MAX = 1000,   /* at most between two later ones */
  KAD_METER_HOOK_KILLED = 1,   /* between two of a killed entry */
  KAD_METER_BUDGET = 20000000, /* of one entry: about 100 ms */
  KAD_METER_SHARE = 25000,     /* of a turn: about 150 us */
  KAD_METER_SHARE_VIRTUAL = 200000, /* of a turn in virtual time, which is a
                                       millisecond */
  KAD_METER_CPU_MS = 1000, /* processor time of one entry, for instructions that
                              take long, such as comparing strings of megabytes
                              */
  KAD_METER_DEPTH = 190,   /* depth of calls from which pcall is refused */
  KAD_METER_CLOSES = 8     /* coroutines that are closed inside one another */
};

/* What an entry has used. It is kept while the entry is preempted. */
struct kad_meter_use {
  uint64_t instructions;
  clock_t cpu; /* processor time; 0 unless its instructions took long */
};

/* One coroutine that was resumed by another, so that it yields to the scheduler
 * through it; see resumption.h. */
struct kad_resumption {
  struct kad_resumption *outer;
  lua_State *thread;
  lua_State *from; /* that has resumed it */
};

/* One entry. It lives on the C stack of the function that enters. */
struct kad_meter_entry {
  struct kad_meter_entry *outer;
  lua_State *thread;
  struct kad_meter_use use;
  uint64_t used_before;  /* instructions used when it was preempted last */
  uint64_t last_hook_ns; /* time of the last count hook, ns; 0: none yet */
  clock_t cpu_start;     /* processor time when it began; 0: not known yet */
  uint32_t
      hooks_after_kill; /* count hooks in kadenza's own code since the kill */
  bool is_internal;     /* kadenza's code runs, not a script's */
  bool may_pause;       /* the code that resumes it handles preemption */
  bool killed;
  bool out_of_memory; /* and killed for that */
  bool near_limit;    /* a block was granted only after a collection that left
                         little room */
};

/* The meter of a Lua state. */
struct kad_meter {
  struct kad_meter_entry *entry; /* the innermost; NULL outside of scripts */
  bool is_vm;                    /* the state is a VM */
  bool must_collect;             /* an entry was killed for memory */
  uint64_t budget;               /* instructions of an entry */
  uint64_t share;                /* instructions of a turn */
  uint64_t spent;                /* instructions of the present turn */
  uint64_t turn;
  uint64_t collected;        /* the turn of the last collection, plus 1 */
  bool is_virtual;           /* the network has virtual time */
  struct kad_meter_use last; /* of the entry that ended last */
  uint64_t last_ns;          /* its running time, if it was measured */
  bool last_killed;
  struct kad_resumption *resumption; /* the innermost that runs; or NULL */
  lua_State *passing;         /* the coroutine that yields to the scheduler */
  struct kad_meter_use carry; /* what the next coroutine has used already */
  unsigned closing;           /* coroutines that are being closed */
};

/* Returns the meter of the state of `L`, made at the first call. Valid as long
 * as the state. [-0, +0, m] */
struct kad_meter *kad_meter_of(lua_State *L);

/* Closes the variables of a coroutine that does not run. Lua gives each
 * coroutine that is closed inside a `__close` the whole C stack: a chain of
 * them would overflow it, so at most KAD_METER_CLOSES are nested. Returns NULL
 * and the status of lua_resetthread, or why the coroutine is left as it is.
 * [-0, +0, -] */
const char *kad_meter_reset(struct kad_meter *meter, lua_State *thread,
                            int *status);

/* Returns the time of a monotonic clock in nanoseconds. It is only for
 * measuring: no decision that a simulation repeats may depend on it. */
uint64_t kad_meter_clock_ns(void);

/* Begins a new share if `network` is in another turn than at the last call. */
void kad_meter_turn(struct kad_meter *meter, const struct kad_network *network);

/* Returns the share of the turn. On sockets, an entry that continues has half
 * of it: the rest is for entries that begin, so that short ones need not wait
 * for all that were preempted. */
static inline uint64_t kad_meter_share(const struct kad_meter *meter,
                                       bool continues) {
  return continues && !meter->is_virtual ? meter->share / 2 : meter->share;
}

/* Charges the innermost entry `work` instructions, for a C function that takes
 * about as long as these. [-0, +0, -] */
void kad_meter_charge(struct kad_meter *meter, uint64_t work);

/* Notes that the innermost entry is near the memory limit. [-0, +0, -] */
void kad_meter_set_near_limit(const struct kad_meter *meter);

/* Kills the innermost entry: it is out of memory. [-0, +0, -] */
void kad_meter_kill_out_of_memory(struct kad_meter *meter);

/* Tells whether the innermost entry, with the entries inside it, has used up
 * its budget. [-0, +0, -] */
bool kad_meter_is_spent(const struct kad_meter *meter);

/* Collects the garbage of an entry that was killed for memory, so that the next
 * entry need not. Does nothing while an outer entry runs. [-0, +0, m] */
void kad_meter_collect(lua_State *L, struct kad_meter *meter);

/* Pushes why and where `entry` was killed. [-0, +1, m] */
void kad_meter_push_reason(lua_State *L, const struct kad_meter *meter,
                           const struct kad_meter_entry *entry);

/* Returns the coroutine that has resumed `thread`, through all in between; or
 * `thread`, if nothing has. */
lua_State *kad_meter_root(const struct kad_meter *meter, lua_State *thread);

/* Tells whether the code of `thread` is charged to the innermost entry, and
 * yields to where that began. */
bool kad_meter_is_entered(const struct kad_meter *meter, lua_State *thread);

/* Marks a coroutine that belongs to a killed entry, and tells whether it is
 * marked. [-0, +0, -] */
void kad_meter_mark_killed(lua_State *thread);
bool kad_meter_is_killed(lua_State *thread);

/* Sets the count hook of `L`, so that its code is metered. [-0, +0, -] */
void kad_meter_watch(lua_State *L);

/* Begins and ends an entry whose code runs on `L`. [-0, +0, -] */
void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry);
void kad_meter_leave(struct kad_meter *meter);

/* Returns an estimate of the instructions that ran on `L` since its last count
 * hook. [-0, +0, -] */
uint64_t kad_meter_unseen(lua_State *L);

#endif
