#include "records/verified.h"

#include "base/array.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

enum {
  FIRST_SETS = 4, /* powers of two */
  SETS_MAX = 4096,
  WAYS = 4,
  DIGEST_SIZE = 16
};

static_assert(KAD_MAP_SECRET_SIZE >= crypto_generichash_KEYBYTES_MIN &&
                  DIGEST_SIZE >= crypto_generichash_BYTES_MIN,
              "the sizes of BLAKE2b");

struct digest {
  uint8_t bytes[DIGEST_SIZE];
};

/* The digests whose first bytes choose this set, the one used last first. A
 * free place has zeros. */
struct kad_verified_set {
  struct digest ways[WAYS];
};

void kad_verified_init(struct kad_verified *verified,
                       const struct kad_allocator *allocator,
                       const uint8_t *secret) {
  *verified = (struct kad_verified){.allocator = allocator, .secret = secret};
}

void kad_verified_deinit(struct kad_verified *verified) {
  if (verified->allocator != NULL) {
    KAD_ARRAY_FREE(verified->allocator, &verified->sets, &verified->set_count);
  }
}

static struct digest digest_of(const struct kad_verified *verified,
                               struct kad_slice message,
                               const uint8_t *publisher,
                               const uint8_t *signature) {
  struct digest digest;
  crypto_generichash_state state;
  (void)crypto_generichash_init(&state, verified->secret, KAD_MAP_SECRET_SIZE,
                                DIGEST_SIZE);
  (void)crypto_generichash_update(&state, publisher, KAD_PUBLISHER_SIZE);
  (void)crypto_generichash_update(&state, signature, KAD_SIGNATURE_SIZE);
  (void)crypto_generichash_update(&state, message.data, message.len);
  (void)crypto_generichash_final(&state, digest.bytes, DIGEST_SIZE);
  return digest;
}

static size_t place_of(const struct kad_verified *verified,
                       const struct digest *digest) {
  uint64_t bits;
  memcpy(&bits, digest->bytes, sizeof bits);
  return bits & (verified->set_count - 1);
}

static bool is_equal(const struct digest *a, const struct digest *b) {
  return memcmp(a->bytes, b->bytes, DIGEST_SIZE) == 0;
}

static bool is_free(const struct digest *digest) {
  static const struct digest zeros;
  return is_equal(digest, &zeros);
}

/* Puts `digest` first in its set, in place of the one at `way`. */
static void put_first(struct kad_verified_set *set, size_t way,
                      const struct digest *digest) {
  memmove(&set->ways[1], &set->ways[0], way * sizeof set->ways[0]);
  set->ways[0] = *digest;
}

/* Returns true if the table has `digest`, which is the first of its set then.
 */
static bool find(struct kad_verified *verified, const struct digest *digest) {
  if (verified->sets == NULL) {
    return false;
  }
  struct kad_verified_set *set = &verified->sets[place_of(verified, digest)];
  for (size_t i = 0; i < WAYS; i++) {
    if (is_equal(&set->ways[i], digest)) {
      put_first(set, i, digest);
      return true;
    }
  }
  return false;
}

/* Doubles the table: one more bit of each digest chooses the half, and the
 * order in each set stays. Returns false, with nothing changed, at the greatest
 * size or when out of memory. */
static bool grow(struct kad_verified *verified) {
  const size_t half = verified->set_count;
  const size_t wanted = half == 0 ? FIRST_SETS : 2 * half;
  if (half == SETS_MAX ||
      KAD_ARRAY_RESERVE(verified->allocator, &verified->sets,
                        &verified->set_count, wanted) != 0) {
    return false;
  }
  struct kad_verified_set *sets = verified->sets;
  memset(&sets[half], 0, (wanted - half) * sizeof *sets);
  for (size_t i = 0; i < half; i++) {
    const struct kad_verified_set whole = sets[i];
    memset(&sets[i], 0, sizeof sets[i]);
    for (size_t way = WAYS; way-- > 0;) {
      if (!is_free(&whole.ways[way])) {
        put_first(&sets[place_of(verified, &whole.ways[way])], WAYS - 1,
                  &whole.ways[way]);
      }
    }
  }
  return true;
}

static void add(struct kad_verified *verified, const struct digest *digest) {
  if (verified->sets == NULL && !grow(verified)) {
    return;
  }
  while (!is_free(&verified->sets[place_of(verified, digest)].ways[WAYS - 1]) &&
         grow(verified)) {
  }
  put_first(&verified->sets[place_of(verified, digest)], WAYS - 1, digest);
}

bool kad_verified_check(struct kad_verified *verified, struct kad_slice message,
                        const uint8_t publisher[KAD_PUBLISHER_SIZE],
                        const uint8_t signature[KAD_SIGNATURE_SIZE]) {
  const struct digest digest =
      digest_of(verified, message, publisher, signature);
  if (find(verified, &digest)) {
    verified->saved++;
    return true;
  }
  verified->made++;
  if (crypto_sign_verify_detached(signature, message.data, message.len,
                                  publisher) != 0) {
    return false;
  }
  add(verified, &digest);
  return true;
}
