#include "wire/seal.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert((int)KAD_SEAL_NONCE_SIZE ==
                  (int)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
              "nonce");
static_assert((int)KAD_SEAL_TAG_SIZE ==
                  (int)crypto_aead_xchacha20poly1305_ietf_ABYTES,
              "tag");
static_assert((int)KAD_NETWORK_KEY_SIZE ==
                  (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
              "key");
static_assert((int)KAD_SEAL_OVERHEAD ==
                  KAD_SEAL_NONCE_SIZE + KAD_SEAL_HEAD_SIZE + KAD_SEAL_TAG_SIZE,
              "the public header has the sum");

enum {
  KEY_NUMBER = 1, /* of the derived keys; a new format takes another one */
  FINGERPRINT_NUMBER = 2,
  FINGERPRINT_BYTES = (KAD_FINGERPRINT_SIZE - 1) / 2
};

static const char context[crypto_kdf_CONTEXTBYTES + 1] = "kadenza0";

void kad_network_key_fingerprint(const uint8_t key[KAD_NETWORK_KEY_SIZE],
                                 char text[KAD_FINGERPRINT_SIZE]) {
  uint8_t derived[crypto_kdf_BYTES_MIN];
  if (text == NULL) {
    return;
  }
  text[0] = 0;
  if (key == NULL) {
    return;
  }
  (void)crypto_kdf_derive_from_key(derived, sizeof derived, FINGERPRINT_NUMBER,
                                   context, key);
  (void)sodium_bin2hex(text, KAD_FINGERPRINT_SIZE, derived, FINGERPRINT_BYTES);
}

bool kad_seal_takes(const struct kad_network_keys *keys) {
  return keys->count >= 1 && keys->count <= KAD_NETWORK_KEYS_MAX;
}

void kad_seal_init(struct kad_seal *seal, const struct kad_network_keys *keys) {
  assert(kad_seal_takes(keys));
  *seal = (struct kad_seal){.count = keys->count};
  for (size_t i = 0; i < keys->count; i++) {
    (void)crypto_kdf_derive_from_key(seal->keys[i], sizeof seal->keys[i],
                                     KEY_NUMBER, context, keys->keys[i]);
  }
}

void kad_seal_wipe(struct kad_seal *seal) {
  sodium_memzero(seal, sizeof *seal);
}

void kad_seal_write(const struct kad_seal *seal,
                    const uint8_t nonce[KAD_SEAL_NONCE_SIZE], uint32_t time_s,
                    struct kad_slice message, uint8_t *datagram) {
  uint8_t *head = datagram + KAD_SEAL_NONCE_SIZE;
  memcpy(datagram, nonce, KAD_SEAL_NONCE_SIZE);
  head[0] = KAD_SEAL_VERSION;
  head[1] = (uint8_t)(time_s >> 24);
  head[2] = (uint8_t)(time_s >> 16);
  head[3] = (uint8_t)(time_s >> 8);
  head[4] = (uint8_t)time_s;
  if (message.len > 0) {
    memcpy(head + KAD_SEAL_HEAD_SIZE, message.data, message.len);
  }
  (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
      head, NULL, head, KAD_SEAL_HEAD_SIZE + message.len, NULL, 0, NULL, nonce,
      seal->keys[0]);
}

static bool open_with(const uint8_t *key, struct kad_slice datagram,
                      uint8_t *room) {
  return crypto_aead_xchacha20poly1305_ietf_decrypt(
             room, NULL, NULL, datagram.data + KAD_SEAL_NONCE_SIZE,
             datagram.len - KAD_SEAL_NONCE_SIZE, NULL, 0, datagram.data,
             key) == 0;
}

int kad_seal_open(const struct kad_seal *seal, struct kad_slice datagram,
                  uint8_t *room, struct kad_opened *opened) {
  bool is_open = false;
  if (datagram.len < KAD_SEAL_OVERHEAD) {
    return KAD_EMALFORMED;
  }
  for (size_t i = 0; i < seal->count && !is_open; i++) {
    is_open = open_with(seal->keys[i], datagram, room);
  }
  if (!is_open || room[0] != KAD_SEAL_VERSION) {
    return KAD_EMALFORMED;
  }
  opened->time_s = (uint32_t)room[1] << 24 | (uint32_t)room[2] << 16 |
                   (uint32_t)room[3] << 8 | room[4];
  opened->message = (struct kad_slice){.data = room + KAD_SEAL_HEAD_SIZE,
                                       .len = datagram.len - KAD_SEAL_OVERHEAD};
  return 0;
}
