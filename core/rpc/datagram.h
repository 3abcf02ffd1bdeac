/* Datagrams: messages as the codec writes and reads them. The codec is the
 * policy's, or the one of the configuration. What is sent is sealed at the end,
 * and what is received was opened before (rpc/sealing.h): the sizes here are
 * those of messages.
 *
 * Tested by tests/unit/wire/codec_test.c, tests/unit/node/node_test.c. */
#ifndef KAD_RPC_DATAGRAM_H
#define KAD_RPC_DATAGRAM_H

#include "wire/message.h"

enum {
  KAD_DATAGRAM_MAX = 8972,     /* bytes of a datagram read or sent: a frame of
                                  9,000 bytes without headers (IPv4) */
  KAD_DATAGRAM_USUAL = 1500,   /* bytes that a node reads in any case */
  KAD_DATAGRAM_PAGE_MAX = 1232 /* bytes of a datagram with more than one record,
                                  so that it is never fragmented: the minimum
                                  MTU of IPv6, 1280, without headers (RFC 8200
                                  §5) */
};

/* Returns the bytes of the longest datagram that the node reads: those of
 * max_reply, and at least KAD_DATAGRAM_USUAL. */
size_t kad_datagram_longest(const struct kad_node *node);

/* Returns the bytes that a message may have: max_reply, less what sealing adds
 * to it. */
size_t kad_datagram_room(const struct kad_node *node);

/* Returns the bytes that a message with more than one record may have. */
size_t kad_datagram_page_room(const struct kad_node *node);

/* Encodes `message`, a query, to `datagram`, of KAD_DATAGRAM_MAX bytes; fills
 * in its version. Counts one that cannot be encoded as unsent. Returns 0, or
 * the errors of kad_datagram_send. */
KAD_MUST_CHECK int kad_datagram_encode(struct kad_node *node,
                                       struct kad_message *message,
                                       uint8_t *datagram, size_t *len);

/* Seals an encoded message, if the node is sealed, and sends it; nothing while
 * the node closes. */
void kad_datagram_pass(struct kad_node *node, const struct kad_address *to,
                       struct kad_slice message);

/* Encodes and sends `message`, a reply or an error; fills in its version.
 * Counts a message that cannot be encoded as unsent.
 * Returns 0, also when a limit drops the message, or what the codec returns:
 *   KAD_ETOOBIG  more than kad_datagram_room bytes
 *   KAD_EINVAL   a dictionary of the caller that has no encoding
 *   KAD_ECODEC   the codec of the policy wrote nothing */
int kad_datagram_send(struct kad_node *node, const struct kad_address *to,
                      struct kad_message *message);

/* The same, but returns KAD_ETOOBIG for more than `max` bytes, and does not
 * count what is not sent. */
int kad_datagram_send_within(struct kad_node *node,
                             const struct kad_address *to,
                             struct kad_message *message, size_t max);

/* Sets `*size` to the bytes that `message` takes, with our version. Returns 0,
 * or an error as kad_datagram_send does: KAD_ETOOBIG for more than
 * kad_datagram_room bytes. */
KAD_MUST_CHECK int kad_datagram_measure(struct kad_node *node,
                                        struct kad_message *message,
                                        size_t *size);

/* Returns true if the codec is KRPC, not one of the user. */
bool kad_datagram_is_krpc(const struct kad_node *node);

/* Decodes `datagram`. `*message` borrows from it and from `scratch`, which has
 * KAD_CODEC_SCRATCH bytes. Returns 0 or KAD_EMALFORMED. */
KAD_MUST_CHECK int kad_datagram_read(struct kad_node *node,
                                     struct kad_slice datagram, void *scratch,
                                     struct kad_message *message);

#endif
