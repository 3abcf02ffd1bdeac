#include "rpc/limiter.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/array.h"
#include "base/token_bucket.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
  FIRST_SETS = 4, /* powers of two */
  SETS_MAX = 1024,
  WAYS = 4,
  BURST_S_ALL = 1,
  BURST_S_ONE = 4,
  FAULTS_PER_S = 10, /* and as many in a burst */
  SHARE_BURST = 16,  /* queries */
  SHARE_MS = 100,    /* between two changes of the fair share */
  BURST_PARTS = 10,  /* of a second's signatures, in one burst */
  NO_HASH = 1        /* no slot has this hash */
};

/* What a bucket limits. */
enum resource {
  RESOURCE_QUERIES,
  RESOURCE_SIGNATURES,
  RESOURCES,
  RESOURCE_FAULTS = RESOURCES /* bad signatures, of an address only; and the
                                 fair share of queries, in place of a subnet */
};

/* The senders that share a bucket. */
enum subject {
  SUBJECT_ADDRESS,
  SUBJECT_SUBNET,
  SUBJECTS
};

/* The resource and the subject of a bucket: the last bits of the hash of its
 * slot. */
enum {
  KIND_BITS = 3,
  KINDS = 1 << KIND_BITS,
  KIND_SHARE = RESOURCE_FAULTS * SUBJECTS + SUBJECT_SUBNET
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
  struct kad_token_rate rates[KINDS];
  struct kad_token_rate all_rates[RESOURCES];
  struct kad_token_bucket all[RESOURCES];
  uint64_t most_share;   /* queries a second */
  kad_time_ms shared_at; /* the fair share was changed last */
  struct kad_token_rate byte_rate;
  struct kad_token_bucket bytes;
  struct set *sets;
  size_t set_count;
};

/* Makes a rate with a burst of `burst_s` seconds. */
static struct kad_token_rate make_rate(uint32_t per_s, uint32_t burst_s) {
  return kad_token_rate_of(per_s, (uint64_t)per_s * burst_s);
}

/* Makes a rate of signatures: verifying a burst of them must not delay others
 * by much, and a message with as many as it can have must pass. */
static struct kad_token_rate make_signature_rate(uint32_t per_s) {
  const uint32_t burst = per_s / BURST_PARTS;
  return kad_token_rate_of(
      per_s, burst > KAD_RECORDS_PER_MESSAGE ? burst : KAD_RECORDS_PER_MESSAGE);
}

static unsigned kind_of(enum resource resource, enum subject subject) {
  return (unsigned)resource * SUBJECTS + (unsigned)subject;
}

static void set_rates(struct kad_limiter *limiter,
                      const struct kad_limiter_config *config) {
  struct kad_token_rate *rates = limiter->rates;
  rates[kind_of(RESOURCE_QUERIES, SUBJECT_ADDRESS)] =
      make_rate(config->queries_per_s_address, BURST_S_ONE);
  rates[kind_of(RESOURCE_QUERIES, SUBJECT_SUBNET)] =
      make_rate(config->queries_per_s_subnet, BURST_S_ONE);
  rates[kind_of(RESOURCE_SIGNATURES, SUBJECT_ADDRESS)] =
      make_signature_rate(config->signatures_per_s_address);
  rates[kind_of(RESOURCE_SIGNATURES, SUBJECT_SUBNET)] =
      make_signature_rate(config->signatures_per_s_subnet);
  rates[kind_of(RESOURCE_FAULTS, SUBJECT_ADDRESS)] =
      kad_token_rate_of(FAULTS_PER_S, FAULTS_PER_S);
  rates[KIND_SHARE] =
      kad_token_rate_of(config->queries_per_s_subnet, SHARE_BURST);
  limiter->most_share = config->queries_per_s_subnet;
  limiter->all_rates[RESOURCE_QUERIES] =
      make_rate(config->queries_per_s, BURST_S_ALL);
  limiter->all_rates[RESOURCE_SIGNATURES] =
      make_signature_rate(config->signatures_per_s);
  limiter->byte_rate = kad_token_rate_of(config->bytes_per_s,
                                         config->bytes_per_s > config->max_reply
                                             ? config->bytes_per_s
                                             : config->max_reply);
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
  set_rates(made, config);
  for (size_t i = 0; i < RESOURCES; i++) {
    made->all[i].filled_at = now;
  }
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

/* Returns the hash of a kind of bucket, of the address or of its subnet. */
static uint64_t hash_in(const struct kad_limiter *limiter, unsigned kind,
                        bool is_whole, const struct kad_address *address) {
  uint8_t key[1 + sizeof address->ip];
  const size_t size = is_whole ? kad_address_ip_size(address)
                               : kad_address_subnet_size(address);
  key[0] = address->family;
  memcpy(&key[1], address->ip, size);
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, key, 1 + size, limiter->secret);
  uint64_t hash;
  memcpy(&hash, out, sizeof hash);
  hash = hash << KIND_BITS | kind;
  return hash >= KINDS ? hash : hash + KINDS;
}

static uint64_t hash_of(const struct kad_limiter *limiter,
                        enum resource resource, enum subject subject,
                        const struct kad_address *address) {
  return hash_in(limiter, kind_of(resource, subject),
                 subject == SUBJECT_ADDRESS, address);
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
    if ((slot->hash >> KIND_BITS & half) != 0) {
      sets[half + i / WAYS].slots[i % WAYS] = *slot;
      *slot = (struct limiter_slot){0};
    }
  }
  return true;
}

static struct set *set_of(const struct kad_limiter *limiter, uint64_t hash) {
  return &limiter->sets[hash >> KIND_BITS & (limiter->set_count - 1)];
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
    const struct kad_token_rate *rate = &limiter->rates[slot->hash % KINDS];
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

/* Takes `amount` of a resource for `from`, from all buckets that limit it, or
 * from none. Returns false if one has too little. */
static bool take(struct kad_limiter *limiter, enum resource resource,
                 const struct kad_address *from, uint64_t amount,
                 kad_time_ms now) {
  const struct kad_token_rate *rates = &limiter->rates[kind_of(resource, 0)];
  const struct kad_token_rate *all_rate = &limiter->all_rates[resource];
  const uint64_t own = hash_of(limiter, resource, SUBJECT_ADDRESS, from);
  struct limiter_slot *address = find_slot(limiter, own, NO_HASH, now);
  if (!kad_token_bucket_has(&address->bucket, &rates[SUBJECT_ADDRESS],
                            amount)) {
    return false;
  }
  struct limiter_slot *subnet = NULL;
  const size_t set_count = limiter->set_count;
  if (!(limiter->allow_local && kad_address_is_local(from))) {
    const uint64_t shared = hash_of(limiter, resource, SUBJECT_SUBNET, from);
    subnet = find_slot(limiter, shared, own, now);
    if (!kad_token_bucket_has(&subnet->bucket, &rates[SUBJECT_SUBNET],
                              amount)) {
      return false;
    }
    if (limiter->set_count != set_count) { /* the slot may have moved */
      address = find_slot(limiter, own, shared, now);
    }
  }
  struct kad_token_bucket *all = &limiter->all[resource];
  kad_token_bucket_fill(all, all_rate, now);
  if (!kad_token_bucket_has(all, all_rate, amount)) {
    return false;
  }
  kad_token_bucket_take(&address->bucket, &rates[SUBJECT_ADDRESS], amount);
  if (subnet != NULL) {
    kad_token_bucket_take(&subnet->bucket, &rates[SUBJECT_SUBNET], amount);
  }
  kad_token_bucket_take(all, all_rate, amount);
  return true;
}

/* Changes the fair share: what one subnet may send while the queries of all are
 * scarce. It is halved while almost nothing is left for all, and grows when a
 * quarter is left. */
static void adapt_share(struct kad_limiter *limiter, kad_time_ms now) {
  struct kad_token_rate *share = &limiter->rates[KIND_SHARE];
  const uint64_t cap = limiter->all_rates[RESOURCE_QUERIES].cap;
  const uint64_t left = cap - limiter->all[RESOURCE_QUERIES].missing;
  if (share->per_s == 0 || kad_time_since(limiter->shared_at, now) < SHARE_MS) {
    return;
  }
  limiter->shared_at = now;
  if (left < cap / 8 && share->per_s > 1) {
    share->per_s /= 2;
  } else if (left > cap / 4 && share->per_s < limiter->most_share) {
    const uint64_t more = share->per_s + share->per_s / 8 + 1;
    share->per_s = more < limiter->most_share ? more : limiter->most_share;
  }
}

/* Returns true if the queries of all suffice, or `from` has had less than its
 * fair share. Otherwise many subnets, each within its limits, would leave none
 * for those that send little. */
static bool has_share(struct kad_limiter *limiter,
                      const struct kad_address *from, kad_time_ms now) {
  const struct kad_token_rate *rate = &limiter->all_rates[RESOURCE_QUERIES];
  struct kad_token_bucket *all = &limiter->all[RESOURCE_QUERIES];
  kad_token_bucket_fill(all, rate, now);
  adapt_share(limiter, now);
  if (limiter->rates[KIND_SHARE].per_s == limiter->most_share ||
      rate->cap - all->missing > rate->cap / 4) {
    return true;
  }
  const bool alone = limiter->allow_local && kad_address_is_local(from);
  const uint64_t hash = hash_in(limiter, KIND_SHARE, alone, from);
  struct limiter_slot *slot = find_slot(limiter, hash, NO_HASH, now);
  if (!kad_token_bucket_has(&slot->bucket, &limiter->rates[KIND_SHARE],
                            KAD_TOKEN)) {
    return false;
  }
  kad_token_bucket_take(&slot->bucket, &limiter->rates[KIND_SHARE], KAD_TOKEN);
  return true;
}

bool kad_limiter_query(struct kad_limiter *limiter,
                       const struct kad_address *from, kad_time_ms now) {
  return has_share(limiter, from, now) &&
         take(limiter, RESOURCE_QUERIES, from, KAD_TOKEN, now);
}

static const struct kad_token_rate *fault_rate(
    const struct kad_limiter *limiter) {
  return &limiter->rates[kind_of(RESOURCE_FAULTS, SUBJECT_ADDRESS)];
}

static struct kad_token_bucket *find_faults(struct kad_limiter *limiter,
                                            const struct kad_address *from,
                                            kad_time_ms now) {
  const uint64_t own = hash_of(limiter, RESOURCE_FAULTS, SUBJECT_ADDRESS, from);
  return &find_slot(limiter, own, NO_HASH, now)->bucket;
}

bool kad_limiter_signatures(struct kad_limiter *limiter,
                            const struct kad_address *from, uint32_t count,
                            kad_time_ms now) {
  assert(count <= KAD_RECORDS_PER_MESSAGE);
  return kad_token_bucket_has(find_faults(limiter, from, now),
                              fault_rate(limiter), KAD_TOKEN) &&
         take(limiter, RESOURCE_SIGNATURES, from, count * KAD_TOKEN, now);
}

void kad_limiter_punish(struct kad_limiter *limiter,
                        const struct kad_address *from, kad_time_ms now) {
  struct kad_token_bucket *faults = find_faults(limiter, from, now);
  if (kad_token_bucket_has(faults, fault_rate(limiter), KAD_TOKEN)) {
    kad_token_bucket_take(faults, fault_rate(limiter), KAD_TOKEN);
  }
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
