#include "replication/found_records.h"

#include "base/allocator.h"
#include "base/array.h"
#include "records/record.h"

enum {
  GROWTH = 16
};

/* Returns the bit of a contact, 0 for one that is not tracked. */
static uint64_t bit_of(uint32_t number) {
  return number < KAD_FOUND_CONTACTS_MAX ? UINT64_C(1) << number : 0;
}

/* Returns the number of a contact, 0 for one that is not tracked. */
static uint32_t number_of(const struct kad_found_records *found,
                          const struct kad_id *id) {
  const uint32_t last = found->contact_count < KAD_FOUND_CONTACTS_MAX - 1
                            ? found->contact_count
                            : KAD_FOUND_CONTACTS_MAX - 1;
  for (uint32_t i = 1; found->contact_ids != NULL && i <= last; i++) {
    if (kad_id_equal(&found->contact_ids[i], id)) {
      return i;
    }
  }
  return 0;
}

static struct kad_found_record *find(const struct kad_found_records *found,
                                     const struct kad_record *record) {
  for (size_t i = 0; i < found->count; i++) {
    if (kad_record_identical(found->items[i].copy.records, record)) {
      return &found->items[i];
    }
  }
  return NULL;
}

void kad_found_records_init(struct kad_found_records *found,
                            const struct kad_allocator *allocator) {
  found->contact_ids =
      kad_alloc(allocator, KAD_FOUND_CONTACTS_MAX * sizeof(struct kad_id));
}

void kad_found_records_deinit(struct kad_found_records *found,
                              const struct kad_allocator *allocator) {
  for (size_t i = 0; i < found->count; i++) {
    kad_bundle_free(&found->items[i].copy, allocator);
  }
  KAD_ARRAY_FREE(allocator, &found->items, &found->cap);
  if (found->contact_ids != NULL) {
    kad_release(allocator, found->contact_ids,
                KAD_FOUND_CONTACTS_MAX * sizeof(struct kad_id));
  }
}

uint32_t kad_found_records_add_contact(struct kad_found_records *found,
                                       const struct kad_id *id) {
  const uint32_t number = ++found->contact_count;
  if (number < KAD_FOUND_CONTACTS_MAX && found->contact_ids != NULL) {
    found->contact_ids[number] = *id;
  }
  return number;
}

bool kad_found_records_has(const struct kad_found_records *found,
                           const struct kad_record *record) {
  return find(found, record) != NULL;
}

/* Makes room for one more record. Returns false when there is none. */
static bool make_room(struct kad_found_records *found,
                      const struct kad_allocator *allocator) {
  const size_t cap = found->cap + GROWTH;
  return found->count < found->cap ||
         (cap <= KAD_FOUND_RECORDS_MAX &&
          KAD_ARRAY_RESERVE(allocator, &found->items, &found->cap, cap) == 0);
}

void kad_found_records_add(struct kad_found_records *found,
                           const struct kad_allocator *allocator,
                           uint32_t number, const struct kad_record *record) {
  const uint64_t bit = bit_of(number);
  struct kad_found_record *known = find(found, record);
  if (known != NULL) {
    known->count += (known->contacts & bit) != bit;
    known->contacts |= bit;
    known->ttl_max =
        record->ttl > known->ttl_max ? record->ttl : known->ttl_max;
    return;
  }
  struct kad_found_record added = {
      .contacts = bit, .count = 1, .ttl_max = record->ttl};
  if (make_room(found, allocator) &&
      kad_bundle_copy(&added.copy, allocator, record, 1) == 0) {
    found->items[found->count++] = added;
  }
}

void kad_found_records_note_read(struct kad_found_records *found,
                                 uint32_t number, uint32_t read,
                                 uint32_t total) {
  if (read < total) {
    found->partial |= bit_of(number);
    return;
  }
  found->partial &= ~bit_of(number);
  found->complete_max = read > found->complete_max ? read : found->complete_max;
}

static bool is_better(const struct kad_found_record *a,
                      const struct kad_found_record *b) {
  int64_t seq_a = a->copy.records->seq;
  int64_t seq_b = b->copy.records->seq;
  return seq_a != seq_b ? seq_a > seq_b : a->count > b->count;
}

/* Returns true if another valid record is newer than `item`. */
static bool is_obsolete(const struct kad_found_records *found,
                        const struct kad_found_record *item) {
  for (size_t i = 0; i < found->count; i++) {
    if (found->items[i].valid &&
        kad_record_is_older(item->copy.records, found->items[i].copy.records)) {
      return true;
    }
  }
  return false;
}

size_t kad_found_records_merge(const struct kad_found_records *found,
                               struct kad_record *out) {
  const struct kad_found_record *order[KAD_FOUND_RECORDS_MAX];
  size_t count = 0;
  for (size_t i = 0; i < found->count; i++) {
    const struct kad_found_record *item = &found->items[i];
    if (!item->valid || is_obsolete(found, item)) {
      continue;
    }
    size_t at = count++;
    for (; at > 0 && is_better(item, order[at - 1]); at--) {
      order[at] = order[at - 1];
    }
    order[at] = item;
  }
  for (size_t i = 0; i < count; i++) {
    out[i] = *order[i]->copy.records;
  }
  return count;
}

uint32_t kad_found_records_ttl(const struct kad_found_records *found,
                               const struct kad_record *record) {
  const struct kad_found_record *item = find(found, record);
  uint32_t longest = 0;
  if (item != NULL) {
    return item->ttl_max;
  }
  for (size_t i = 0; i < found->count; i++) {
    item = &found->items[i];
    longest = item->valid && item->ttl_max > longest ? item->ttl_max : longest;
  }
  return longest;
}

enum kad_known_content kad_found_records_content(
    const struct kad_found_records *found, const struct kad_id *contact) {
  const uint64_t bit = bit_of(number_of(found, contact));
  if (bit == bit_of(0) || (found->partial & bit) != 0) {
    return KAD_KNOWN_CONTENT_PARTIAL;
  }
  for (size_t i = 0; i < found->count; i++) {
    if ((found->items[i].contacts & bit) != 0) {
      return KAD_KNOWN_CONTENT_ALL;
    }
  }
  return KAD_KNOWN_CONTENT_NONE;
}

bool kad_found_records_returned(const struct kad_found_records *found,
                                const struct kad_id *contact,
                                const struct kad_record *record) {
  const struct kad_found_record *item = find(found, record);
  return item != NULL &&
         (item->contacts & bit_of(number_of(found, contact))) != 0;
}
