/* The vectors of messages in docs/vectors. Tests core/wire. */
#include "decoding.h"
#include "lone_node.h"
#include "unit.h"
#include "vectors.h"

#include <string.h>

enum {
  DATAGRAM_MAX = 1500
};

/* Fails unless decoding and encoding give the same bytes. */
static void check_message(struct kad_slice datagram, bool is_custom) {
  struct kad_message message;
  uint8_t again[DATAGRAM_MAX];
  struct kad_writer writer = {.data = again, .cap = sizeof again};
  assert_ok(kad_decode(&message, datagram));
  assert_false(message.malformed);
  if (!is_custom) {
    message.reply.len = 0;
    message.args.len = 0;
  }
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  assert_int_equal(writer.len, datagram.len);
  assert_memory_equal(again, datagram.data, datagram.len);
}

static void messages_are_read_and_written(void **state) {
  struct kad_vectors vectors;
  uint8_t bytes[DATAGRAM_MAX];
  (void)state;
  kad_vectors_open(&vectors, "messages.tsv", 3);
  while (kad_vectors_next(&vectors)) {
    check_message(kad_vectors_bytes(vectors.columns[2], bytes, sizeof bytes),
                  strcmp(vectors.columns[1], "custom") == 0);
  }
  kad_vectors_close(&vectors, 26);
}

/* Fails unless the node drops the datagram, or replies with error 203. */
static void check_malformed(struct kad_lone *lone, struct kad_slice datagram,
                            bool is_dropped) {
  const struct kad_contact from = kad_lone_contact(1);
  const uint64_t before = kad_lone_stats(lone).datagrams_out;
  kad_lone_receive(lone, &from, datagram);
  if (is_dropped) {
    assert_int_equal(kad_lone_stats(lone).datagrams_out, before);
  } else {
    assert_int_equal(kad_lone_error(lone), KAD_CODE_PROTOCOL);
  }
}

static void malformed_datagrams_are_dropped_or_refused(void **state) {
  struct kad_vectors vectors;
  uint8_t bytes[DATAGRAM_MAX];
  (void)state;
  kad_vectors_open(&vectors, "malformed.tsv", 3);
  while (kad_vectors_next(&vectors)) {
    struct kad_lone lone;
    kad_lone_open(&lone, NULL);
    check_malformed(&lone,
                    kad_vectors_bytes(vectors.columns[1], bytes, sizeof bytes),
                    strcmp(vectors.columns[0], "drop") == 0);
    kad_lone_close(&lone);
  }
  kad_vectors_close(&vectors, 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_are_read_and_written),
      cmocka_unit_test(malformed_datagrams_are_dropped_or_refused),
  };
  return cmocka_run_group_tests_name("wire_vectors", tests, NULL, NULL);
}
