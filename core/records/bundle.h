/* Copies of records that outlive the datagram or the store they came from: one
 * block holds the records and every byte that they point to. */
#ifndef KAD_RECORDS_BUNDLE_H
#define KAD_RECORDS_BUNDLE_H

#include "kadenza.h"

/* Copied records. Zero-initialised it holds none. */
struct kad_bundle {
  struct kad_record *records; /* `count` of them, at the start of the block */
  size_t count;
  size_t size; /* bytes of the block */
};

/* Copies `count` records (at least 1) into `bundle`, which must hold none.
 * Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_bundle_copy(struct kad_bundle *bundle,
                                   const struct kad_allocator *allocator,
                                   const struct kad_record *records,
                                   size_t count);

/* Copies `count` records (at least 1) as kad_bundle_copy does, under the key
 * and the type of `named`; their own are not read. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_bundle_copy_as(struct kad_bundle *bundle,
                                      const struct kad_allocator *allocator,
                                      const struct kad_record *named,
                                      const struct kad_record *records,
                                      size_t count);

/* Frees the copies; `bundle` holds none afterwards. */
void kad_bundle_free(struct kad_bundle *bundle,
                     const struct kad_allocator *allocator);

#endif
