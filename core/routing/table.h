/* The routing table of one address family.
 *
 *     unknown contact ──► the node pings it ──answer──► kad_table_add
 *                                                         │
 *         in the bucket ◄── there is room, or it splits ──┤
 *         in the replacement cache ◄── the bucket is full ┘
 *           └── enters the bucket when a contact there fails
 *
 * The caller adds only contacts that have answered us from the address that
 * they claim. Contacts are good, questionable or bad as in BEP 5 "Routing
 * Table". Among equals the one with the lower round-trip time is preferred.
 *
 * A table may prefer secure contacts, whose id fits their address: where a
 * bucket or its replacement cache is full, they replace others, however good.
 * Source: Kademlia §2.2, §2.4; BEP 5; BEP 32; BEP 42. */
#ifndef KAD_ROUTING_TABLE_H
#define KAD_ROUTING_TABLE_H

#include "base/address_set.h"
#include "routing/table_entry.h"

enum {
  KAD_SUBNET_MAX = 2,      /* contacts of one subnet in a bucket */
  KAD_SUBNET_TABLE_MAX = 8 /* contacts of one subnet in the table */
};

struct kad_table;

struct kad_table_config {
  struct kad_id self;
  unsigned id_bits;
  unsigned family;     /* 4 or 6 */
  uint32_t k;          /* 1 … KAD_BUCKET_MAX */
  uint32_t far;        /* contacts of the farthest bucket, half as many in the
                          next one, and so on down to k; 0 … KAD_BUCKET_MAX */
  kad_time_ms ping_ms; /* a contact unseen for so long is questionable */
  bool allow_local;    /* local addresses are exempt from subnet bounds */
  bool prefer_secure;  /* contacts whose id fits their address come first */
};

/* Makes a table. Copies: `config`, `allocator`. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_table_new(const struct kad_table_config *config,
                                 const struct kad_allocator *allocator,
                                 kad_time_ms now, struct kad_table **table);

/* Makes a table round `self` with the contacts of `old`, which stays as it is.
 * Contacts that answer get places first, then those of the replacement caches.
 * Near the former id there may be no place for all. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_table_move(const struct kad_table *old,
                                  const struct kad_id *self, kad_time_ms now,
                                  struct kad_table **table);

/* Frees the table. NULL is ignored. */
void kad_table_free(struct kad_table *table);

/* Adds a contact that has just answered, or notes that a known one answered.
 * `rtt_ms` is its round-trip time; 0 is unknown. Its address has the family of
 * the table. If the bucket is full, the contact replaces a bad one at once; if
 * none is bad, a secure contact replaces one that is not, which goes to the
 * replacement cache; otherwise it enters the replacement cache itself.
 * `*probe` is a contact that the caller should ping, or NULL: with KAD_EFULL,
 * the questionable contact of the bucket that was seen longest ago; with
 * KAD_EID, the contact that has the id, if it is questionable. A query to it
 * may be under way: see `last_queried`. Valid until the next change.
 * Returns 0 if the contact is in the table, or
 *   KAD_EFULL     it is in the replacement cache
 *   KAD_EOWNID    it has our own id
 *   KAD_ESUBNET   its subnet has its share already
 *   KAD_EADDRESS  a contact with another id has this address; the caller may
 *                 remove that one, whose id has changed, and add this one again
 *   KAD_EID       a contact that is not bad has this id at another address
 *   KAD_ENOMEM    no contact has changed */
KAD_MUST_CHECK int kad_table_add(struct kad_table *table,
                                 const struct kad_contact *contact,
                                 uint32_t rtt_ms, kad_time_ms now,
                                 const struct kad_table_entry **probe);

/* Notes that a contact queried us. Returns true if it is known at exactly this
 * address, in the table or the replacement cache: it counts as seen then
 * (BEP 5). Returns false for a bad contact, which does not count as seen, so
 * that a contact that queries but never answers leaves the table in the end.
 * The caller may ping it like an unknown contact. */
bool kad_table_seen(struct kad_table *table, const struct kad_contact *contact,
                    kad_time_ms now);

/* Returns true if an unknown contact is worth a ping: its bucket has fewer than
 * k contacts, may split, has a bad contact or one that a secure contact would
 * replace, or its replacement cache has fewer than k/2 contacts that were seen
 * in the last `fresh_ms` and are as secure. A bucket for more than k contacts
 * gets those beyond k from contacts that answer other queries. */
bool kad_table_wants(const struct kad_table *table,
                     const struct kad_contact *contact, kad_time_ms now,
                     kad_time_ms fresh_ms);

/* Notes that `contact` is reachable, if the table has it: it has answered a
 * query from cold. */
void kad_table_reached(struct kad_table *table,
                       const struct kad_contact *contact);

/* Sets whether kad_table_closest leaves out contacts that are not known to be
 * reachable. */
void kad_table_withhold(struct kad_table *table, bool withhold);

/* Notes that a query was sent to `contact`. */
void kad_table_queried(struct kad_table *table,
                       const struct kad_contact *contact, kad_time_ms now);

/* Forgets at which local address `contact` was heard, because it left a query
 * from there unanswered: that address may have lost its link. */
void kad_table_forget_via(struct kad_table *table,
                          const struct kad_contact *contact);

/* Notes that `contact` left a query unanswered. If it is bad now, the newest
 * contact of the replacement cache replaces it. If there is none, it stays
 * until kad_table_prune, but no reply names it. A contact of the replacement
 * cache is removed. */
void kad_table_failed(struct kad_table *table,
                      const struct kad_contact *contact);

/* Removes `contact` if it is known at exactly this address. A contact of the
 * replacement cache replaces it. `contact` may point into the table. */
void kad_table_remove(struct kad_table *table,
                      const struct kad_contact *contact);

/* Removes all contacts whose address is in `set`, from the replacement caches,
 * too. Other contacts of these replace them. Returns the number of contacts
 * that have left the buckets. */
size_t kad_table_throw_out(struct kad_table *table,
                           const struct kad_address_set *set);

/* Finds a contact by id, by address, or by both. NULL if there is none. Valid
 * until the next change. */
const struct kad_table_entry *kad_table_find(const struct kad_table *table,
                                             const struct kad_id *id);
const struct kad_table_entry *kad_table_find_address(
    const struct kad_table *table, const struct kad_address *address);
const struct kad_table_entry *kad_table_find_exact(
    const struct kad_table *table, const struct kad_contact *contact);

/* Writes up to `cap` contacts to `out`, closest to `target` first, and returns
 * their number. Leaves out bad contacts, those unseen for ping_ms that have
 * left a query unanswered since, and what kad_table_withhold says. Visits the
 * buckets in the order of distance, so only single buckets are sorted. */
size_t kad_table_closest(const struct kad_table *table,
                         const struct kad_id *target, kad_time_ms now,
                         struct kad_contact *out, size_t cap);

/* The same, with secure contacts only, if the table prefers them and has `cap`
 * of them. */
size_t kad_table_closest_holders(const struct kad_table *table,
                                 const struct kad_id *target, kad_time_ms now,
                                 struct kad_contact *out, size_t cap);

/* Returns the contact to ping next, or NULL: of the questionable and bad ones
 * that were not queried since `before`, the one that was seen longest ago. For
 * each query in a row that a contact left unanswered, the time from `before` to
 * `now` doubles, up to a factor of 64. */
const struct kad_table_entry *kad_table_questionable(struct kad_table *table,
                                                     kad_time_ms now,
                                                     kad_time_ms before);

/* Removes bad contacts that were not seen for ping_ms. Returns their number. */
size_t kad_table_prune(struct kad_table *table, kad_time_ms now);

/* Buckets are numbered from 0, the farthest half of the id space, to
 * kad_table_buckets - 1, which holds our own id. */
size_t kad_table_buckets(const struct kad_table *table);
size_t kad_table_count(const struct kad_table *table);  /* contacts */
size_t kad_table_bad(const struct kad_table *table);    /* bad ones of these */
size_t kad_table_secure(const struct kad_table *table); /* secure ones */
size_t kad_table_good(const struct kad_table *table, kad_time_ms now);

/* Notes that a lookup of `target` started: its bucket needs no refresh. */
void kad_table_looked_up(struct kad_table *table, const struct kad_id *target,
                         kad_time_ms now);

/* Returns when the last lookup in the range of bucket `index` started. */
kad_time_ms kad_table_refreshed(const struct kad_table *table, size_t index);

/* Makes a random id of bucket `index` from `random`, 32 random bytes.
 * Source: Kademlia §2.3. */
void kad_table_random_id(const struct kad_table *table, size_t index,
                         const uint8_t random[KAD_ID_SIZE], struct kad_id *id);

/* Returns the index of the bucket of `id`. */
size_t kad_table_bucket_of(const struct kad_table *table,
                           const struct kad_id *id);

/* Iterates over all contacts, from `*bucket` and `*slot` 0. NULL at the end. */
const struct kad_table_entry *kad_table_next(const struct kad_table *table,
                                             size_t *bucket, size_t *slot);

#endif
