/* kadenza_scrape.h: scrapes, which estimate how many seeds and other peers a
 * torrent has. kadenza.h includes it.
 *
 * Each node that has peers of a torrent returns two Bloom filters of their
 * addresses. kad_node_get_peers with `scrape` in its options merges those of
 * all nodes. Addresses count, not ports: peers behind one NAT count once.
 * Source: BEP 33. */
#ifndef KADENZA_SCRAPE_H
#define KADENZA_SCRAPE_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_FILTER_SIZE = 256,      /* bytes of a Bloom filter */
  KAD_FILTER_COUNT_MAX = 6000 /* a filter that counts more says nothing */
};

/* The result of a scrape. */
struct kad_scrape {
  uint32_t seeds; /* estimated number of addresses with seeds */
  uint32_t peers; /* of the others */
  uint8_t seed_filter[KAD_FILTER_SIZE];
  uint8_t peer_filter[KAD_FILTER_SIZE];
};

/* Adds the IP address of `address` to a filter. Source: BEP 33 "Bloom Filters".
 */
KAD_API void kad_filter_add(uint8_t filter[KAD_FILTER_SIZE],
                            const struct kad_address *address);

/* Returns true if the IP address of `address` is in the filter. May return true
 * if it is not: the bits of others may cover its own. */
KAD_API bool kad_filter_has(const uint8_t filter[KAD_FILTER_SIZE],
                            const struct kad_address *address);

/* Adds all that is in `other`. */
KAD_API void kad_filter_merge(uint8_t filter[KAD_FILTER_SIZE],
                              const uint8_t other[KAD_FILTER_SIZE]);

/* Returns the estimated number of addresses in a filter; 0 for an empty one.
 * Source: BEP 33 "Calculating the estimate". */
KAD_API double kad_filter_count(const uint8_t filter[KAD_FILTER_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
