/* The publications of a node: records that it publishes for its user and
 * republishes each period, until they expire or are unpublished. They are in a
 * store of their own, apart from the records that are held for others, and do
 * not count for quotas.
 * Source: Kademlia §2.5, "the original publisher".
 *
 * Tested by tests/sim/publications_test.c.
 */
#ifndef KAD_REPLICATION_PUBLICATIONS_H
#define KAD_REPLICATION_PUBLICATIONS_H

#include "records/store.h"

enum {
  KAD_PUBLICATION_PERIOD_S = 3600, /* of a type that the policy has dropped */
  KAD_PUBLICATION_RETRY_MS = 30000 /* after a republish that could not
                                      start or that no contact answered */
};

/* A record is published, or prolonged; or it is not any more, because it was
 * unpublished or replaced. `ttl` is as it was given. `record` is valid until
 * this returns. Must not call functions of the node that change it. */
typedef void (*kad_publication_fn)(void *data, const struct kad_record *record,
                                   bool is_published);

struct kad_publications {
  struct kad_store *store;    /* NULL while there are none */
  kad_time_ms retry_at;       /* none is republished before */
  kad_publication_fn changed; /* NULL: none watches */
  void *data;
};

/* Calls `changed` for each change but the ends of lives, before the call that
 * changes returns, so that a program can save it. NULL ends that. */
void kad_publications_watch(struct kad_node *node, kad_publication_fn changed,
                            void *data);

/* Adds a checked record, or prolongs it if it is published. Replaces what the
 * record replaces. It is due for the first time after `first_ms`. The caller
 * calls kad_republish_plan then. Returns 0, or
 *   KAD_ENOMEM    out of memory
 *   KAD_ETYPE     no such type
 *   KAD_EFULL     there are max_publications
 *   KAD_EREFUSED  one with a higher sequence number is published */
KAD_MUST_CHECK int kad_publications_add(struct kad_node *node,
                                        const struct kad_record *record,
                                        kad_time_ms first_ms);

/* Removes the publications of `type` under `key`, or, with `value`, those with
 * this value. Returns 0, or KAD_ENOTFOUND if there are none. */
int kad_publications_remove(struct kad_node *node, const struct kad_id *key,
                            struct kad_slice type,
                            const struct kad_slice *value);

/* Removes those that have expired. */
void kad_publications_expire(struct kad_node *node);

/* Returns when the next one expires, or KAD_TIME_NEVER. */
kad_time_ms kad_publications_next_expiry(const struct kad_node *node);

/* Returns the publication that is due first, and sets `*at` to when that is.
 * Returns 0 if there is none, with `*at` KAD_TIME_NEVER. */
kad_record_handle kad_publications_due(const struct kad_node *node,
                                       kad_time_ms *at);

/* Returns the time between two republishes of `record`: shorter than that of
 * its holders, so that they need not republish it. */
kad_time_ms kad_publications_period(struct kad_node *node,
                                    const struct kad_record *record);

/* Sets when a publication is due again: `after_ms` from now. */
void kad_publications_postpone(struct kad_node *node, kad_record_handle handle,
                               kad_time_ms after_ms);

/* Reads a publication in the form in which it is stored elsewhere. Returns
 * false if there is none. */
bool kad_publications_read(const struct kad_node *node,
                           kad_record_handle handle, struct kad_record *record);

/* Frees all; for kad_node_free. */
void kad_publications_stop(struct kad_node *node);

#endif
