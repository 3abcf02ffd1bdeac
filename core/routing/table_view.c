/* The questions to the routing table. Only notes on lookups change it. */
#include "base/address.h"
#include "base/id.h"
#include "base/time.h"
#include "routing/table_buckets.h"

#include <assert.h>

const struct kad_table_entry *kad_table_find(const struct kad_table *table,
                                             const struct kad_id *id) {
  return kad_table_entry(table, id);
}

const struct kad_table_entry *kad_table_find_address(
    const struct kad_table *table, const struct kad_address *address) {
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(table, &bucket, &slot)) != NULL) {
    /* The port alone tells most of them apart. */
    if (entry->contact.address.port == address->port &&
        kad_address_equal(&entry->contact.address, address)) {
      break;
    }
  }
  return entry;
}

/* The arguments and the result of kad_table_closest. */
struct selection {
  const struct kad_table *table;
  const struct kad_id *target;
  kad_time_ms now;
  struct kad_contact *out;
  size_t count;
  size_t cap;
  bool only_secure;
};

/* A contact with the first bits of its distance, which nearly always decide. */
struct ranked_contact {
  uint64_t distance;
  const struct kad_contact *contact;
};

/* A contact that may be dead or hidden costs other nodes a query in vain. */
static bool is_worth_naming(const struct kad_table *table,
                            const struct kad_table_entry *entry,
                            kad_time_ms now) {
  if (table->withhold && !entry->reachable) {
    return false;
  }
  return entry->failures == 0 ||
         (!kad_table_entry_is_bad(entry) &&
          kad_time_since(entry->last_seen, now) < table->config.ping_ms);
}

static bool is_closer(const struct kad_id *target,
                      const struct ranked_contact *a,
                      const struct ranked_contact *b) {
  if (a->distance != b->distance) {
    return a->distance < b->distance;
  }
  return kad_id_compare(target, &a->contact->id, &b->contact->id) < 0;
}

/* Inserts `newcomer` into an array of `*count` contacts, closest first. The
 * farthest is dropped if there are `cap` already. */
static void insert(struct ranked_contact *sorted, size_t *count, size_t cap,
                   const struct kad_id *target,
                   const struct ranked_contact *newcomer) {
  size_t i = *count;
  if (i < cap) {
    (*count)++;
  } else if (is_closer(target, newcomer, &sorted[i - 1])) {
    i--;
  } else {
    return;
  }
  while (i > 0 && is_closer(target, newcomer, &sorted[i - 1])) {
    sorted[i] = sorted[i - 1];
    i--;
  }
  sorted[i] = *newcomer;
}

/* Appends the closest contacts of one bucket, as many as there is room for.
 * Returns false when there is no room left. */
static bool append_bucket(struct selection *selection, size_t index) {
  const struct kad_bucket *bucket = &selection->table->buckets[index];
  const uint64_t target = kad_id_word(selection->target, 0);
  const size_t room = selection->cap - selection->count;
  struct ranked_contact sorted[KAD_BUCKET_MAX];
  size_t count = 0;
  for (size_t i = 0; i < bucket->count && room > 0; i++) {
    const struct kad_table_entry *entry = &bucket->entries[i];
    if (is_worth_naming(selection->table, entry, selection->now) &&
        (entry->is_secure || !selection->only_secure)) {
      const struct ranked_contact ranked = {
          .distance = kad_id_word(&entry->contact.id, 0) ^ target,
          .contact = &entry->contact,
      };
      insert(sorted, &count, room, selection->target, &ranked);
    }
  }
  for (size_t i = 0; i < count; i++) {
    selection->out[selection->count++] = *sorted[i].contact;
  }
  return selection->count < selection->cap;
}

/* Visits the buckets in the order of their distance to the target: every
 * contact of a bucket is closer than all contacts of the buckets after it. The
 * bucket of the target comes first, as its contacts share most bits with the
 * target. Then come the deeper buckets. The contacts of bucket j share our bits
 * before j and differ from us in bit j. If the target differs there too, bucket
 * j is closer than all buckets deeper than j; otherwise it is farther. The
 * shallower buckets come last. */
static void append_buckets(struct selection *selection) {
  const struct kad_table *table = selection->table;
  const struct kad_id *self = &table->config.self;
  const size_t last = table->bucket_count - 1;
  const size_t own = kad_table_bucket_of(table, selection->target);
  bool more = append_bucket(selection, own);
  for (size_t j = own + 1; more && j < last; j++) {
    if (kad_id_bit(self, j) != kad_id_bit(selection->target, j)) {
      more = append_bucket(selection, j);
    }
  }
  if (more && own < last) {
    more = append_bucket(selection, last);
  }
  for (size_t j = last; more && j-- > own + 1;) {
    if (kad_id_bit(self, j) == kad_id_bit(selection->target, j)) {
      more = append_bucket(selection, j);
    }
  }
  for (size_t j = own; more && j-- > 0;) {
    more = append_bucket(selection, j);
  }
}

size_t kad_table_closest(const struct kad_table *table,
                         const struct kad_id *target, kad_time_ms now,
                         struct kad_contact *out, size_t cap) {
  struct selection selection = {
      .table = table,
      .target = target,
      .now = now,
      .out = out,
      .cap = cap,
  };
  append_buckets(&selection);
  return selection.count;
}

size_t kad_table_closest_holders(const struct kad_table *table,
                                 const struct kad_id *target, kad_time_ms now,
                                 struct kad_contact *out, size_t cap) {
  struct selection selection = {
      .table = table,
      .target = target,
      .now = now,
      .out = out,
      .cap = cap,
      .only_secure = true,
  };
  append_buckets(&selection);
  return selection.count == cap
             ? cap
             : kad_table_closest(table, target, now, out, cap);
}

bool kad_table_wants(const struct kad_table *table,
                     const struct kad_contact *contact, kad_time_ms now,
                     kad_time_ms fresh_ms) {
  const struct kad_bucket *bucket = kad_table_bucket(table, &contact->id);
  const bool is_secure = kad_table_finds_secure(table, contact);
  const bool may_split = bucket == kad_table_last(table) &&
                         table->bucket_count < table->config.id_bits;
  uint32_t fresh = 0;
  if (bucket->count < table->config.k || may_split ||
      kad_bucket_worst(bucket, now, table->config.ping_ms, true) !=
          KAD_BUCKET_NONE ||
      (is_secure && kad_bucket_insecure(bucket) != KAD_BUCKET_NONE)) {
    return true;
  }
  if (bucket->count < kad_table_bucket_limit(table, bucket)) {
    return false;
  }
  for (size_t i = 0; i < bucket->replacements.count; i++) {
    struct kad_table_entry entry;
    kad_replacement_cache_get(&bucket->replacements, i, &entry);
    fresh += kad_time_since(entry.last_seen, now) < fresh_ms &&
             entry.is_secure >= is_secure;
  }
  return fresh < (table->config.k + 1) / 2;
}

/* Contacts that left queries unanswered are pinged at longer and longer
 * intervals, so that many dead contacts do not delay the pings of others. */
static bool is_due(const struct kad_table_entry *entry, kad_time_ms now,
                   kad_time_ms before) {
  enum {
    SHIFT_MAX = 6
  };
  const unsigned shift =
      entry->failures < SHIFT_MAX ? entry->failures : SHIFT_MAX;
  return entry->last_queried == 0 ||
         (entry->last_queried < before &&
          kad_time_since(entry->last_queried, now) >> shift >=
              kad_time_since(before, now));
}

const struct kad_table_entry *kad_table_questionable(struct kad_table *table,
                                                     kad_time_ms now,
                                                     kad_time_ms before) {
  const kad_time_ms ping_ms = table->config.ping_ms;
  const struct kad_table_entry *stalest = NULL;
  kad_time_ms good_until = KAD_TIME_NEVER;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  if (now < table->good_until) {
    return NULL;
  }
  while ((entry = kad_table_next(table, &bucket, &slot)) != NULL) {
    const kad_time_ms until =
        entry->failures == 0 ? kad_time_add(entry->last_seen, ping_ms) : 0;
    good_until = until < good_until ? until : good_until;
    if (now >= until && is_due(entry, now, before) &&
        (stalest == NULL || kad_table_entry_is_staler(entry, stalest))) {
      stalest = entry;
    }
  }
  table->good_until = good_until;
  return stalest;
}

size_t kad_table_buckets(const struct kad_table *table) {
  return table->bucket_count;
}

size_t kad_table_count(const struct kad_table *table) {
  return table->count;
}

size_t kad_table_bad(const struct kad_table *table) {
  return table->bad;
}

size_t kad_table_secure(const struct kad_table *table) {
  size_t secure = 0;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(table, &bucket, &slot)) != NULL) {
    secure += kad_secure_id_check(&entry->contact.id, table->config.id_bits,
                                  &entry->contact.address);
  }
  return secure;
}

size_t kad_table_good(const struct kad_table *table, kad_time_ms now) {
  size_t good = 0;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(table, &bucket, &slot)) != NULL) {
    good += kad_table_entry_is_good(entry, now, table->config.ping_ms) ? 1 : 0;
  }
  return good;
}

void kad_table_looked_up(struct kad_table *table, const struct kad_id *target,
                         kad_time_ms now) {
  kad_table_bucket(table, target)->looked_up = now;
}

kad_time_ms kad_table_refreshed(const struct kad_table *table, size_t index) {
  assert(index < table->bucket_count);
  return table->buckets[index].looked_up;
}

void kad_table_random_id(const struct kad_table *table, size_t index,
                         const uint8_t random[KAD_ID_SIZE], struct kad_id *id) {
  assert(index < table->bucket_count);
  const uint8_t *self = table->config.self.bytes;
  *id = (struct kad_id){0};
  for (size_t i = 0; i < table->config.id_bits / 8; i++) {
    const size_t shared = index > 8 * i ? index - 8 * i : 0;
    const unsigned rest = shared < 8 ? 0xffU >> shared : 0;
    id->bytes[i] = (uint8_t)((self[i] & ~rest) | (random[i] & rest));
  }
  if (index < table->bucket_count - 1) {
    const unsigned bit = 0x80U >> index % 8;
    const uint8_t own = self[index / 8];
    uint8_t *byte = &id->bytes[index / 8];
    *byte = (uint8_t)((*byte & ~bit) | (~own & bit));
  }
}

const struct kad_table_entry *kad_table_next(const struct kad_table *table,
                                             size_t *bucket, size_t *slot) {
  while (*bucket < table->bucket_count) {
    const struct kad_bucket *current = &table->buckets[*bucket];
    if (*slot < current->count) {
      return &current->entries[(*slot)++];
    }
    (*bucket)++;
    *slot = 0;
  }
  return NULL;
}
