/* kadenza_store.h: the interface of a record store, for an application that
 * keeps the records of its nodes itself.
 *
 * The engine decides what is held, for how long, and what is evicted; a store
 * keeps it. Fill in a `struct kad_store` and set `store` of `struct kad_config`
 * to it; without one, a node makes a memory store. An example is
 * scripts/examples/store/array_store.c.
 *
 * The functions of a store run on the thread of its node and must not call the
 * node. One store serves one node. */
#ifndef KADENZA_STORE_H
#define KADENZA_STORE_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Names a held record, so that a store need not keep it in memory. Valid until
 * the record is removed; a removed record's handle is not used again while the
 * store is open. 0 names no record. */
typedef uint64_t kad_record_handle;

/* What a store keeps with a record. Times are those of the node's monotonic
 * clock. */
struct kad_record_meta {
  kad_time_ms stored_at;     /* this value was stored or confirmed */
  kad_time_ms expires_at;    /* it is dropped */
  kad_time_ms republish_at;  /* it is republished; KAD_TIME_NEVER: never */
  struct kad_address origin; /* the node that stored it; family 0: this node */
  bool is_seed;              /* of a peer: it has the whole torrent (BEP 33) */
};

/* A held record. Its slices borrow the store until the next call that changes
 * the store. `ttl`, `age` and `is_seed` of `record` are not set: they follow
 * from `meta`. */
struct kad_held {
  kad_record_handle handle;
  struct kad_record record;
  struct kad_record_meta meta;
};

/* How many records of a type a store holds. */
struct kad_type_count {
  struct kad_slice type;
  size_t records; /* at least 1 */
};

/* A store: its functions, and the pointer that they are given first. */
struct kad_store {
  void *state;

  /* Adds a record as the newest of its key and type. Its sizes are within the
   * limits of kadenza.h. It is added even if an equal one is held. Copies:
   * `record` with all its slices, `meta`.
   * Returns 0, with `*handle` set, or, with nothing changed,
   *   KAD_ENOMEM   out of memory
   *   KAD_EFULL    the store has no room for another type or record
   *   KAD_ESYSTEM  the record could not be kept, such as on a full disk */
  int (*add)(void *state, const struct kad_record *record,
             const struct kad_record_meta *meta, kad_record_handle *handle);

  /* Replaces the meta of a held record. If `stored_at` changes, the record
   * becomes the newest of its key and type. If there is no memory for another
   * origin, the old one stays, and of a peer the whole old meta. Ignores a
   * handle that names no record. */
  void (*set_meta)(void *state, kad_record_handle handle,
                   const struct kad_record_meta *meta);

  /* Removes a record. Ignores a handle that names no record. */
  void (*remove)(void *state, kad_record_handle handle);

  /* Reads a held record into `*held`. Returns false if there is none, or if it
   * cannot be read. */
  bool (*read)(void *state, kad_record_handle handle, struct kad_held *held);

  /* Returns the number of records of `type` under `key`, and copies up to `cap`
   * of their handles to `handles`, newest first, beginning after the first
   * `skip`. `handles` may be NULL if `cap` is 0. */
  size_t (*find)(void *state, const struct kad_id *key, struct kad_slice type,
                 size_t skip, kad_record_handle *handles, size_t cap);

  /* Returns the record with the earliest `expires_at` (`due_expire`) or
   * `republish_at` (`due_republish`), and sets `*at` to that time. Returns 0,
   * with `*at` KAD_TIME_NEVER, if there is none. */
  kad_record_handle (*due_expire)(void *state, kad_time_ms *at);
  kad_record_handle (*due_republish)(void *state, kad_time_ms *at);

  /* Returns each record once, in any order: begin with `*cursor` 0, stop when
   * it returns 0. A change between two calls may hide or repeat some. */
  kad_record_handle (*next)(void *state, uint64_t *cursor);

  /* Returns the number of records held. */
  size_t (*count)(void *state);

  /* Returns the bytes that the records take, overhead included: 0 if none is
   * held, and less after each removal. */
  size_t (*bytes)(void *state);

  /* Returns the number of records whose origin has the same host as `origin`:
   * the same IPv4 address, or the same IPv6 /64; ports are ignored. Family 0
   * counts the records of this node. */
  size_t (*count_of)(void *state, const struct kad_address *origin);

  /* Returns the record to evict first; 0 for none:
   * - of the host or the publisher whose records take the most bytes, this
   *   node's own last,
   * - of these, the one that shares the shortest prefix with `self`,
   * - of these, the one that expires first.
   * A store may look at a fixed number of records only, and take the bytes of
   * a host's peers and of its other records separately.
   * NULL in a store that returns KAD_EFULL instead. */
  kad_record_handle (*victim)(void *state, const struct kad_id *self);

  /* Returns how many times the store could not read a record that it holds, or
   * keep a change. NULL in a store that cannot fail. */
  uint64_t (*failures)(void *state);

  /* Ends the store: called once, when its node is freed, and no function after
   * it. Not called if the node could not be opened. NULL: nothing to do. */
  void (*close)(void *state);

  /* Returns the number of records of `publisher`, which has KAD_PUBLISHER_SIZE
   * bytes, besides those of this node. NULL in a store that does not count
   * them: publishers have no limit then. */
  size_t (*count_signed)(void *state, const uint8_t *publisher);

  /* Makes all changes before the call durable, then calls `committed(data,
   * status)` once: within the call, or later in a turn of the node. `status` is
   * 0, or an error: then the store has tried in vain, and may try again with
   * the next call. The node answers the stores of a turn after that, those of a
   * failed commit with error 202, and calls again only after `committed`. `now`
   * is the node's time. `committed` may be NULL: then one that the store has
   * yet to call is not called any more. NULL in a store whose changes need no
   * commit. */
  void (*commit)(void *state, kad_time_ms now,
                 void (*committed)(void *data, int status), void *data);

  /* Copies up to `cap` of the types of its records to `counts`, in any order,
   * and returns the number of all. Their names borrow the store until the next
   * call that changes it. Looks at no record. NULL in a store that does not
   * count them. */
  size_t (*types)(void *state, struct kad_type_count *counts, size_t cap);
};

/* Returns the clock of `node`, to which the times of its records refer. It
 * leaves out the time that the machine was suspended. A store that outlives the
 * node converts them: `expires_at` less this is what the record has left. */
KAD_API kad_time_ms kad_node_time(const struct kad_node *node);

#ifdef __cplusplus
}
#endif

#endif
