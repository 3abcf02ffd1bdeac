#include "net/disk/image.h"

#include "net/disk/bytes.h"
#include "records/record.h"

#include <sodium.h>

#include <assert.h>
#include <string.h>

static_assert((int)KAD_IMAGE_SECRET_SIZE ==
                      (int)crypto_shorthash_siphashx24_KEYBYTES &&
                  (int)KAD_IMAGE_NAME_SIZE ==
                      (int)crypto_shorthash_siphashx24_BYTES,
              "a name is a SipHash of 128 bits");

/* Places in a meta. */
enum {
  EXPIRES_AT = 8,
  REPUBLISH_AT = 16,
  ORDER = 24,
  FAMILY = 32,
  PORT = 33,
  IP = 35,
  SEED = 16 /* added to the family */
};

/* Places in a record, and its parts. */
enum {
  TYPE_LEN = 1,
  SALT_LEN = 2,
  VALUE_LEN = 3,
  HEAD = 7,
  HAS_PUBLISHER = 1,
  HAS_SIGNATURE = 2,
  HAS_SEQ = 4,
  SEQ_SIZE = 8
};

static size_t ip_size(unsigned family) {
  if (family == 4) {
    return 4;
  }
  return family == 6 ? 16 : 0;
}

size_t kad_image_meta_size(const struct kad_record_meta *meta) {
  return IP + ip_size(meta->origin.family);
}

static unsigned parts_of(const struct kad_record *record) {
  return (record->publisher != NULL ? HAS_PUBLISHER : 0U) |
         (record->signature != NULL ? HAS_SIGNATURE : 0U) |
         (record->has_seq ? HAS_SEQ : 0U);
}

/* Returns the bytes of the parts, without the key. */
static size_t tail_size(unsigned parts, size_t type_len, size_t salt_len,
                        size_t value_len) {
  return type_len + salt_len + value_len +
         ((parts & HAS_PUBLISHER) != 0 ? KAD_PUBLISHER_SIZE : 0) +
         ((parts & HAS_SIGNATURE) != 0 ? KAD_SIGNATURE_SIZE : 0) +
         ((parts & HAS_SEQ) != 0 ? SEQ_SIZE : 0);
}

size_t kad_image_record_size(const struct kad_record *record, size_t id_size) {
  return HEAD + id_size +
         tail_size(parts_of(record), record->type.len, record->salt.len,
                   record->value.len);
}

void kad_image_write_meta(uint8_t *out, const struct kad_record_meta *meta,
                          uint64_t order) {
  const struct kad_address *origin = &meta->origin;
  kad_bytes_put(out, meta->stored_at, 8);
  kad_bytes_put(out + EXPIRES_AT, meta->expires_at, 8);
  kad_bytes_put(out + REPUBLISH_AT, meta->republish_at, 8);
  kad_bytes_put(out + ORDER, order, 8);
  out[FAMILY] = (uint8_t)(origin->family | (meta->is_seed ? SEED : 0));
  kad_bytes_put(out + PORT, origin->port, 2);
  memcpy(out + IP, origin->ip, ip_size(origin->family));
}

/* Appends `len` bytes, and returns where the next ones go. */
static uint8_t *append(uint8_t *out, const uint8_t *bytes, size_t len) {
  if (len > 0) {
    memcpy(out, bytes, len);
  }
  return out + len;
}

void kad_image_write_record(uint8_t *out, const struct kad_record *record,
                            size_t id_size) {
  uint8_t *at = out + HEAD;
  out[0] = (uint8_t)parts_of(record);
  out[TYPE_LEN] = (uint8_t)record->type.len;
  out[SALT_LEN] = (uint8_t)record->salt.len;
  kad_bytes_put(out + VALUE_LEN, record->value.len, 4);
  at = append(at, record->key.bytes, id_size);
  at = append(at, record->type.data, record->type.len);
  at = append(at, record->salt.data, record->salt.len);
  if (record->publisher != NULL) {
    at = append(at, record->publisher, KAD_PUBLISHER_SIZE);
  }
  if (record->signature != NULL) {
    at = append(at, record->signature, KAD_SIGNATURE_SIZE);
  }
  if (record->has_seq) {
    kad_bytes_put(at, (uint64_t)record->seq, SEQ_SIZE);
    at += SEQ_SIZE;
  }
  (void)append(at, record->value.data, record->value.len);
}

/* What identifies a record, which the signature does not: the image of the
 * record without it. */
void kad_image_name(const uint8_t *secret, const struct kad_record *record,
                    uint8_t name[KAD_IMAGE_NAME_SIZE]) {
  uint8_t bytes[KAD_IMAGE_MAX];
  struct kad_record identity = *record;
  identity.signature = NULL;
  kad_image_write_record(bytes, &identity, KAD_ID_SIZE);
  (void)crypto_shorthash_siphashx24(
      name, bytes, kad_image_record_size(&identity, KAD_ID_SIZE), secret);
}

bool kad_image_split(struct kad_slice bytes, struct kad_image *image) {
  if (bytes.len < IP) {
    return false;
  }
  const size_t meta_len = IP + ip_size(bytes.data[FAMILY] & (SEED - 1));
  if (bytes.len < meta_len) {
    return false;
  }
  image->meta = (struct kad_slice){.data = bytes.data, .len = meta_len};
  image->record = (struct kad_slice){.data = bytes.data + meta_len,
                                     .len = bytes.len - meta_len};
  image->order = kad_bytes_get(bytes.data + ORDER, 8);
  return true;
}

void kad_image_copy(uint8_t *out, const struct kad_image *image) {
  uint8_t *const record = append(out, image->meta.data, image->meta.len);
  kad_bytes_put(out + ORDER, image->order, 8);
  (void)append(record, image->record.data, image->record.len);
}

struct kad_slice kad_image_type(const struct kad_image *image, size_t id_size) {
  const struct kad_slice bytes = image->record;
  const size_t begin = HEAD + id_size;
  if (bytes.len < begin || bytes.data[TYPE_LEN] > bytes.len - begin) {
    return (struct kad_slice){0};
  }
  return (struct kad_slice){bytes.data + begin, bytes.data[TYPE_LEN]};
}

void kad_image_key(const struct kad_image *image, size_t id_size,
                   struct kad_id *key) {
  *key = (struct kad_id){0};
  if (image->record.len >= HEAD + id_size) {
    memcpy(key->bytes, image->record.data + HEAD, id_size);
  }
}

static bool read_meta(struct kad_slice bytes, struct kad_record_meta *meta) {
  const unsigned family = bytes.data[FAMILY] & (SEED - 1);
  if ((family != 0 && family != 4 && family != 6) ||
      bytes.data[FAMILY] >= 2 * SEED) {
    return false;
  }
  *meta = (struct kad_record_meta){
      .stored_at = kad_bytes_get(bytes.data, 8),
      .expires_at = kad_bytes_get(bytes.data + EXPIRES_AT, 8),
      .republish_at = kad_bytes_get(bytes.data + REPUBLISH_AT, 8),
      .origin.family = (uint8_t)family,
      .origin.port = (uint16_t)kad_bytes_get(bytes.data + PORT, 2),
      .is_seed = bytes.data[FAMILY] >= SEED,
  };
  memcpy(meta->origin.ip, bytes.data + IP, ip_size(family));
  return true;
}

/* Returns the next `len` bytes, or NULL for none. */
static const uint8_t *take(const uint8_t **at, size_t len) {
  const uint8_t *bytes = *at;
  *at += len;
  return len > 0 ? bytes : NULL;
}

static bool read_record(struct kad_slice bytes, size_t id_size,
                        struct kad_record *record) {
  if (bytes.len < HEAD + id_size) {
    return false;
  }
  const unsigned parts = bytes.data[0];
  const size_t type_len = bytes.data[TYPE_LEN];
  const size_t salt_len = bytes.data[SALT_LEN];
  const size_t value_len = kad_bytes_get(bytes.data + VALUE_LEN, 4);
  if (bytes.len !=
      HEAD + id_size + tail_size(parts, type_len, salt_len, value_len)) {
    return false;
  }
  const uint8_t *at = bytes.data + HEAD;
  *record = (struct kad_record){.has_seq = (parts & HAS_SEQ) != 0};
  memcpy(record->key.bytes, take(&at, id_size), id_size);
  record->type = (struct kad_slice){take(&at, type_len), type_len};
  record->salt = (struct kad_slice){take(&at, salt_len), salt_len};
  record->publisher =
      take(&at, (parts & HAS_PUBLISHER) != 0 ? KAD_PUBLISHER_SIZE : 0);
  record->signature =
      take(&at, (parts & HAS_SIGNATURE) != 0 ? KAD_SIGNATURE_SIZE : 0);
  if (record->has_seq) {
    record->seq = (int64_t)kad_bytes_get(take(&at, SEQ_SIZE), SEQ_SIZE);
  }
  record->value = (struct kad_slice){take(&at, value_len), value_len};
  return kad_record_check(record) == 0;
}

bool kad_image_read(const struct kad_image *image, size_t id_size,
                    struct kad_record *record, struct kad_record_meta *meta) {
  return read_meta(image->meta, meta) &&
         read_record(image->record, id_size, record);
}
