/* Hexadecimal digits. */
#ifndef KAD_BASE_HEX_H
#define KAD_BASE_HEX_H

#include <stdint.h>

/* Returns the value of a hexadecimal digit of either case; -1 for others. */
static inline int kad_hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  if (c >= 'A' && c <= 'F') {
    return c - 'A' + 10;
  }
  return -1;
}

#endif
