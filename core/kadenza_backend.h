/* kadenza_backend.h: a record store in short, for an application that keeps the
 * records of its nodes in files, a database or another process.
 *
 * A backend keeps records under numbers: it can put, get and remove one. A
 * *backed store* makes a store of it (kadenza_store.h): it keeps the indexes in
 * memory, 160 to 200 bytes for a record, so that a node finds what is under a
 * key, what is due and what to evict without asking the backend.
 *
 *     kad_backed_store_new(&backend, &allocator, secret, &store);
 *     for each record that the backend has:
 *       kad_backed_store_restore(store, number, &record, &meta, order);
 *     kad_backed_store_sort(store);
 *     config.store = store;      the node that is opened ends it
 *
 * A backend may fail. What it could not put is not stored: the sender gets
 * error 202. A record that it cannot get is left out of replies. A change of
 * times, and a removal, that failed are tried again at later changes.
 * `failures` of the store counts all of these.
 *
 * The functions of a backend run on the thread of its node, must not call the
 * node, and should return soon: the node waits for them. */
#ifndef KADENZA_BACKEND_H
#define KADENZA_BACKEND_H

#include "kadenza_store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_BACKED_SECRET_SIZE = 16,  /* random bytes for hash tables */
  KAD_BACKED_INLINE_MAX = 18,   /* a plain value of at most so many bytes, such
                                   as a peer, is read from memory */
  KAD_BACKED_RETRIES_MAX = 1024 /* failed changes that are tried again */
};

/* The greatest number of a record, so that a double can hold each: 2^53. */
#define KAD_BACKED_NUMBER_MAX (UINT64_C(1) << 53)

/* A backend: its functions, and the pointer that they are given first. Those
 * that return int return 0, or a negative KAD_E… with nothing changed. */
struct kad_backend {
  void *state;

  /* Keeps `record` with `meta` under `number`, in place of what is there.
   * Numbers of new records grow, from 1 or after the greatest restored one.
   * `ttl`, `age` and `is_seed` of the record are not set. When it returns 0, or
   * when `commit` does, the record counts as kept: whatever it must survive, it
   * survives now. */
  int (*put)(void *state, uint64_t number, const struct kad_record *record,
             const struct kad_record_meta *meta);

  /* Replaces the meta of the record `number`. NULL: the record is put again. */
  int (*set_meta)(void *state, uint64_t number,
                  const struct kad_record_meta *meta);

  /* Reads the record `number` into `*record`, whose slices may borrow the
   * backend until its next call; no other field than those that `put` got is
   * read. Returns KAD_ENOTFOUND if it is lost: the node then forgets it. */
  int (*get)(void *state, uint64_t number, struct kad_record *record);

  /* Removes the record `number`. Returns 0 if there is none. */
  int (*remove)(void *state, uint64_t number);

  /* Makes all changes before it durable. The changes of one turn of the node
   * share it, and their senders are answered after it; if it returns an error,
   * with error 202. NULL: each change is durable when its function returns. */
  int (*commit)(void *state);

  /* Tells that what `get` returned for `number` is not the record that was put.
   * NULL: nothing to do. */
  void (*mismatched)(void *state, uint64_t number);

  /* Ends the backend, after which nothing of it is called. NULL: nothing to do.
   */
  void (*close)(void *state);
};

/* Makes a store of a backend.
 *
 * `secret` is KAD_BACKED_SECRET_SIZE random bytes. Copies: `backend`,
 * `allocator`, `secret`. Returns 0, KAD_ENOMEM or KAD_EINVAL. */
KAD_API int kad_backed_store_new(const struct kad_backend *backend,
                                 const struct kad_allocator *allocator,
                                 const uint8_t *secret,
                                 struct kad_store **store);

/* Adds a record that the backend has already, without putting it. Times are by
 * the clock of the node that will open: 0 for one that is past. Of the records
 * of a key, those with the greatest `order` are the newest: a time of another
 * clock, such as seconds since 1970. Records that have expired may be restored:
 * the node drops them when it has opened.
 * Returns 0, KAD_ENOMEM, or KAD_EINVAL if a size, `number` or the order of the
 * times is wrong. */
KAD_API int kad_backed_store_restore(struct kad_store *store, uint64_t number,
                                     const struct kad_record *record,
                                     const struct kad_record_meta *meta,
                                     int64_t order);

/* Puts what was restored in order: called once, after the last of it. */
KAD_API void kad_backed_store_sort(struct kad_store *store);

/* Ends a store that no node has ended, and its backend. NULL is ignored. */
KAD_API void kad_backed_store_free(struct kad_store *store);

#ifdef __cplusplus
}
#endif

#endif
