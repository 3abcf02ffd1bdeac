#include "wire/codec.h"

int kad_codec_read(const struct kad_codec *codec, struct kad_slice datagram,
                   size_t id_size, struct kad_message *message,
                   struct kad_writer *scratch) {
  int error = codec->decode(codec->state, datagram, id_size, message, scratch);
  if (error == 0 && codec != kad_codec_krpc()) {
    error = scratch->overflow ? KAD_EMALFORMED
                              : kad_message_check(message, id_size);
    if (message->kind != KAD_MESSAGE_QUERY && error != 0) {
      message->transaction.len = 0;
    }
  }
  if (message->transaction.len > KAD_TRANSACTION_MAX) {
    message->transaction.len = 0;
  }
  return error == 0 ? 0 : KAD_EMALFORMED;
}
