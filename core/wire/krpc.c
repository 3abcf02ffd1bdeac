#include "wire/krpc.h"

/* A decoded message borrows its datagram alone, so that it needs no scratch. */
static int decode(void *state, struct kad_slice datagram, size_t id_size,
                  struct kad_message *message, struct kad_writer *scratch) {
  (void)scratch;
  return kad_krpc_decode(state, datagram, id_size, message);
}

const struct kad_codec *kad_codec_krpc(void) {
  static const struct kad_codec krpc = {
      .state = NULL,
      .decode = decode,
      .encode = kad_krpc_encode,
  };
  return &krpc;
}
