/* Numbers the entries of a memory store and makes the handles by which callers
 * name them. A handle is a number and a serial. No two entries have the same
 * serial, so that the handle of a removed entry is known to be stale.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_SLOTS_H
#define KAD_RECORDS_MEMORY_SLOTS_H

#include "records/memory/entry.h"

struct kad_slot {
  struct kad_memory_entry *entry; /* NULL: free */
  uint32_t serial;                /* of the entry; never 0 */
  uint32_t next_free;
};

/* The slots. Initialise with kad_slots_init. */
struct kad_slots {
  struct kad_slot *items;
  size_t cap;
  size_t used;  /* slots that have had an entry */
  size_t count; /* entries */
  uint32_t free;
  uint32_t serial; /* of the newest entry; kept by kad_slots_clear */
};

/* Makes no slots and allocates nothing. */
void kad_slots_init(struct kad_slots *slots);

/* Makes room for one more entry. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_slots_reserve(struct kad_slots *slots,
                                     const struct kad_allocator *allocator);

/* Frees the slots, not the entries. Older handles stay stale. */
void kad_slots_clear(struct kad_slots *slots,
                     const struct kad_allocator *allocator);

/* Adds `entry` and returns its number. The caller has reserved room for it. */
uint32_t kad_slots_add(struct kad_slots *slots, struct kad_memory_entry *entry);

/* Frees the number, not the entry. */
void kad_slots_remove(struct kad_slots *slots, uint32_t number);

/* Returns the entry of a number that is in use. */
static inline struct kad_memory_entry *kad_slots_at(
    const struct kad_slots *slots, uint32_t number) {
  return slots->items[number].entry;
}

/* Returns the handle of a number that is in use. */
kad_record_handle kad_slots_handle(const struct kad_slots *slots,
                                   uint32_t number);

/* Gives an entry another handle than its own: that of its row in a swarm. Such
 * an entry is in no ring of its key, whose links have the handle. */
void kad_slots_rename(const struct kad_slots *slots, uint32_t number,
                      kad_record_handle handle);

/* Returns true if an entry has such a handle. */
bool kad_slots_is_renamed(const struct kad_slots *slots, uint32_t number);

/* Returns the number that `handle` names, or KAD_NO_ITEM when it is stale or
 * that of a row. */
uint32_t kad_slots_find(const struct kad_slots *slots,
                        kad_record_handle handle);

#endif
