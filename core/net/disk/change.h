/* What changes in a durable store, in the form that it has in the journal:
 *
 *     kind 1, length of the body 4, name 16, body
 *
 *     struct kad_changes changes = {.allocator = allocator};
 *     kad_changes_put(&changes, name, record, meta, order, id_size)
 *     struct kad_slice rest = {changes.bytes, changes.len};
 *     while (kad_change_next(&rest, &change)) { … }
 *
 * Tested by tests/unit/net/disk/image_test.c. */
#ifndef KAD_NET_DISK_CHANGE_H
#define KAD_NET_DISK_CHANGE_H

#include "net/disk/image.h"
#include "net/disk/reading.h"

enum kad_change_kind {
  KAD_CHANGE_PUT = 1, /* the body is an image */
  KAD_CHANGE_META,    /* a meta: nothing if there is no such record */
  KAD_CHANGE_REMOVE,  /* empty */
  KAD_CHANGE_CLOCK    /* the time of the store's clock 8, a reading */
};

struct kad_change {
  enum kad_change_kind kind;
  const uint8_t *name; /* KAD_IMAGE_NAME_SIZE bytes; of a clock: all 0 */
  struct kad_slice body;
};

/* The time of the store's clock when the clocks were read. */
struct kad_clock_mark {
  kad_time_ms at;
  struct kad_reading reading;
};

/* A buffer of changes. Zero-initialised but for its allocator it is empty. */
struct kad_changes {
  struct kad_allocator allocator;
  uint8_t *bytes;
  size_t len;
  size_t cap;
};

/* Append a change. Return 0, or KAD_ENOMEM with nothing changed. */
KAD_MUST_CHECK int kad_changes_put(struct kad_changes *changes,
                                   const uint8_t *name,
                                   const struct kad_record *record,
                                   const struct kad_record_meta *meta,
                                   uint64_t order, size_t id_size);
KAD_MUST_CHECK int kad_changes_set_meta(struct kad_changes *changes,
                                        const uint8_t *name,
                                        const struct kad_record_meta *meta,
                                        uint64_t order);
KAD_MUST_CHECK int kad_changes_remove(struct kad_changes *changes,
                                      const uint8_t *name);
KAD_MUST_CHECK int kad_changes_clock(struct kad_changes *changes,
                                     const struct kad_clock_mark *mark);

/* Makes room for `size` more bytes. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_changes_reserve(struct kad_changes *changes,
                                       size_t size);

/* Frees the buffer. */
void kad_changes_deinit(struct kad_changes *changes);

/* Takes the next change from the front of `*rest`. Returns false at the end,
 * and at what is no change. */
bool kad_change_next(struct kad_slice *rest, struct kad_change *change);

/* Reads the body of a KAD_CHANGE_CLOCK. Returns false if it is none. */
bool kad_change_read_clock(const struct kad_change *change,
                           struct kad_clock_mark *mark);

/* Changes an image; `*is_there` tells whether there is one, before and after.
 * What is invalid changes nothing. */
void kad_change_apply(const struct kad_change *change, struct kad_image *image,
                      bool *is_there);

#endif
