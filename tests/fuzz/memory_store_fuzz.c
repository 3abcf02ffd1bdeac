/* Reads operations on a memory store from bytes, some with a failing
 * allocation. After each operation, compares the store with a list of expected
 * records. */
#include "records/memory/memory_store.h"

#include "base/address.h"
#include "records/memory/accounts.h"
#include "target.h"

#include <stdlib.h>
#include <string.h>

enum {
  KEYS = 8,
  TYPES = 3,
  HOSTS = 7,
  ACCOUNTS = 7, /* 5 of the hosts, 2 of publishers */
  OWN = 0,      /* the account of the store's own user */
  PARTS = 32,   /* combinations of optional fields */
  HELD_MAX = 200
};

/* Hosts of one account are in one /64, or are one ip with two ports. */
static const struct kad_address hosts[HOSTS] = {
    {.family = 0},
    {.family = 4, .port = 1, .ip = {32, 1, 13, 184}},
    {.family = 4, .port = 2, .ip = {32, 1, 13, 184}},
    {.family = 4, .port = 1, .ip = {32, 1, 13, 185}},
    {.family = 6, .port = 1, .ip = {32, 1, 13, 184}},
    {.family = 6, .port = 1, .ip = {32, 1, 13, 184, 0, 0, 0, 0, 1}},
    {.family = 6, .port = 1, .ip = {32, 1, 13, 184, 0, 0, 0, 1}},
};
static const unsigned account_of[HOSTS] = {OWN, 1, 1, 2, 3, 3, 4};
enum {
  PEERS = 0 /* the type of which there are swarms */
};
static const char *const types[TYPES] = {[PEERS] = "peers", "value", "val"};
static const uint8_t content[KAD_VALUE_MAX] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

/* A record that the store must have. */
struct model {
  kad_record_handle handle;
  unsigned key;
  unsigned type;
  unsigned parts;
  unsigned host;
  size_t len;
  bool is_peer; /* a peer that stored itself; the value is `compact` */
  uint8_t compact[KAD_COMPACT_IP6];
  size_t cost; /* known when there are no peers */
  kad_time_ms stored_at;
  kad_time_ms expires_at;
  kad_time_ms republish_at;
  uint64_t confirmed; /* orders the records of a key, newest highest */
  uint64_t arrived;   /* orders those of an account, earliest lowest */
};

struct world {
  bool has_peers; /* there may be records of that type */
  const uint8_t *data;
  size_t size;
  struct kad_store *store;
  unsigned failing; /* this request from now fails; 0: none */
  bool has_failed;
  uint64_t clock;
  kad_record_handle gone; /* a stale handle */
  size_t count;
  struct model held[HELD_MAX];
};

static unsigned next_byte(struct world *world) {
  if (world->size == 0) {
    return 0;
  }
  world->size--;
  return *world->data++;
}

static void *resize(void *state, void *old, size_t old_size, size_t new_size) {
  struct world *world = state;
  if (new_size == 0) {
    free(old);
    return NULL;
  }
  if (new_size > old_size && world->failing > 0) {
    world->failing--;
    if (world->failing == 0) {
      world->has_failed = true;
      return NULL;
    }
  }
  return realloc(old, new_size);
}

static struct kad_id key_of(unsigned number) {
  static const uint8_t first[KEYS] = {0, 1, 2, 3, 0x80, 0x80, 0xff, 0xff};
  struct kad_id key = {.bytes = {first[number]}};
  key.bytes[KAD_ID_SIZE - 1] = (uint8_t)(number % 2);
  return key;
}

static const uint8_t *publisher_of(unsigned parts) {
  return content + ((parts & 16) != 0 ? 1 : 3);
}

/* A record of our own user is in no account of a publisher. */
static bool has_publisher(const struct model *model) {
  return (model->parts & 2) != 0 && account_of[model->host] != OWN;
}

static unsigned account_of_publisher(const struct model *model) {
  return (model->parts & 16) != 0 ? 5 : 6;
}

/* Returns whether `model` is in `account`: that of its host, and that of its
 * publisher. */
static bool is_in(const struct model *model, unsigned account) {
  return account_of[model->host] == account ||
         (has_publisher(model) && account_of_publisher(model) == account);
}

static struct kad_record record_of(const struct model *model) {
  unsigned parts = model->parts;
  return (struct kad_record){
      .key = key_of(model->key),
      .type = kad_slice_of(types[model->type]),
      .value = {model->is_peer ? model->compact : content, model->len},
      .salt = {content, (parts & 1) != 0 ? 5 : 0},
      .publisher = (parts & 2) != 0 ? publisher_of(parts) : NULL,
      .signature = (parts & 4) != 0 ? content + 2 : NULL,
      .has_seq = (parts & 8) != 0,
      .seq = (parts & 8) != 0 ? -3 : 0,
  };
}

static struct kad_record_meta meta_of(const struct model *model) {
  return (struct kad_record_meta){
      .stored_at = model->stored_at,
      .expires_at = model->expires_at,
      .republish_at = model->republish_at,
      .origin = hosts[model->host],
      .is_seed = model->expires_at % 2 != 0,
  };
}

static kad_time_ms next_time(struct world *world) {
  unsigned byte = next_byte(world);
  return byte == 255 ? KAD_TIME_NEVER : byte;
}

static unsigned next_type(struct world *world) {
  const unsigned byte = next_byte(world);
  return world->has_peers ? byte % TYPES : 1 + byte % (TYPES - 1);
}

static void next_meta(struct world *world, struct model *model) {
  model->host = next_byte(world) % HOSTS;
  model->stored_at = next_byte(world) % 4;
  model->expires_at = next_time(world);
  model->republish_at = next_time(world);
}

/* Makes the record a peer that stores itself, in most cases. */
static void make_peer(struct model *model) {
  if (model->type == PEERS && account_of[model->host] != OWN &&
      model->parts % 4 != 3) {
    model->is_peer = true;
    model->republish_at =
        model->parts % 8 == 2 ? model->republish_at : KAD_TIME_NEVER;
    model->parts = 0;
    model->len = kad_address_pack(&hosts[model->host], model->compact);
  }
}

/* --------------------------------------------------------- checks -- */

static bool same_part(const uint8_t *a, const uint8_t *b, size_t size) {
  return a == NULL || b == NULL ? a == b : memcmp(a, b, size) == 0;
}

static void check_read(const struct world *world, const struct model *model) {
  struct kad_held held;
  struct kad_record record = record_of(model);
  struct kad_record_meta meta = meta_of(model);
  CHECK(kad_store_read(world->store, model->handle, &held));
  CHECK(held.handle == model->handle);
  CHECK(kad_id_equal(&held.record.key, &record.key));
  CHECK(kad_slice_equal(held.record.type, record.type));
  CHECK(kad_slice_equal(held.record.value, record.value));
  CHECK(kad_slice_equal(held.record.salt, record.salt));
  CHECK(same_part(held.record.publisher, record.publisher, KAD_PUBLISHER_SIZE));
  CHECK(same_part(held.record.signature, record.signature, KAD_SIGNATURE_SIZE));
  CHECK(held.record.has_seq == record.has_seq);
  CHECK(held.record.seq == record.seq);
  CHECK(held.meta.stored_at == meta.stored_at);
  CHECK(held.meta.expires_at == meta.expires_at);
  CHECK(held.meta.republish_at == meta.republish_at);
  CHECK(held.meta.is_seed == meta.is_seed);
  CHECK(kad_address_equal(&held.meta.origin, &meta.origin));
}

static void check_due(const struct world *world) {
  kad_time_ms expires = KAD_TIME_NEVER;
  kad_time_ms republishes = KAD_TIME_NEVER;
  kad_time_ms at = 0;
  for (size_t i = 0; i < world->count; i++) {
    const struct model *model = &world->held[i];
    expires = model->expires_at < expires ? model->expires_at : expires;
    republishes =
        model->republish_at < republishes ? model->republish_at : republishes;
  }
  struct kad_held held;
  const struct kad_store *store = world->store;
  kad_record_handle handle = kad_store_due_expire(store, &at);
  CHECK(at == expires && (handle == 0) == (at == KAD_TIME_NEVER));
  CHECK(handle == 0 ||
        (kad_store_read(store, handle, &held) && held.meta.expires_at == at));
  handle = kad_store_due_republish(store, &at);
  CHECK(at == republishes && (handle == 0) == (at == KAD_TIME_NEVER));
  CHECK(handle == 0 ||
        (kad_store_read(store, handle, &held) && held.meta.republish_at == at));
}

/* Sets `records` to the number of records of each account. Returns how many
 * accounts are open. */
static size_t count_accounts(const struct world *world,
                             size_t records[ACCOUNTS]) {
  size_t open = 0;
  memset(records, 0, ACCOUNTS * sizeof *records);
  for (size_t i = 0; i < world->count; i++) {
    const struct model *model = &world->held[i];
    records[account_of[model->host]]++;
    if (has_publisher(model)) {
      records[account_of_publisher(model)]++;
    }
  }
  for (size_t i = 0; i < ACCOUNTS; i++) {
    open += records[i] > 0;
  }
  return open;
}

static size_t bytes_of_accounts(const struct world *world) {
  size_t records[ACCOUNTS];
  return count_accounts(world, records) * KAD_ACCOUNT_OVERHEAD;
}

/* What swarms and the peers of hosts take is not known here. */
static void check_bytes(const struct world *world) {
  const size_t bytes = kad_store_bytes(world->store);
  size_t cost = bytes_of_accounts(world);
  for (size_t i = 0; i < world->count; i++) {
    cost += world->held[i].cost;
  }
  CHECK(world->has_peers ? (bytes > 0) == (world->count > 0) : bytes == cost);
}

static void check_counts(const struct world *world) {
  size_t records[ACCOUNTS];
  const struct kad_store *store = world->store;
  (void)count_accounts(world, records);
  check_bytes(world);
  CHECK(kad_store_count(store) == world->count);
  for (unsigned i = 0; i < HOSTS; i++) {
    CHECK(kad_store_count_of(store, &hosts[i]) == records[account_of[i]]);
  }
  CHECK(kad_store_count_signed(store, publisher_of(16)) == records[5]);
  CHECK(kad_store_count_signed(store, publisher_of(0)) == records[6]);
}

static void check_stale(const struct world *world) {
  struct kad_held held;
  const struct kad_store *store = world->store;
  CHECK(!kad_store_read(store, world->gone, &held));
  CHECK(!kad_store_read(store, 0, &held));
}

/* -------------------------------------------------------- operations -- */

static void add(struct world *world) {
  if (world->count == HELD_MAX) {
    return;
  }
  struct model model = {.key = next_byte(world) % KEYS,
                        .type = next_type(world),
                        .parts = next_byte(world) % PARTS,
                        .len = next_byte(world)};
  next_meta(world, &model);
  make_peer(&model);
  struct kad_record record = record_of(&model);
  struct kad_record_meta meta = meta_of(&model);
  const struct kad_store *store = world->store;
  size_t before = kad_store_bytes(store);
  size_t accounts = bytes_of_accounts(world);
  world->has_failed = false;
  int status = kad_store_add(store, &record, &meta, &model.handle);
  if (status != 0) {
    CHECK(status == KAD_ENOMEM && world->has_failed && model.handle == 0);
    CHECK(kad_store_bytes(store) == before);
    return;
  }
  model.confirmed = ++world->clock;
  model.arrived = ++world->clock;
  world->held[world->count++] = model;
  size_t opened = bytes_of_accounts(world) - accounts;
  if (!world->has_peers) {
    world->held[world->count - 1].cost =
        kad_store_bytes(store) - before - opened;
  }
  check_read(world, &world->held[world->count - 1]);
}

static void remove_one(struct world *world) {
  const struct kad_store *store = world->store;
  if (world->count == 0) {
    kad_store_remove(store, world->gone);
    return;
  }
  size_t i = next_byte(world) % world->count;
  world->gone = world->held[i].handle;
  world->held[i] = world->held[--world->count];
  const size_t before = kad_store_bytes(store);
  kad_store_remove(store, world->gone);
  CHECK(kad_store_bytes(store) < before);
}

/* Returns true if the touched record has its new origin. It keeps the old one
 * when out of memory. */
static bool has_moved(const struct world *world, const struct model *touched) {
  struct kad_held held;
  const struct kad_store *store = world->store;
  CHECK(kad_store_read(store, touched->handle, &held));
  bool moved = kad_address_equal(&held.meta.origin, &hosts[touched->host]);
  CHECK(moved || world->has_failed);
  return moved;
}

/* Returns true if the touched record has all of its old meta. A peer of a swarm
 * keeps it when out of memory. */
static bool has_stayed(const struct world *world, const struct model *before) {
  struct kad_held held;
  const struct kad_record_meta meta = meta_of(before);
  CHECK(kad_store_read(world->store, before->handle, &held));
  return world->has_failed && before->is_peer &&
         held.meta.stored_at == meta.stored_at &&
         held.meta.expires_at == meta.expires_at &&
         held.meta.republish_at == meta.republish_at &&
         kad_address_equal(&held.meta.origin, &meta.origin);
}

static void touch(struct world *world) {
  if (world->count == 0) {
    return;
  }
  struct model *model = &world->held[next_byte(world) % world->count];
  struct model after = *model;
  next_meta(world, &after);
  struct kad_record_meta meta = meta_of(&after);
  const struct kad_store *store = world->store;
  size_t accounts = bytes_of_accounts(world);
  size_t before = kad_store_bytes(store);
  world->has_failed = false;
  kad_store_set_meta(store, model->handle, &meta);
  if (has_stayed(world, model)) {
    return;
  }
  bool renewed = after.stored_at != model->stored_at;
  after.host = has_moved(world, &after) ? after.host : model->host;
  bool moved = memcmp(hosts[after.host].ip, hosts[model->host].ip, 16) != 0 ||
               hosts[after.host].family != hosts[model->host].family;
  after.confirmed = renewed ? ++world->clock : model->confirmed;
  after.arrived = renewed || moved ? ++world->clock : model->arrived;
  *model = after;
  if (!world->has_peers) {
    model->cost +=
        kad_store_bytes(store) - before + accounts - bytes_of_accounts(world);
  }
  check_read(world, model);
}

/* Returns the number of newer records of its key and type. */
static size_t place_of(const struct world *world, const struct model *model) {
  size_t newer = 0;
  for (size_t i = 0; i < world->count; i++) {
    const struct model *other = &world->held[i];
    newer += other->key == model->key && other->type == model->type &&
             other->confirmed > model->confirmed;
  }
  return newer;
}

static void find(struct world *world) {
  unsigned number = next_byte(world) % KEYS;
  unsigned type = next_type(world);
  size_t skip = next_byte(world) % 8;
  size_t cap = next_byte(world) % 8;
  kad_record_handle handles[8] = {0};
  struct kad_id key = key_of(number);
  const struct kad_store *store = world->store;
  size_t found = kad_store_find(store, &key, kad_slice_of(types[type]), skip,
                                handles, cap);
  size_t expected = 0;
  for (size_t i = 0; i < world->count; i++) {
    const struct model *model = &world->held[i];
    if (model->key != number || model->type != type) {
      continue;
    }
    expected++;
    size_t place = place_of(world, model);
    CHECK(place < skip || place >= skip + cap ||
          handles[place - skip] == model->handle);
  }
  CHECK(found == expected);
  for (size_t i = cap; i < 8; i++) {
    CHECK(handles[i] == 0);
  }
}

static const struct model *find_model(const struct world *world,
                                      kad_record_handle handle) {
  for (size_t i = 0; i < world->count; i++) {
    if (world->held[i].handle == handle) {
      return &world->held[i];
    }
  }
  return NULL;
}

static void check_all(const struct world *world) {
  uint64_t cursor = 0;
  size_t visited = 0;
  const struct kad_store *store = world->store;
  kad_record_handle handle = kad_store_next(store, &cursor);
  while (handle != 0) {
    const struct model *model = find_model(world, handle);
    CHECK(model != NULL);
    check_read(world, model);
    visited++;
    handle = kad_store_next(store, &cursor);
  }
  CHECK(visited == world->count);
}

static size_t bytes_of_account(const struct world *world, unsigned account) {
  size_t bytes = 0;
  for (size_t i = 0; i < world->count; i++) {
    bytes += is_in(&world->held[i], account) ? world->held[i].cost : 0;
  }
  return bytes;
}

/* Returns the account of the next victim: that with the most bytes, our own
 * user's last. */
static unsigned find_largest(const struct world *world) {
  unsigned largest = OWN;
  size_t most = 0;
  for (unsigned i = OWN + 1; i < ACCOUNTS; i++) {
    const size_t bytes = bytes_of_account(world, i);
    if (bytes > most) {
      largest = i;
      most = bytes;
    }
  }
  return largest;
}

/* Returns true if `model` is one of the earliest of `account`, which the store
 * considers. */
static bool is_considered(const struct world *world, unsigned account,
                          const struct model *model) {
  size_t earlier = 0;
  for (size_t i = 0; i < world->count; i++) {
    const struct model *other = &world->held[i];
    earlier += is_in(other, account) && other->arrived < model->arrived;
  }
  return is_in(model, account) && earlier < KAD_VICTIM_SAMPLE;
}

/* Returns true if `victim` is the one to remove of `account`. */
static bool is_victim_of(const struct world *world, unsigned account,
                         const struct model *victim,
                         const struct kad_id *self) {
  const struct kad_id key = key_of(victim->key);
  const unsigned prefix = kad_id_prefix(&key, self);
  for (size_t i = 0; i < world->count; i++) {
    const struct model *other = &world->held[i];
    const struct kad_id other_key = key_of(other->key);
    const unsigned other_prefix = kad_id_prefix(&other_key, self);
    const bool comes_first =
        other_prefix < prefix ||
        (other_prefix == prefix && other->expires_at < victim->expires_at);
    if (comes_first && is_considered(world, account, other)) {
      return false;
    }
  }
  return is_considered(world, account, victim);
}

static bool holds_only_own(const struct world *world) {
  size_t records[ACCOUNTS];
  (void)count_accounts(world, records);
  return records[OWN] == world->count;
}

static void check_victim(struct world *world) {
  const struct kad_id self = key_of(next_byte(world) % KEYS);
  const kad_record_handle handle = kad_store_victim(world->store, &self);
  const struct model *victim = find_model(world, handle);
  CHECK((victim == NULL) == (world->count == 0));
  if (victim == NULL) {
    return;
  }
  if (world->has_peers) {
    /* The bytes of accounts are not known: our own user's come last. */
    CHECK(account_of[victim->host] != OWN || holds_only_own(world));
    return;
  }
  const unsigned largest = find_largest(world);
  const size_t most = bytes_of_account(world, largest);
  bool is_right = largest == OWN && is_victim_of(world, OWN, victim, &self);
  for (unsigned i = OWN + 1; i < ACCOUNTS; i++) {
    is_right = is_right || (bytes_of_account(world, i) == most &&
                            is_victim_of(world, i, victim, &self));
  }
  CHECK(is_right);
}

static void do_next(struct world *world) {
  unsigned operation = next_byte(world);
  switch (operation % 8) {
  case 0:
  case 1:
    add(world);
    return;
  case 2:
    remove_one(world);
    return;
  case 3:
    touch(world);
    return;
  case 4:
    find(world);
    return;
  case 5:
    check_all(world);
    return;
  case 6:
    check_victim(world);
    return;
  default:
    world->failing = operation / 8;
    return;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const uint8_t secret[KAD_MEMORY_STORE_SECRET_SIZE] = {1};
  struct world *world = calloc(1, sizeof *world);
  if (world == NULL) {
    return 0;
  }
  world->data = data;
  world->size = size;
  struct kad_allocator allocator = {.resize = resize, .state = world};
  CHECK(kad_memory_store_new(&allocator, secret, &world->store) == 0);
  world->has_peers = next_byte(world) % 2 == 0;
  while (world->size > 0) {
    do_next(world);
    check_counts(world);
    check_due(world);
    check_stale(world);
  }
  check_all(world);
  kad_memory_store_free(world->store);
  free(world);
  return 0;
}
