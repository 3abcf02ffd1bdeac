/* In which swarms of a memory store the peers of a host are. A host is an IPv4
 * address or an IPv6 /64: the first 4 or 8 bytes of an address. A pair of a
 * host and a swarm is one cell of 8 or 12 bytes, and there are as many equal
 * cells as the host has peers in the swarm.
 *
 * Cells are sorted within buckets of about KAD_HOSTS_PER_BUCKET, which a keyed
 * hash of the host chooses. Buckets are added one at a time, so that no
 * addition moves many cells. A heap of the buckets finds the host with the most
 * peers: each knows how many a host of its own has at most.
 * Tested by tests/unit/records/peers/hosts_test.c. */
#ifndef KAD_RECORDS_MEMORY_HOSTS_H
#define KAD_RECORDS_MEMORY_HOSTS_H

#include "base/item.h"

enum {
  KAD_HOST_SIZE_MAX = 8,
  KAD_HOSTS_PER_BUCKET = 64
};

struct kad_host_bucket {
  uint8_t *cells;
  uint32_t count;
  uint32_t cap;
  uint32_t most;  /* no host of it has more cells */
  uint32_t place; /* in the heap */
};

/* The hosts of one address family. Must not move after kad_hosts_init. */
struct kad_hosts {
  const uint8_t *secret;
  size_t host_size; /* bytes of a host: 4 or 8 */
  struct kad_host_bucket *buckets;
  size_t bucket_count;
  size_t bucket_cap;
  size_t count; /* cells */
  struct kad_item_heap by_most;
};

/* Makes an empty index of hosts with `host_size` bytes without allocating.
 * Borrows: `secret`. */
void kad_hosts_init(struct kad_hosts *hosts, size_t host_size,
                    const uint8_t *secret);

/* Frees every cell. */
void kad_hosts_clear(struct kad_hosts *hosts,
                     const struct kad_allocator *allocator);

/* Returns an upper bound of the memory of the cells. Unit: bytes. */
size_t kad_hosts_bytes(const struct kad_hosts *hosts);

/* Makes room for one more cell of `host`. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_hosts_reserve(struct kad_hosts *hosts,
                                     const struct kad_allocator *allocator,
                                     const uint8_t *host);

/* Adds a peer of `host` in a swarm. The caller has reserved room for it. */
void kad_hosts_add(struct kad_hosts *hosts, const uint8_t *host,
                   uint32_t swarm);

/* Removes a peer of `host` in a swarm, which must be there. */
void kad_hosts_remove(struct kad_hosts *hosts,
                      const struct kad_allocator *allocator,
                      const uint8_t *host, uint32_t swarm);

/* Returns the peers of `host`. */
size_t kad_hosts_count(const struct kad_hosts *hosts, const uint8_t *host);

/* Finds the host with the most peers, and copies up to `cap` numbers of the
 * swarms where they are to `swarms`, spread over all. Sets `*count` to how many
 * were copied, and `host` to the host. Returns the number of its peers; 0 if
 * there is none. */
size_t kad_hosts_largest(struct kad_hosts *hosts, uint8_t *host,
                         uint32_t *swarms, size_t cap, size_t *count);

#endif
