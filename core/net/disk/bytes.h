/* Integers in the files of a durable store: little-endian, at any address. */
#ifndef KAD_NET_DISK_BYTES_H
#define KAD_NET_DISK_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Writes the lowest `size` bytes of `value`. */
static inline void kad_bytes_put(uint8_t *out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) {
    out[i] = (uint8_t)(value >> (8 * i));
  }
}

/* Returns the integer of `size` bytes, at most 8. */
static inline uint64_t kad_bytes_get(const uint8_t *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++) {
    value |= (uint64_t)bytes[i] << (8 * i);
  }
  return value;
}

#endif
