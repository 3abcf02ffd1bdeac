/* The swarms of a memory store (swarm.h), found by info hash and ordered by
 * when their first peer expires. A swarm has a number, and a row of it a handle
 * of that number and a serial. A swarm is freed with its last row.
 * Tested by tests/unit/records/peers/peers_test.c. */
#ifndef KAD_RECORDS_MEMORY_SWARMS_H
#define KAD_RECORDS_MEMORY_SWARMS_H

#include "base/item.h"
#include "records/peers/swarm.h"

struct kad_swarm_slot {
  struct kad_swarm *swarm; /* NULL: free */
  uint32_t first;          /* the serial 0 of the swarm, in a handle */
  uint32_t next_free;
};

/* The row that was read last. */
struct kad_swarm_hint {
  uint32_t number; /* of its swarm; KAD_NO_ITEM: rows have moved */
  uint32_t begin;
  uint32_t end;
};

/* The swarms. Must not move after kad_swarms_init. */
struct kad_swarms {
  const uint8_t *secret;
  struct kad_swarm_slot *slots;
  size_t cap;
  size_t used;  /* slots that have had a swarm */
  size_t count; /* swarms */
  size_t rows;
  size_t peers; /* rows that are no entries */
  size_t bytes; /* upper bound of the memory of all swarms */
  uint32_t free;
  uint32_t first; /* of new slots; no older handle has it or a later serial */
  uint32_t found; /* the swarm that was found last, if it is there */
  struct kad_swarm_hint hint;
  struct kad_item_map map;
  struct kad_item_heap due;
};

/* Makes no swarms and allocates nothing. Borrows: `secret`. */
void kad_swarms_init(struct kad_swarms *swarms, const uint8_t *secret);

/* Frees every swarm. Older handles stay stale. */
void kad_swarms_clear(struct kad_swarms *swarms,
                      const struct kad_allocator *allocator);

/* Returns the number of the swarm of `key`, or KAD_NO_ITEM. */
uint32_t kad_swarms_find(struct kad_swarms *swarms, const struct kad_id *key);

/* Returns a swarm that is in use. */
static inline struct kad_swarm *kad_swarms_at(const struct kad_swarms *swarms,
                                              uint32_t number) {
  return swarms->slots[number].swarm;
}

/* Sets `*number` to the swarm of `key`; makes it if there is none. Returns 0 or
 * KAD_ENOMEM. */
KAD_MUST_CHECK int kad_swarms_open(struct kad_swarms *swarms,
                                   const struct kad_allocator *allocator,
                                   const struct kad_id *key, uint32_t *number);

/* Makes room for `row` in a swarm, besides `old` (NULL: none). Returns 0, or
 *   KAD_ENOMEM  out of memory
 *   KAD_EFULL   the times of the row do not fit: it has to be an entry */
KAD_MUST_CHECK int kad_swarms_reserve(struct kad_swarms *swarms,
                                      const struct kad_allocator *allocator,
                                      uint32_t number,
                                      const struct kad_swarm_row *row,
                                      const struct kad_swarm_row *old);

/* Frees a swarm that has no rows; else gives back what it does not need. */
void kad_swarms_trim(struct kad_swarms *swarms,
                     const struct kad_allocator *allocator, uint32_t number);

/* Returns true if a handle names a row of a swarm, now or before. */
bool kad_swarms_is_handle(kad_record_handle handle);

/* Returns the handle of a row. */
kad_record_handle kad_swarms_handle(const struct kad_swarms *swarms,
                                    uint32_t number, uint32_t serial);

/* Reads the row that `handle` names and sets `*number` to its swarm. Returns
 * false when the handle is stale. */
bool kad_swarms_read(struct kad_swarms *swarms, kad_record_handle handle,
                     uint32_t *number, struct kad_swarm_row *row);

/* Copies up to `cap` handles of a swarm, newest first, after the first `skip`.
 */
void kad_swarms_list(const struct kad_swarms *swarms, uint32_t number,
                     size_t skip, kad_record_handle *handles, size_t cap);

/* Returns the serial of the next row of a swarm. */
static inline uint32_t kad_swarms_serial(const struct kad_swarms *swarms,
                                         uint32_t number) {
  return swarms->slots[number].swarm->issued;
}

/* Appends a row with the next serial. The caller has reserved room for it. */
void kad_swarms_append(struct kad_swarms *swarms, uint32_t number,
                       const struct kad_swarm_row *row);

/* Removes a row that was just read. */
void kad_swarms_remove(struct kad_swarms *swarms, uint32_t number,
                       const struct kad_swarm_row *old);

/* Replaces a row that was just read: see kad_swarm_replace. */
void kad_swarms_replace(struct kad_swarms *swarms, uint32_t number,
                        const struct kad_swarm_row *old,
                        const struct kad_swarm_row *row, bool renews);

/* Returns the handle of the peer that expires first, and sets `*at`; 0 with
 * KAD_TIME_NEVER if there is none but entries. */
kad_record_handle kad_swarms_due(struct kad_swarms *swarms, kad_time_ms *at);

/* Returns the rows that are no entries, one after the other: begin with
 * `*cursor` 0, stop when it returns 0. */
kad_record_handle kad_swarms_next(const struct kad_swarms *swarms,
                                  uint64_t *cursor);

#endif
