#include "records/memory/accounts.h"

#include "base/address.h"
#include "base/array.h"

#include <assert.h>
#include <string.h>

struct kad_account_key kad_account_key_of_host(
    const struct kad_address *address) {
  const size_t size = kad_address_host_size(address);
  struct kad_account_key key = {.len = (uint8_t)(size + 1),
                                .bytes = {address->family}};
  memcpy(key.bytes + 1, address->ip, size);
  return key;
}

struct kad_account_key kad_account_key_of_publisher(const uint8_t *publisher) {
  struct kad_account_key key = {.len = KAD_PUBLISHER_SIZE};
  memcpy(key.bytes, publisher, KAD_PUBLISHER_SIZE);
  return key;
}

static struct kad_account_key key_of_entry(
    const struct kad_accounts *accounts, const struct kad_memory_entry *entry) {
  if (accounts->kind == KAD_ACCOUNTS_OF_PUBLISHERS) {
    struct kad_record record;
    kad_memory_entry_record(entry, &record);
    return kad_account_key_of_publisher(record.publisher);
  }
  struct kad_record_meta meta;
  kad_memory_entry_meta(entry, &meta);
  return kad_account_key_of_host(&meta.origin);
}

/* Returns the place of entry `number` in its account. */
static struct kad_account_place *place_of(const struct kad_accounts *accounts,
                                          uint32_t number) {
  struct kad_memory_entry *entry = kad_slots_at(accounts->slots, number);
  return accounts->kind == KAD_ACCOUNTS_OF_PUBLISHERS
             ? kad_memory_entry_of_publisher(entry)
             : &entry->of_host;
}

static struct kad_account_key key_at(const struct kad_accounts *accounts,
                                     uint32_t item) {
  const uint32_t number = accounts->items[item].earliest;
  return key_of_entry(accounts, kad_slots_at(accounts->slots, number));
}

static uint64_t hash_key(const struct kad_accounts *accounts,
                         const struct kad_account_key *key) {
  return kad_item_map_hash(accounts->secret, key->bytes, key->len);
}

static uint64_t hash_of(void *state, uint32_t item) {
  const struct kad_accounts *accounts = state;
  struct kad_account_key key = key_at(accounts, item);
  return hash_key(accounts, &key);
}

static uint32_t *link_of(void *state, uint32_t item) {
  struct kad_accounts *accounts = state;
  return &accounts->items[item].chain;
}

static uint32_t *heap_place_of(void *state, uint32_t item) {
  struct kad_accounts *accounts = state;
  return &accounts->items[item].place;
}

static bool is_larger(void *state, uint32_t a, uint32_t b) {
  const struct kad_accounts *accounts = state;
  if (a == accounts->own || b == accounts->own) {
    return b == accounts->own;
  }
  return accounts->items[a].bytes > accounts->items[b].bytes;
}

void kad_accounts_init(struct kad_accounts *accounts,
                       enum kad_accounts_kind kind,
                       const struct kad_slots *slots, const uint8_t *secret) {
  *accounts = (struct kad_accounts){
      .kind = kind,
      .slots = slots,
      .secret = secret,
      .free = KAD_NO_ITEM,
      .own = KAD_NO_ITEM,
      .map = {.state = accounts, .link = link_of, .hash = hash_of},
      .by_bytes = {.state = accounts,
                   .before = is_larger,
                   .place = heap_place_of},
  };
}

void kad_accounts_clear(struct kad_accounts *accounts,
                        const struct kad_allocator *allocator) {
  kad_item_map_deinit(&accounts->map, allocator);
  kad_item_heap_deinit(&accounts->by_bytes, allocator);
  KAD_ARRAY_FREE(allocator, &accounts->items, &accounts->cap);
  kad_accounts_init(accounts, accounts->kind, accounts->slots,
                    accounts->secret);
}

int kad_accounts_reserve(struct kad_accounts *accounts,
                         const struct kad_allocator *allocator) {
  if (accounts->free == KAD_NO_ITEM && accounts->used == accounts->cap &&
      KAD_ARRAY_RESERVE(allocator, &accounts->items, &accounts->cap,
                        kad_item_grown_cap(accounts->cap)) != 0) {
    return KAD_ENOMEM;
  }
  int status = kad_item_heap_reserve(&accounts->by_bytes, allocator);
  return status != 0 ? status : kad_item_map_reserve(&accounts->map, allocator);
}

static bool is_equal(const struct kad_account_key *a,
                     const struct kad_account_key *b) {
  return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Returns the account of `key`, whose hash is `hash`, or KAD_NO_ITEM. */
static uint32_t find_account(const struct kad_accounts *accounts,
                             const struct kad_account_key *key, uint64_t hash) {
  uint32_t item = kad_item_map_first(&accounts->map, hash);
  while (item != KAD_NO_ITEM) {
    struct kad_account_key found = key_at(accounts, item);
    if (is_equal(&found, key)) {
      return item;
    }
    item = accounts->items[item].chain;
  }
  return KAD_NO_ITEM;
}

size_t kad_accounts_count(const struct kad_accounts *accounts,
                          const struct kad_account_key *key) {
  const uint32_t item = find_account(accounts, key, hash_key(accounts, key));
  return item == KAD_NO_ITEM ? 0 : accounts->items[item].records;
}

static uint32_t allocate_item(struct kad_accounts *accounts) {
  uint32_t item = accounts->free;
  if (item != KAD_NO_ITEM) {
    accounts->free = accounts->items[item].chain;
    return item;
  }
  assert(accounts->used < accounts->cap);
  item = (uint32_t)accounts->used;
  accounts->used++;
  return item;
}

/* Links entry `number` before the earliest of the ring, where the latest is. */
static void link_latest(struct kad_accounts *accounts,
                        const struct kad_account *account, uint32_t number) {
  struct kad_account_place *place = place_of(accounts, number);
  struct kad_account_place *earliest = place_of(accounts, account->earliest);
  place->later = account->earliest;
  place->earlier = earliest->earlier;
  place_of(accounts, earliest->earlier)->later = number;
  earliest->earlier = number;
}

static void unlink_entry(struct kad_accounts *accounts,
                         struct kad_account *account, uint32_t number) {
  const struct kad_account_place *place = place_of(accounts, number);
  place_of(accounts, place->earlier)->later = place->later;
  place_of(accounts, place->later)->earlier = place->earlier;
  if (account->earliest == number) {
    account->earliest = place->later;
  }
}

/* Opens an account with its first entry. */
static void open_account(struct kad_accounts *accounts, uint32_t number,
                         uint64_t hash, size_t bytes) {
  const uint32_t item = allocate_item(accounts);
  accounts->items[item] =
      (struct kad_account){.bytes = bytes, .earliest = number, .records = 1};
  *place_of(accounts, number) = (struct kad_account_place){
      .account = item, .later = number, .earlier = number};
  kad_item_map_add(&accounts->map, hash, item);
  if (accounts->kind == KAD_ACCOUNTS_OF_HOSTS &&
      kad_memory_entry_is_own(kad_slots_at(accounts->slots, number))) {
    accounts->own = item;
  }
  kad_item_heap_add(&accounts->by_bytes, item);
}

void kad_accounts_add(struct kad_accounts *accounts, uint32_t number,
                      size_t bytes) {
  const struct kad_account_key key =
      key_of_entry(accounts, kad_slots_at(accounts->slots, number));
  const uint64_t hash = hash_key(accounts, &key);
  const uint32_t item = find_account(accounts, &key, hash);
  if (item == KAD_NO_ITEM) {
    open_account(accounts, number, hash, bytes);
    return;
  }
  struct kad_account *account = &accounts->items[item];
  place_of(accounts, number)->account = item;
  link_latest(accounts, account, number);
  account->records++;
  account->bytes += bytes;
  kad_item_heap_move(&accounts->by_bytes, item);
}

static void close_account(struct kad_accounts *accounts, uint32_t item) {
  kad_item_heap_remove(&accounts->by_bytes, item);
  kad_item_map_remove(&accounts->map, hash_of(accounts, item), item);
  if (item == accounts->own) {
    accounts->own = KAD_NO_ITEM;
  }
  accounts->items[item] = (struct kad_account){.chain = accounts->free};
  accounts->free = item;
}

void kad_accounts_remove(struct kad_accounts *accounts, uint32_t number,
                         size_t bytes) {
  const uint32_t item = place_of(accounts, number)->account;
  struct kad_account *account = &accounts->items[item];
  assert(account->bytes >= bytes);
  if (account->records == 1) {
    close_account(accounts, item);
    return;
  }
  unlink_entry(accounts, account, number);
  account->records--;
  account->bytes -= bytes;
  kad_item_heap_move(&accounts->by_bytes, item);
}

void kad_accounts_renew(struct kad_accounts *accounts, uint32_t number) {
  const uint32_t item = place_of(accounts, number)->account;
  struct kad_account *account = &accounts->items[item];
  if (account->records > 1) {
    unlink_entry(accounts, account, number);
    link_latest(accounts, account, number);
  }
}

uint64_t kad_accounts_most(const struct kad_accounts *accounts) {
  const uint32_t item = kad_item_heap_first(&accounts->by_bytes);
  return item == KAD_NO_ITEM || item == accounts->own
             ? 0
             : accounts->items[item].bytes;
}

/* What decides which entry is removed first: a short common prefix with us,
 * then an early expiry. */
struct removal_rank {
  unsigned prefix;
  kad_time_ms expires_at;
};

static struct removal_rank rank_of(const struct kad_memory_entry *entry,
                                   const struct kad_id *self) {
  struct kad_id key;
  kad_memory_entry_key(entry, &key);
  return (struct removal_rank){
      .prefix = kad_id_prefix(&key, self),
      .expires_at = entry->due[KAD_MEMORY_DUE_EXPIRE],
  };
}

static bool comes_before(struct removal_rank a, struct removal_rank b) {
  return a.prefix != b.prefix ? a.prefix < b.prefix
                              : a.expires_at < b.expires_at;
}

uint32_t kad_accounts_victim(const struct kad_accounts *accounts,
                             const struct kad_id *self) {
  uint32_t largest = kad_item_heap_first(&accounts->by_bytes);
  if (largest == KAD_NO_ITEM) {
    return KAD_NO_ITEM;
  }
  const struct kad_account *account = &accounts->items[largest];
  uint32_t victim = account->earliest;
  struct removal_rank first =
      rank_of(kad_slots_at(accounts->slots, victim), self);
  uint32_t number = victim;
  for (uint32_t i = 1; i < account->records && i < KAD_VICTIM_SAMPLE; i++) {
    number = place_of(accounts, number)->later;
    struct removal_rank rank =
        rank_of(kad_slots_at(accounts->slots, number), self);
    if (comes_before(rank, first)) {
      victim = number;
      first = rank;
    }
  }
  return victim;
}
