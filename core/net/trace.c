#include "net/trace.h"

#include <sodium.h>

#include <string.h>

enum {
  ADDRESS_SIZE = 19, /* ip, port, family */
  HEADER_SIZE = 8 + 2 * ADDRESS_SIZE
};

static void write_number(uint64_t number, size_t size, uint8_t *out) {
  for (size_t i = 0; i < size; i++) {
    out[i] = (uint8_t)(number >> (8 * i));
  }
}

static void write_address(const struct kad_address *address, uint8_t *out) {
  memcpy(out, address->ip, sizeof address->ip);
  write_number(address->port, 2, out + sizeof address->ip);
  out[ADDRESS_SIZE - 1] = address->family;
}

/* What was before is the key of the hash of what comes next. */
static void chain(struct kad_trace *trace, const uint8_t *bytes, size_t len) {
  uint8_t key[crypto_shorthash_KEYBYTES] = {0};
  write_number(trace->hash, sizeof trace->hash, key);
  uint8_t out[crypto_shorthash_BYTES];
  crypto_shorthash(out, bytes, len, key);
  trace->hash = 0;
  for (size_t i = 0; i < sizeof out; i++) {
    trace->hash |= (uint64_t)out[i] << (8 * i);
  }
}

void kad_trace_add(struct kad_trace *trace, kad_time_ms now,
                   const struct kad_address *from, const struct kad_address *to,
                   struct kad_slice datagram) {
  uint8_t header[HEADER_SIZE];
  write_number(now, 8, header);
  write_address(from, header + 8);
  write_address(to, header + 8 + ADDRESS_SIZE);
  chain(trace, header, sizeof header);
  chain(trace, datagram.data, datagram.len);
}
