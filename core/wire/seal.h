/* Sealed datagrams: what the members of a sealed overlay send to each other.
 *
 *     nonce (24) │ sealed: version (1) │ time (4) │ message │ tag (16)
 *
 * XChaCha20-Poly1305 seals all but the nonce, which is random: without the key
 * every byte looks random. The key of a seal is derived from the network key,
 * so that another use of that key has another one. docs/protocol.md and
 * docs/vectors/sealed.tsv have the format for other implementations.
 *
 * Fuzzed by tests/fuzz/seal_fuzz.c. */
#ifndef KAD_WIRE_SEAL_H
#define KAD_WIRE_SEAL_H

#include "kadenza_network_key.h"

enum {
  KAD_SEAL_NONCE_SIZE = 24, /* bytes, and all below */
  KAD_SEAL_TAG_SIZE = 16,
  KAD_SEAL_HEAD_SIZE = 5, /* version and time */
  KAD_SEAL_VERSION = 1
};

/* The keys of a node, derived from its network keys. The first one seals; each
 * opens. Wipe it with kad_seal_wipe. */
struct kad_seal {
  uint8_t keys[KAD_NETWORK_KEYS_MAX][KAD_NETWORK_KEY_SIZE];
  size_t count;
};

/* What was in a sealed datagram. */
struct kad_opened {
  struct kad_slice message; /* in the room of the caller */
  uint32_t time_s;          /* when it was sealed, by the clock of its sender:
                               seconds since 1970, the last 32 bits */
};

/* Returns true for 1 … KAD_NETWORK_KEYS_MAX keys. */
bool kad_seal_takes(const struct kad_network_keys *keys);

/* Derives the keys from `keys`, which kad_seal_takes. */
void kad_seal_init(struct kad_seal *seal, const struct kad_network_keys *keys);

/* Overwrites the keys. */
void kad_seal_wipe(struct kad_seal *seal);

/* Seals `message` at `time_s` to `datagram`, which must have room for
 * KAD_SEAL_OVERHEAD bytes more than `message` has and not overlap it. A nonce
 * must be random: the same one twice gives both messages away. */
void kad_seal_write(const struct kad_seal *seal,
                    const uint8_t nonce[KAD_SEAL_NONCE_SIZE], uint32_t time_s,
                    struct kad_slice message, uint8_t *datagram);

/* Opens `datagram` to `room`, which must have as many bytes.
 * Returns 0, or KAD_EMALFORMED: no key opens it, it is too short, or it has
 * another version. `room` may have been written to then. */
KAD_MUST_CHECK int kad_seal_open(const struct kad_seal *seal,
                                 struct kad_slice datagram, uint8_t *room,
                                 struct kad_opened *opened);

#endif
