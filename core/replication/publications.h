/* Our own user's records: stored again each period, whoever else holds them,
 * until their end, or until they are withdrawn. They are kept apart from what
 * is held for others, whose quotas they do not fill, in a store of their own.
 * Source: Kademlia §2.5, "the original publisher". */
#ifndef KAD_REPLICATION_PUBLICATIONS_H
#define KAD_REPLICATION_PUBLICATIONS_H

#include "records/store.h"

enum {
  KAD_PUBLICATION_UNKNOWN_S = 3600, /* period of a type that has no rules now */
  KAD_PUBLICATION_RETRY_MS =
      30000 /* until it is tried again while nobody answers */
};

struct kad_node;

struct kad_publications {
  struct kad_store *store; /* NULL while there is none */
  kad_time_ms free_at;     /* they are stored again from then on */
};

/* Keeps a record that has been judged, in place of what it replaces.
 * `first_ms` is how long until it is stored first. Returns 0, KAD_ENOMEM,
 * KAD_ETYPE, KAD_EFULL when there are max_publications, or KAD_EREFUSED when
 * one with a higher sequence number is kept. */
KAD_MUST_CHECK int kad_publications_keep(struct kad_node *node,
                                         const struct kad_record *record,
                                         kad_time_ms first_ms);

/* Returns how long after one store of a record of ours the next one comes:
 * somewhat before its holders would take it on themselves. */
kad_time_ms kad_publications_period(struct kad_node *node,
                                    const struct kad_record *record);

/* Returns the record to be stored first, and when; 0 for none. */
kad_record_handle kad_publications_due(const struct kad_node *node,
                                       kad_time_ms *at);

/* Begins to store a record again. kad_republish_ended is told of its end.
 * Returns false if it cannot be now. */
bool kad_publications_publish(struct kad_node *node, kad_record_handle handle);

/* Drops what has come to its end. */
void kad_publications_expire(struct kad_node *node);

/* Returns when the next one comes to its end. */
kad_time_ms kad_publications_ends_at(const struct kad_node *node);

/* Frees all; for kad_node_free. */
void kad_publications_stop(struct kad_node *node);

#endif
