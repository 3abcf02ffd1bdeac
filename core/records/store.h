/* Where records are held. The engine decides what is held (record.h, type.h);
 * a store only keeps it: the memory store in memory.c, a disk store, or one of
 * an application's.
 *
 * A record in a store is named by a handle, so that another store need not keep
 * it in memory; a handle is valid until the record is removed. */
#ifndef KAD_RECORDS_STORE_H
#define KAD_RECORDS_STORE_H

#include "kadenza.h"

/* Names a held record; 0 names none, and so does the handle of a record that
 * has been removed. */
typedef uint64_t kad_handle;

/* What is kept beside a record. Times are of the engine's monotonic clock. */
struct kad_record_meta {
  kad_time_ms stored_at;     /* when this value was taken or confirmed */
  kad_time_ms expires_at;    /* when it is dropped */
  kad_time_ms republish_at;  /* when it is stored again; KAD_TIME_NEVER */
  struct kad_address origin; /* who stored it; family 0: our own user */
};

/* A held record. Its slices borrow the store until its next change. `ttl` and
 * `age` of `record` are not kept: derive them from `meta`. */
struct kad_held {
  kad_handle handle;
  struct kad_record record;
  struct kad_record_meta meta;
};

struct kad_store {
  void *state; /* given to the functions */
  /* Adds a record, which is within the limits of kad_record_check, beside those
   * held, as the newest of its key and type. Copies everything. Sets `*handle`.
   * Returns 0, KAD_ENOMEM, or KAD_EFULL when there are too many types or
   * records; nothing has changed then. */
  int (*add)(void *state, const struct kad_record *record,
             const struct kad_record_meta *meta, kad_handle *handle);
  /* Changes what is kept beside a held record. With another `stored_at` than
   * before it becomes the newest of its key and type. When memory is short the
   * origin stays as it was. */
  void (*touch)(void *state, kad_handle handle,
                const struct kad_record_meta *meta);
  /* Removes a record; one that is not there is ignored, as by touch. */
  void (*remove)(void *state, kad_handle handle);
  /* Gives a held record. Returns false if it is not there. */
  bool (*read)(void *state, kad_handle handle, struct kad_held *held);
  /* Returns how many records of `type` are held under `key`, and copies up to
   * `cap` of their handles from the `skip`th on, newest first. `handles` may be
   * NULL when `cap` is 0. */
  size_t (*find)(void *state, const struct kad_id *key, struct kad_slice type,
                 size_t skip, kad_handle *handles, size_t cap);
  /* Returns the record that expires (`due_expire`) or is republished
   * (`due_republish`) first, with its moment in `*at`; 0 for none, with
   * KAD_TIME_NEVER. */
  kad_handle (*due_expire)(void *state, kad_time_ms *at);
  kad_handle (*due_republish)(void *state, kad_time_ms *at);
  /* Gives every record once, in an order of the store's: begin with `*cursor`
   * 0, and stop when it returns 0. Changes between calls may hide or repeat
   * some. */
  kad_handle (*next)(void *state, uint64_t *cursor);
  /* Returns the records held, and the bytes that they take, overhead included:
   * 0 when none is held, and less after each removal. */
  size_t (*count)(void *state);
  size_t (*bytes)(void *state);
  /* Returns how many of the records an address has stored: port ignored, and of
   * an IPv6 address all but its /64, since its holder has the whole /64. Family
   * 0 asks for our own user's. */
  size_t (*count_of)(void *state, const struct kad_address *origin);
  /* Returns the record that goes first when room is needed; 0 for none. It is
   * of the address that takes the most bytes, our own user's last; of its
   * records those farthest from `self` (by shared prefix, as buckets are), and
   * of these the one that expires first. A store may look at a fixed number of
   * that address's earliest records only. NULL in a store that refuses instead.
   */
  kad_handle (*victim)(void *state, const struct kad_id *self);
};

enum {
  KAD_STORE_SECRET_SIZE = 16
};

/* Makes a memory store. `secret` is KAD_STORE_SECRET_SIZE random bytes for its
 * hash tables. Copies `allocator` and `secret`. Returns 0 or KAD_ENOMEM.
 *
 * It asks the allocator for at most 200 bytes a peer and 350 a plain value of
 * 100 bytes, whoever stores them; `bytes` is an upper bound of what it has
 * asked for, but for a few hundred bytes and some 45 a type. Of 256 types at
 * once it refuses one (KAD_EFULL). `victim` looks at the 128 earliest records
 * of an address. */
KAD_MUST_CHECK int kad_store_memory_new(const struct kad_allocator *allocator,
                                        const uint8_t *secret,
                                        struct kad_store **store);

/* Frees a memory store and what it holds. NULL is ignored. */
void kad_store_memory_free(struct kad_store *store);

#endif
