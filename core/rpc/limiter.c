#include "rpc/limiter.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/array.h"
#include "base/token_bucket.h"
#include "rpc/datagram.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
  FIRST_SETS = 4, /* powers of two */
  SETS_MAX = 1024,
  WAYS = 4,
  BURST_S_ALL = 1,
  BURST_S_ONE = 4,
  NO_HASH = 1 /* no slot has this hash */
};

/* The subject of a bucket: the last bit of the hash of its slot. */
enum kind {
  KIND_ADDRESS,
  KIND_SUBNET,
  KINDS
};

/* The bucket of an address or a subnet. A free slot has the hash 0. */
struct limiter_slot {
  uint64_t hash;
  struct kad_token_bucket bucket;
};

/* The slots of a hash. The bits of the hash before its last choose the set. */
struct set {
  struct limiter_slot slots[WAYS];
};

struct kad_limiter {
  struct kad_allocator allocator;
  uint8_t secret[crypto_shorthash_KEYBYTES];
  bool allow_local;
  struct kad_token_rate rates[KINDS]; /* of an address, of a subnet */
  struct kad_token_rate query_rate;   /* of all queries */
  struct kad_token_rate byte_rate;
  struct kad_token_bucket queries;
  struct kad_token_bucket bytes;
  struct set *sets;
  size_t set_count;
};

/* Makes a rate with a burst of `burst_s` seconds. */
static struct kad_token_rate make_rate(uint32_t per_s, uint32_t burst_s) {
  return kad_token_rate_of(per_s, (uint64_t)per_s * burst_s);
}

int kad_limiter_new(const struct kad_limiter_config *config,
                    const struct kad_allocator *allocator,
                    const uint8_t *secret, kad_time_ms now,
                    struct kad_limiter **limiter) {
  struct kad_limiter *made = kad_alloc_zero(allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  made->sets = kad_alloc_zero(allocator, FIRST_SETS * sizeof *made->sets);
  if (made->sets == NULL) {
    kad_release(allocator, made, sizeof *made);
    return KAD_ENOMEM;
  }
  made->set_count = FIRST_SETS;
  made->allocator = *allocator;
  memcpy(made->secret, secret, sizeof made->secret);
  made->allow_local = config->allow_local;
  made->rates[KIND_ADDRESS] =
      make_rate(config->queries_per_s_address, BURST_S_ONE);
  made->rates[KIND_SUBNET] =
      make_rate(config->queries_per_s_subnet, BURST_S_ONE);
  made->query_rate = make_rate(config->queries_per_s, BURST_S_ALL);
  made->byte_rate = kad_token_rate_of(config->bytes_per_s,
                                      config->bytes_per_s > KAD_DATAGRAM_MAX
                                          ? config->bytes_per_s
                                          : KAD_DATAGRAM_MAX);
  made->queries.filled_at = now;
  made->bytes.filled_at = now;
  *limiter = made;
  return 0;
}

void kad_limiter_free(struct kad_limiter *limiter) {
  if (limiter == NULL) {
    return;
  }
  const struct kad_allocator allocator = limiter->allocator;
  sodium_memzero(limiter->secret, sizeof limiter->secret);
  KAD_ARRAY_FREE(&allocator, &limiter->sets, &limiter->set_count);
  kad_release(&allocator, limiter, sizeof *limiter);
}

size_t kad_limiter_size(const struct kad_limiter *limiter) {
  return sizeof *limiter + limiter->set_count * sizeof *limiter->sets;
}

static enum kind kind_of(const struct limiter_slot *slot) {
  return (slot->hash & 1) == KIND_ADDRESS ? KIND_ADDRESS : KIND_SUBNET;
}

static uint64_t hash_of(const struct kad_limiter *limiter, enum kind kind,
                        const struct kad_address *address) {
  uint8_t key[1 + sizeof address->ip];
  const size_t whole = kad_address_ip_size(address);
  const size_t size =
      kind == KIND_ADDRESS ? whole : kad_address_subnet_size(address);
  key[0] = address->family;
  memcpy(&key[1], address->ip, size);
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, key, 1 + size, limiter->secret);
  uint64_t hash;
  memcpy(&hash, out, sizeof hash);
  hash = (hash & ~UINT64_C(1)) | (uint64_t)kind;
  return hash > NO_HASH ? hash : hash + 2;
}

/* Doubles the table: one more bit of each hash chooses the half. Returns false,
 * with nothing changed, at the greatest size or when out of memory. */
static bool double_table(struct kad_limiter *limiter) {
  const size_t half = limiter->set_count;
  if (half == SETS_MAX ||
      KAD_ARRAY_RESERVE(&limiter->allocator, &limiter->sets,
                        &limiter->set_count, 2 * half) != 0) {
    return false;
  }
  struct set *sets = limiter->sets;
  memset(&sets[half], 0, half * sizeof *sets);
  for (size_t i = 0; i < half * WAYS; i++) {
    struct limiter_slot *slot = &sets[i / WAYS].slots[i % WAYS];
    if ((slot->hash >> 1 & half) != 0) {
      sets[half + i / WAYS].slots[i % WAYS] = *slot;
      *slot = (struct limiter_slot){0};
    }
  }
  return true;
}

static struct set *set_of(const struct kad_limiter *limiter, uint64_t hash) {
  return &limiter->sets[hash >> 1 & (limiter->set_count - 1)];
}

/* Returns the slot of `hash` or, if there is none, the slot of its set that is
 * full again first, but never that of `kept`. All are filled up to `now`.
 * `*full_after` is when the slot is full if it has another hash, else 0. */
static struct limiter_slot *pick_slot(struct kad_limiter *limiter,
                                      uint64_t hash, uint64_t kept,
                                      kad_time_ms now,
                                      kad_time_ms *full_after) {
  struct set *set = set_of(limiter, hash);
  struct limiter_slot *fullest = NULL;
  *full_after = 0;
  for (size_t i = 0; i < WAYS; i++) {
    struct limiter_slot *slot = &set->slots[i];
    const struct kad_token_rate *rate = &limiter->rates[kind_of(slot)];
    kad_token_bucket_fill(&slot->bucket, rate, now);
    if (slot->hash == hash) {
      *full_after = 0;
      return slot;
    }
    const kad_time_ms after = kad_token_bucket_full_after(&slot->bucket, rate);
    if (slot->hash != kept && (fullest == NULL || after < *full_after)) {
      fullest = slot;
      *full_after = after;
    }
  }
  assert(fullest != NULL);
  return fullest;
}

/* Returns the slot of `hash`, filled up to `now`. Makes it if need be, but does
 * not overwrite the slot of `kept`. Slots move when the table grows. */
static struct limiter_slot *find_slot(struct kad_limiter *limiter,
                                      uint64_t hash, uint64_t kept,
                                      kad_time_ms now) {
  kad_time_ms full_after = 0;
  struct limiter_slot *slot = pick_slot(limiter, hash, kept, now, &full_after);
  while (full_after > 0 && double_table(limiter)) {
    slot = pick_slot(limiter, hash, kept, now, &full_after);
  }
  if (slot->hash != hash) {
    *slot = (struct limiter_slot){.hash = hash, .bucket = {.filled_at = now}};
  }
  return slot;
}

bool kad_limiter_query(struct kad_limiter *limiter,
                       const struct kad_address *from, kad_time_ms now) {
  const struct kad_token_rate *address_rate = &limiter->rates[KIND_ADDRESS];
  const struct kad_token_rate *subnet_rate = &limiter->rates[KIND_SUBNET];
  const uint64_t own = hash_of(limiter, KIND_ADDRESS, from);
  struct limiter_slot *address = find_slot(limiter, own, NO_HASH, now);
  if (!kad_token_bucket_has(&address->bucket, address_rate, KAD_TOKEN)) {
    return false;
  }
  struct limiter_slot *subnet = NULL;
  const size_t set_count = limiter->set_count;
  if (!(limiter->allow_local && kad_address_is_local(from))) {
    const uint64_t shared = hash_of(limiter, KIND_SUBNET, from);
    subnet = find_slot(limiter, shared, own, now);
    if (!kad_token_bucket_has(&subnet->bucket, subnet_rate, KAD_TOKEN)) {
      return false;
    }
    if (limiter->set_count != set_count) { /* the slot may have moved */
      address = find_slot(limiter, own, shared, now);
    }
  }
  kad_token_bucket_fill(&limiter->queries, &limiter->query_rate, now);
  if (!kad_token_bucket_has(&limiter->queries, &limiter->query_rate,
                            KAD_TOKEN)) {
    return false;
  }
  kad_token_bucket_take(&address->bucket, address_rate, KAD_TOKEN);
  if (subnet != NULL) {
    kad_token_bucket_take(&subnet->bucket, subnet_rate, KAD_TOKEN);
  }
  kad_token_bucket_take(&limiter->queries, &limiter->query_rate, KAD_TOKEN);
  return true;
}

bool kad_limiter_reply(struct kad_limiter *limiter, size_t bytes,
                       kad_time_ms now) {
  assert(bytes <= UINT16_MAX); /* a datagram has no more */
  const uint64_t amount = (uint64_t)bytes * KAD_TOKEN;
  kad_token_bucket_fill(&limiter->bytes, &limiter->byte_rate, now);
  if (!kad_token_bucket_has(&limiter->bytes, &limiter->byte_rate, amount)) {
    return false;
  }
  kad_token_bucket_take(&limiter->bytes, &limiter->byte_rate, amount);
  return true;
}
