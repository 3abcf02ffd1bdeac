#include "sim/trace.h"

#include <string.h>

/* Reads up to eight bytes, little-endian everywhere: a run has one hash. */
static uint64_t read_word(const uint8_t *bytes, size_t len) {
  uint64_t word = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, bytes, len);
#else
  for (size_t i = 0; i < len; i++) {
    word |= (uint64_t)bytes[i] << (8 * i);
  }
#endif
  return word;
}

/* Each step is one to one in the hash and in the word, so two runs that differ
 * in one word have different hashes from then on, except by coincidence. It
 * need not resist forgery: there is nothing to gain. */
static void absorb(struct kad_trace *trace, uint64_t word) {
  const uint64_t mixed = (trace->hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  trace->hash = mixed ^ mixed >> 32;
}

static void absorb_address(struct kad_trace *trace,
                           const struct kad_address *address) {
  absorb(trace, read_word(address->ip, 8));
  if (address->family == 6) {
    absorb(trace, read_word(address->ip + 8, 8));
  }
  absorb(trace, (uint64_t)address->port << 8 | address->family);
}

void kad_trace_add(struct kad_trace *trace, kad_time_ms now,
                   const struct kad_address *from, const struct kad_address *to,
                   struct kad_slice datagram) {
  enum {
    WORD = sizeof(uint64_t)
  };
  absorb(trace, now + 1); /* 0 would not change a hash of 0 */
  absorb_address(trace, from);
  absorb_address(trace, to);
  absorb(trace, datagram.len);
  size_t done = 0;
  for (; done + WORD <= datagram.len; done += WORD) {
    absorb(trace, read_word(datagram.data + done, WORD));
  }
  if (done < datagram.len) {
    absorb(trace, read_word(datagram.data + done, datagram.len - done));
  }
}
