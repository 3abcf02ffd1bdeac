#include "policy/vm.h"

enum {
  WORK_SHIFT = 4,    /* to fill 16 bytes takes about one instruction */
  RESERVE_PART = 16, /* kadenza's own code has a sixteenth of the memory */
  PACE_PARTS = 16,   /* the collector is set for each sixteenth of the memory */
  PAUSE = 200,       /* percent; the default of Lua */
  STEP = 100,        /* percent; the default of Lua */
  PAUSE_LARGE = 110, /* for a heap over a quarter of the limit */
  STEP_LARGE = 400
};

/* Notes that a block is refused. Lua then collects garbage and tries again.
 * When the block is refused again, the entry is out of memory. */
static void refuse_block(struct kad_host *host) {
  if (host->block_refused && host->meter != NULL) {
    kad_meter_kill_out_of_memory(host->meter);
  }
  host->block_refused = !host->block_refused;
}

/* Notes that a block was refused and is granted after a collection. If that has
 * left little room, the next blocks need a collection, too. */
static void grant_after_collection(struct kad_host *host, size_t limit) {
  host->block_refused = false;
  if (host->meter != NULL && host->memory_used > limit / 8 * 7) {
    kad_meter_set_near_limit(host->meter);
  }
}

/* Returns how many bytes may be used now. Scripts leave a part in reserve, so
 * that kadenza's own code, such as the scheduler, has memory when a script has
 * used all that it can get. */
static size_t current_limit(const struct kad_host *host) {
  const struct kad_meter *const meter = host->meter;
  const bool is_script =
      meter != NULL && meter->entry != NULL && !meter->entry->is_internal;
  return is_script ? host->memory_limit - host->memory_limit / RESERVE_PART
                   : host->memory_limit;
}

void *kad_vm_heap_allocate(void *state, void *old, size_t old_size,
                           size_t new_size) {
  struct kad_host *const host = state;
  const struct kad_allocator heap = kad_allocator_default();
  const size_t held = old != NULL ? old_size : 0;
  if (new_size > held) {
    const size_t limit = current_limit(host);
    if (host->memory_used > limit ||
        new_size - held > limit - host->memory_used) {
      refuse_block(host);
      return NULL;
    }
    if (host->block_refused) {
      grant_after_collection(host, limit);
    }
    if (host->meter != NULL) {
      kad_meter_charge(host->meter, (new_size - held) >> WORK_SHIFT);
    }
  }
  if (old == NULL && new_size == 0) {
    return NULL;
  }
  void *const block = heap.resize(heap.state, old, held, new_size);
  if (block != NULL || new_size == 0) {
    host->memory_used = host->memory_used - held + new_size;
    kad_lua_outside_count(host->outside, held, new_size);
  }
  return block;
}

/* Sets the collector by how full the memory is. [-0, +0, -] */
static void set_pace(struct kad_host *host) {
  const size_t part = host->memory_limit / PACE_PARTS;
  const unsigned pace = (unsigned)(host->memory_used / part);
  if (pace == host->gc_pace) {
    return;
  }
  host->gc_pace = pace;
  /* A small heap may double before the next collection. A large one may grow by
   * a tenth, and the collector works faster. */
  const bool is_large = pace >= PACE_PARTS / 4;
  const int pause = is_large ? PAUSE_LARGE : PAUSE;
  const int step = is_large ? STEP_LARGE : STEP;
#if LUA_VERSION_NUM >= 505
  (void)lua_gc(host->L, LUA_GCPARAM, LUA_GCPPAUSE, pause);
  (void)lua_gc(host->L, LUA_GCPARAM, LUA_GCPSTEPMUL, step);
#else
  (void)lua_gc(host->L, LUA_GCINC, pause, step, 0);
#endif
}

void kad_vm_heap_end_entry(struct kad_host *host) {
  kad_meter_collect(host->L, host->meter);
  if (host->owns_state) {
    set_pace(host);
  }
}
