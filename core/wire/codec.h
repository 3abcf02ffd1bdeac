/* What turns datagrams into messages and back. */
#ifndef KAD_WIRE_CODEC_H
#define KAD_WIRE_CODEC_H

#include "wire/message.h"

struct kad_codec {
  void *state;
  /* Reads `datagram` into `*message`, whose slices borrow it. `id_size` is 20
   * or 32, the bytes of the overlay's ids.
   * Returns 0, or KAD_EMALFORMED; then `message->transaction` is set if it
   * could be read and the message was a query, so that 203 can be answered, and
   * is empty otherwise. Allocates nothing. */
  int (*decode)(void *state, struct kad_slice datagram, size_t id_size,
                struct kad_message *message);
  /* Writes `message` to `writer`. Returns 0, KAD_ETOOBIG when it does not fit,
   * or KAD_EINVAL when `args` or `reply` is not a dictionary that can be sent:
   * well-formed, and less than KAD_BENCODE_MAX_DEPTH deep. Allocates nothing.
   */
  int (*encode)(void *state, const struct kad_message *message, size_t id_size,
                struct kad_writer *writer);
};

/* Returns the built-in codec: KRPC (BEP 5, 32, 43). Valid for ever. */
const struct kad_codec *kad_codec_krpc(void);

#endif
