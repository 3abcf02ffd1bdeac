/* A record in the memory store: one block with a fixed head and a tail. The
 * tail contains only the fields that the record has. Entries have numbers
 * (slots.h) and link to each other by number.
 * Tested by tests/unit/records/memory/memory_store_test.c. */
#ifndef KAD_RECORDS_MEMORY_ENTRY_H
#define KAD_RECORDS_MEMORY_ENTRY_H

#include "base/item.h"
#include "records/store.h"

/* The times by which the store orders its entries. */
enum kad_memory_due {
  KAD_MEMORY_DUE_EXPIRE,
  KAD_MEMORY_DUE_REPUBLISH,
  KAD_MEMORY_DUE_COUNT
};

/* The place of an entry in an account (accounts.h). */
struct kad_account_place {
  uint32_t account; /* its number */
  uint32_t later;   /* next in the ring of the account; the latest links to the
                       earliest */
  uint32_t earlier; /* previous in that ring */
};

struct kad_memory_entry {
  kad_time_ms stored_at;
  kad_time_ms due[KAD_MEMORY_DUE_COUNT]; /* expires_at and republish_at */
  uint32_t places[KAD_MEMORY_DUE_COUNT]; /* in the heap of each */
  uint32_t older;    /* next in the ring of its key and type; the oldest links
                        to the newest */
  uint32_t newer;    /* previous in that ring */
  uint32_t chain;    /* of the newest: next key of the hash bucket */
  uint32_t siblings; /* of the newest: number of entries in the ring */
  struct kad_account_place of_host; /* of its origin */
  uint16_t port;                    /* of the origin */
  uint16_t value_len;
  uint8_t via;  /* of the origin */
  uint8_t type; /* number in the type list */
  uint8_t salt_len;
  uint8_t parts;  /* which parts the tail has, and whether it is a seed */
  uint8_t tail[]; /* place of_publisher, key, ip, seq, publisher, signature,
                     salt, value */
};

/* Returns the size of an entry for `record` from `origin`. Unit: bytes. */
size_t kad_memory_entry_size(const struct kad_record *record,
                             const struct kad_address *origin);

/* Returns the size of `entry`. Unit: bytes. */
size_t kad_memory_entry_size_held(const struct kad_memory_entry *entry);

/* Returns the size that `entry` has with a value that is elsewhere. */
size_t kad_memory_entry_cost(const struct kad_memory_entry *entry);

/* Writes the record, its times and its origin into a block of
 * kad_memory_entry_size bytes. Leaves places and links to the caller. */
void kad_memory_entry_write(struct kad_memory_entry *entry,
                            const struct kad_record *record, uint8_t type,
                            const struct kad_record_meta *meta);

/* Writes the times, and the port and the socket of the origin. The ip of the
 * origin must be the one in the entry. */
void kad_memory_entry_set_meta(struct kad_memory_entry *entry,
                               const struct kad_record_meta *meta);

/* Reads the record without its type. Its slices borrow `entry`. */
void kad_memory_entry_record(const struct kad_memory_entry *entry,
                             struct kad_record *record);

/* Reads the times and the origin. */
void kad_memory_entry_meta(const struct kad_memory_entry *entry,
                           struct kad_record_meta *meta);

/* Returns whether the entry is a record of our own user. */
bool kad_memory_entry_is_own(const struct kad_memory_entry *entry);

/* Returns the place of the entry in the account of its publisher; NULL when it
 * has none, or is a record of our own user. */
struct kad_account_place *kad_memory_entry_of_publisher(
    struct kad_memory_entry *entry);

/* Reads the key. */
void kad_memory_entry_key(const struct kad_memory_entry *entry,
                          struct kad_id *key);

/* Returns true if the key of the entry is `key`. */
bool kad_memory_entry_has_key(const struct kad_memory_entry *entry,
                              const struct kad_id *key);

#endif
