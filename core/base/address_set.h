/* A set of addresses, without ports: sorted ranges that neither overlap nor
 * touch, 8 bytes (IPv4) or 32 (IPv6) each. A look-up is a binary search.
 *
 * Tested by tests/unit/base/address_set_test.c. */
#ifndef KAD_BASE_ADDRESS_SET_H
#define KAD_BASE_ADDRESS_SET_H

#include "base/address.h"
#include "kadenza_blocklist.h"

/* The ranges of one family: first and last ip of each, in network order. */
struct kad_address_ranges {
  uint8_t *bytes;
  size_t count;
  size_t cap; /* bytes of memory */
};

/* Zero-initialised it is empty. */
struct kad_address_set {
  struct kad_address_ranges families[KAD_FAMILIES];
};

/* Makes a set of `count` ranges, which may overlap. Returns 0, or with `*set`
 * unchanged
 *   KAD_EINVAL  a range has two families or none, or ends before it begins; or
 *               there are more than KAD_RANGES_MAX
 *   KAD_ENOMEM  out of memory */
KAD_MUST_CHECK int kad_address_set_make(const struct kad_address_range *ranges,
                                        size_t count,
                                        const struct kad_allocator *allocator,
                                        struct kad_address_set *set);

/* Frees the memory of the set, which is empty then. */
void kad_address_set_deinit(struct kad_address_set *set,
                            const struct kad_allocator *allocator);

/* Returns true if the set has `address`. */
bool kad_address_set_has(const struct kad_address_set *set,
                         const struct kad_address *address);

#endif
