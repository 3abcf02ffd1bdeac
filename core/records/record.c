#include "records/record.h"

#include <string.h>

static bool has_same_publisher(const struct kad_record *a,
                               const struct kad_record *b) {
  if (a->publisher == NULL || b->publisher == NULL) {
    return a->publisher == b->publisher;
  }
  return memcmp(a->publisher, b->publisher, KAD_PUBLISHER_SIZE) == 0;
}

/* Returns true if both are versions of one signed record. */
static bool is_same_chain(const struct kad_record *a,
                          const struct kad_record *b) {
  return a->publisher != NULL && has_same_publisher(a, b) &&
         kad_slice_equal(a->salt, b->salt);
}

static int64_t seq_of(const struct kad_record *record) {
  return record->has_seq ? record->seq : 0;
}

int kad_record_check(const struct kad_record *record) {
  if (record->type.len == 0 || record->type.len > KAD_TYPE_NAME_MAX ||
      (record->publisher == NULL) != (record->signature == NULL)) {
    return KAD_EINVAL;
  }
  return record->value.len > KAD_VALUE_MAX || record->salt.len > KAD_SALT_MAX
             ? KAD_ETOOBIG
             : 0;
}

bool kad_record_same(const struct kad_record *a, const struct kad_record *b) {
  return has_same_publisher(a, b) && kad_slice_equal(a->salt, b->salt) &&
         kad_slice_equal(a->value, b->value);
}

bool kad_record_identical(const struct kad_record *a,
                          const struct kad_record *b) {
  return kad_record_same(a, b) && a->seq == b->seq && a->has_seq == b->has_seq;
}

bool kad_record_is_among(const struct kad_record *records, size_t count,
                         const struct kad_record *record) {
  for (size_t i = 0; i < count; i++) {
    if (kad_record_identical(&records[i], record)) {
      return true;
    }
  }
  return false;
}

bool kad_record_replaces(const struct kad_record *incoming,
                         const struct kad_record *held) {
  if (incoming->publisher == NULL) {
    return kad_record_same(incoming, held);
  }
  return is_same_chain(incoming, held) && seq_of(incoming) >= seq_of(held);
}

bool kad_record_is_older(const struct kad_record *incoming,
                         const struct kad_record *held) {
  return is_same_chain(incoming, held) && seq_of(incoming) < seq_of(held);
}
