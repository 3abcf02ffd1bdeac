#include "records/memory/entry.h"

#include "base/address.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

/* Parts of a tail, in their order. */
enum {
  PART_LONG_KEY = 1, /* 32 bytes instead of 20 */
  PART_IP4 = 2,      /* the origin's ip; our own user has neither */
  PART_IP6 = 4,
  PART_SEQ = 8,
  PART_PUBLISHER = 16,
  PART_SIGNATURE = 32,
  IS_SEED = 64,   /* no part: of the meta */
  IS_ABSENT = 128 /* no part: the value is elsewhere */
};

enum {
  SHORT_KEY = 20,
  SEQ_SIZE = sizeof(int64_t)
};

static_assert(KAD_VALUE_MAX <= UINT16_MAX, "value_len holds every length");
static_assert(KAD_SALT_MAX <= UINT8_MAX, "salt_len holds every length");
static_assert(offsetof(struct kad_memory_entry, tail) %
                      alignof(struct kad_account_place) ==
                  0,
              "a place at the front of the tail is aligned");

static const uint8_t no_bytes[KAD_ID_SIZE];

/* A key whose last 12 bytes are 0 is almost certainly one of 160 bits. */
static bool is_short(const struct kad_id *key) {
  return memcmp(key->bytes + SHORT_KEY, no_bytes, KAD_ID_SIZE - SHORT_KEY) == 0;
}

static unsigned part_if(bool has, unsigned part) {
  return has ? part : 0;
}

static unsigned parts_of(const struct kad_record *record,
                         const struct kad_address *origin) {
  return part_if(!is_short(&record->key), PART_LONG_KEY) |
         part_if(origin->family == 4, PART_IP4) |
         part_if(origin->family == 6, PART_IP6) |
         part_if(record->has_seq, PART_SEQ) |
         part_if(record->publisher != NULL, PART_PUBLISHER) |
         part_if(record->signature != NULL, PART_SIGNATURE) |
         part_if(record->value.data == NULL && record->value.len > 0,
                 IS_ABSENT);
}

static size_t key_size(unsigned parts) {
  return (parts & PART_LONG_KEY) != 0 ? KAD_ID_SIZE : SHORT_KEY;
}

static size_t ip_size(unsigned parts) {
  if ((parts & PART_IP4) != 0) {
    return 4;
  }
  return (parts & PART_IP6) != 0 ? 16 : 0;
}

static size_t part_size(unsigned parts, unsigned part, size_t size) {
  return (parts & part) != 0 ? size : 0;
}

/* A record of our own user is in no account of a publisher. */
static size_t place_size(unsigned parts) {
  return (parts & PART_PUBLISHER) != 0 && ip_size(parts) > 0
             ? sizeof(struct kad_account_place)
             : 0;
}

static size_t value_size(unsigned parts, size_t len) {
  return (parts & IS_ABSENT) != 0 ? 0 : len;
}

static size_t size_of(unsigned parts, size_t salt_len, size_t value_len) {
  return offsetof(struct kad_memory_entry, tail) + place_size(parts) +
         key_size(parts) + ip_size(parts) +
         part_size(parts, PART_SEQ, SEQ_SIZE) +
         part_size(parts, PART_PUBLISHER, KAD_PUBLISHER_SIZE) +
         part_size(parts, PART_SIGNATURE, KAD_SIGNATURE_SIZE) + salt_len +
         value_size(parts, value_len);
}

size_t kad_memory_entry_size(const struct kad_record *record,
                             const struct kad_address *origin) {
  return size_of(parts_of(record, origin), record->salt.len, record->value.len);
}

size_t kad_memory_entry_size_held(const struct kad_memory_entry *entry) {
  return size_of(entry->parts, entry->salt_len, entry->value_len);
}

size_t kad_memory_entry_cost(const struct kad_memory_entry *entry) {
  const unsigned parts = entry->parts;
  return size_of(parts & (UINT8_MAX - IS_ABSENT), entry->salt_len,
                 entry->value_len);
}

/* Appends `len` bytes to a tail. `bytes` may be NULL when `len` is 0. */
static uint8_t *append(uint8_t *to, const void *bytes, size_t len) {
  if (len > 0) {
    memcpy(to, bytes, len);
  }
  return to + len;
}

void kad_memory_entry_write(struct kad_memory_entry *entry,
                            const struct kad_record *record, uint8_t type,
                            const struct kad_record_meta *meta) {
  assert(record->value.len <= UINT16_MAX);
  assert(record->salt.len <= KAD_SALT_MAX);
  unsigned parts = parts_of(record, &meta->origin);
  entry->type = type;
  entry->parts = (uint8_t)parts;
  entry->salt_len = (uint8_t)record->salt.len;
  entry->value_len = (uint16_t)record->value.len;
  uint8_t *tail = entry->tail + place_size(parts);
  tail = append(tail, record->key.bytes, key_size(parts));
  tail = append(tail, meta->origin.ip, ip_size(parts));
  tail = append(tail, &record->seq, part_size(parts, PART_SEQ, SEQ_SIZE));
  tail = append(tail, record->publisher,
                part_size(parts, PART_PUBLISHER, KAD_PUBLISHER_SIZE));
  tail = append(tail, record->signature,
                part_size(parts, PART_SIGNATURE, KAD_SIGNATURE_SIZE));
  tail = append(tail, record->salt.data, record->salt.len);
  append(tail, record->value.data, value_size(parts, record->value.len));
  kad_memory_entry_set_meta(entry, meta);
}

void kad_memory_entry_set_meta(struct kad_memory_entry *entry,
                               const struct kad_record_meta *meta) {
  entry->stored_at = meta->stored_at;
  entry->due[KAD_MEMORY_DUE_EXPIRE] = meta->expires_at;
  entry->due[KAD_MEMORY_DUE_REPUBLISH] = meta->republish_at;
  entry->port = meta->origin.port;
  entry->via = meta->origin.via;
  const unsigned parts = entry->parts;
  entry->parts = (uint8_t)(meta->is_seed ? parts | IS_SEED
                                         : parts & (UINT8_MAX - IS_SEED));
}

/* Returns the next part of a tail, of `size` bytes; NULL when that is 0. */
static const uint8_t *read_part(const uint8_t **tail, size_t size) {
  const uint8_t *part = size > 0 ? *tail : NULL;
  *tail += size;
  return part;
}

void kad_memory_entry_record(const struct kad_memory_entry *entry,
                             struct kad_record *record) {
  unsigned parts = entry->parts;
  *record = (struct kad_record){0};
  kad_memory_entry_key(entry, &record->key);
  const uint8_t *tail =
      entry->tail + place_size(parts) + key_size(parts) + ip_size(parts);
  const uint8_t *seq = read_part(&tail, part_size(parts, PART_SEQ, SEQ_SIZE));
  if (seq != NULL) {
    memcpy(&record->seq, seq, SEQ_SIZE);
    record->has_seq = true;
  }
  record->publisher =
      read_part(&tail, part_size(parts, PART_PUBLISHER, KAD_PUBLISHER_SIZE));
  record->signature =
      read_part(&tail, part_size(parts, PART_SIGNATURE, KAD_SIGNATURE_SIZE));
  record->salt.data = read_part(&tail, entry->salt_len);
  record->salt.len = entry->salt_len;
  record->value.data = read_part(&tail, value_size(parts, entry->value_len));
  record->value.len = entry->value_len;
}

void kad_memory_entry_meta(const struct kad_memory_entry *entry,
                           struct kad_record_meta *meta) {
  unsigned parts = entry->parts;
  *meta = (struct kad_record_meta){
      .stored_at = entry->stored_at,
      .expires_at = entry->due[KAD_MEMORY_DUE_EXPIRE],
      .republish_at = entry->due[KAD_MEMORY_DUE_REPUBLISH],
      .origin = {.port = entry->port, .via = entry->via},
      .is_seed = (parts & IS_SEED) != 0,
  };
  if (ip_size(parts) > 0) {
    meta->origin.family = (parts & PART_IP4) != 0 ? 4 : 6;
    memcpy(meta->origin.ip, entry->tail + place_size(parts) + key_size(parts),
           ip_size(parts));
  }
}

bool kad_memory_entry_is_own(const struct kad_memory_entry *entry) {
  return ip_size(entry->parts) == 0;
}

struct kad_account_place *kad_memory_entry_of_publisher(
    struct kad_memory_entry *entry) {
  return place_size(entry->parts) > 0 ? (void *)entry->tail : NULL;
}

void kad_memory_entry_key(const struct kad_memory_entry *entry,
                          struct kad_id *key) {
  *key = (struct kad_id){0};
  memcpy(key->bytes, entry->tail + place_size(entry->parts),
         key_size(entry->parts));
}

bool kad_memory_entry_has_key(const struct kad_memory_entry *entry,
                              const struct kad_id *key) {
  size_t size = key_size(entry->parts);
  const uint8_t *held = entry->tail + place_size(entry->parts);
  return memcmp(held, key->bytes, size) == 0 &&
         memcmp(no_bytes, key->bytes + size, KAD_ID_SIZE - size) == 0;
}
