#include "rpc/datagram.h"

#include "engine/node.h"
#include "engine/tap.h"
#include "wire/krpc.h"

static const struct kad_codec *codec_of(const struct kad_node *node,
                                        const struct kad_ruleset *ruleset) {
  return ruleset->policy.codec != NULL ? ruleset->policy.codec : node->codec;
}

/* Retains the ruleset, since the codec may replace the policy. */
static int encode(struct kad_node *node, const struct kad_message *message,
                  struct kad_writer *writer) {
  struct kad_ruleset *ruleset = node->ruleset;
  const struct kad_codec *codec = codec_of(node, ruleset);
  kad_ruleset_retain(ruleset);
  int error = codec->encode(codec->state, message, node->id_size, writer);
  kad_ruleset_drop(ruleset, &node->env.allocator);
  error = error == 0 && writer->overflow ? KAD_ETOOBIG : error;
  return error == 0 && writer->len == 0 ? KAD_ECODEC : error;
}

size_t kad_datagram_longest(const struct kad_node *node) {
  const size_t most = node->config.max_reply;
  return most > KAD_DATAGRAM_USUAL ? most : KAD_DATAGRAM_USUAL;
}

size_t kad_datagram_room(const struct kad_node *node) {
  return node->config.max_reply - kad_sealing_overhead(node);
}

size_t kad_datagram_page_room(const struct kad_node *node) {
  const size_t overhead = kad_sealing_overhead(node);
  const size_t most = node->config.max_reply;
  return (most < KAD_DATAGRAM_PAGE_MAX ? most : KAD_DATAGRAM_PAGE_MAX) -
         overhead;
}

bool kad_datagram_is_krpc(const struct kad_node *node) {
  return codec_of(node, node->ruleset) == kad_codec_krpc();
}

int kad_datagram_send(struct kad_node *node, const struct kad_address *to,
                      struct kad_message *message) {
  int error = kad_datagram_send_within(node, to, message, SIZE_MAX);
  node->stats.unsent += error != 0;
  return error;
}

/* Encodes `message`, of at most `max` bytes. */
static int encode_within(struct kad_node *node, struct kad_message *message,
                         uint8_t *datagram, size_t max, size_t *len) {
  const size_t most = kad_datagram_room(node);
  struct kad_writer writer = {.cap = max < most ? max : most};
  writer.data = datagram;
  message->version =
      (struct kad_slice){.data = (const uint8_t *)node->config.version,
                         .len = sizeof node->config.version};
  const int error = encode(node, message, &writer);
  *len = writer.len;
  return error;
}

int kad_datagram_send_within(struct kad_node *node,
                             const struct kad_address *to,
                             struct kad_message *message, size_t max) {
  uint8_t datagram[KAD_DATAGRAM_MAX];
  size_t len;
  if (node->closing) {
    return 0;
  }
  const int error = encode_within(node, message, datagram, max, &len);
  if (error != 0) {
    return error;
  }
  if (node->limiter != NULL &&
      !kad_limiter_reply(node->limiter, len + kad_sealing_overhead(node),
                         kad_node_now(node))) {
    node->stats.dropped_limited++;
    return 0;
  }
  kad_datagram_pass(node, to, (struct kad_slice){.data = datagram, .len = len});
  return 0;
}

int kad_datagram_measure(struct kad_node *node, struct kad_message *message,
                         size_t *size) {
  uint8_t datagram[KAD_DATAGRAM_MAX];
  return encode_within(node, message, datagram, SIZE_MAX, size);
}

int kad_datagram_encode(struct kad_node *node, struct kad_message *message,
                        uint8_t *datagram, size_t *len) {
  const int error = encode_within(node, message, datagram, SIZE_MAX, len);
  node->stats.unsent += error != 0;
  return error;
}

void kad_datagram_pass(struct kad_node *node, const struct kad_address *to,
                       struct kad_slice message) {
  uint8_t room[KAD_DATAGRAM_MAX + KAD_SEAL_OVERHEAD];
  /* What waited may be for an address that has been blocked meanwhile. */
  if (node->closing || kad_address_set_has(&node->blocked, to)) {
    return;
  }
  kad_tap_note(node, KAD_TAP_SENT, to, message);
  const struct kad_slice datagram = kad_sealing_close(node, message, room);
  node->stats.datagrams_out++;
  node->stats.bytes_out += datagram.len;
  kad_address_filter_add(&node->sent_to, to, kad_node_now(node));
  node->sending = true;
  node->env.send(node->env.state, to, datagram);
  node->sending = false;
}

int kad_datagram_read(struct kad_node *node, struct kad_slice datagram,
                      void *scratch, struct kad_message *message) {
  struct kad_writer writer = {.data = scratch, .cap = KAD_CODEC_SCRATCH};
  struct kad_ruleset *ruleset = node->ruleset;
  kad_ruleset_retain(ruleset); /* the codec may replace the policy */
  int error = kad_codec_read(codec_of(node, ruleset), datagram, node->id_size,
                             message, &writer);
  kad_ruleset_drop(ruleset, &node->env.allocator);
  return error;
}
