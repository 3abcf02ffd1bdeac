/* The entries of a memory store by number, and the handles that name them
 * outside. A handle is a number with a serial that no later entry of that
 * number has, so that a stale one is known. */
#ifndef KAD_RECORDS_MEMORY_SLOTS_H
#define KAD_RECORDS_MEMORY_SLOTS_H

#include "records/memory/entry.h"

struct kad_slot {
  struct kad_memory_entry *entry; /* NULL when free */
  uint32_t serial;                /* of the entry; never 0 */
  uint32_t next_free;
};

/* The slots. Begin with kad_slots_init. */
struct kad_slots {
  struct kad_slot *items;
  size_t cap;
  size_t used;  /* slots that have been taken once */
  size_t count; /* entries */
  uint32_t free;
  uint32_t serial; /* of the newest entry; goes on when all slots are freed */
};

/* Makes no slots; allocates nothing yet. */
void kad_slots_init(struct kad_slots *slots);

/* Makes room for one more entry. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_slots_reserve(struct kad_slots *slots,
                                     const struct kad_allocator *allocator);

/* Frees the slots; the entries are the caller's. Older handles stay stale. */
void kad_slots_clear(struct kad_slots *slots,
                     const struct kad_allocator *allocator);

/* Gives `entry` a number, for which room has been reserved. */
uint32_t kad_slots_add(struct kad_slots *slots, struct kad_memory_entry *entry);

/* Frees the number; the entry is the caller's. */
void kad_slots_remove(struct kad_slots *slots, uint32_t number);

/* Returns the entry of a number that is in use. */
static inline struct kad_memory_entry *kad_slots_at(
    const struct kad_slots *slots, uint32_t number) {
  return slots->items[number].entry;
}

/* Puts another block in the place of an entry; its number and handle stay. */
static inline void kad_slots_replace(struct kad_slots *slots, uint32_t number,
                                     struct kad_memory_entry *entry) {
  slots->items[number].entry = entry;
}

/* Returns the handle of a number that is in use. */
kad_record_handle kad_slots_handle(const struct kad_slots *slots,
                                   uint32_t number);

/* Returns the number that `handle` names, or KAD_NO_ITEM when it is stale. */
uint32_t kad_slots_find(const struct kad_slots *slots,
                        kad_record_handle handle);

#endif
