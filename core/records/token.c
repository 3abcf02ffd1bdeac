#include "records/token.h"

#include "base/address.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_TOKEN_SECRET_SIZE == crypto_generichash_KEYBYTES,
              "the secret is a BLAKE2b key");

static void absorb_slot(crypto_generichash_state *hash, uint64_t slot) {
  uint8_t bytes[8];
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (uint8_t)(slot >> (56 - 8 * i));
  }
  crypto_generichash_update(hash, bytes, sizeof bytes);
}

static void make_for_slot(const struct kad_token_maker *maker,
                          const struct kad_address *address,
                          const struct kad_id *target, uint64_t slot,
                          uint8_t token[KAD_TOKEN_SIZE]) {
  crypto_generichash_state hash;
  uint8_t digest[crypto_generichash_BYTES_MIN];
  crypto_generichash_init(&hash, maker->secret, sizeof maker->secret,
                          sizeof digest);
  crypto_generichash_update(&hash, &address->family, 1);
  crypto_generichash_update(&hash, address->ip, kad_address_ip_size(address));
  crypto_generichash_update(&hash, target->bytes, sizeof target->bytes);
  absorb_slot(&hash, slot);
  crypto_generichash_final(&hash, digest, sizeof digest);
  memcpy(token, digest, KAD_TOKEN_SIZE);
}

void kad_token_make(const struct kad_token_maker *maker,
                    const struct kad_address *address,
                    const struct kad_id *target, kad_time_ms now,
                    uint8_t token[KAD_TOKEN_SIZE]) {
  assert(maker->slot_ms > 0);
  make_for_slot(maker, address, target, now / maker->slot_ms, token);
}

bool kad_token_check(const struct kad_token_maker *maker,
                     const struct kad_address *address,
                     const struct kad_id *target, kad_time_ms now,
                     struct kad_slice token) {
  assert(maker->slot_ms > 0);
  if (token.len != KAD_TOKEN_SIZE) {
    return false;
  }
  uint64_t slot = now / maker->slot_ms;
  uint8_t current[KAD_TOKEN_SIZE];
  uint8_t previous[KAD_TOKEN_SIZE];
  make_for_slot(maker, address, target, slot, current);
  /* In slot 0 this is a slot that no clock reaches. */
  make_for_slot(maker, address, target, slot - 1, previous);
  /* Both comparisons are made always: how long the answer takes tells nothing.
   */
  int differs_now = sodium_memcmp(current, token.data, sizeof current);
  int differs_before = sodium_memcmp(previous, token.data, sizeof previous);
  return differs_now == 0 || differs_before == 0;
}
