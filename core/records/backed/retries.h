/* Changes that a backend could not make, to be tried again: a ring of at most
 * KAD_BACKED_RETRIES_MAX. Of more than that, the oldest are forgotten: times
 * that were not kept, and removed records that come back, after a restart.
 * Tested by tests/unit/records/backed/backed_store_test.c. */
#ifndef KAD_RECORDS_BACKED_RETRIES_H
#define KAD_RECORDS_BACKED_RETRIES_H

#include "kadenza_backend.h"

enum kad_retry_kind {
  KAD_RETRY_REMOVE, /* remove the record `number` from the backend */
  KAD_RETRY_META,   /* keep the meta of the record `handle` */
  KAD_RETRY_FORGET  /* remove the record `handle`, which is lost */
};

/* What to do later. */
struct kad_retry {
  enum kad_retry_kind kind;
  uint64_t number;          /* 0 if not used */
  kad_record_handle handle; /* 0 if not used */
};

/* Zero-initialised it is empty. */
struct kad_retries {
  struct kad_retry *items; /* NULL, or room for all */
  size_t first;
  size_t count;
};

/* Adds a change, unless it is there. Forgets it when out of memory. */
void kad_retries_add(struct kad_retries *retries,
                     const struct kad_allocator *allocator,
                     struct kad_retry retry);

/* Takes the oldest change out into `*retry`. Returns false if there is none. */
bool kad_retries_take(struct kad_retries *retries, struct kad_retry *retry);

/* Frees the ring. */
void kad_retries_deinit(struct kad_retries *retries,
                        const struct kad_allocator *allocator);

#endif
