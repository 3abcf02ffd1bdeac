/* Remembers hosts for a while in little memory: a Bloom filter in two
 * generations. A host that was added is in it for at least one lifetime, and at
 * most two. Some hosts are in it that were not added: one in fifty when
 * there are 200 in a generation, nearly half when there are 1,000. Ports do not
 * count.
 *
 *     struct kad_address_filter filter = {.seed = seed, .life_ms = 300000};
 *     kad_address_filter_add(&filter, &address, now);
 *     kad_address_filter_has(&filter, &address, now + 1);    // true
 *
 * Tested by tests/unit/base/address_filter_test.c. */
#ifndef KAD_BASE_ADDRESS_FILTER_H
#define KAD_BASE_ADDRESS_FILTER_H

#include "kadenza.h"

enum {
  KAD_ADDRESS_FILTER_WORDS = 32 /* 64-bit words of a generation */
};

/* Zero-initialised but for `seed` and `life_ms` it is empty. */
struct kad_address_filter {
  uint64_t seed; /* random: others cannot choose hosts that look alike */
  kad_time_ms life_ms;
  kad_time_ms turns_at; /* when `current` becomes `last` */
  uint64_t current[KAD_ADDRESS_FILTER_WORDS];
  uint64_t last[KAD_ADDRESS_FILTER_WORDS];
};

/* Adds the host of `address`. `now` does not go back. */
void kad_address_filter_add(struct kad_address_filter *filter,
                            const struct kad_address *address, kad_time_ms now);

/* Returns true if the host of `address` was added in the last `life_ms`; false
 * if it was not added in twice that time, apart from the errors above. */
bool kad_address_filter_has(const struct kad_address_filter *filter,
                            const struct kad_address *address, kad_time_ms now);

#endif
