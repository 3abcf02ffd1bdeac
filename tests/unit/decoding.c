#include "decoding.h"

#include "unit.h"

#include <string.h>

int kad_decode(struct kad_message *message, struct kad_slice datagram) {
  memset(message, 0xff, sizeof *message);
  return kad_krpc_decode(NULL, datagram, 20, message);
}

void kad_read_ok(struct kad_message *message, const char *datagram) {
  if (kad_decode(message, kad_slice_of(datagram)) != 0) {
    fail_msg("refused: %s", datagram);
  }
}

static void assert_malformed(struct kad_message *message,
                             const char *datagram) {
  if (kad_decode(message, kad_slice_of(datagram)) != KAD_EMALFORMED) {
    fail_msg("accepted: %s", datagram);
  }
}

void kad_assert_bad_query(const char *datagram) {
  struct kad_message message;
  assert_malformed(&message, datagram);
  assert_int_equal(message.kind, KAD_MESSAGE_QUERY);
  assert_slice_is(message.transaction, "aa");
}

void kad_assert_no_message(const char *datagram) {
  struct kad_message message;
  assert_malformed(&message, datagram);
  assert_int_equal(message.transaction.len, 0);
}

void kad_assert_misfit(struct kad_message *message, const char *datagram) {
  kad_read_ok(message, datagram);
  if (!message->misfit) {
    fail_msg("fits: %s", datagram);
  }
}

void kad_assert_id(const struct kad_id *id, const char *text) {
  assert_memory_equal(id->bytes, text, 20);
  for (size_t i = 20; i < KAD_ID_SIZE; i++) {
    assert_int_equal(id->bytes[i], 0);
  }
}

void kad_repeat(char *out, const char *head, const char *item, size_t count,
                const char *tail) {
  strcpy(out, head);
  for (size_t i = 0; i < count; i++) {
    strcat(out, item);
  }
  strcat(out, tail);
}
