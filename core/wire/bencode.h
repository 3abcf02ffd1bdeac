/* Internal functions of bencode, for codecs. The others are in kadenza.h. */
#ifndef KAD_WIRE_BENCODE_H
#define KAD_WIRE_BENCODE_H

#include "kadenza.h"

/* Reads one value from the front of `rest` and checks all of it. Containers may
 * nest up to `depth` (0 … KAD_BENCODE_MAX_DEPTH). Returns false when the value
 * is malformed: then `rest` has not changed and `*value` is undefined. */
bool kad_bencode_read(struct kad_slice *rest, unsigned depth,
                      struct kad_bencode *value);

/* Reads one string from the front of `rest`. Returns false when there is none:
 * then `rest` has not changed. */
bool kad_bencode_read_string(struct kad_slice *rest, struct kad_slice *bytes);

/* Returns true if `in` is exactly one bencoded value in its only form: what
 * kad_bencode_read accepts, and the keys of each dictionary ascend. Containers
 * may nest up to `depth`. Source: BEP 3 "bencoding". */
bool kad_bencode_is_canonical(struct kad_slice in, unsigned depth);

/* Begins a string of `len` bytes and returns them for the caller to fill. Valid
 * until the next write. Returns NULL and writes nothing if it does not fit. */
uint8_t *kad_writer_reserve_string(struct kad_writer *writer, size_t len);

/* Returns the number of decimal digits of `value`: 1 … 20. */
size_t kad_decimal_size(uint64_t value);

#endif
