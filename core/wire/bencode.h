/* What codecs need of bencode beyond the public functions. */
#ifndef KAD_WIRE_BENCODE_H
#define KAD_WIRE_BENCODE_H

#include "kadenza.h"

/* Takes one value off the front of `rest` and checks all of it; containers may
 * nest `depth` deep in it (0 … KAD_BENCODE_MAX_DEPTH).
 * Returns false when it is not well-formed; `value` then means nothing, and
 * `rest` is as it was. */
bool kad_bencode_take(struct kad_slice *rest, unsigned depth,
                      struct kad_bencode *value);

/* Takes one string off the front of `rest`. Returns false when there is none;
 * `rest` is then as it was. */
bool kad_bencode_take_string(struct kad_slice *rest, struct kad_slice *bytes);

/* Begins a string of `len` bytes and returns them for the caller to fill; NULL
 * when it does not fit, and nothing is written. Valid until the next write. */
uint8_t *kad_writer_reserve_string(struct kad_writer *writer, size_t len);

/* Returns the length of the decimal digits of `value`: 1 … 20. */
size_t kad_decimal_size(uint64_t value);

#endif
