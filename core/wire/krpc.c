#include "wire/krpc.h"

const struct kad_codec *kad_codec_krpc(void) {
  static const struct kad_codec krpc = {
      .state = NULL,
      .decode = kad_krpc_decode,
      .encode = kad_krpc_encode,
  };
  return &krpc;
}
