/* Where records are held. The engine decides what is held (record.h, type.h);
 * a store only keeps it: the memory store in memory.c, a disk store, or one of
 * an application's.
 *
 * A record in a store is named by a handle, so that another store need not keep
 * it in memory; a handle is valid until the record is removed. */
#ifndef KAD_RECORDS_STORE_H
#define KAD_RECORDS_STORE_H

#include "kadenza.h"

/* Names a held record; 0 names none. */
typedef uint64_t kad_handle;

/* What is kept beside a record. Times are of the engine's monotonic clock. */
struct kad_holding {
  kad_time_ms stored_at;    /* when this value was taken or confirmed */
  kad_time_ms expires_at;   /* when it is dropped */
  kad_time_ms republish_at; /* when it is stored again; KAD_TIME_NEVER */
  struct kad_address origin; /* who stored it; family 0: our own user */
};

/* A held record. Its slices borrow the store until its next change. `ttl` and
 * `age` of `record` are not kept: derive them from `holding`. */
struct kad_held {
  kad_handle handle;
  struct kad_record record;
  struct kad_holding holding;
};

struct kad_store {
  void *state;
  /* Adds a record beside those held. Copies everything. Returns 0, KAD_ENOMEM
   * or KAD_EFULL; nothing has changed then. Sets `*handle`. */
  int (*add)(void *state, const struct kad_record *record,
             const struct kad_holding *holding, kad_handle *handle);
  /* Changes what is kept beside a held record. */
  void (*touch)(void *state, kad_handle handle,
                const struct kad_holding *holding);
  void (*remove)(void *state, kad_handle handle);
  /* Gives a held record. Returns false if it is not there. */
  bool (*read)(void *state, kad_handle handle, struct kad_held *held);
  /* Returns how many records of `type` are held under `key`, and copies up to
   * `cap` of their handles from the `skip`th on, newest first. */
  size_t (*find)(void *state, const struct kad_id *key, struct kad_slice type,
                 size_t skip, kad_handle *handles, size_t cap);
  /* Returns the record that expires (`due_expire`) or is republished
   * (`due_republish`) first, with its moment in `*at`; 0 for none. */
  kad_handle (*due_expire)(void *state, kad_time_ms *at);
  kad_handle (*due_republish)(void *state, kad_time_ms *at);
  /* Gives every record once, in an order of the store's: begin with `*cursor`
   * 0, and stop when it returns 0. Changes between calls may hide or repeat
   * some. */
  kad_handle (*next)(void *state, uint64_t *cursor);
  /* Returns the records held, and the bytes that they take, overhead included.
   */
  size_t (*count)(void *state);
  size_t (*bytes)(void *state);
  /* How many records, and bytes, the address (port ignored) has stored. */
  size_t (*count_of)(void *state, const struct kad_address *origin);
};

/* Makes a memory store. `secret` is KAD_MAP_SECRET_SIZE random bytes for its
 * hash tables. Copies `allocator`. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_store_memory_new(const struct kad_allocator *allocator,
                                        const uint8_t *secret,
                                        struct kad_store **store);
void kad_store_memory_free(struct kad_store *store);

#endif
