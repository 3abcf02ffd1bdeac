#include "records/item.h"

#include "kadenza_item.h"
#include "records/record.h"
#include "wire/bencode.h"

#include <sha1.h>

#include <assert.h>
#include <string.h>

enum {
  HASH_SIZE = 20, /* bytes; those of an id of 160 bits */
  /* More than "4:salt64:", "3:seqi<20 digits>e" and "1:v". */
  SIGNED_MAX = KAD_ITEM_VALUE_MAX + KAD_SALT_MAX + 64
};

static_assert(HASH_SIZE == SHA1_DIGEST_LENGTH, "the size of SHA-1");

/* --------------------------------------------------------------- kinds -- */

static const struct kad_slice types[] = {
    [KAD_ITEM_NONE] = {NULL, 0},
    [KAD_ITEM_IMMUTABLE] = {(const uint8_t *)"immutable",
                            sizeof "immutable" - 1},
    [KAD_ITEM_MUTABLE] = {(const uint8_t *)"mutable", sizeof "mutable" - 1},
};

enum kad_item_kind kad_item_kind_of(struct kad_slice type) {
  return kad_slice_equal(type, types[KAD_ITEM_MUTABLE])     ? KAD_ITEM_MUTABLE
         : kad_slice_equal(type, types[KAD_ITEM_IMMUTABLE]) ? KAD_ITEM_IMMUTABLE
                                                            : KAD_ITEM_NONE;
}

struct kad_slice kad_item_type(enum kad_item_kind kind) {
  return types[kind];
}

enum kad_item_kind kad_item_kind_of_record(const struct kad_record *item) {
  return item->publisher != NULL ? KAD_ITEM_MUTABLE : KAD_ITEM_IMMUTABLE;
}

/* ------------------------------------------------------------- targets -- */

int kad_item_check_value(struct kad_slice value) {
  if (value.len > KAD_ITEM_VALUE_MAX) {
    return KAD_ETOOBIG;
  }
  return kad_bencode_is_canonical(value, KAD_ITEM_DEPTH_MAX) ? 0
                                                             : KAD_EMALFORMED;
}

static void hash(struct kad_slice first, struct kad_slice second,
                 struct kad_id *id) {
  SHA1_CTX context;
  SHA1Init(&context);
  SHA1Update(&context, first.data, first.len);
  if (second.len > 0) {
    SHA1Update(&context, second.data, second.len);
  }
  memset(id, 0, sizeof *id);
  SHA1Final(id->bytes, &context);
}

int kad_item_target_immutable(struct kad_slice value, struct kad_id *target) {
  if (target == NULL) {
    return KAD_EINVAL;
  }
  const struct kad_slice nothing = {NULL, 0};
  int error = kad_item_check_value(value);
  if (error == 0) {
    hash(value, nothing, target);
  }
  return error;
}

int kad_item_target_mutable(const uint8_t publisher[KAD_PUBLISHER_SIZE],
                            struct kad_slice salt, struct kad_id *target) {
  if (publisher == NULL || target == NULL) {
    return KAD_EINVAL;
  }
  if (salt.len > KAD_SALT_MAX) {
    return KAD_ETOOBIG;
  }
  hash((struct kad_slice){publisher, KAD_PUBLISHER_SIZE}, salt, target);
  return 0;
}

int kad_item_name(struct kad_record *item) {
  item->type = types[kad_item_kind_of_record(item)];
  return item->publisher != NULL
             ? kad_item_target_mutable(item->publisher, item->salt, &item->key)
             : kad_item_target_immutable(item->value, &item->key);
}

/* ---------------------------------------------------------- signatures -- */

/* Writes what a signature covers: parts of a dictionary without its ends. */
static void write_signed(struct kad_slice value, struct kad_slice salt,
                         int64_t seq, struct kad_writer *writer) {
  if (salt.len > 0) {
    kad_write_key(writer, "salt");
    kad_write_string(writer, salt);
  }
  kad_write_key(writer, "seq");
  kad_write_integer(writer, seq);
  kad_write_key(writer, "v");
  kad_write_raw(writer, value);
}

int kad_item_sign(struct kad_slice value, struct kad_slice salt, int64_t seq,
                  const uint8_t secret[KAD_SECRET_SIZE],
                  uint8_t signature[KAD_SIGNATURE_SIZE]) {
  uint8_t buffer[SIGNED_MAX];
  struct kad_writer writer = {.data = buffer, .cap = sizeof buffer};
  if (secret == NULL || signature == NULL || seq < 0) {
    return KAD_EINVAL;
  }
  int error = kad_item_check_value(value);
  if (error != 0) {
    return error;
  }
  if (salt.len > KAD_SALT_MAX) {
    return KAD_ETOOBIG;
  }
  write_signed(value, salt, seq, &writer);
  kad_sign((struct kad_slice){buffer, writer.len}, secret, signature);
  return 0;
}

bool kad_item_verify(struct kad_slice value, struct kad_slice salt, int64_t seq,
                     const uint8_t publisher[KAD_PUBLISHER_SIZE],
                     const uint8_t signature[KAD_SIGNATURE_SIZE]) {
  uint8_t buffer[SIGNED_MAX];
  struct kad_writer writer = {.data = buffer, .cap = sizeof buffer};
  if (publisher == NULL || signature == NULL ||
      value.len > KAD_ITEM_VALUE_MAX || salt.len > KAD_SALT_MAX) {
    return false;
  }
  write_signed(value, salt, seq, &writer);
  return kad_verify((struct kad_slice){buffer, writer.len}, publisher,
                    signature);
}

/* -------------------------------------------------------------- checks -- */

static int reject(int code, const char *text, const char **reason) {
  *reason = text;
  return code;
}

/* Checks that an item has what its kind needs, and nothing else. */
static int check_fields(enum kad_item_kind kind, const struct kad_record *item,
                        const char **reason) {
  if (kind == KAD_ITEM_IMMUTABLE) {
    return item->publisher == NULL && item->signature == NULL &&
                   !item->has_seq && item->salt.len == 0
               ? 0
               : reject(KAD_CODE_PROTOCOL, "an immutable item has a value only",
                        reason);
  }
  if (item->publisher == NULL || item->signature == NULL) {
    return reject(KAD_CODE_SIGNATURE, "a signature is required", reason);
  }
  if (!item->has_seq || item->seq < 0) {
    return reject(KAD_CODE_PROTOCOL, "a sequence number from 0 is required",
                  reason);
  }
  return 0;
}

int kad_item_check(enum kad_item_kind kind, const struct kad_record *item,
                   const char **reason) {
  struct kad_record named = *item;
  const int error = kad_item_check_value(item->value);
  if (error == KAD_ETOOBIG) {
    return reject(KAD_CODE_TOO_BIG, "value too large", reason);
  }
  if (error != 0) {
    return reject(KAD_CODE_PROTOCOL, "the value is not canonical bencode",
                  reason);
  }
  if (item->salt.len > KAD_SALT_MAX) {
    return reject(KAD_CODE_SALT, "salt too large", reason);
  }
  const int code = check_fields(kind, item, reason);
  if (code != 0) {
    return code;
  }
  return kad_item_name(&named) == 0 && kad_id_equal(&named.key, &item->key)
             ? 0
             : reject(KAD_CODE_PROTOCOL, "the item has another target", reason);
}

bool kad_item_is_signed(const struct kad_record *item,
                        struct kad_verified *verified) {
  uint8_t buffer[SIGNED_MAX];
  struct kad_writer writer = {.data = buffer, .cap = sizeof buffer};
  if (item->publisher == NULL) {
    return true;
  }
  write_signed(item->value, item->salt, item->seq, &writer);
  return !writer.overflow &&
         kad_verified_check(verified, (struct kad_slice){buffer, writer.len},
                            item->publisher, item->signature);
}

int kad_item_check_update(const struct kad_record *incoming,
                          const struct kad_record *held, const int64_t *cas,
                          const char **reason) {
  if (kad_record_identical(incoming, held)) {
    return 0;
  }
  if (cas != NULL && *cas != held->seq) {
    return reject(KAD_CODE_CAS, "the item has another sequence number", reason);
  }
  if (incoming->seq < held->seq) {
    return reject(KAD_CODE_SEQ, "sequence number too low", reason);
  }
  if (incoming->seq == held->seq) {
    return reject(KAD_CODE_SEQ, "another value has this sequence number",
                  reason);
  }
  return 0;
}
