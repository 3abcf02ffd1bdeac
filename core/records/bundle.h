/* Copies of records, which outlive the datagram or the store from which they
 * come. One block contains the records and every byte to which they point. */
#ifndef KAD_RECORDS_BUNDLE_H
#define KAD_RECORDS_BUNDLE_H

#include "kadenza.h"

/* Copied records. Zero-initialised it has none. */
struct kad_bundle {
  struct kad_record *records; /* `count` of them, at the start of the block */
  size_t count;
  size_t size; /* bytes of the block */
};

/* Copies `count` records (at least 1) into `bundle`, which must be empty.
 * Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_bundle_copy(struct kad_bundle *bundle,
                                   const struct kad_allocator *allocator,
                                   const struct kad_record *records,
                                   size_t count);

/* Copies `count` records (at least 1) as kad_bundle_copy does, with the key and
 * the type of `named`. Does not read their own. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_bundle_copy_as(struct kad_bundle *bundle,
                                      const struct kad_allocator *allocator,
                                      const struct kad_record *named,
                                      const struct kad_record *records,
                                      size_t count);

/* Frees the copies. `bundle` is empty afterwards. */
void kad_bundle_free(struct kad_bundle *bundle,
                     const struct kad_allocator *allocator);

#endif
