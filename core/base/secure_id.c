/* Ids that fit an address. Source: BEP 42 "Node ID restriction". */
#include "base/address.h"
#include "kadenza_secure_id.h"

#include <string.h>

enum {
  MASKED_MAX = 8,       /* bytes of a masked address */
  R_MASK = 7,           /* of the last byte of an id */
  R_SHIFT = 5,          /* of `r` in the first byte of a masked address */
  BITS_OF_THIRD = 0xf8, /* bits of the third byte that are bound */
};

/* The masked address: the fewer bits a block of addresses has in common, the
 * more of them count. */
struct masked {
  uint8_t bytes[MASKED_MAX];
  size_t len; /* 4 or 8 */
};

static struct masked mask_address(const struct kad_address *address,
                                  unsigned r) {
  static const uint8_t mask4[] = {0x03, 0x0f, 0x3f, 0xff};
  static const uint8_t mask6[] = {0x01, 0x03, 0x07, 0x0f,
                                  0x1f, 0x3f, 0x7f, 0xff};
  const uint8_t *mask = address->family == 4 ? mask4 : mask6;
  struct masked masked = {.len = address->family == 4 ? sizeof mask4
                                                      : sizeof mask6};
  for (size_t i = 0; i < masked.len; i++) {
    masked.bytes[i] = address->ip[i] & mask[i];
  }
  masked.bytes[0] |= (uint8_t)(r << R_SHIFT);
  return masked;
}

/* Returns the CRC32C (Castagnoli) of a few bytes, bit by bit: a table would
 * take more memory than the 32 or 64 steps are worth. Source: RFC 3720 B.4. */
static uint32_t crc32c(const uint8_t *bytes, size_t len) {
  static const uint32_t polynomial = 0x82f63b78; /* its bits in reverse */
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < len; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (polynomial & (0U - (crc & 1)));
    }
  }
  return ~crc;
}

/* Returns the 32 bits of which the first 21 begin an id with `r`. */
static uint32_t find_prefix(const struct kad_address *address, unsigned r) {
  const struct masked masked = mask_address(address, r);
  return crc32c(masked.bytes, masked.len);
}

static bool has_width(unsigned id_bits) {
  return id_bits == 160 || id_bits == 256;
}

static bool has_family(const struct kad_address *address) {
  return address->family == 4 || address->family == 6;
}

int kad_secure_id_make(const struct kad_address *address, unsigned id_bits,
                       const uint8_t *random, struct kad_id *id) {
  if (address == NULL || random == NULL || id == NULL || !has_width(id_bits) ||
      !has_family(address)) {
    return KAD_EINVAL;
  }
  const size_t size = id_bits / 8;
  struct kad_id made = {{0}};
  memcpy(made.bytes, random, size);
  const uint32_t prefix = find_prefix(address, made.bytes[size - 1] & R_MASK);
  made.bytes[0] = (uint8_t)(prefix >> 24);
  made.bytes[1] = (uint8_t)(prefix >> 16);
  made.bytes[2] = (uint8_t)((prefix >> 8 & BITS_OF_THIRD) |
                            (made.bytes[2] & ~(unsigned)BITS_OF_THIRD));
  *id = made;
  return 0;
}

bool kad_secure_id_check(const struct kad_id *id, unsigned id_bits,
                         const struct kad_address *address) {
  if (id == NULL || address == NULL || !has_width(id_bits) ||
      !has_family(address)) {
    return false;
  }
  if (kad_address_is_local(address)) {
    return true;
  }
  const uint32_t prefix =
      find_prefix(address, id->bytes[id_bits / 8 - 1] & R_MASK);
  return id->bytes[0] == prefix >> 24 &&
         id->bytes[1] == (prefix >> 16 & 0xff) &&
         ((id->bytes[2] ^ prefix >> 8) & BITS_OF_THIRD) == 0;
}
