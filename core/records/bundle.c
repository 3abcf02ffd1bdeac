#include "records/bundle.h"

#include "base/allocator.h"

#include <string.h>

static size_t record_bytes(const struct kad_record *record) {
  size_t bytes = record->type.len + record->value.len + record->salt.len;
  bytes += record->publisher != NULL ? KAD_PUBLISHER_SIZE : 0;
  bytes += record->signature != NULL ? KAD_SIGNATURE_SIZE : 0;
  return bytes;
}

/* Copies `len` bytes to `*end`, which it advances. Returns the copy, or NULL
 * for NULL. */
static const uint8_t *append(uint8_t **end, const uint8_t *data, size_t len) {
  uint8_t *at = *end;
  if (data == NULL) {
    return NULL;
  }
  memcpy(at, data, len);
  *end = at + len;
  return at;
}

static void copy_record(struct kad_record *to, const struct kad_record *from,
                        uint8_t **end) {
  *to = *from;
  to->type.data = append(end, from->type.data, from->type.len);
  to->value.data = append(end, from->value.data, from->value.len);
  to->salt.data = append(end, from->salt.data, from->salt.len);
  to->publisher = append(end, from->publisher, KAD_PUBLISHER_SIZE);
  to->signature = append(end, from->signature, KAD_SIGNATURE_SIZE);
}

/* Returns `record` with the key and the type of `named`, if that is not NULL.
 */
static struct kad_record rename_record(const struct kad_record *record,
                                       const struct kad_record *named) {
  struct kad_record renamed = *record;
  if (named != NULL) {
    renamed.key = named->key;
    renamed.type = named->type;
  }
  return renamed;
}

int kad_bundle_copy_as(struct kad_bundle *bundle,
                       const struct kad_allocator *allocator,
                       const struct kad_record *named,
                       const struct kad_record *records, size_t count) {
  size_t size = count * sizeof *records;
  for (size_t i = 0; i < count; i++) {
    const struct kad_record record = rename_record(&records[i], named);
    size += record_bytes(&record);
  }
  struct kad_record *block = kad_alloc(allocator, size);
  if (block == NULL) {
    return KAD_ENOMEM;
  }
  uint8_t *end = (uint8_t *)(block + count);
  for (size_t i = 0; i < count; i++) {
    const struct kad_record record = rename_record(&records[i], named);
    copy_record(&block[i], &record, &end);
  }
  *bundle = (struct kad_bundle){.records = block, .count = count, .size = size};
  return 0;
}

int kad_bundle_copy(struct kad_bundle *bundle,
                    const struct kad_allocator *allocator,
                    const struct kad_record *records, size_t count) {
  return kad_bundle_copy_as(bundle, allocator, NULL, records, count);
}

void kad_bundle_free(struct kad_bundle *bundle,
                     const struct kad_allocator *allocator) {
  kad_release(allocator, bundle->records, bundle->size);
  *bundle = (struct kad_bundle){0};
}
