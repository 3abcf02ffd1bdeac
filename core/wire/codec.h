/* What turns datagrams into messages and back. */
#ifndef KAD_WIRE_CODEC_H
#define KAD_WIRE_CODEC_H

#include "wire/message.h"

enum {
  KAD_CODEC_SCRATCH = 4096 /* bytes that a codec has for what it decodes */
};

/* Reads `datagram` with `codec`, as its decode does, and checks what one of the
 * user's has read. */
KAD_MUST_CHECK int kad_codec_read(const struct kad_codec *codec,
                                  struct kad_slice datagram, size_t id_size,
                                  struct kad_message *message,
                                  struct kad_writer *scratch);

#endif
