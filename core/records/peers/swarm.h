/* The peers of one info hash in a memory store: one block with a head and a
 * string of rows. The row that was confirmed last is at the end. A row has only
 * the fields that it needs, and its last byte tells which, so that rows are
 * read backwards:
 *
 *     3 or 4   time of `stored_at`, since `base` of the swarm
 *     2 or 4   serial: names the row in a handle
 *     0 or 4   life, if it is not `life` of the swarm
 *     0 or 2   port of the origin, if it is not that of the peer
 *     0 or 1   via of the origin, if it is not `via` of the swarm
 *     6 or 18  the peer: its compact address
 *     1        marks
 *
 * So a peer of IPv4 takes 12 bytes. A record that this cannot say, such as a
 * peer that another host stored, is an entry (entry.h), and its row only has a
 * serial and the number of the entry. */
#ifndef KAD_RECORDS_MEMORY_SWARM_H
#define KAD_RECORDS_MEMORY_SWARM_H

#include "base/item.h"
#include "records/store.h"

enum {
  KAD_SWARM_ROW_MAX = 34 /* bytes of the longest row */
};

struct kad_swarm {
  struct kad_id key;
  kad_time_ms base; /* no row was stored before */
  kad_time_ms due;  /* no row expires before; KAD_TIME_NEVER: there is none */
  uint32_t life;    /* of most rows; unit: ms */
  uint32_t len;     /* of the rows; unit: bytes */
  uint32_t cap;
  uint32_t count;      /* rows */
  uint32_t peers;      /* rows that are no entries */
  uint32_t issued;     /* serials; the next one */
  uint32_t due_serial; /* of the row that expires then, unless `is_late` */
  uint32_t place;      /* in the heap by `due` */
  uint32_t chain;      /* next in the hash bucket */
  uint8_t via;         /* of most rows */
  bool is_late;        /* `due` may be earlier than the first to expire */
  uint8_t rows[];
};

/* A row, read or to be written. */
struct kad_swarm_row {
  uint32_t begin; /* its place in the rows; of a row that was read */
  uint32_t end;
  uint32_t serial;
  uint32_t entry;         /* number of the entry; KAD_NO_ITEM: a peer, and */
  struct kad_slice value; /* its compact address; a row that was read borrows
                             it from the swarm until that changes */
  kad_time_ms stored_at;
  kad_time_ms expires_at;
  uint16_t port; /* of the origin */
  uint8_t via;   /* of the origin */
  bool is_seed;
};

/* Makes `*row` of a record, without place and serial. Returns false if only an
 * entry can hold the record. Borrows: the value of `record`. */
bool kad_swarm_row_of(const struct kad_record *record,
                      const struct kad_record_meta *meta,
                      struct kad_swarm_row *row);

/* Reads the meta of a row that is no entry. */
void kad_swarm_row_meta(const struct kad_swarm_row *row,
                        struct kad_record_meta *meta);

/* Makes a swarm without rows. Returns NULL when out of memory. */
struct kad_swarm *kad_swarm_new(const struct kad_allocator *allocator,
                                const struct kad_id *key);

/* Frees a swarm. */
void kad_swarm_free(struct kad_swarm *swarm,
                    const struct kad_allocator *allocator);

/* Chooses `base`, and for the first peer `life` and `via`, so that `row` takes
 * few bytes. Call it before kad_swarm_row_size. */
void kad_swarm_prepare(struct kad_swarm *swarm,
                       const struct kad_swarm_row *row);

/* Returns the bytes of `row` in this swarm; 0 if its times do not fit. */
size_t kad_swarm_row_size(const struct kad_swarm *swarm,
                          const struct kad_swarm_row *row);

/* Makes room for `size` more bytes. The swarm may move. Returns 0 or
 * KAD_ENOMEM. */
KAD_MUST_CHECK int kad_swarm_reserve(struct kad_swarm **swarm,
                                     const struct kad_allocator *allocator,
                                     size_t size);

/* Gives back room that few rows do not need. The swarm may move. */
void kad_swarm_shrink(struct kad_swarm **swarm,
                      const struct kad_allocator *allocator);

/* Reads the row that ends at `end`, which is `len` or the `begin` of another
 * row, and not 0. */
void kad_swarm_read(const struct kad_swarm *swarm, uint32_t end,
                    struct kad_swarm_row *row);

/* Reads the row with this serial. Returns false if there is none. */
bool kad_swarm_find(const struct kad_swarm *swarm, uint32_t serial,
                    struct kad_swarm_row *row);

/* Copies up to `cap` serials, newest first, after the first `skip`. Returns
 * their number. */
size_t kad_swarm_list(const struct kad_swarm *swarm, size_t skip,
                      uint32_t *serials, size_t cap);

/* Finds the oldest peer, not an entry, among the `*left` newest rows. Sets
 * `*left` to the number of rows that are newer than it, and `*serial`. Returns
 * false if there is none. */
bool kad_swarm_find_oldest(const struct kad_swarm *swarm, uint32_t *left,
                           uint32_t *serial);

/* Appends a row, with the serial that is in it. The caller has reserved room
 * for it. */
void kad_swarm_append(struct kad_swarm *swarm, const struct kad_swarm_row *row);

/* Removes a row that was just read. */
void kad_swarm_remove(struct kad_swarm *swarm, const struct kad_swarm_row *old);

/* Replaces a row that was just read, at its place or, with `renews`, at the
 * end. `row` may borrow the value of `old`. The caller has reserved room for
 * the difference of their sizes. */
void kad_swarm_replace(struct kad_swarm *swarm, const struct kad_swarm_row *old,
                       const struct kad_swarm_row *row, bool renews);

/* Makes `due` exact. */
void kad_swarm_find_due(struct kad_swarm *swarm);

#endif
