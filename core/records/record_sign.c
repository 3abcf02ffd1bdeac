/* Signatures of records: Ed25519 over a bencoded dictionary. */
#include "records/record.h"

#include <sodium.h>

#include <assert.h>

static_assert(KAD_PUBLISHER_SIZE == crypto_sign_PUBLICKEYBYTES &&
                  KAD_SECRET_SIZE == crypto_sign_SECRETKEYBYTES &&
                  KAD_SIGNATURE_SIZE == crypto_sign_BYTES,
              "the sizes of Ed25519");

enum {
  /* More than key, salt, seq, type and value with their names and lengths. */
  SIGNED_MAX =
      KAD_VALUE_MAX + KAD_SALT_MAX + KAD_TYPE_NAME_MAX + KAD_ID_SIZE + 128
};

/* Writes what a signature covers. Returns 0, KAD_EINVAL or KAD_ETOOBIG. */
static int write_signed(const struct kad_record *record, unsigned id_bits,
                        struct kad_writer *writer) {
  if (id_bits != 160 && id_bits != 256) {
    return KAD_EINVAL;
  }
  kad_write_dict(writer);
  kad_write_key(writer, "key");
  kad_write_string(writer, (struct kad_slice){record->key.bytes, id_bits / 8});
  if (record->salt.len > 0) {
    kad_write_key(writer, "salt");
    kad_write_string(writer, record->salt);
  }
  if (record->has_seq) {
    kad_write_key(writer, "seq");
    kad_write_integer(writer, record->seq);
  }
  kad_write_key(writer, "type");
  kad_write_string(writer, record->type);
  kad_write_key(writer, "v");
  kad_write_string(writer, record->value);
  kad_write_close(writer);
  return writer->overflow ? KAD_ETOOBIG : 0;
}

void kad_keypair(const uint8_t seed[32], uint8_t publisher[KAD_PUBLISHER_SIZE],
                 uint8_t secret[KAD_SECRET_SIZE]) {
  if (seed == NULL || publisher == NULL || secret == NULL) {
    return;
  }
  static_assert(crypto_sign_SEEDBYTES == 32, "the size of a seed");
  crypto_sign_seed_keypair(publisher, secret, seed);
}

void kad_sign(struct kad_slice message, const uint8_t secret[KAD_SECRET_SIZE],
              uint8_t signature[KAD_SIGNATURE_SIZE]) {
  if (secret == NULL || signature == NULL) {
    return;
  }
  crypto_sign_detached(signature, NULL, message.data, message.len, secret);
}

bool kad_verify(struct kad_slice message,
                const uint8_t publisher[KAD_PUBLISHER_SIZE],
                const uint8_t signature[KAD_SIGNATURE_SIZE]) {
  if (publisher == NULL || signature == NULL) {
    return false;
  }
  return crypto_sign_verify_detached(signature, message.data, message.len,
                                     publisher) == 0;
}

int kad_record_sign(const struct kad_record *record, unsigned id_bits,
                    const uint8_t secret[KAD_SECRET_SIZE],
                    uint8_t signature[KAD_SIGNATURE_SIZE]) {
  if (record == NULL || secret == NULL || signature == NULL) {
    return KAD_EINVAL;
  }
  uint8_t buffer[SIGNED_MAX];
  struct kad_writer writer = {.data = buffer, .cap = sizeof buffer};
  if (record->value.len > KAD_VALUE_MAX || record->salt.len > KAD_SALT_MAX ||
      record->type.len > KAD_TYPE_NAME_MAX) {
    return KAD_ETOOBIG;
  }
  int status = write_signed(record, id_bits, &writer);
  if (status != 0) {
    return status;
  }
  kad_sign((struct kad_slice){buffer, writer.len}, secret, signature);
  return 0;
}

bool kad_record_verify(const struct kad_record *record, unsigned id_bits,
                       struct kad_verified *verified) {
  uint8_t buffer[SIGNED_MAX];
  struct kad_writer writer = {.data = buffer, .cap = sizeof buffer};
  if (record->publisher == NULL) {
    return true;
  }
  if (record->signature == NULL ||
      write_signed(record, id_bits, &writer) != 0) {
    return false;
  }
  return kad_verified_check(verified, (struct kad_slice){buffer, writer.len},
                            record->publisher, record->signature);
}
