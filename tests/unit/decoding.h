/* Reading KRPC in tests: datagrams from literals, and what a test expects of
 * them. */
#ifndef KAD_UNIT_DECODING_H
#define KAD_UNIT_DECODING_H

#include "wire/krpc.h"

#define BYTES(literal) \
  ((struct kad_slice){(const uint8_t *)(literal), sizeof(literal) - 1})

/* Ids of 20 bytes, encoded. */
#define ID   "20:abcdefghij0123456789"
#define HASH "20:mnopqrstuvwxyz123456"
#define K32  "1:k32:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define SIG \
  "3:sig64:ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"

#define QUERY(method, args) "d1:ad2:id" ID args "e1:q" method "1:t2:aa1:y1:qe"
#define REPLY(fields)       "d1:rd2:id" ID fields "e1:t2:aa1:y1:re"
#define STORE(values) \
  QUERY("5:store", "6:target" HASH "5:token2:to4:type5:value" values)

/* Reads `datagram`, with ids of 20 bytes, into `message`, which is full of
 * something else before. Returns what the codec returns. */
int kad_decode(struct kad_message *message, struct kad_slice datagram);

/* Reads `datagram` and fails the test unless it is well-formed. */
void kad_read_ok(struct kad_message *message, const char *datagram);

/* Fails unless `datagram` is a malformed query, with the transaction "aa", that
 * 203 can be answered to. */
void kad_assert_bad_query(const char *datagram);

/* Fails unless `datagram` is no message that could be answered. */
void kad_assert_no_message(const char *datagram);

/* Reads a reply and fails unless a key of it has the wrong form. */
void kad_assert_misfit(struct kad_message *message, const char *datagram);

/* Fails unless `id` is the 20 bytes of `text`, padded. */
void kad_assert_id(const struct kad_id *id, const char *text);

/* Writes `head`, `item` `count` times, and `tail`. */
void kad_repeat(char *out, const char *head, const char *item, size_t count,
                const char *tail);

#endif
