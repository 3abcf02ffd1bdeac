#include "base/address_set.h"

#include "base/allocator.h"

#include <assert.h>
#include <string.h>

enum {
  IP_MAX = 16 /* bytes */
};

/* Returns the bytes of an ip of the family at `index`. */
static size_t ip_size_at(size_t index) {
  return index == 0 ? 4 : IP_MAX;
}

static bool is_valid(const struct kad_address_range *range) {
  const struct kad_address *first = &range->first;
  return (first->family == 4 || first->family == 6) &&
         first->family == range->last.family &&
         memcmp(first->ip, range->last.ip, kad_address_ip_size(first)) <= 0;
}

/* Moves the range at `from` down the heap of `count` ranges of `size` bytes,
 * until none below it is greater. Ranges compare as bytes: by their first ip,
 * then by their last. */
static void sift_down(uint8_t *ranges, size_t size, size_t from, size_t count) {
  uint8_t moved[2 * IP_MAX];
  memcpy(moved, &ranges[from * size], size);
  for (size_t child = 2 * from + 1; child < count; child = 2 * from + 1) {
    if (child + 1 < count &&
        memcmp(&ranges[child * size], &ranges[(child + 1) * size], size) < 0) {
      child++;
    }
    if (memcmp(moved, &ranges[child * size], size) >= 0) {
      break;
    }
    memcpy(&ranges[from * size], &ranges[child * size], size);
    from = child;
  }
  memcpy(&ranges[from * size], moved, size);
}

/* Sorts by heapsort, which needs no memory and has no bad input: qsort may
 * allocate behind the back of the allocator. */
static void sort(uint8_t *ranges, size_t size, size_t count) {
  uint8_t last[2 * IP_MAX];
  for (size_t i = count / 2; i > 0; i--) {
    sift_down(ranges, size, i - 1, count);
  }
  for (size_t i = count; i > 1; i--) {
    uint8_t *end = &ranges[(i - 1) * size];
    memcpy(last, end, size);
    memcpy(end, ranges, size);
    memcpy(ranges, last, size);
    sift_down(ranges, size, 0, i - 1);
  }
}

/* Returns true if a range that begins at `first` overlaps the one that ends at
 * `last`, or begins right behind it. */
static bool continues(const uint8_t *last, const uint8_t *first, size_t size) {
  uint8_t next[IP_MAX];
  memcpy(next, last, size);
  for (size_t i = size; i > 0 && ++next[i - 1] == 0; i--) {
    if (i == 1) { /* no address is behind the greatest one */
      return true;
    }
  }
  return memcmp(first, next, size) <= 0;
}

/* Merges sorted ranges that overlap or touch. */
static void merge(struct kad_address_ranges *ranges, size_t ip_size) {
  const size_t size = 2 * ip_size;
  size_t kept = 0;
  for (size_t i = 1; i < ranges->count; i++) {
    const uint8_t *range = &ranges->bytes[i * size];
    uint8_t *last = &ranges->bytes[kept * size + ip_size];
    if (!continues(last, range, ip_size)) {
      kept++;
      memmove(&ranges->bytes[kept * size], range, size);
    } else if (memcmp(range + ip_size, last, ip_size) > 0) {
      memcpy(last, range + ip_size, ip_size);
    }
  }
  ranges->count = ranges->count > 0 ? kept + 1 : 0;
}

/* Returns memory that merging has left over, if the allocator can. */
static void shrink(struct kad_address_ranges *ranges, size_t ip_size,
                   const struct kad_allocator *allocator) {
  const size_t used = ranges->count * 2 * ip_size;
  uint8_t *bytes = used < ranges->cap
                       ? kad_resize(allocator, ranges->bytes, ranges->cap, used)
                       : NULL;
  if (bytes != NULL) {
    ranges->bytes = bytes;
    ranges->cap = used;
  }
}

/* Copies the ranges of the family at `index`, sorts and merges them. Returns 0
 * or KAD_ENOMEM. */
static int fill(struct kad_address_ranges *made, size_t index,
                const struct kad_address_range *ranges, size_t count,
                const struct kad_allocator *allocator) {
  const size_t ip_size = ip_size_at(index);
  if (made->count == 0) {
    return 0;
  }
  made->cap = made->count * 2 * ip_size;
  made->bytes = kad_alloc(allocator, made->cap);
  if (made->bytes == NULL) {
    return KAD_ENOMEM;
  }
  uint8_t *out = made->bytes;
  for (size_t i = 0; i < count; i++) {
    if (kad_family_index(ranges[i].first.family) == index) {
      memcpy(out, ranges[i].first.ip, ip_size);
      memcpy(out + ip_size, ranges[i].last.ip, ip_size);
      out += 2 * ip_size;
    }
  }
  assert(out == made->bytes + made->cap);
  sort(made->bytes, 2 * ip_size, made->count);
  merge(made, ip_size);
  shrink(made, ip_size, allocator);
  return 0;
}

int kad_address_set_make(const struct kad_address_range *ranges, size_t count,
                         const struct kad_allocator *allocator,
                         struct kad_address_set *set) {
  struct kad_address_set made = {0};
  if (count > KAD_RANGES_MAX) {
    return KAD_EINVAL;
  }
  for (size_t i = 0; i < count; i++) {
    if (!is_valid(&ranges[i])) {
      return KAD_EINVAL;
    }
    made.families[kad_family_index(ranges[i].first.family)].count++;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const int error = fill(&made.families[i], i, ranges, count, allocator);
    if (error != 0) {
      kad_address_set_deinit(&made, allocator);
      return error;
    }
  }
  *set = made;
  return 0;
}

void kad_address_set_deinit(struct kad_address_set *set,
                            const struct kad_allocator *allocator) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_release(allocator, set->families[i].bytes, set->families[i].cap);
  }
  *set = (struct kad_address_set){0};
}

bool kad_address_set_has(const struct kad_address_set *set,
                         const struct kad_address *address) {
  const size_t index = kad_family_index(address->family);
  const struct kad_address_ranges *ranges = &set->families[index];
  const size_t ip_size = ip_size_at(index);
  size_t from = 0;
  size_t to = ranges->count;
  if (to == 0 || (address->family != 4 && address->family != 6)) {
    return false;
  }
  while (from < to) { /* finds the first range that does not end before it */
    const size_t middle = from + (to - from) / 2;
    const uint8_t *last = &ranges->bytes[middle * 2 * ip_size + ip_size];
    if (memcmp(last, address->ip, ip_size) < 0) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from < ranges->count &&
         memcmp(&ranges->bytes[from * 2 * ip_size], address->ip, ip_size) <= 0;
}
