#include "records/backed/reads.h"

#include "base/allocator.h"

#include <string.h>

/* A copy, with the bytes that it points to. */
struct kad_read {
  struct kad_read *next; /* a newer one */
  kad_record_handle handle;
  size_t size; /* of the block */
  struct kad_record record;
  uint8_t bytes[];
};

static size_t part_size(const uint8_t *part, size_t size) {
  return part != NULL ? size : 0;
}

static size_t size_of(const struct kad_record *record) {
  return sizeof(struct kad_read) + record->value.len + record->salt.len +
         part_size(record->publisher, KAD_PUBLISHER_SIZE) +
         part_size(record->signature, KAD_SIGNATURE_SIZE);
}

/* Copies `size` bytes to `*to` and moves that behind them. Returns the copy;
 * NULL if there are none. */
static const uint8_t *append(uint8_t **to, const uint8_t *bytes, size_t size) {
  uint8_t *const copy = *to;
  if (bytes == NULL || size == 0) {
    return NULL;
  }
  memcpy(copy, bytes, size);
  *to += size;
  return copy;
}

static void copy_record(struct kad_read *read,
                        const struct kad_record *record) {
  uint8_t *to = read->bytes;
  read->record = *record;
  read->record.value.data = append(&to, record->value.data, record->value.len);
  read->record.salt.data = append(&to, record->salt.data, record->salt.len);
  read->record.publisher = append(&to, record->publisher, KAD_PUBLISHER_SIZE);
  read->record.signature = append(&to, record->signature, KAD_SIGNATURE_SIZE);
}

static size_t place_of(kad_record_handle handle) {
  return (size_t)(handle ^ handle >> 32) % KAD_READS_RECENT;
}

static void free_oldest(struct kad_reads *reads,
                        const struct kad_allocator *allocator) {
  struct kad_read *const oldest = reads->oldest;
  struct kad_read **const recent = &reads->recent[place_of(oldest->handle)];
  if (*recent == oldest) {
    *recent = NULL;
  }
  reads->oldest = oldest->next;
  reads->count--;
  kad_release(allocator, oldest, oldest->size);
}

const struct kad_record *kad_reads_find(const struct kad_reads *reads,
                                        kad_record_handle handle) {
  const struct kad_read *const read = reads->recent[place_of(handle)];
  return read != NULL && read->handle == handle ? &read->record : NULL;
}

const struct kad_record *kad_reads_add(struct kad_reads *reads,
                                       const struct kad_allocator *allocator,
                                       kad_record_handle handle,
                                       const struct kad_record *record) {
  const size_t size = size_of(record);
  struct kad_read *const read = kad_alloc(allocator, size);
  if (read == NULL) {
    return NULL;
  }
  read->next = NULL;
  read->handle = handle;
  read->size = size;
  copy_record(read, record);
  if (reads->count == KAD_READS_MAX) {
    free_oldest(reads, allocator);
  }
  if (reads->oldest != NULL) {
    reads->newest->next = read;
  } else {
    reads->oldest = read;
  }
  reads->newest = read;
  reads->count++;
  reads->recent[place_of(handle)] = read;
  return &read->record;
}

void kad_reads_clear(struct kad_reads *reads,
                     const struct kad_allocator *allocator) {
  while (reads->oldest != NULL) {
    free_oldest(reads, allocator);
  }
}
