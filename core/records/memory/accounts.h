/* How many records and bytes each user has in a memory store. A user is an IPv4
 * address, an IPv6 /64 (a host can use all of its addresses), our own user, or
 * a publisher. A record of a publisher is in two accounts: that of the host
 * that stored it, and that of its publisher, who may use many hosts. A record
 * of our own user is in the account of our own user only. An account has a ring
 * of its entries, earliest first. */
#ifndef KAD_RECORDS_MEMORY_ACCOUNTS_H
#define KAD_RECORDS_MEMORY_ACCOUNTS_H

#include "base/item.h"
#include "records/memory/slots.h"

/* Names the user of an account. */
struct kad_account_key {
  uint8_t len;
  uint8_t bytes[KAD_PUBLISHER_SIZE];
};

/* An account. Its key is that of any of its entries. It is closed with its last
 * entry. */
struct kad_account {
  uint64_t bytes;    /* of its entries; 0: the account is free */
  uint32_t earliest; /* entry */
  uint32_t records;
  uint32_t place; /* in the heap by bytes */
  uint32_t chain; /* next in the hash bucket, or next free account */
};

enum kad_accounts_kind {
  KAD_ACCOUNTS_OF_HOSTS,
  KAD_ACCOUNTS_OF_PUBLISHERS
};

/* The accounts of one kind. Must not move after kad_accounts_init. */
struct kad_accounts {
  enum kad_accounts_kind kind;
  const struct kad_slots *slots;
  const uint8_t *secret;
  struct kad_account *items;
  size_t cap;
  size_t used; /* accounts that have been open */
  uint32_t free;
  uint32_t own; /* the account of our own user, or KAD_NO_ITEM */
  struct kad_item_map map;
  struct kad_item_heap by_bytes; /* largest first, our own user last */
};

enum {
  /* Bytes that an account takes at most besides its entries: a place in the
   * array, one in the heap and a bucket, in arrays that grow by an eighth. */
  KAD_ACCOUNT_OVERHEAD = 36,
  /* Entries of the largest account that kad_accounts_victim compares. */
  KAD_VICTIM_SAMPLE = 128
};

/* Return the key of the host of `address` (family 0: our own user), and of a
 * publisher, which has KAD_PUBLISHER_SIZE bytes. */
struct kad_account_key kad_account_key_of_host(
    const struct kad_address *address);
struct kad_account_key kad_account_key_of_publisher(const uint8_t *publisher);

/* Makes no accounts and allocates nothing. Borrows: `slots`, `secret`. */
void kad_accounts_init(struct kad_accounts *accounts,
                       enum kad_accounts_kind kind,
                       const struct kad_slots *slots, const uint8_t *secret);

/* Frees every account. */
void kad_accounts_clear(struct kad_accounts *accounts,
                        const struct kad_allocator *allocator);

/* Makes room for one more account. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_accounts_reserve(struct kad_accounts *accounts,
                                        const struct kad_allocator *allocator);

/* Returns the records of the account of `key`. */
size_t kad_accounts_count(const struct kad_accounts *accounts,
                          const struct kad_account_key *key);

/* Adds entry `number` of `bytes` to its account, as the latest. The caller has
 * reserved room for an account. */
void kad_accounts_add(struct kad_accounts *accounts, uint32_t number,
                      size_t bytes);

/* Removes entry `number`, which was added with `bytes`, from its account. */
void kad_accounts_remove(struct kad_accounts *accounts, uint32_t number,
                         size_t bytes);

/* Makes entry `number` the latest of its account. */
void kad_accounts_renew(struct kad_accounts *accounts, uint32_t number);

/* Returns the bytes of the largest account, our own user's left out; 0: there
 * is none. */
uint64_t kad_accounts_most(const struct kad_accounts *accounts);

/* Returns the entry to remove when room is needed, or KAD_NO_ITEM. It is in the
 * account with the most bytes, our own user's last. Of the KAD_VICTIM_SAMPLE
 * earliest entries there it shares the shortest prefix with `self`; of several,
 * it expires first. */
uint32_t kad_accounts_victim(const struct kad_accounts *accounts,
                             const struct kad_id *self);

#endif
