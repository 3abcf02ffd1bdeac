#include "rpc/limiter.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/time.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
  FIRST_SETS = 4, /* powers of two */
  SETS_MAX = 1024,
  WAYS = 4,
  BURST_S_ALL = 1,
  BURST_S_ONE = 4,
  DATAGRAM_BYTES = 1500,
  MILLI = 1000,
  NOBODY = 1, /* the hash of no slot */
};

/* How fast a bucket fills, and how much it holds. A token is a query or a byte;
 * amounts are thousandths of a token, so that `per_s` is also what flows in
 * during one millisecond, exactly. */
struct rate {
  uint64_t per_s; /* 0 is no limit */
  uint64_t cap;   /* thousandths of a token */
};

/* A bucket: what is missing from it. Zero-initialised it is full. */
struct level {
  uint64_t missing; /* thousandths of a token, at most its rate's cap */
  kad_time_ms at;   /* when that was so */
};

/* Whose bucket. The last bit of a slot's hash tells. */
enum kind {
  KIND_ADDRESS,
  KIND_SUBNET,
  KINDS
};

/* The bucket of one address or one subnet. A hash of 0 is a free slot's; none
 * is NOBODY. */
struct slot {
  uint64_t hash;
  struct level level;
};

/* The slots that a hash may be in: the last bits but one choose the set. */
struct set {
  struct slot slots[WAYS];
};

struct kad_limiter {
  struct kad_allocator allocator;
  uint8_t secret[crypto_shorthash_KEYBYTES];
  bool allow_local;
  struct rate rates[KINDS]; /* of one address, of one subnet */
  struct rate query_rate;   /* of all */
  struct rate byte_rate;
  struct level queries;
  struct level bytes;
  struct set *sets;
  size_t set_count;
};

static struct rate make_rate(uint64_t per_s, uint64_t burst_s) {
  const uint64_t most = UINT64_MAX / MILLI / BURST_S_ONE;
  const uint64_t rate = per_s < most ? per_s : most;
  return (struct rate){.per_s = rate, .cap = rate * burst_s * MILLI};
}

static void fill(struct level *level, const struct rate *rate,
                 kad_time_ms now) {
  const kad_time_ms elapsed = kad_time_since(level->at, now);
  if (rate->per_s == 0 || elapsed > rate->cap / rate->per_s) {
    level->missing = 0;
  } else {
    const uint64_t inflow = elapsed * rate->per_s;
    level->missing = level->missing > inflow ? level->missing - inflow : 0;
  }
  level->at += elapsed;
}

static bool has(const struct level *level, const struct rate *rate,
                uint64_t amount) {
  return rate->per_s == 0 || amount <= rate->cap - level->missing;
}

static void take(struct level *level, const struct rate *rate,
                 uint64_t amount) {
  level->missing += rate->per_s != 0 ? amount : 0;
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
  made->byte_rate = make_rate(config->bytes_per_s, BURST_S_ALL);
  if (made->byte_rate.cap < (uint64_t)DATAGRAM_BYTES * MILLI) {
    made->byte_rate.cap = (uint64_t)DATAGRAM_BYTES * MILLI;
  }
  made->queries.at = now;
  made->bytes.at = now;
  *limiter = made;
  return 0;
}

void kad_limiter_free(struct kad_limiter *limiter) {
  if (limiter == NULL) {
    return;
  }
  const struct kad_allocator allocator = limiter->allocator;
  sodium_memzero(limiter->secret, sizeof limiter->secret);
  kad_release(&allocator, limiter->sets,
              limiter->set_count * sizeof *limiter->sets);
  kad_release(&allocator, limiter, sizeof *limiter);
}

size_t kad_limiter_size(const struct kad_limiter *limiter) {
  return sizeof *limiter + limiter->set_count * sizeof *limiter->sets;
}

static enum kind kind_of(const struct slot *slot) {
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
  return hash > NOBODY ? hash : hash + 2;
}

/* Returns the milliseconds after which the bucket is full, and can be forgotten
 * without loss. */
static uint64_t memory_of(const struct slot *slot, const struct rate *rate) {
  return rate->per_s == 0 ? 0 : slot->level.missing / rate->per_s;
}

/* Doubles the table: one more bit of each hash tells which half it is in.
 * Returns false, with nothing changed, when it is as great as it may be or out
 * of memory. */
static bool grow(struct kad_limiter *limiter) {
  const size_t half = limiter->set_count;
  const size_t size = sizeof *limiter->sets;
  if (half == SETS_MAX) {
    return false;
  }
  struct set *sets = kad_resize(&limiter->allocator, limiter->sets, half * size,
                                2 * half * size);
  if (sets == NULL) {
    return false;
  }
  memset(&sets[half], 0, half * size);
  for (size_t i = 0; i < half * WAYS; i++) {
    struct slot *slot = &sets[i / WAYS].slots[i % WAYS];
    if ((slot->hash >> 1 & half) != 0) {
      sets[half + i / WAYS].slots[i % WAYS] = *slot;
      *slot = (struct slot){0};
    }
  }
  limiter->sets = sets;
  limiter->set_count = 2 * half;
  return true;
}

static struct set *set_of(const struct kad_limiter *limiter, uint64_t hash) {
  return &limiter->sets[hash >> 1 & (limiter->set_count - 1)];
}

/* Returns the slot of `hash`, or, of its set, that which has least to remember,
 * but never that of `taken`; both are filled up to `now`. `*memory` is what it
 * has to remember, if it is another's. */
static struct slot *pick_slot(struct kad_limiter *limiter, uint64_t hash,
                              uint64_t taken, kad_time_ms now,
                              uint64_t *memory) {
  struct set *set = set_of(limiter, hash);
  struct slot *fullest = NULL;
  *memory = 0;
  for (size_t i = 0; i < WAYS; i++) {
    struct slot *slot = &set->slots[i];
    const struct rate *rate = &limiter->rates[kind_of(slot)];
    fill(&slot->level, rate, now);
    if (slot->hash == hash) {
      *memory = 0;
      return slot;
    }
    const uint64_t least = slot->hash != 0 ? memory_of(slot, rate) : 0;
    if (slot->hash != taken && (fullest == NULL || least < *memory)) {
      fullest = slot;
      *memory = least;
    }
  }
  assert(fullest != NULL);
  return fullest;
}

/* Returns the slot of `hash`, filled up to `now`: its own, a free one, or that
 * of its set which has least to remember, but never that of `taken`, another
 * hash. Slots move when the table grows. */
static struct slot *find_slot(struct kad_limiter *limiter, uint64_t hash,
                              uint64_t taken, kad_time_ms now) {
  uint64_t memory = 0;
  struct slot *slot = pick_slot(limiter, hash, taken, now, &memory);
  while (memory > 0 && grow(limiter)) {
    slot = pick_slot(limiter, hash, taken, now, &memory);
  }
  if (slot->hash != hash) {
    *slot = (struct slot){.hash = hash, .level = {.at = now}};
  }
  return slot;
}

bool kad_limiter_query(struct kad_limiter *limiter,
                       const struct kad_address *from, kad_time_ms now) {
  const struct rate *address_rate = &limiter->rates[KIND_ADDRESS];
  const struct rate *subnet_rate = &limiter->rates[KIND_SUBNET];
  const uint64_t own = hash_of(limiter, KIND_ADDRESS, from);
  struct slot *address = find_slot(limiter, own, NOBODY, now);
  if (!has(&address->level, address_rate, MILLI)) {
    return false;
  }
  struct slot *subnet = NULL;
  const size_t set_count = limiter->set_count;
  if (!(limiter->allow_local && kad_address_is_local(from))) {
    const uint64_t shared = hash_of(limiter, KIND_SUBNET, from);
    subnet = find_slot(limiter, shared, own, now);
    if (!has(&subnet->level, subnet_rate, MILLI)) {
      return false;
    }
    if (limiter->set_count != set_count) { /* it may have moved */
      address = find_slot(limiter, own, shared, now);
    }
  }
  fill(&limiter->queries, &limiter->query_rate, now);
  if (!has(&limiter->queries, &limiter->query_rate, MILLI)) {
    return false;
  }
  take(&address->level, address_rate, MILLI);
  if (subnet != NULL) {
    take(&subnet->level, subnet_rate, MILLI);
  }
  take(&limiter->queries, &limiter->query_rate, MILLI);
  return true;
}

bool kad_limiter_reply(struct kad_limiter *limiter, size_t bytes,
                       kad_time_ms now) {
  assert(bytes <= UINT16_MAX); /* a datagram has no more */
  const uint64_t amount = (uint64_t)bytes * MILLI;
  fill(&limiter->bytes, &limiter->byte_rate, now);
  if (!has(&limiter->bytes, &limiter->byte_rate, amount)) {
    return false;
  }
  take(&limiter->bytes, &limiter->byte_rate, amount);
  return true;
}
