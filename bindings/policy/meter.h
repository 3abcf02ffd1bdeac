/* meter.h: budgets of running time, counted in instructions, so that they are
 * the same on every machine and in simulation.
 *
 * An *entry* is one way from C, or from the scheduler, into a script. Whatever
 * the script calls, on whatever coroutine, is charged to it: what an inner
 * entry has used is added to the outer one. One over its budget, or out of
 * memory, is killed: its coroutine is yielded and never resumed. Where it
 * cannot yield, an error is raised, again and again, until it can or has ended:
 * no pcall or __close of the script outlives it. Only kadenza's own modules are
 * left to end what they are at, so that the scheduler is never torn.
 *
 * An entry whose turn of the network has lasted for a share is *preempted*: its
 * coroutine yields, and whoever resumed it lets it go on in a later turn, with
 * what it has used so far. All entries of a turn have one share between them.
 * Where it cannot yield, in a comparator of table.sort for one, it goes on. */
#ifndef KAD_POLICY_METER_H
#define KAD_POLICY_METER_H

#include "kadenza.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
  KAD_METER_FIRST = 32,   /* instructions before the first look at it; … */
  KAD_METER_SLICE = 1000, /* … and between two later ones */
  KAD_METER_DEAD = 1,     /* … of what has been killed */
  KAD_METER_BUDGET = 20000000, /* instructions of one entry: some 100 ms */
  KAD_METER_SHARE = 25000,     /* instructions of a turn: some 150 us; … */
  KAD_METER_MS = 200000,   /* … of a turn of virtual time, a millisecond */
  KAD_METER_CPU_MS = 1000, /* processor time of one entry: a backstop for single
                              instructions that take long, such as comparing
                              strings of megabytes */
  KAD_METER_DEPTH = 190,   /* calls above which a script has no pcall */
  KAD_METER_CLOSES = 8     /* coroutines that are closed within one another */
};

/* What an entry has used: it is kept while the entry is preempted. */
struct kad_meter_use {
  uint64_t instructions;
  clock_t cpu; /* processor time, if its instructions took long */
};

/* One entry; lives on the C stack of who enters. */
struct kad_meter_entry {
  struct kad_meter_entry *outer;
  lua_State *thread;
  lua_State *inner; /* a coroutine of the script, which passes preemption on to
                       `thread`; or NULL */
  struct kad_meter_use use;
  uint64_t before; /* instructions used when it was preempted last */
  uint64_t looked; /* when it was looked at, in nanoseconds; 0 for never */
  clock_t since;   /* processor time when it began; 0: not known yet */
  uint32_t grace;  /* instructions of our own code since the kill */
  bool own;        /* it is kadenza that runs, not a script */
  bool may_pause;  /* whoever resumes it knows what a preemption is */
  bool killed;
  bool starved;  /* killed for memory */
  bool squeezed; /* it had memory only once the garbage was collected for it */
};

/* The meter of a Lua state. */
struct kad_meter {
  struct kad_meter_entry *entry; /* the innermost; NULL outside of scripts */
  bool is_vm;                    /* the state is a VM's of policies */
  bool is_full;                  /* an entry was killed for memory */
  uint64_t budget;               /* instructions of an entry */
  uint64_t share;                /* instructions of a turn */
  uint64_t spent;                /* of the present turn */
  uint64_t turn;
  bool is_virtual;           /* the time of the network is */
  struct kad_meter_use last; /* of the entry that was left last */
  uint64_t last_ns;          /* that it ran, where that was measured */
  bool last_killed;
  lua_State *yielder; /* the coroutine whose script has yielded just now */
  struct kad_meter_use carry; /* what the next coroutine begins with */
  unsigned closing;           /* coroutines that are being closed */
};

/* Returns the meter of the state of `L`, made at the first call. Valid as long
 * as the state. [-0, +0, m] */
struct kad_meter *kad_meter_of(lua_State *L);

/* Adds the metered forms of coroutine.create, resume and close to the table at
 * the top, and what the scheduler needs of the meter: `run`, `used`,
 * `carry` and `has_time`. [-0, +0, m] */
void kad_meter_add_functions(lua_State *L);

/* Pushes the coroutine library of scripts: its coroutines count for the entry
 * that resumes them, and pass on what is the scheduler's. [-0, +1, m] */
void kad_meter_push_coroutines(lua_State *L);

/* Has `running` of the scheduler's coroutine library, the table at the top,
 * name the task and not the coroutine that its script has made. [-0, +0, m] */
void kad_meter_see_through(lua_State *L);

/* pcall(fn, ...) of scripts. It is refused deep in a recursion: to recover from
 * an error takes as long as the calls are deep, which no instruction counts. */
int kad_meter_pcall(lua_State *L);

/* Closes the variables of a coroutine that does not run. Lua lets each one that
 * another's `__close` closes begin with the C stack of where it was resumed, as
 * if that were empty: a chain of them would overflow it. Returns NULL and the
 * status of lua_resetthread, or why it is left as it is. [-0, +0, -] */
const char *kad_meter_reset(struct kad_meter *meter, lua_State *thread,
                            int *status);

/* Returns the time of a monotonic clock. It is measured, and decides nothing.
 */
uint64_t kad_meter_clock_ns(void);

/* Begins a share, if the turn of `network` is another than the last. */
void kad_meter_turn(struct kad_meter *meter, const struct kad_network *network);

/* Charges the innermost entry `work` instructions, for what a C function does
 * on its own in about their time. [-0, +0, -] */
void kad_meter_charge(struct kad_meter *meter, uint64_t work);

/* Notes that the innermost entry had memory only after a collection that has
 * left little room. [-0, +0, -] */
void kad_meter_squeeze(const struct kad_meter *meter);

/* Tells whether the innermost entry has used up its budget, with what the
 * entries inside of it have used. [-0, +0, -] */
bool kad_meter_is_spent(const struct kad_meter *meter);

/* Kills the innermost entry: an allocation has failed for good. [-0, +0, -] */
void kad_meter_starve(struct kad_meter *meter);

/* Collects the garbage of an entry that was killed for memory, so that nobody
 * else has to, unless an outer one still runs. [-0, +0, m] */
void kad_meter_collect(lua_State *L, struct kad_meter *meter);

/* Pushes why `entry`, which was killed, was, and where. [-0, +1, m] */
void kad_meter_push_reason(lua_State *L, const struct kad_meter *meter,
                           const struct kad_meter_entry *entry);

/* Has the code that runs on `L` metered from now on. [-0, +0, -] */
void kad_meter_watch(lua_State *L);

/* Begins an entry, whose code will run on `L`, and ends it. [-0, +0, -] */
void kad_meter_enter(lua_State *L, struct kad_meter *meter,
                     struct kad_meter_entry *entry);
void kad_meter_leave(struct kad_meter *meter);

/* Returns about how many instructions an entry has run on `L` since the last
 * look at it. [-0, +0, -] */
uint64_t kad_meter_unseen(lua_State *L);

#endif
