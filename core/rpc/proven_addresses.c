#include "rpc/proven_addresses.h"

#include "base/address.h"
#include "base/array.h"
#include "base/map.h"
#include "base/time.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert((size_t)KAD_MAP_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");

enum {
  FIRST_SETS = 4, /* a power of two */
  WAYS = 4,
  SETS_MAX = KAD_PROVEN_MAX / WAYS
};

/* A proof. Its address is known by half of its hash: a stranger who does not
 * know the secret takes 2^32 / 4 tries to meet a proof of another address. */
struct proof {
  uint32_t hash;
  uint32_t second; /* of the clock, from 1; 0: free */
};

/* The proofs whose hashes have the same last bits. */
struct kad_proven_set {
  struct proof proofs[WAYS];
};

void kad_proven_addresses_init(struct kad_proven_addresses *proven,
                               const struct kad_allocator *allocator,
                               const uint8_t *secret) {
  *proven =
      (struct kad_proven_addresses){.allocator = *allocator, .secret = secret};
}

void kad_proven_addresses_deinit(struct kad_proven_addresses *proven) {
  KAD_ARRAY_FREE(&proven->allocator, &proven->sets, &proven->set_count);
}

static uint32_t hash_of(const struct kad_proven_addresses *proven,
                        const struct kad_address *address) {
  uint8_t key[1 + sizeof address->ip];
  const size_t size = kad_address_ip_size(address);
  uint8_t out[crypto_shorthash_BYTES];
  uint32_t hash;
  key[0] = address->family;
  memcpy(&key[1], address->ip, size);
  (void)crypto_shorthash(out, key, 1 + size, proven->secret);
  memcpy(&hash, out, sizeof hash);
  return hash;
}

static uint32_t second_of(kad_time_ms now) {
  return (uint32_t)(now / KAD_MS_PER_S) + 1;
}

/* Returns true if the proof counts at `second`. */
static bool counts(const struct proof *proof, uint32_t second) {
  return proof->second != 0 && second - proof->second < KAD_PROVEN_S;
}

/* Returns the proof of `hash`; if there is none, the oldest of its set. */
static struct proof *pick_proof(const struct kad_proven_addresses *proven,
                                uint32_t hash) {
  struct kad_proven_set *set = &proven->sets[hash & (proven->set_count - 1)];
  struct proof *oldest = &set->proofs[0];
  for (size_t i = 0; i < WAYS; i++) {
    struct proof *proof = &set->proofs[i];
    if (proof->second != 0 && proof->hash == hash) {
      return proof;
    }
    if (proof->second < oldest->second) {
      oldest = proof;
    }
  }
  return oldest;
}

/* Doubles the table: one more bit of each hash chooses the half. Returns false,
 * with nothing changed, at the greatest size or when out of memory. */
static bool double_table(struct kad_proven_addresses *proven) {
  const size_t half = proven->set_count;
  if (half == SETS_MAX ||
      KAD_ARRAY_RESERVE(&proven->allocator, &proven->sets, &proven->set_count,
                        2 * half) != 0) {
    return false;
  }
  struct kad_proven_set *sets = proven->sets;
  memset(&sets[half], 0, half * sizeof *sets);
  for (size_t i = 0; i < half * WAYS; i++) {
    struct proof *proof = &sets[i / WAYS].proofs[i % WAYS];
    if ((proof->hash & half) != 0) {
      sets[half + i / WAYS].proofs[i % WAYS] = *proof;
      *proof = (struct proof){0};
    }
  }
  return true;
}

/* Makes the first sets. Returns false when out of memory. */
static bool has_sets(struct kad_proven_addresses *proven) {
  if (proven->sets == NULL &&
      KAD_ARRAY_RESERVE(&proven->allocator, &proven->sets, &proven->set_count,
                        (size_t)FIRST_SETS) == 0) {
    memset(proven->sets, 0, FIRST_SETS * sizeof *proven->sets);
  }
  return proven->sets != NULL;
}

void kad_proven_addresses_add(struct kad_proven_addresses *proven,
                              const struct kad_address *address,
                              kad_time_ms now) {
  const uint32_t hash = hash_of(proven, address);
  const uint32_t second = second_of(now);
  if (!has_sets(proven)) {
    return;
  }
  struct proof *proof = pick_proof(proven, hash);
  while (proof->hash != hash && counts(proof, second) && double_table(proven)) {
    proof = pick_proof(proven, hash);
  }
  *proof = (struct proof){.hash = hash, .second = second};
}

bool kad_proven_addresses_has(const struct kad_proven_addresses *proven,
                              const struct kad_address *address,
                              kad_time_ms now) {
  if (proven->sets == NULL) {
    return false;
  }
  const uint32_t hash = hash_of(proven, address);
  const struct proof *proof = pick_proof(proven, hash);
  return proof->hash == hash && counts(proof, second_of(now));
}
