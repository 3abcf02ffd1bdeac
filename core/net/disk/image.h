/* A record in the form that it has on the disk: its meta, then the record.
 *
 *     meta    stored_at 8, expires_at 8, republish_at 8, order 8, origin:
 *             family and seed 1, port 2, ip 0, 4 or 16
 *     record  parts 1, lengths of type 1, salt 1, value 4; then key, type,
 * salt, publisher, signature, seq (8) and value
 *
 * Times are those of the store's own clock (durable.h). Records of a higher
 * order were stored later; an order of 0 in a meta keeps the one that the
 * record has.
 *
 * The name of a record is a keyed hash of all that identifies it. A store does
 * not add a record that is identical to one that it holds: the engine confirms
 * that one instead.
 * Tested by tests/unit/net/disk/image_test.c. */
#ifndef KAD_NET_DISK_IMAGE_H
#define KAD_NET_DISK_IMAGE_H

#include "kadenza_store.h"

enum {
  KAD_IMAGE_SECRET_SIZE = 16,
  KAD_IMAGE_NAME_SIZE = 16,
  KAD_IMAGE_META_MAX = 51, /* bytes */
  KAD_IMAGE_MAX = KAD_IMAGE_META_MAX + 7 + KAD_ID_SIZE + KAD_TYPE_NAME_MAX +
                  KAD_SALT_MAX + KAD_PUBLISHER_SIZE + KAD_SIGNATURE_SIZE + 8 +
                  KAD_VALUE_MAX
};

/* The parts of an image. Borrowed. */
struct kad_image {
  struct kad_slice meta;
  struct kad_slice record;
  uint64_t order; /* counts instead of the one in `meta` */
};

/* Writes the name of a record. `secret` has KAD_IMAGE_SECRET_SIZE bytes. */
void kad_image_name(const uint8_t *secret, const struct kad_record *record,
                    uint8_t name[KAD_IMAGE_NAME_SIZE]);

/* Returns the bytes of a meta, and those of a record whose key has `id_size`
 * bytes. */
size_t kad_image_meta_size(const struct kad_record_meta *meta);
size_t kad_image_record_size(const struct kad_record *record, size_t id_size);

/* Write as many bytes. */
void kad_image_write_meta(uint8_t *out, const struct kad_record_meta *meta,
                          uint64_t order);
void kad_image_write_record(uint8_t *out, const struct kad_record *record,
                            size_t id_size);

/* Splits the bytes of an image. Returns false if they begin with no meta. */
bool kad_image_split(struct kad_slice bytes, struct kad_image *image);

/* Copies an image with its order to `out`, which has room for both parts. */
void kad_image_copy(uint8_t *out, const struct kad_image *image);

/* Reads the type of a record, which it borrows, and its key, before anything
 * in the image is believed: empty, and all 0, where it is too short. */
struct kad_slice kad_image_type(const struct kad_image *image, size_t id_size);
void kad_image_key(const struct kad_image *image, size_t id_size,
                   struct kad_id *key);

/* Reads an image, which it borrows. Returns false if it is no record that a
 * store may hold: nothing in it is believed before. */
bool kad_image_read(const struct kad_image *image, size_t id_size,
                    struct kad_record *record, struct kad_record_meta *meta);

#endif
