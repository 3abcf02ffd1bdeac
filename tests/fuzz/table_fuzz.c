/* Reads operations on a routing table from bytes. After each operation, checks
 * that each contact has answered at its address, that all limits hold, and that
 * the closest contacts are the first of all contacts sorted by distance. */
#include "routing/table.h"

#include "base/address.h"
#include "base/time.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

enum {
  IDS = 64,
  ADDRESSES = 64,
  PING_MS = 1000,
  ENTRIES_MAX = 4096
};

struct input {
  const uint8_t *data;
  size_t size;
};

/* The expected state of an id at an address. */
struct known {
  bool answered;
  kad_time_ms last_seen;
  unsigned failures;
};

struct world {
  struct input in;
  struct kad_table_config config;
  struct kad_table *table;
  kad_time_ms now;
  long allocations_left; /* negative: no limit */
  struct kad_id ids[IDS];
  struct kad_address addresses[ADDRESSES];
  struct known known[IDS][ADDRESSES];
};

static uint8_t next_byte(struct input *in) {
  if (in->size == 0) {
    return 0;
  }
  in->size--;
  return *in->data++;
}

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct world *world = state;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  if (new_size > old_size && world->allocations_left == 0) {
    world->allocations_left = -1;
    return NULL;
  }
  if (new_size > old_size && world->allocations_left > 0) {
    world->allocations_left--;
  }
  return realloc(old, new_size);
}

/* Returns an id at one of many depths: our own with one bit inverted and other
 * bits after it. */
static struct kad_id make_id(const struct world *world, unsigned number) {
  struct kad_id id = world->config.self;
  const unsigned depth = number < IDS / 2 ? number / 8 : number * 2;
  id.bytes[depth / 8] ^= (uint8_t)(0x80U >> depth % 8);
  id.bytes[world->config.id_bits / 8 - 1] ^= (uint8_t)(number + 1);
  id.bytes[(depth + 9) / 8] ^= (uint8_t)((number * 37 & 0x7f) >> depth % 8);
  return id;
}

/* Returns an address in one of a few subnets, of which some are local. */
static struct kad_address make_address(const struct world *world,
                                       unsigned number) {
  struct kad_address address = {
      .port = (uint16_t)(1 + number % 2),
      .family = (uint8_t)world->config.family,
  };
  address.ip[0] = number < ADDRESSES / 4 ? 10 : 80;
  if (world->config.family == 6) {
    address.ip[0] = number < ADDRESSES / 4 ? 0xfd : 0x20;
  }
  address.ip[2] = (uint8_t)(number / 4);
  address.ip[world->config.family == 4 ? 3 : 15] = (uint8_t)number;
  return address;
}

static unsigned id_number(const struct world *world, const struct kad_id *id) {
  for (unsigned i = 0; i < IDS; i++) {
    if (kad_id_equal(&world->ids[i], id)) {
      return i;
    }
  }
  abort();
}

static unsigned address_number(const struct world *world,
                               const struct kad_address *address) {
  for (unsigned i = 0; i < ADDRESSES; i++) {
    if (kad_address_equal(&world->addresses[i], address)) {
      return i;
    }
  }
  abort();
}

static size_t list_entries(const struct world *world,
                           const struct kad_table_entry **out,
                           size_t *buckets) {
  size_t count = 0;
  size_t bucket = 0;
  size_t slot = 0;
  const struct kad_table_entry *entry;
  while ((entry = kad_table_next(world->table, &bucket, &slot)) != NULL) {
    CHECK(count < ENTRIES_MAX);
    buckets[count] = bucket;
    out[count++] = entry;
  }
  return count;
}

static void check_pair(const struct kad_table_entry *a,
                       const struct kad_table_entry *b) {
  CHECK(!kad_id_equal(&a->contact.id, &b->contact.id));
  CHECK(!kad_address_equal(&a->contact.address, &b->contact.address));
}

static void check_subnets(const struct world *world,
                          const struct kad_table_entry *const *entries,
                          const size_t *buckets, size_t count, size_t index) {
  const struct kad_address *address = &entries[index]->contact.address;
  if (world->config.allow_local && kad_address_is_local(address)) {
    return;
  }
  size_t in_table = 0;
  size_t in_bucket = 0;
  for (size_t i = 0; i < count; i++) {
    if (kad_address_same_subnet(address, &entries[i]->contact.address)) {
      in_table++;
      in_bucket += buckets[i] == buckets[index] ? 1 : 0;
    }
  }
  CHECK(in_bucket <= KAD_SUBNET_MAX);
  CHECK(in_table <= KAD_SUBNET_TABLE_MAX);
}

static void check_entry(const struct world *world,
                        const struct kad_table_entry *entry, size_t bucket) {
  const struct kad_id *id = &entry->contact.id;
  const size_t prefix = kad_id_prefix(&world->config.self, id);
  const size_t last = kad_table_buckets(world->table) - 1;
  CHECK(bucket == (prefix < last ? prefix : last));
  CHECK(bucket == kad_table_bucket_of(world->table, id));
  CHECK(kad_table_find(world->table, id) == entry);
  CHECK(kad_table_find_address(world->table, &entry->contact.address) == entry);
  const struct known *known =
      &world->known[id_number(world, id)]
                   [address_number(world, &entry->contact.address)];
  CHECK(known->answered);
  CHECK(known->last_seen == entry->last_seen);
  CHECK(known->failures == entry->failures);
}

/* Every contact that was not queried at this moment is due for a ping. */
static void check_questionable(const struct world *world,
                               const struct kad_table_entry *const *entries,
                               size_t count) {
  const struct kad_table_entry *stalest = NULL;
  for (size_t i = 0; i < count; i++) {
    const struct kad_table_entry *entry = entries[i];
    if (!kad_table_entry_is_good(entry, world->now, PING_MS) &&
        (stalest == NULL || kad_table_entry_is_staler(entry, stalest))) {
      stalest = entry;
    }
  }
  const struct kad_table_entry *found =
      kad_table_questionable(world->table, world->now, world->now + 1);
  CHECK(found == stalest);
}

static void check_table(const struct world *world) {
  static const struct kad_table_entry *entries[ENTRIES_MAX];
  static size_t buckets[ENTRIES_MAX];
  const size_t count = list_entries(world, entries, buckets);
  CHECK(count == kad_table_count(world->table));
  size_t run = 0;
  size_t bad = 0;
  for (size_t i = 0; i < count; i++) {
    bad += kad_table_entry_is_bad(entries[i]) ? 1 : 0;
    run = i > 0 && buckets[i] == buckets[i - 1] ? run + 1 : 1;
    CHECK(run <= world->config.k);
    check_entry(world, entries[i], buckets[i]);
    check_subnets(world, entries, buckets, count, i);
    for (size_t j = 0; j < i; j++) {
      check_pair(entries[i], entries[j]);
    }
  }
  CHECK(bad == kad_table_bad(world->table));
  check_questionable(world, entries, count);
}

/* Picks the closest contacts one by one with a linear search. */
static size_t pick_closest(const struct world *world,
                           const struct kad_id *target, struct kad_contact *out,
                           size_t cap) {
  static const struct kad_table_entry *entries[ENTRIES_MAX];
  static size_t buckets[ENTRIES_MAX];
  const size_t count = list_entries(world, entries, buckets);
  size_t picked = 0;
  while (picked < cap) {
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
      const struct kad_table_entry *entry = entries[i];
      const bool is_silent =
          kad_time_since(entry != NULL ? entry->last_seen : 0, world->now) >=
          PING_MS;
      if (entry != NULL && !kad_table_entry_is_bad(entry) &&
          !(is_silent && entry->failures > 0) &&
          (best == count || kad_id_compare(target, &entry->contact.id,
                                           &entries[best]->contact.id) < 0)) {
        best = i;
      }
    }
    if (best == count) {
      break;
    }
    out[picked++] = entries[best]->contact;
    entries[best] = NULL;
  }
  return picked;
}

static void check_closest(const struct world *world,
                          const struct kad_id *target, size_t cap) {
  struct kad_contact expected[KAD_BUCKET_MAX];
  struct kad_contact found[KAD_BUCKET_MAX];
  const size_t count = pick_closest(world, target, expected, cap);
  CHECK(kad_table_closest(world->table, target, world->now, found, cap) ==
        count);
  for (size_t i = 0; i < count; i++) {
    CHECK(kad_id_equal(&found[i].id, &expected[i].id));
    CHECK(kad_address_equal(&found[i].address, &expected[i].address));
  }
}

static void add(struct world *world, const struct kad_contact *contact,
                struct known *known, uint32_t rtt_ms) {
  const size_t count = kad_table_count(world->table);
  const struct kad_table_entry *probe;
  const int result =
      kad_table_add(world->table, contact, rtt_ms, world->now, &probe);
  const struct kad_table_entry *entry =
      kad_table_find(world->table, &contact->id);
  const bool is_in = entry != NULL && kad_address_equal(&entry->contact.address,
                                                        &contact->address);
  CHECK(is_in == (result == 0));
  CHECK(probe == NULL || result == KAD_EFULL || result == KAD_EID);
  CHECK(probe == NULL || !kad_table_entry_is_good(probe, world->now, PING_MS));
  CHECK(result == 0 || kad_table_count(world->table) == count);
  if (result == 0 || result == KAD_EFULL) {
    *known = (struct known){true, world->now, 0};
  }
}

static void check_random_id(const struct world *world, struct input *in) {
  uint8_t random[KAD_ID_SIZE];
  memset(random, next_byte(in), sizeof random);
  const size_t bucket = next_byte(in) % kad_table_buckets(world->table);
  struct kad_id id;
  kad_table_random_id(world->table, bucket, random, &id);
  CHECK(kad_table_bucket_of(world->table, &id) == bucket);
  for (size_t i = world->config.id_bits / 8; i < KAD_ID_SIZE; i++) {
    CHECK(id.bytes[i] == 0);
  }
}

static void note_seen(struct world *world, const struct kad_contact *contact,
                      struct known *known, bool is_in) {
  if (kad_table_seen(world->table, contact, world->now)) {
    CHECK(known->answered);
    known->last_seen = world->now;
  } else {
    CHECK(!is_in || known->failures >= KAD_FAILURES_BAD);
  }
}

static void run_contact_operation(struct world *world, unsigned operation) {
  const unsigned number = next_byte(&world->in) % IDS;
  const unsigned place = next_byte(&world->in) % ADDRESSES;
  struct known *known = &world->known[number][place];
  const struct kad_contact contact = {
      .id = world->ids[number],
      .address = world->addresses[place],
  };
  const struct kad_table_entry *entry =
      kad_table_find(world->table, &contact.id);
  const bool is_in = entry != NULL && kad_address_equal(&entry->contact.address,
                                                        &contact.address);
  switch (operation) {
  case 0:
    note_seen(world, &contact, known, is_in);
    break;
  case 1:
    known->failures += is_in && known->failures < UINT8_MAX ? 1 : 0;
    kad_table_failed(world->table, &contact);
    break;
  case 2:
    kad_table_remove(world->table, &contact);
    CHECK(!is_in || kad_table_find(world->table, &contact.id) == NULL);
    break;
  case 3:
    kad_table_queried(world->table, &contact, world->now);
    CHECK(!is_in || entry->last_queried == world->now);
    break;
  default:
    add(world, &contact, known, next_byte(&world->in));
    break;
  }
}

static void run_operation(struct world *world) {
  struct input *in = &world->in;
  const unsigned operation = next_byte(in) % 16;
  struct kad_id target;
  switch (operation) {
  case 11:
    world->now += (kad_time_ms)next_byte(in) * 8;
    break;
  case 12:
    (void)kad_table_prune(world->table, world->now);
    break;
  case 13:
    target = world->ids[next_byte(in) % IDS];
    target.bytes[next_byte(in) % 20] ^= next_byte(in);
    check_closest(world, &target, 1 + next_byte(in) % KAD_BUCKET_MAX);
    break;
  case 14:
    world->allocations_left = next_byte(in) % 4;
    break;
  case 15:
    check_random_id(world, in);
    break;
  default:
    run_contact_operation(world, operation);
    break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct world world;
  world = (struct world){
      .in = {data, size},
      .now = PING_MS,
      .allocations_left = -1,
  };
  const uint8_t options = next_byte(&world.in);
  world.config = (struct kad_table_config){
      .id_bits = (options & 1) != 0 ? 256 : 160,
      .family = (options & 2) != 0 ? 6 : 4,
      .allow_local = (options & 4) != 0,
      .k = 1 + options / 8 % 8,
      .ping_ms = PING_MS,
  };
  memset(world.config.self.bytes, next_byte(&world.in),
         world.config.id_bits / 8);
  for (unsigned i = 0; i < IDS; i++) {
    world.ids[i] = make_id(&world, i);
  }
  for (unsigned i = 0; i < ADDRESSES; i++) {
    world.addresses[i] = make_address(&world, i);
  }
  const struct kad_allocator allocator = {resize, &world};
  if (kad_table_new(&world.config, &allocator, 0, &world.table) != 0) {
    return 0;
  }
  while (world.in.size > 0) {
    run_operation(&world);
    check_table(&world);
  }
  kad_table_free(world.table);
  return 0;
}
