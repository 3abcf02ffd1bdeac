#include "base/address_filter.h"

#include "base/address.h"
#include "base/time.h"

#include <string.h>

enum {
  BITS = 64 * KAD_ADDRESS_FILTER_WORDS,
  PROBES = 3,     /* bits of a host */
  PROBE_BITS = 16 /* of its hash, for each */
};

/* Mixes the bits of a word: the finaliser of SplitMix64. */
static uint64_t mix(uint64_t word) {
  word = (word ^ word >> 30U) * 0xbf58476d1ce4e5b9U;
  word = (word ^ word >> 27U) * 0x94d049bb133111ebU;
  return word ^ word >> 31U;
}

static uint64_t hash_host(const struct kad_address_filter *filter,
                          const struct kad_address *address) {
  uint64_t words[2] = {0};
  memcpy(words, address->ip, kad_address_host_size(address));
  return mix(mix(words[0] ^ filter->seed) ^ words[1] ^ address->family);
}

/* Returns the bit of probe `i` of a host. */
static size_t bit_of(uint64_t hash, unsigned i) {
  return hash >> (PROBE_BITS * i) & (BITS - 1);
}

static bool has_all(const uint64_t *words, uint64_t hash) {
  for (unsigned i = 0; i < PROBES; i++) {
    const size_t bit = bit_of(hash, i);
    if ((words[bit / 64] >> bit % 64 & 1U) == 0) {
      return false;
    }
  }
  return true;
}

/* Begins a generation if the current one is over. */
static void turn(struct kad_address_filter *filter, kad_time_ms now) {
  if (now < filter->turns_at) {
    return;
  }
  if (kad_time_since(filter->turns_at, now) < filter->life_ms) {
    memcpy(filter->last, filter->current, sizeof filter->last);
  } else {
    memset(filter->last, 0, sizeof filter->last);
  }
  memset(filter->current, 0, sizeof filter->current);
  filter->turns_at = kad_time_add(now, filter->life_ms);
}

void kad_address_filter_add(struct kad_address_filter *filter,
                            const struct kad_address *address,
                            kad_time_ms now) {
  const uint64_t hash = hash_host(filter, address);
  turn(filter, now);
  for (unsigned i = 0; i < PROBES; i++) {
    const size_t bit = bit_of(hash, i);
    filter->current[bit / 64] |= 1ULL << bit % 64;
  }
}

bool kad_address_filter_has(const struct kad_address_filter *filter,
                            const struct kad_address *address,
                            kad_time_ms now) {
  const uint64_t hash = hash_host(filter, address);
  if (now < filter->turns_at) {
    return has_all(filter->current, hash) || has_all(filter->last, hash);
  }
  /* It turns when the next host is added. */
  return kad_time_since(filter->turns_at, now) < filter->life_ms &&
         has_all(filter->current, hash);
}
