/* Ids as numbers, for code that compares many of them. */
#ifndef KAD_BASE_ID_H
#define KAD_BASE_ID_H

#include "kadenza.h"

#include <string.h>

/* Returns the 64 bits of `id` from bit 64 * `word` on; `word` is 0 … 3. The
 * first bit of the id is the most significant. */
static inline uint64_t kad_id_word(const struct kad_id *id, size_t word) {
  const uint8_t *bytes = &id->bytes[word * 8];
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return __builtin_bswap64(value);
#else
  uint64_t value = 0;
  for (size_t i = 0; i < 8; i++) {
    value = value << 8 | bytes[i];
  }
  return value;
#endif
}

/* Returns bit `index` (0 … 255) of `id`, counted from the most significant. */
static inline bool kad_id_bit(const struct kad_id *id, size_t index) {
  return (id->bytes[index / 8] >> (7 - index % 8) & 1) != 0;
}

#endif
