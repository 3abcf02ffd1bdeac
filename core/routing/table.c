#include "routing/table.h"

#include "base/address.h"
#include "base/allocator.h"
#include "base/array.h"
#include "base/time.h"
#include "routing/table_buckets.h"

#include <assert.h>

enum {
  MUCH_FASTER = 2 /* ratio of round-trip times */
};

int kad_table_new(const struct kad_table_config *config,
                  const struct kad_allocator *allocator, kad_time_ms now,
                  struct kad_table **table) {
  assert(config->k >= 1 && config->k <= KAD_BUCKET_MAX);
  assert(config->far <= KAD_BUCKET_MAX);
  assert(config->family == 4 || config->family == 6);
  struct kad_table *made = kad_alloc(allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  *made = (struct kad_table){
      .config = *config,
      .allocator = *allocator,
  };
  if (kad_table_reserve_bucket(made) != 0) {
    kad_release(allocator, made, sizeof *made);
    return KAD_ENOMEM;
  }
  kad_table_init_bucket(made, &made->buckets[0], now);
  made->bucket_count = 1;
  *table = made;
  return 0;
}

void kad_table_free(struct kad_table *table) {
  if (table == NULL) {
    return;
  }
  const struct kad_allocator allocator = table->allocator;
  for (size_t i = 0; i < table->bucket_count; i++) {
    struct kad_bucket *bucket = &table->buckets[i];
    kad_release(&allocator, bucket->entries,
                bucket->cap * sizeof *bucket->entries);
    kad_replacement_cache_deinit(&bucket->replacements, &allocator);
  }
  KAD_ARRAY_FREE(&allocator, &table->buckets, &table->bucket_cap);
  kad_release(&allocator, table, sizeof *table);
}

static bool is_full(const struct kad_table *table,
                    const struct kad_bucket *bucket) {
  return bucket->count >= kad_table_bucket_limit(table, bucket);
}

static struct kad_table_entry *find_exact(const struct kad_table *table,
                                          const struct kad_contact *contact) {
  struct kad_table_entry *entry = kad_table_entry(table, &contact->id);
  return entry != NULL && kad_contact_equal(&entry->contact, contact) ? entry
                                                                      : NULL;
}

/* Allowed local addresses have no share of a subnet. */
static bool is_exempt(const struct kad_table *table,
                      const struct kad_address *address) {
  return table->config.allow_local && kad_address_is_local(address);
}

/* Counts the contacts of a bucket in the subnet of `address`, except `leaving`.
 * Sets `*has_address` if one has the address. */
static size_t count_subnet(const struct kad_bucket *bucket,
                           const struct kad_address *address,
                           const struct kad_table_entry *leaving,
                           bool *has_address) {
  size_t count = 0;
  for (size_t i = 0; i < bucket->count; i++) {
    const struct kad_table_entry *entry = &bucket->entries[i];
    const struct kad_address *other = &entry->contact.address;
    if (kad_address_same_subnet(other, address) && entry != leaving) {
      *has_address = *has_address || kad_address_equal(other, address);
      count++;
    }
  }
  return count;
}

/* Checks whether a contact with `address` may be in `bucket`. Does not count
 * `leaving`, which may be NULL. Returns 0, KAD_EADDRESS or KAD_ESUBNET. */
static int check_address(const struct kad_table *table,
                         const struct kad_bucket *bucket,
                         const struct kad_address *address,
                         const struct kad_table_entry *leaving) {
  size_t in_table = 0;
  size_t in_bucket = 0;
  bool has_address = false;
  for (size_t i = 0; i < table->bucket_count; i++) {
    const struct kad_bucket *other = &table->buckets[i];
    const size_t count = count_subnet(other, address, leaving, &has_address);
    in_table += count;
    in_bucket += other == bucket ? count : 0;
  }
  if (has_address) {
    return KAD_EADDRESS;
  }
  const bool is_over =
      in_bucket >= KAD_SUBNET_MAX || in_table >= KAD_SUBNET_TABLE_MAX;
  return is_over && !is_exempt(table, address) ? KAD_ESUBNET : 0;
}

/* Call this before a contact leaves or becomes good again. */
static void uncount_bad(struct kad_table *table,
                        const struct kad_table_entry *entry) {
  if (kad_table_entry_is_bad(entry)) {
    table->bad--;
  }
}

/* Writes a contact without failures to the place `index`. */
static void write_entry(struct kad_table *table, struct kad_bucket *bucket,
                        size_t index, const struct kad_table_entry *entry) {
  const kad_time_ms good_until =
      kad_time_add(entry->last_seen, table->config.ping_ms);
  assert(entry->failures == 0);
  if (good_until < table->good_until) {
    table->good_until = good_until;
  }
  bucket->entries[index] = *entry;
  kad_replacement_cache_drop(&bucket->replacements, &entry->contact);
}

/* Replaces the contact `index` by the best one of the replacement cache whose
 * address is allowed. Returns false, with the bucket unchanged, if there is
 * none. */
static bool replace_entry(struct kad_table *table, struct kad_bucket *bucket,
                          size_t index) {
  struct kad_replacement_cache *replacements = &bucket->replacements;
  while (replacements->count > 0) {
    const size_t best = kad_replacement_cache_best(replacements);
    struct kad_table_entry entry;
    kad_replacement_cache_get(replacements, best, &entry);
    kad_replacement_cache_remove(replacements, best);
    if (check_address(table, bucket, &entry.contact.address,
                      &bucket->entries[index]) == 0) {
      uncount_bad(table, &bucket->entries[index]);
      write_entry(table, bucket, index, &entry);
      return true;
    }
  }
  return false;
}

/* Removes the contact `index`; one of the replacement cache replaces it. */
static void remove_entry(struct kad_table *table, struct kad_bucket *bucket,
                         size_t index) {
  if (!replace_entry(table, bucket, index)) {
    uncount_bad(table, &bucket->entries[index]);
    bucket->count--;
    bucket->entries[index] = bucket->entries[bucket->count];
    table->count--;
  }
}

/* Smooths a round-trip time as RFC 6298 does: a new sample counts an eighth. */
static uint16_t smooth_rtt(uint16_t old, uint16_t measured) {
  if (old == 0 || measured == 0) {
    return old != 0 ? old : measured;
  }
  return (uint16_t)((old * 7U + measured + 4U) / 8U);
}

static void refresh_entry(struct kad_table *table,
                          struct kad_table_entry *entry,
                          const struct kad_contact *contact, uint16_t rtt_ms,
                          kad_time_ms now) {
  uncount_bad(table, entry);
  entry->contact.address.via = contact->address.via;
  entry->last_seen = now;
  entry->rtt_ms = smooth_rtt(entry->rtt_ms, rtt_ms);
  entry->failures = 0;
}

/* Adds a contact whose id `entry` has already. */
static int add_known(struct kad_table *table, struct kad_table_entry *entry,
                     const struct kad_table_entry *newcomer, kad_time_ms now,
                     const struct kad_table_entry **probe) {
  const struct kad_contact *contact = &newcomer->contact;
  if (kad_address_equal(&entry->contact.address, &contact->address)) {
    refresh_entry(table, entry, contact, newcomer->rtt_ms, now);
    return 0;
  }
  if (!kad_table_entry_is_bad(entry)) {
    const kad_time_ms ping_ms = table->config.ping_ms;
    *probe = kad_table_entry_is_good(entry, now, ping_ms) ? NULL : entry;
    return KAD_EID;
  }
  struct kad_bucket *bucket = kad_table_bucket(table, &contact->id);
  const int error = check_address(table, bucket, &contact->address, entry);
  if (error == 0) {
    uncount_bad(table, entry);
    write_entry(table, bucket, (size_t)(entry - bucket->entries), newcomer);
  }
  return error;
}

/* Splits the last bucket until the bucket of `id` has room or may not split.
 * Writes that bucket to `*bucket`. */
static int make_room(struct kad_table *table, const struct kad_id *id,
                     struct kad_bucket **bucket) {
  for (;;) {
    *bucket = kad_table_bucket(table, id);
    if (!is_full(table, *bucket) || *bucket != kad_table_last(table) ||
        table->bucket_count == table->config.id_bits) {
      return is_full(table, *bucket)
                 ? 0
                 : kad_bucket_reserve(*bucket, &table->allocator,
                                      (*bucket)->count + 1U,
                                      kad_table_bucket_limit(table, *bucket));
    }
    const int error = kad_table_split(table);
    if (error != 0) {
      return error;
    }
  }
}

/* Returns true if the subnet of `contact` has its share of the replacement
 * cache already: a subnet must not fill it alone. */
static bool is_over_share(const struct kad_table *table,
                          const struct kad_bucket *bucket,
                          const struct kad_contact *contact) {
  const struct kad_address *address = &contact->address;
  if (is_exempt(table, address)) {
    return false;
  }
  size_t count = 0;
  for (size_t i = 0; i < bucket->replacements.count; i++) {
    struct kad_table_entry other;
    kad_replacement_cache_get(&bucket->replacements, i, &other);
    if (!kad_id_equal(&other.contact.id, &contact->id) &&
        !kad_address_equal(&other.contact.address, address) &&
        kad_address_same_subnet(&other.contact.address, address)) {
      count++;
    }
  }
  return count >= KAD_SUBNET_MAX;
}

/* Adds `newcomer` to the replacement cache of the full `bucket`. */
static int add_replacement(struct kad_table *table, struct kad_bucket *bucket,
                           const struct kad_table_entry *newcomer,
                           kad_time_ms now,
                           const struct kad_table_entry **probe) {
  if (is_over_share(table, bucket, &newcomer->contact)) {
    return KAD_ESUBNET;
  }
  const int error = kad_replacement_cache_add(
      &bucket->replacements, &table->allocator, newcomer, table->config.k);
  if (error != 0) {
    return error;
  }
  const size_t worst =
      kad_bucket_worst(bucket, now, table->config.ping_ms, false);
  *probe = worst != KAD_BUCKET_NONE ? &bucket->entries[worst] : NULL;
  return KAD_EFULL;
}

/* Replaces the slowest contact of a bucket with more than k by a newcomer that
 * is much faster. The first half of the places are kept, so that fast contacts
 * cannot replace all others. Returns false if none is replaced. */
static bool replace_slowest(struct kad_table *table, struct kad_bucket *bucket,
                            const struct kad_table_entry *newcomer) {
  size_t slowest = bucket->count / 2U;
  if (bucket->count <= table->config.k || newcomer->rtt_ms == 0 ||
      !newcomer->is_secure) {
    return false;
  }
  for (size_t i = slowest + 1; i < bucket->count; i++) {
    if (bucket->entries[i].rtt_ms > bucket->entries[slowest].rtt_ms) {
      slowest = i;
    }
  }
  if (bucket->entries[slowest].rtt_ms < MUCH_FASTER * newcomer->rtt_ms) {
    return false;
  }
  write_entry(table, bucket, slowest, newcomer);
  return true;
}

/* Replaces a contact of the full `bucket` that is not secure by a secure one.
 * The other goes to the replacement cache, if there is memory. Returns false if
 * none is replaced. */
static bool replace_insecure(struct kad_table *table, struct kad_bucket *bucket,
                             const struct kad_table_entry *newcomer) {
  const size_t worst =
      newcomer->is_secure ? kad_bucket_insecure(bucket) : KAD_BUCKET_NONE;
  if (worst == KAD_BUCKET_NONE) {
    return false;
  }
  struct kad_table_entry replaced = bucket->entries[worst];
  write_entry(table, bucket, worst, newcomer);
  if (replaced.failures == 0) {
    (void)!kad_replacement_cache_add(&bucket->replacements, &table->allocator,
                                     &replaced, table->config.k);
  }
  return true;
}

static int add_new(struct kad_table *table,
                   const struct kad_table_entry *newcomer, kad_time_ms now,
                   const struct kad_table_entry **probe) {
  const struct kad_contact *contact = &newcomer->contact;
  struct kad_bucket *bucket = kad_table_bucket(table, &contact->id);
  int error = check_address(table, bucket, &contact->address, NULL);
  if (error != 0) {
    return error;
  }
  size_t bad = kad_bucket_worst(bucket, now, table->config.ping_ms, true);
  if (is_full(table, bucket) && bad != KAD_BUCKET_NONE) {
    uncount_bad(table, &bucket->entries[bad]);
    write_entry(table, bucket, bad, newcomer);
    return 0;
  }
  error = make_room(table, &contact->id, &bucket);
  if (error != 0) {
    return error;
  }
  if (is_full(table, bucket) && (replace_insecure(table, bucket, newcomer) ||
                                 replace_slowest(table, bucket, newcomer))) {
    return 0;
  }
  if (is_full(table, bucket)) {
    return add_replacement(table, bucket, newcomer, now, probe);
  }
  write_entry(table, bucket, bucket->count, newcomer);
  bucket->count++;
  table->count++;
  return 0;
}

int kad_table_add(struct kad_table *table, const struct kad_contact *contact,
                  uint32_t rtt_ms, kad_time_ms now,
                  const struct kad_table_entry **probe) {
  assert(contact->address.family == table->config.family);
  *probe = NULL;
  if (kad_id_equal(&contact->id, &table->config.self)) {
    return KAD_EOWNID;
  }
  const struct kad_table_entry newcomer = {
      .contact = *contact,
      .last_seen = now,
      .rtt_ms = (uint16_t)(rtt_ms < UINT16_MAX ? rtt_ms : UINT16_MAX),
      .is_secure = kad_table_finds_secure(table, contact),
      .reachable = is_exempt(table, &contact->address),
  };
  struct kad_table_entry *known = kad_table_entry(table, &contact->id);
  return known != NULL ? add_known(table, known, &newcomer, now, probe)
                       : add_new(table, &newcomer, now, probe);
}

const struct kad_table_entry *kad_table_find_exact(
    const struct kad_table *table, const struct kad_contact *contact) {
  return find_exact(table, contact);
}

bool kad_table_seen(struct kad_table *table, const struct kad_contact *contact,
                    kad_time_ms now) {
  struct kad_table_entry *entry = find_exact(table, contact);
  if (entry != NULL) {
    if (kad_table_entry_is_bad(entry)) {
      return false;
    }
    entry->last_seen = now;
    return true;
  }
  struct kad_replacement_cache *replacements =
      &kad_table_bucket(table, &contact->id)->replacements;
  const size_t index = kad_replacement_cache_find(replacements, contact);
  if (index == replacements->count) {
    return false;
  }
  kad_replacement_cache_seen(replacements, index, now);
  return true;
}

void kad_table_reached(struct kad_table *table,
                       const struct kad_contact *contact) {
  struct kad_table_entry *entry = find_exact(table, contact);
  if (entry != NULL) {
    entry->reachable = true;
  }
}

void kad_table_withhold(struct kad_table *table, bool withhold) {
  table->withhold = withhold;
}

void kad_table_queried(struct kad_table *table,
                       const struct kad_contact *contact, kad_time_ms now) {
  struct kad_table_entry *entry = find_exact(table, contact);
  if (entry != NULL) {
    entry->last_queried = now;
  }
}

/* Removes `contact` from the replacement cache, if it is there. */
static void remove_replacement(struct kad_bucket *bucket,
                               const struct kad_contact *contact) {
  struct kad_replacement_cache *replacements = &bucket->replacements;
  const size_t index = kad_replacement_cache_find(replacements, contact);
  if (index < replacements->count) {
    kad_replacement_cache_remove(replacements, index);
  }
}

void kad_table_forget_via(struct kad_table *table,
                          const struct kad_contact *contact) {
  struct kad_table_entry *entry = find_exact(table, contact);
  if (entry != NULL) {
    entry->contact.address.via = 0;
  }
}

void kad_table_failed(struct kad_table *table,
                      const struct kad_contact *contact) {
  struct kad_bucket *bucket = kad_table_bucket(table, &contact->id);
  struct kad_table_entry *entry = find_exact(table, contact);
  if (entry == NULL) {
    remove_replacement(bucket, contact);
    return;
  }
  table->good_until = 0;
  if (entry->failures < UINT8_MAX) {
    entry->failures++;
    table->bad += entry->failures == KAD_FAILURES_BAD;
  }
  if (kad_table_entry_is_bad(entry)) {
    (void)replace_entry(table, bucket, (size_t)(entry - bucket->entries));
  }
}

void kad_table_remove(struct kad_table *table,
                      const struct kad_contact *contact) {
  struct kad_bucket *bucket = kad_table_bucket(table, &contact->id);
  const struct kad_table_entry *entry = find_exact(table, contact);
  if (entry == NULL) {
    remove_replacement(bucket, contact);
    return;
  }
  remove_entry(table, bucket, (size_t)(entry - bucket->entries));
}

/* Removes the long dead contacts of a bucket. */
static size_t prune_bucket(struct kad_table *table, struct kad_bucket *bucket,
                           kad_time_ms now) {
  size_t removed = 0;
  size_t i = 0;
  while (i < bucket->count) {
    const struct kad_table_entry *entry = &bucket->entries[i];
    if (kad_table_entry_is_bad(entry) &&
        kad_time_since(entry->last_seen, now) >= table->config.ping_ms) {
      remove_entry(table, bucket, i);
      removed++;
    } else {
      i++;
    }
  }
  return removed;
}

size_t kad_table_prune(struct kad_table *table, kad_time_ms now) {
  size_t removed = 0;
  for (size_t i = 0; i < table->bucket_count && table->bad > 0; i++) {
    removed += prune_bucket(table, &table->buckets[i], now);
  }
  return removed;
}

/* Removes the contacts of a bucket that are in `set`: first those that would
 * replace others. */
static size_t throw_out_of(struct kad_table *table, struct kad_bucket *bucket,
                           const struct kad_address_set *set) {
  struct kad_replacement_cache *replacements = &bucket->replacements;
  size_t removed = 0;
  for (size_t i = replacements->count; i > 0; i--) {
    struct kad_table_entry entry;
    kad_replacement_cache_get(replacements, i - 1, &entry);
    if (kad_address_set_has(set, &entry.contact.address)) {
      kad_replacement_cache_remove(replacements, i - 1);
    }
  }
  for (size_t i = bucket->count; i > 0; i--) {
    if (kad_address_set_has(set, &bucket->entries[i - 1].contact.address)) {
      remove_entry(table, bucket, i - 1);
      removed++;
    }
  }
  return removed;
}

size_t kad_table_throw_out(struct kad_table *table,
                           const struct kad_address_set *set) {
  size_t removed = 0;
  for (size_t i = 0; i < table->bucket_count; i++) {
    removed += throw_out_of(table, &table->buckets[i], set);
  }
  return removed;
}
