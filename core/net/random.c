#include "net/random.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_RANDOM_KEY_SIZE == crypto_stream_chacha20_KEYBYTES,
              "the key is one of ChaCha20");

/* Writes little-endian everywhere: a seed gives the same stream. */
static void write_number(uint64_t number, uint8_t out[8]) {
  for (size_t i = 0; i < 8; i++) {
    out[i] = (uint8_t)(number >> (8 * i));
  }
}

static void draw_block(struct kad_random *random) {
  uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
  write_number(random->blocks++, nonce);
  (void)crypto_stream_chacha20(random->block, sizeof random->block, nonce,
                               random->key);
  random->left = sizeof random->block;
  if (random->secret) {
    memcpy(random->key, random->block, sizeof random->key);
    sodium_memzero(random->block, sizeof random->key);
    random->left -= sizeof random->key;
  }
}

int kad_random_start(void) {
  return sodium_init() < 0 ? KAD_ESYSTEM : 0;
}

void kad_random_init_secret(struct kad_random *random) {
  *random = (struct kad_random){.secret = true};
  randombytes_buf(random->key, sizeof random->key);
}

void kad_random_wipe(struct kad_random *random) {
  sodium_memzero(random, sizeof *random);
}

void kad_random_init(struct kad_random *random, uint64_t seed,
                     uint64_t number) {
  *random = (struct kad_random){0};
  uint8_t name[16];
  write_number(seed, name);
  write_number(number, name + 8);
  (void)crypto_generichash(random->key, sizeof random->key, name, sizeof name,
                           NULL, 0);
}

void kad_random_fill(struct kad_random *random, uint8_t *out, size_t len) {
  while (len > 0) {
    if (random->left == 0) {
      draw_block(random);
    }
    const size_t taken = len < random->left ? len : random->left;
    memcpy(out, random->block + sizeof random->block - random->left, taken);
    random->left -= taken;
    out += taken;
    len -= taken;
  }
}

uint64_t kad_random_next(struct kad_random *random) {
  uint8_t bytes[8];
  kad_random_fill(random, bytes, sizeof bytes);
  uint64_t number = 0;
  for (size_t i = 0; i < sizeof bytes; i++) {
    number |= (uint64_t)bytes[i] << (8 * i);
  }
  return number;
}
