/* A transfer brings the records of one type under one key to a contact. It asks
 * the contact which of them it holds, and stores those that it lacks, as the
 * store budget allows.
 *
 *   find_value sent ─► the contact holds all: ended
 *     └─► waiting for the budget ◄─► store sent ─► ended
 *
 * Tested by tests/sim/handoff_test.c.
 */
#ifndef KAD_REPLICATION_TRANSFER_H
#define KAD_REPLICATION_TRANSFER_H

#include "kadenza_codec.h"
#include "records/store.h"
#include "rpc/rpc.h"

enum {
  KAD_TRANSFER_TRIES = 3 /* of one query */
};

enum kad_transfer_event {
  KAD_TRANSFER_WAITS,     /* for the budget: call kad_transfer_send_waiting */
  KAD_TRANSFER_HOLDS_ALL, /* ended: nothing to store. The contact holds all
                             records, ours has expired, or out of memory */
  KAD_TRANSFER_TIMED_OUT, /* ended: the contact does not answer */
  KAD_TRANSFER_ENDED      /* ended otherwise */
};

struct kad_transfer;

/* Receives the events of a transfer. The last one is that of its end, after
 * which `transfer` is freed. */
typedef void (*kad_transfer_fn)(struct kad_node *node,
                                const struct kad_transfer *transfer,
                                enum kad_transfer_event event);

/* Receives what a check has found out about the record `handle`. */
typedef void (*kad_transfer_checked_fn)(struct kad_node *node,
                                        kad_record_handle handle,
                                        bool holds_all);

struct kad_transfer {
  struct kad_transfer *next;
  struct kad_query_owner queries;
  kad_transfer_fn handler;
  kad_transfer_checked_fn
      checked; /* not NULL: only checks what the contact holds */
  struct kad_contact to;
  kad_record_handle handle; /* the newest of the records */
  uint8_t tries;
  bool waiting;   /* for the budget */
  bool knows_ttl; /* see record_query.h */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
  kad_record_handle *lacking; /* by the contact, or NULL */
  size_t lacking_count;
  size_t lacking_cap;
  size_t sent_count; /* of `lacking`, in the store under way */
};

/* The transfers of a node. */
struct kad_transfers {
  struct kad_transfer *first;
  uint32_t count;
};

/* Starts a transfer of all records with the key and type of the record
 * `handle`, or, with `checked`, a check. Returns false if the query cannot be
 * sent. */
bool kad_transfer_start(struct kad_node *node, kad_record_handle handle,
                        const struct kad_contact *to, kad_transfer_fn handler,
                        kad_transfer_checked_fn checked);

/* Reads a held record in the form in which it is stored elsewhere. Returns
 * false if it is not held, or is not republished. */
bool kad_transfer_read(const struct kad_node *node, kad_record_handle handle,
                       struct kad_record *record);

/* Returns true if a transfer waits for the budget. */
bool kad_transfer_any_waits(const struct kad_node *node);

/* Sends the stores that the budget allows now. */
void kad_transfer_send_waiting(struct kad_node *node);

/* Frees all transfers without an event; for kad_node_free. */
void kad_transfer_stop_all(struct kad_node *node);

#endif
