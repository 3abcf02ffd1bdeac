/* The routing table of one address family.
 *
 *     contact seen, unknown ──► the node pings it ──answers──► kad_table_add
 *                                                               │
 *         entered ◄── room, or the bucket may split ◄───────────┤
 *         waits in the bucket's replacement cache ◄── full ─────┘
 *           └── enters when the contact that was probed fails
 *
 * Nobody enters before it has answered us from the address it claims; that is
 * the caller's duty. Contacts are good, questionable or bad as in BEP 5
 * "Routing Table". Among equals the lower round-trip time wins.
 * Source: Kademlia §2.2, §2.4; BEP 5; BEP 32. */
#ifndef KAD_ROUTING_TABLE_H
#define KAD_ROUTING_TABLE_H

#include "kadenza.h"

enum {
  KAD_SUBNET_MAX = 2,       /* contacts of one subnet in a bucket */
  KAD_SUBNET_TABLE_MAX = 8, /* contacts of one subnet in the table */
  KAD_FAILURES_BAD = 2      /* unanswered queries that make a contact bad */
};

/* A contact in the table. Borrowed pointers to it are valid until the next
 * change of the table. */
struct kad_table_entry {
  struct kad_contact contact;
  uint16_t rtt_ms;          /* smoothed; 0 is unknown; saturates */
  uint8_t failures;         /* queries unanswered since it last answered */
  kad_time_ms last_seen;    /* it last answered, or queried us after that */
  kad_time_ms last_queried; /* we last asked it; 0 for never */
};

struct kad_table;

struct kad_table_config {
  struct kad_id self;
  unsigned id_bits;
  unsigned family;     /* 4 or 6 */
  uint32_t k;          /* 1 … KAD_BUCKET_MAX */
  uint32_t far;        /* contacts of the farthest bucket, half as many of each
                          next one, k at least; 0 … KAD_BUCKET_MAX */
  kad_time_ms ping_ms; /* silent for so long is questionable */
  bool allow_local;    /* local addresses are exempt from subnet bounds */
};

/* Returns 0 or KAD_ENOMEM. Copies: `config`, `allocator`. */
KAD_MUST_CHECK int kad_table_new(const struct kad_table_config *config,
                                 const struct kad_allocator *allocator,
                                 kad_time_ms now, struct kad_table **table);
void kad_table_free(struct kad_table *table);

/* Adds a contact that has just answered, with its round-trip time (at least 1;
 * 0 is unknown), or notes that a known one did. Its address is of the table's
 * family. When the bucket is full, the newcomer takes the place of a bad
 * contact at once; with none, it waits, and `*probe` is the least recently seen
 * questionable contact, to be pinged by the caller. With KAD_EID, `*probe` is
 * the contact that has the id, if it is questionable. NULL otherwise. It may
 * have been queried just now: see `last_queried`. Valid until the next change.
 * Returns 0 when it is in the table now, or
 *   KAD_EFULL     it waits in the replacement cache
 *   KAD_EOWNID    it carries our own id
 *   KAD_ESUBNET   its subnet has its share already
 *   KAD_EADDRESS  another id is known at this address; the caller may remove
 *                 that one, whose id has changed, and add this one again
 *   KAD_EID       the id is known at another address, and not as bad
 *   KAD_ENOMEM    no contact has changed */
KAD_MUST_CHECK int kad_table_add(struct kad_table *table,
                                 const struct kad_contact *contact,
                                 uint32_t rtt_ms, kad_time_ms now,
                                 const struct kad_table_entry **probe);

/* Notes that a contact queried us: it is refreshed if it is in the table, or
 * waits, at exactly this address (BEP 5). Returns true if so. A bad contact is
 * not refreshed, so that who queries but never answers leaves in the end: like
 * for a stranger, the caller may ping it. */
bool kad_table_seen(struct kad_table *table, const struct kad_contact *contact,
                    kad_time_ms now);

/* Returns true if the bucket of `id`, whom we do not know, has a use for one
 * more contact that is worth a ping: it has fewer than k, or one that is bad,
 * or a replacement cache in which fewer than half of k have been heard of in
 * the last `fresh_ms`. Places beyond k are for those that answer us anyway. */
bool kad_table_wants(const struct kad_table *table, const struct kad_id *id,
                     kad_time_ms now, kad_time_ms fresh_ms);

/* Notes that a query went out to `contact`. */
void kad_table_queried(struct kad_table *table,
                       const struct kad_contact *contact, kad_time_ms now);

/* Notes that `contact` left a query unanswered. When it has become bad and a
 * replacement waits, the newest takes its place; a bad contact without one
 * stays, never handed out, until kad_table_prune. One that waits leaves. */
void kad_table_failed(struct kad_table *table,
                      const struct kad_contact *contact);

/* Removes `contact` (its id changed, a policy refuses it), if it is known at
 * exactly this address; it may be one of the table's own. A replacement takes
 * its place. */
void kad_table_remove(struct kad_table *table,
                      const struct kad_contact *contact);

/* Finds a contact by id, by address, or by both. NULL if there is none. */
const struct kad_table_entry *kad_table_find(const struct kad_table *table,
                                             const struct kad_id *id);
const struct kad_table_entry *kad_table_find_address(
    const struct kad_table *table, const struct kad_address *address);
const struct kad_table_entry *kad_table_find_exact(
    const struct kad_table *table, const struct kad_contact *contact);

/* Writes up to `cap` contacts to `out`, closest to `target` first, and returns
 * their number. Leaves out bad ones, and those silent for ping_ms that have
 * left a query unanswered since. Visits buckets in order of distance: nothing
 * is sorted but single buckets. */
size_t kad_table_closest(const struct kad_table *table,
                         const struct kad_id *target, kad_time_ms now,
                         struct kad_contact *out, size_t cap);

/* Returns true if it was seen less than `ping_ms` ago and has left no query
 * unanswered since it last answered. Source: BEP 5 "Routing Table". */
bool kad_table_entry_is_good(const struct kad_table_entry *entry,
                             kad_time_ms now, kad_time_ms ping_ms);

/* Returns true if it left KAD_FAILURES_BAD queries unanswered in a row. What is
 * neither good nor bad is questionable. */
bool kad_table_entry_is_bad(const struct kad_table_entry *entry);

/* Returns true if the round-trip time of `a` is known and lower. */
bool kad_table_entry_is_faster(const struct kad_table_entry *a,
                               const struct kad_table_entry *b);

/* Returns true if `a` was seen longer ago; of equals, if `b` is faster. */
bool kad_table_entry_is_staler(const struct kad_table_entry *a,
                               const struct kad_table_entry *b);

/* Returns the questionable or bad contact that was seen longest ago and not
 * queried at or after `before`, for the maintenance to ping; NULL for none.
 * Each query in a row that it left unanswered doubles the time from `before` to
 * `now` for it, up to 64 times. */
const struct kad_table_entry *kad_table_questionable(struct kad_table *table,
                                                     kad_time_ms now,
                                                     kad_time_ms before);

/* Drops contacts that are bad and have not been seen for `ping_ms`. Returns how
 * many. */
size_t kad_table_prune(struct kad_table *table, kad_time_ms now);

/* Buckets are numbered from 0, the farthest half of the id space, to
 * kad_table_buckets - 1, which holds our own id. */
size_t kad_table_buckets(const struct kad_table *table);
size_t kad_table_count(const struct kad_table *table); /* contacts */
size_t kad_table_bad(const struct kad_table *table);   /* bad ones of these */
size_t kad_table_good(const struct kad_table *table, kad_time_ms now);

/* Notes that a lookup for `target` ran: its bucket is fresh. */
void kad_table_looked_up(struct kad_table *table, const struct kad_id *target,
                         kad_time_ms now);

/* Returns when bucket `index` was last looked into. */
kad_time_ms kad_table_refreshed(const struct kad_table *table, size_t index);

/* Makes a random id that falls into bucket `index`. `random` is 32 random
 * bytes. Source: Kademlia §2.3. */
void kad_table_random_id(const struct kad_table *table, size_t index,
                         const uint8_t random[KAD_ID_SIZE], struct kad_id *id);

/* Returns the number of the bucket of `id`. */
size_t kad_table_bucket_of(const struct kad_table *table,
                           const struct kad_id *id);

/* Walks every contact: begin with `*bucket` and `*slot` 0; NULL at the end. */
const struct kad_table_entry *kad_table_next(const struct kad_table *table,
                                             size_t *bucket, size_t *slot);

#endif
