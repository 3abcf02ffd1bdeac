#include "base/id.h"

#include "base/hex.h"

#include <sodium.h>

#include <string.h>

enum {
  WORD_BITS = 64,
  WORDS = KAD_ID_SIZE * 8 / WORD_BITS,
  SHORT_BITS = 160,
  LONG_BITS = 256,
};

bool kad_id_equal(const struct kad_id *a, const struct kad_id *b) {
  if (a == NULL || b == NULL) {
    return false;
  }
  return memcmp(a->bytes, b->bytes, KAD_ID_SIZE) == 0;
}

int kad_id_compare(const struct kad_id *target, const struct kad_id *a,
                   const struct kad_id *b) {
  if (target == NULL || a == NULL || b == NULL) {
    return 0;
  }
  for (size_t i = 0; i < WORDS; i++) {
    const uint64_t word_a = kad_id_word(a, i);
    const uint64_t word_b = kad_id_word(b, i);
    if (word_a != word_b) {
      const uint64_t word = kad_id_word(target, i);
      return (word ^ word_a) < (word ^ word_b) ? -1 : 1;
    }
  }
  return 0;
}

unsigned kad_id_prefix(const struct kad_id *a, const struct kad_id *b) {
  if (a == NULL || b == NULL) {
    return 0;
  }
  for (unsigned i = 0; i < WORDS; i++) {
    const uint64_t distance = kad_id_word(a, i) ^ kad_id_word(b, i);
    if (distance != 0) {
      return i * WORD_BITS + (unsigned)__builtin_clzll(distance);
    }
  }
  return LONG_BITS;
}

int kad_id_parse(struct kad_slice hex, struct kad_id *id, unsigned *bits) {
  if (id == NULL || bits == NULL) {
    return KAD_EINVAL;
  }
  if (hex.len != SHORT_BITS / 4 && hex.len != LONG_BITS / 4) {
    return KAD_EINVAL;
  }
  struct kad_id parsed = {0};
  for (size_t i = 0; i < hex.len; i += 2) {
    const int high = kad_hex_value(hex.data[i]);
    const int low = kad_hex_value(hex.data[i + 1]);
    if (high < 0 || low < 0) {
      return KAD_EINVAL;
    }
    parsed.bytes[i / 2] = (uint8_t)(high * 16 + low);
  }
  *id = parsed;
  *bits = (unsigned)hex.len * 4;
  return 0;
}

static bool is_width(unsigned bits) {
  return bits == SHORT_BITS || bits == LONG_BITS;
}

void kad_id_format(const struct kad_id *id, unsigned bits, char *hex) {
  if (hex == NULL) {
    return;
  }
  if (id == NULL || !is_width(bits)) {
    hex[0] = '\0';
    return;
  }
  static const char digits[] = "0123456789abcdef";
  const size_t size = bits / 8;
  for (size_t i = 0; i < size; i++) {
    hex[2 * i] = digits[id->bytes[i] >> 4];
    hex[2 * i + 1] = digits[id->bytes[i] & 15];
  }
  hex[2 * size] = '\0';
}

void kad_id_hash(struct kad_slice name, unsigned bits, struct kad_id *id) {
  if (id == NULL) {
    return;
  }
  *id = (struct kad_id){0};
  if (!is_width(bits)) {
    return;
  }
  crypto_generichash(id->bytes, bits / 8, name.data, name.len, NULL, 0);
}
