#include "sim/hostile.h"

uint64_t kad_hostile_draw(struct kad_hostile *hostile, uint64_t count) {
  hostile->draws += UINT64_C(0x9e3779b97f4a7c15);
  return kad_sim_mix(hostile->draws) % count;
}

void kad_hostile_fill(struct kad_hostile *hostile, uint8_t *out, size_t len) {
  for (size_t i = 0; i < len; i++) {
    out[i] = (uint8_t)kad_hostile_draw(hostile, 256);
  }
}

size_t kad_hostile_id_size(const struct kad_hostile *hostile) {
  return kad_node_config(hostile->member->base.node)->id_bits / 8;
}

void kad_hostile_send_bytes(struct kad_hostile *hostile,
                            const struct kad_address *to,
                            struct kad_slice bytes) {
  const int i = kad_member_source(&hostile->member->base, to);
  if (i >= 0) {
    kad_sim_link_send(hostile->member, i, to, bytes);
  }
}

void kad_hostile_send(struct kad_hostile *hostile, const struct kad_address *to,
                      const struct kad_message *message) {
  const struct kad_codec *codec = kad_codec_krpc();
  uint8_t bytes[KAD_DATAGRAM_USUAL];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  if (codec->encode(codec->state, message, kad_hostile_id_size(hostile),
                    &writer) == 0) {
    kad_hostile_send_bytes(hostile, to, (struct kad_slice){bytes, writer.len});
  }
}
