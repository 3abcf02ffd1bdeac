#include "records/token.h"

#include "base/address.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert(KAD_TOKEN_SECRET_SIZE == crypto_shorthash_KEYBYTES,
              "the secret is a SipHash key");
static_assert(KAD_TOKEN_SIZE == crypto_shorthash_BYTES,
              "a token is one SipHash");

enum {
  MESSAGE_SIZE = 1 + 16 + KAD_ID_SIZE + 8
};

static void make_for_slot(const struct kad_token_maker *maker,
                          const struct kad_address *address,
                          const struct kad_id *target, uint64_t slot,
                          uint8_t token[KAD_TOKEN_SIZE]) {
  uint8_t message[MESSAGE_SIZE] = {address->family};
  memcpy(message + 1, address->ip, kad_address_ip_size(address));
  memcpy(message + 17, target->bytes, KAD_ID_SIZE);
  for (size_t i = 0; i < 8; i++) {
    message[MESSAGE_SIZE - 8 + i] = (uint8_t)(slot >> (56 - 8 * i));
  }
  (void)crypto_shorthash(token, message, sizeof message, maker->secret);
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
  /* For slot 0 this wraps to a slot that no clock reaches. */
  make_for_slot(maker, address, target, slot - 1, previous);
  /* Always makes both comparisons, so that the time reveals nothing. */
  int differs_now = sodium_memcmp(current, token.data, sizeof current);
  int differs_before = sodium_memcmp(previous, token.data, sizeof previous);
  return differs_now == 0 || differs_before == 0;
}
