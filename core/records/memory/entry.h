/* A record as the memory store keeps it: one block, with a fixed head and a
 * tail of only those parts that the record has. Entries are numbered, and link
 * to each other by number. */
#ifndef KAD_RECORDS_MEMORY_ENTRY_H
#define KAD_RECORDS_MEMORY_ENTRY_H

#include "records/memory/array.h"
#include "records/store.h"

/* What the store ranks its entries by. */
enum kad_memory_entry_rank {
  KAD_RANK_EXPIRE,
  KAD_RANK_REPUBLISH,
  KAD_RANK_COUNT
};

struct kad_memory_entry {
  kad_time_ms stored_at;
  kad_time_ms due[KAD_RANK_COUNT]; /* expires_at and republish_at */
  uint32_t places[KAD_RANK_COUNT]; /* in the ranking by each */
  uint32_t older;                  /* of the same key and type; a ring: the */
  uint32_t newer;                  /* oldest's older is the newest */
  uint32_t chain;                  /* of the newest: next key of the bucket */
  uint32_t siblings;               /* of the newest: entries in its ring */
  uint32_t origin;                 /* number of the address that stored it */
  uint32_t later;                  /* stored by that address; a ring: the */
  uint32_t earlier;                /* earliest's earlier is the latest */
  uint16_t port;                   /* of the origin */
  uint16_t value_len;
  uint8_t via;  /* of the origin */
  uint8_t type; /* number of the type's name */
  uint8_t salt_len;
  uint8_t parts;  /* which parts the tail has */
  uint8_t tail[]; /* key, host, seq, publisher, signature, salt, value */
};

/* Returns the bytes of an entry for `record`, stored by `origin`. */
size_t kad_memory_entry_size(const struct kad_record *record,
                             const struct kad_address *origin);

/* Returns the bytes of `entry`. */
size_t kad_memory_entry_size_held(const struct kad_memory_entry *entry);

/* Writes the record, its times and its origin into a block of
 * kad_memory_entry_size bytes; places and links are left to the caller. */
void kad_memory_entry_write(struct kad_memory_entry *entry,
                            const struct kad_record *record, uint8_t type,
                            const struct kad_record_meta *meta);

/* Writes the times, and the port and socket of the origin, whose ip must be the
 * one that the entry has. */
void kad_memory_entry_touch(struct kad_memory_entry *entry,
                            const struct kad_record_meta *meta);

/* Reads the record, all but its type; slices borrow `entry`. */
void kad_memory_entry_record(const struct kad_memory_entry *entry,
                             struct kad_record *record);

/* Reads the times and the origin. */
void kad_memory_entry_meta(const struct kad_memory_entry *entry,
                           struct kad_record_meta *meta);

/* Reads the key. */
void kad_memory_entry_key(const struct kad_memory_entry *entry,
                          struct kad_id *key);

/* Returns true if the entry's key is `key`. */
bool kad_memory_entry_has_key(const struct kad_memory_entry *entry,
                              const struct kad_id *key);

#endif
