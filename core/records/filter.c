/* Bloom filters of addresses: see kadenza_scrape.h.
 *
 * Tested by tests/unit/records/filter_test.c. */
#include "base/address.h"
#include "kadenza_scrape.h"

#include <sha1.h>

#include <math.h>

enum {
  FILTER_BITS = KAD_FILTER_SIZE * 8,
  HASHES = 2, /* bits that an address sets */
  BYTE_BITS = 8
};

/* Sets `bits` to the numbers of the bits of an address. */
static void find_bits(const struct kad_address *address,
                      unsigned bits[HASHES]) {
  uint8_t hash[SHA1_DIGEST_LENGTH];
  SHA1_CTX context;
  SHA1Init(&context);
  SHA1Update(&context, address->ip, kad_address_ip_size(address));
  SHA1Final(hash, &context);
  for (size_t i = 0; i < HASHES; i++) {
    bits[i] =
        (hash[2 * i] | (unsigned)hash[2 * i + 1] << BYTE_BITS) % FILTER_BITS;
  }
}

void kad_filter_add(uint8_t filter[KAD_FILTER_SIZE],
                    const struct kad_address *address) {
  unsigned bits[HASHES];
  if (filter == NULL || address == NULL) {
    return;
  }
  find_bits(address, bits);
  for (size_t i = 0; i < HASHES; i++) {
    filter[bits[i] / BYTE_BITS] |= (uint8_t)(1U << bits[i] % BYTE_BITS);
  }
}

bool kad_filter_has(const uint8_t filter[KAD_FILTER_SIZE],
                    const struct kad_address *address) {
  unsigned bits[HASHES];
  if (filter == NULL || address == NULL) {
    return false;
  }
  find_bits(address, bits);
  for (size_t i = 0; i < HASHES; i++) {
    if ((filter[bits[i] / BYTE_BITS] & 1U << bits[i] % BYTE_BITS) == 0) {
      return false;
    }
  }
  return true;
}

void kad_filter_merge(uint8_t filter[KAD_FILTER_SIZE],
                      const uint8_t other[KAD_FILTER_SIZE]) {
  for (size_t i = 0; filter != NULL && other != NULL && i < KAD_FILTER_SIZE;
       i++) {
    filter[i] |= other[i];
  }
}

double kad_filter_count(const uint8_t filter[KAD_FILTER_SIZE]) {
  unsigned clear = 0;
  for (size_t i = 0; filter != NULL && i < FILTER_BITS; i++) {
    clear += (filter[i / BYTE_BITS] & 1U << i % BYTE_BITS) == 0;
  }
  if (filter == NULL || clear == FILTER_BITS) {
    return 0;
  }
  clear = clear == 0 ? 1 : clear; /* a full one counts the most */
  return log((double)clear / FILTER_BITS) /
         (HASHES * log1p(-1.0 / FILTER_BITS));
}
