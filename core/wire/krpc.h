/* KRPC, the built-in codec (BEP 5, 32, 33, 42, 43, 44 and 51, and
 * kadenza's own queries).
 * docs/protocol.md describes the format. */
#ifndef KAD_WIRE_KRPC_H
#define KAD_WIRE_KRPC_H

#include "kadenza_codec.h"
#include "wire/codec.h"

/* Decodes a datagram; see struct kad_codec. Ignores `state`. */
KAD_MUST_CHECK int kad_krpc_decode(void *state, struct kad_slice datagram,
                                   size_t id_size, struct kad_message *message);

/* Encodes a message; see struct kad_codec. Ignores `state`. */
KAD_MUST_CHECK int kad_krpc_encode(void *state,
                                   const struct kad_message *message,
                                   size_t id_size, struct kad_writer *writer);

/* Returns the bytes that `record` adds to a message. The first record of a
 * message adds KAD_KRPC_VALUES_SIZE bytes more. */
size_t kad_krpc_record_size(const struct kad_record *record);

enum {
  KAD_KRPC_VALUES_SIZE = 10 /* the key `values` and the ends of its list */
};

#endif
