#include "records/peers/peers.h"

#include <string.h>

enum {
  VICTIM_SAMPLE = 128 /* swarms of the largest host that are looked at */
};

/* What a peer takes of the memory, in a swarm of many. */
static const size_t about_bytes[KAD_FAMILIES] = {24, 40};

void kad_peers_init(struct kad_peers *peers, const uint8_t *secret) {
  kad_swarms_init(&peers->swarms, secret);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_address any = {.family = kad_family_at(i)};
    kad_hosts_init(&peers->hosts[i], kad_address_host_size(&any), secret);
  }
}

void kad_peers_clear(struct kad_peers *peers,
                     const struct kad_allocator *allocator) {
  kad_swarms_clear(&peers->swarms, allocator);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_hosts_clear(&peers->hosts[i], allocator);
  }
}

bool kad_peers_is_type(struct kad_slice type) {
  static const char name[] = "peers";
  return type.len == sizeof name - 1 && memcmp(type.data, name, type.len) == 0;
}

/* Returns the hosts of the family of a row that is no entry. A compact address
 * begins with its host. */
static struct kad_hosts *hosts_of(struct kad_peers *peers,
                                  const struct kad_swarm_row *row) {
  const bool is_ip6 = row->value.len == KAD_COMPACT_IP6;
  return &peers->hosts[kad_family_index(is_ip6 ? 6 : 4)];
}

/* Returns `row` with its value copied to `value`: what it borrows may be in a
 * swarm that moves. */
static struct kad_swarm_row keep_value(const struct kad_swarm_row *row,
                                       uint8_t value[KAD_COMPACT_IP6]) {
  struct kad_swarm_row kept = *row;
  if (row->entry == KAD_NO_ITEM) {
    memcpy(value, row->value.data, row->value.len);
    kept.value.data = value;
  }
  return kept;
}

int kad_peers_add(struct kad_peers *peers,
                  const struct kad_allocator *allocator,
                  const struct kad_id *key, const struct kad_swarm_row *row,
                  kad_record_handle *handle) {
  struct kad_swarms *swarms = &peers->swarms;
  uint8_t value[KAD_COMPACT_IP6];
  struct kad_swarm_row added = keep_value(row, value);
  uint32_t number = 0;
  int status = kad_swarms_open(swarms, allocator, key, &number);
  if (status != 0) {
    return status;
  }
  added.serial = kad_swarms_serial(swarms, number);
  const bool is_peer = row->entry == KAD_NO_ITEM;
  status = kad_swarms_reserve(swarms, allocator, number, &added, NULL);
  if (status == 0 && is_peer) {
    status = kad_hosts_reserve(hosts_of(peers, &added), allocator, value);
  }
  if (status != 0) {
    kad_swarms_trim(swarms, allocator, number);
    return status;
  }
  if (is_peer) {
    kad_hosts_add(hosts_of(peers, &added), value, number);
  }
  kad_swarms_append(swarms, number, &added);
  *handle = kad_swarms_handle(swarms, number, added.serial);
  return 0;
}

void kad_peers_remove(struct kad_peers *peers,
                      const struct kad_allocator *allocator, uint32_t number,
                      const struct kad_swarm_row *old) {
  if (old->entry == KAD_NO_ITEM) {
    kad_hosts_remove(hosts_of(peers, old), allocator, old->value.data, number);
  }
  kad_swarms_remove(&peers->swarms, number, old);
  kad_swarms_trim(&peers->swarms, allocator, number);
}

int kad_peers_replace(struct kad_peers *peers,
                      const struct kad_allocator *allocator, uint32_t number,
                      const struct kad_swarm_row *old,
                      const struct kad_swarm_row *row, bool renews) {
  uint8_t value[KAD_COMPACT_IP6];
  const struct kad_swarm_row kept = keep_value(row, value);
  const int status =
      kad_swarms_reserve(&peers->swarms, allocator, number, &kept, old);
  if (status != 0) {
    return status;
  }
  if (old->entry == KAD_NO_ITEM && row->entry != KAD_NO_ITEM) {
    kad_hosts_remove(hosts_of(peers, old), allocator, old->value.data, number);
  }
  kad_swarms_replace(&peers->swarms, number, old, &kept, renews);
  return 0;
}

size_t kad_peers_find(struct kad_peers *peers, const struct kad_id *key,
                      size_t skip, kad_record_handle *handles, size_t cap) {
  const uint32_t number = kad_swarms_find(&peers->swarms, key);
  if (number == KAD_NO_ITEM) {
    return 0;
  }
  if (cap > 0) {
    kad_swarms_list(&peers->swarms, number, skip, handles, cap);
  }
  return kad_swarms_at(&peers->swarms, number)->count;
}

size_t kad_peers_count_of(const struct kad_peers *peers,
                          const struct kad_address *origin) {
  return origin->family == 0
             ? 0
             : kad_hosts_count(&peers->hosts[kad_family_index(origin->family)],
                               origin->ip);
}

size_t kad_peers_bytes(const struct kad_peers *peers) {
  size_t bytes = peers->swarms.bytes;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    bytes += kad_hosts_bytes(&peers->hosts[i]);
  }
  return bytes;
}

/* The largest host of a family. */
struct largest {
  uint8_t host[KAD_HOST_SIZE_MAX];
  size_t host_size;
  size_t bytes; /* of its peers, about */
  size_t count; /* swarms that are looked at */
  uint32_t swarms[VICTIM_SAMPLE];
};

/* Finds the host whose peers take the most bytes. */
static void find_largest(struct kad_peers *peers, struct largest *largest) {
  largest->bytes = 0;
  largest->count = 0;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    struct largest of_family = {
        .host_size = peers->hosts[i].host_size,
    };
    const size_t records =
        kad_hosts_largest(&peers->hosts[i], of_family.host, of_family.swarms,
                          VICTIM_SAMPLE, &of_family.count);
    of_family.bytes = records * about_bytes[i];
    if (of_family.bytes > largest->bytes) {
      *largest = of_family;
    }
  }
}

/* A peer that may be removed. */
struct candidate {
  kad_record_handle handle; /* 0: none */
  unsigned prefix;          /* common with us */
  kad_time_ms expires_at;
};

static bool comes_before(const struct candidate *a, const struct candidate *b) {
  if (b->handle == 0 || a->prefix != b->prefix) {
    return b->handle == 0 || a->prefix < b->prefix;
  }
  return a->expires_at < b->expires_at;
}

/* Considers the peers of a host in one swarm. */
static void consider(const struct kad_peers *peers, uint32_t number,
                     const struct largest *largest, const struct kad_id *self,
                     struct candidate *best) {
  const struct kad_swarm *swarm = kad_swarms_at(&peers->swarms, number);
  struct candidate at = {.prefix = kad_id_prefix(&swarm->key, self)};
  struct kad_swarm_row row;
  for (uint32_t end = swarm->len; end > 0; end = row.begin) {
    kad_swarm_read(swarm, end, &row);
    if (row.entry == KAD_NO_ITEM &&
        (row.value.len == KAD_COMPACT_IP6) == (largest->host_size > 4) &&
        memcmp(row.value.data, largest->host, largest->host_size) == 0) {
      at.expires_at = row.expires_at;
      at.handle = kad_swarms_handle(&peers->swarms, number, row.serial);
      if (comes_before(&at, best)) {
        *best = at;
      }
    }
  }
}

kad_record_handle kad_peers_victim(struct kad_peers *peers,
                                   const struct kad_id *self, size_t *bytes) {
  struct largest largest;
  struct candidate best = {.handle = 0};
  find_largest(peers, &largest);
  *bytes = largest.bytes;
  for (size_t i = 0; i < largest.count; i++) {
    consider(peers, largest.swarms[i], &largest, self, &best);
  }
  return best.handle;
}
