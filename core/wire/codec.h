/* Decoding with a codec: KRPC (krpc.h) or one of the user. */
#ifndef KAD_WIRE_CODEC_H
#define KAD_WIRE_CODEC_H

#include "wire/message.h"

enum {
  KAD_CODEC_SCRATCH = 4096 /* bytes of memory for a decoded message */
};

/* Decodes `datagram` with `codec`, and checks the message if the codec is one
 * of the user. `*message` borrows `datagram` and `scratch`. Returns 0 or
 * KAD_EMALFORMED; then `*message` is a query with a transaction, which can be
 * answered with an error, or its transaction is empty. */
KAD_MUST_CHECK int kad_codec_read(const struct kad_codec *codec,
                                  struct kad_slice datagram, size_t id_size,
                                  struct kad_message *message,
                                  struct kad_writer *scratch);

#endif
