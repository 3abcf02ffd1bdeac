#include "records/peers/hosts.h"

#include "base/allocator.h"
#include "base/array.h"

#include <assert.h>
#include <string.h>

enum {
  SWARM_SIZE = 4,
  CELL_MAX = KAD_HOST_SIZE_MAX + SWARM_SIZE,
  CELLS_MIN = 8 /* room of a bucket that is not empty */
};

static size_t cell_size(const struct kad_hosts *hosts) {
  return hosts->host_size + SWARM_SIZE;
}

static bool has_more(void *state, uint32_t a, uint32_t b) {
  const struct kad_hosts *hosts = state;
  return hosts->buckets[a].most > hosts->buckets[b].most;
}

static uint32_t *place_of(void *state, uint32_t number) {
  const struct kad_hosts *hosts = state;
  return &hosts->buckets[number].place;
}

void kad_hosts_init(struct kad_hosts *hosts, size_t host_size,
                    const uint8_t *secret) {
  assert(host_size <= KAD_HOST_SIZE_MAX);
  *hosts = (struct kad_hosts){
      .secret = secret,
      .host_size = host_size,
      .by_most = {.state = hosts, .before = has_more, .place = place_of},
  };
}

void kad_hosts_clear(struct kad_hosts *hosts,
                     const struct kad_allocator *allocator) {
  for (size_t i = 0; i < hosts->bucket_count; i++) {
    struct kad_host_bucket *bucket = &hosts->buckets[i];
    kad_release(allocator, bucket->cells, bucket->cap * cell_size(hosts));
  }
  KAD_ARRAY_FREE(allocator, &hosts->buckets, &hosts->bucket_cap);
  kad_item_heap_deinit(&hosts->by_most, allocator);
  kad_hosts_init(hosts, hosts->host_size, hosts->secret);
}

size_t kad_hosts_bytes(const struct kad_hosts *hosts) {
  const size_t cell = cell_size(hosts);
  /* A cell, the room that is kept for more, its part of a bucket. */
  return hosts->count * (cell + cell / 4 + 1);
}

/* --------------------------------------------------------------- buckets -- */

/* Returns the bits of the number of the last of `count` buckets, all set. */
static size_t mask_of(size_t count) {
  size_t size = 1;
  while (size < count) {
    size *= 2;
  }
  return size - 1;
}

/* Returns the bucket of a host. One whose bucket does not exist yet is in the
 * one that will be split to make it. Source: Litwin, "Linear Hashing". */
static struct kad_host_bucket *bucket_of(const struct kad_hosts *hosts,
                                         const uint8_t *host) {
  const uint64_t hash =
      kad_item_map_hash(hosts->secret, host, hosts->host_size);
  const size_t mask = mask_of(hosts->bucket_count);
  const size_t number = hash & mask;
  return &hosts->buckets[number < hosts->bucket_count ? number
                                                      : hash & (mask / 2)];
}

/* Returns the room that `count` cells should have. */
static size_t room_for(size_t count) {
  return count + count / 16 + 3;
}

static int resize(const struct kad_hosts *hosts,
                  const struct kad_allocator *allocator,
                  struct kad_host_bucket *bucket, size_t cap) {
  const size_t cell = cell_size(hosts);
  uint8_t *cells =
      kad_resize(allocator, bucket->cells, bucket->cap * cell, cap * cell);
  if (cells == NULL) {
    return KAD_ENOMEM;
  }
  bucket->cells = cells;
  bucket->cap = (uint32_t)cap;
  return 0;
}

static void shrink(const struct kad_hosts *hosts,
                   const struct kad_allocator *allocator,
                   struct kad_host_bucket *bucket) {
  const size_t count = bucket->count;
  if (count == 0) {
    kad_release(allocator, bucket->cells, bucket->cap * cell_size(hosts));
    bucket->cells = NULL;
    bucket->cap = 0;
  } else if (bucket->cap > count + count / 8 + CELLS_MIN) {
    (void)resize(hosts, allocator, bucket, room_for(count)); /* else as it is */
  }
}

static uint8_t *cell_at(const struct kad_hosts *hosts,
                        const struct kad_host_bucket *bucket, size_t i) {
  return bucket->cells + i * cell_size(hosts);
}

/* Returns how many cells are before the first that is not less than `len` bytes
 * of `cell`. */
static size_t lower_bound(const struct kad_hosts *hosts,
                          const struct kad_host_bucket *bucket,
                          const uint8_t *cell, size_t len) {
  size_t low = 0;
  size_t high = bucket->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (memcmp(cell_at(hosts, bucket, middle), cell, len) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Returns how many cells from `first` on have its host. */
static size_t run_length(const struct kad_hosts *hosts,
                         const struct kad_host_bucket *bucket, size_t first) {
  const uint8_t *host = cell_at(hosts, bucket, first);
  size_t last = first;
  while (last < bucket->count &&
         memcmp(cell_at(hosts, bucket, last), host, hosts->host_size) == 0) {
    last++;
  }
  return last - first;
}

/* Makes `most` of a bucket exact, and returns the first cell of that host. */
static size_t find_most(const struct kad_hosts *hosts,
                        struct kad_host_bucket *bucket) {
  size_t first = 0;
  bucket->most = 0;
  size_t length = 0;
  for (size_t i = 0; i < bucket->count; i += length) {
    length = run_length(hosts, bucket, i);
    if (length > bucket->most) {
      bucket->most = (uint32_t)length;
      first = i;
    }
  }
  return first;
}

/* Moves the cells of `from` that belong to the last bucket, which is empty and
 * has room for all. Both stay sorted. */
static void split(const struct kad_hosts *hosts, struct kad_host_bucket *from) {
  const size_t cell = cell_size(hosts);
  const size_t count = from->count;
  from->count = 0;
  for (size_t i = 0; i < count; i++) {
    const uint8_t *moved = cell_at(hosts, from, i);
    struct kad_host_bucket *bucket = bucket_of(hosts, moved);
    memmove(cell_at(hosts, bucket, bucket->count), moved, cell);
    bucket->count++;
  }
}

/* Adds a bucket. Without memory there are fewer and larger ones, which is no
 * error once there is one. */
static int add_bucket(struct kad_hosts *hosts,
                      const struct kad_allocator *allocator) {
  struct kad_host_bucket added = {.cells = NULL};
  if ((hosts->bucket_count == hosts->bucket_cap &&
       KAD_ARRAY_RESERVE(allocator, &hosts->buckets, &hosts->bucket_cap,
                         kad_item_grown_cap(hosts->bucket_cap)) != 0) ||
      kad_item_heap_reserve(&hosts->by_most, allocator) != 0) {
    return KAD_ENOMEM;
  }
  assert(hosts->buckets != NULL);
  const size_t mask = mask_of(hosts->bucket_count + 1);
  const size_t number = hosts->bucket_count;
  struct kad_host_bucket *from =
      number == 0 ? NULL : &hosts->buckets[number & (mask / 2)];
  if (from != NULL && from->count > 0 &&
      resize(hosts, allocator, &added, from->count) != 0) {
    return KAD_ENOMEM;
  }
  hosts->buckets[number] = added;
  hosts->bucket_count++;
  if (from != NULL) {
    hosts->buckets[number].most = from->most;
    split(hosts, from);
    shrink(hosts, allocator, from);
    shrink(hosts, allocator, &hosts->buckets[number]);
  }
  kad_item_heap_add(&hosts->by_most, (uint32_t)number);
  return 0;
}

/* ----------------------------------------------------------------- cells -- */

/* Writes the cell of a host and a swarm. */
static void make_cell(const struct kad_hosts *hosts, const uint8_t *host,
                      uint32_t swarm, uint8_t *cell) {
  memcpy(cell, host, hosts->host_size);
  for (size_t i = 0; i < SWARM_SIZE; i++) {
    cell[hosts->host_size + i] = (uint8_t)(swarm >> (24 - 8 * i));
  }
}

static uint32_t swarm_of(const struct kad_hosts *hosts, const uint8_t *cell) {
  const uint8_t *at = cell + hosts->host_size;
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
         at[3];
}

/* Returns the cells of a host in its bucket. */
static size_t count_in(const struct kad_hosts *hosts,
                       const struct kad_host_bucket *bucket,
                       const uint8_t *host) {
  uint8_t last[CELL_MAX];
  make_cell(hosts, host, UINT32_MAX, last);
  return lower_bound(hosts, bucket, last, cell_size(hosts)) -
         lower_bound(hosts, bucket, host, hosts->host_size);
}

int kad_hosts_reserve(struct kad_hosts *hosts,
                      const struct kad_allocator *allocator,
                      const uint8_t *host) {
  if (hosts->count >= hosts->bucket_count * KAD_HOSTS_PER_BUCKET &&
      add_bucket(hosts, allocator) != 0 && hosts->bucket_count == 0) {
    return KAD_ENOMEM;
  }
  struct kad_host_bucket *bucket = bucket_of(hosts, host);
  return bucket->count < bucket->cap
             ? 0
             : resize(hosts, allocator, bucket, room_for(bucket->count));
}

void kad_hosts_add(struct kad_hosts *hosts, const uint8_t *host,
                   uint32_t swarm) {
  uint8_t cell[CELL_MAX];
  const size_t size = cell_size(hosts);
  struct kad_host_bucket *bucket = bucket_of(hosts, host);
  assert(bucket->count < bucket->cap);
  make_cell(hosts, host, swarm, cell);
  const size_t place = lower_bound(hosts, bucket, cell, size);
  uint8_t *at = cell_at(hosts, bucket, place);
  memmove(at + size, at, (bucket->count - place) * size);
  memcpy(at, cell, size);
  bucket->count++;
  hosts->count++;
  const size_t own = count_in(hosts, bucket, host);
  if (own > bucket->most) {
    bucket->most = (uint32_t)own;
    kad_item_heap_move(&hosts->by_most, (uint32_t)(bucket - hosts->buckets));
  }
}

void kad_hosts_remove(struct kad_hosts *hosts,
                      const struct kad_allocator *allocator,
                      const uint8_t *host, uint32_t swarm) {
  uint8_t cell[CELL_MAX];
  const size_t size = cell_size(hosts);
  struct kad_host_bucket *bucket = bucket_of(hosts, host);
  make_cell(hosts, host, swarm, cell);
  const size_t place = lower_bound(hosts, bucket, cell, size);
  uint8_t *at = cell_at(hosts, bucket, place);
  assert(place < bucket->count && memcmp(at, cell, size) == 0);
  memmove(at, at + size, (bucket->count - place - 1) * size);
  bucket->count--;
  hosts->count--;
  shrink(hosts, allocator, bucket);
}

size_t kad_hosts_count(const struct kad_hosts *hosts, const uint8_t *host) {
  return hosts->count == 0 ? 0 : count_in(hosts, bucket_of(hosts, host), host);
}

size_t kad_hosts_largest(struct kad_hosts *hosts, uint8_t *host,
                         uint32_t *swarms, size_t cap, size_t *count) {
  *count = 0;
  if (hosts->count == 0) {
    return 0;
  }
  struct kad_host_bucket *bucket = NULL;
  size_t first = 0;
  uint32_t most = 0;
  do { /* `most` of a bucket is exact only after this */
    bucket = &hosts->buckets[kad_item_heap_first(&hosts->by_most)];
    most = bucket->most;
    first = find_most(hosts, bucket);
    kad_item_heap_move(&hosts->by_most, (uint32_t)(bucket - hosts->buckets));
  } while (bucket->most < most);
  memcpy(host, cell_at(hosts, bucket, first), hosts->host_size);
  *count = bucket->most < cap ? bucket->most : cap;
  for (size_t i = 0; i < *count; i++) {
    const size_t spread = i * bucket->most / *count;
    swarms[i] = swarm_of(hosts, cell_at(hosts, bucket, first + spread));
  }
  return bucket->most;
}
