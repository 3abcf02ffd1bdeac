/* The records of one type under one key, on their way to a contact: it is asked
 * what it has of them, and given what it lacks, when the budget allows it.
 *
 *   asked ─► has them all: done
 *     └────► waiting for the budget ◄─► store under way ─► done
 */
#ifndef KAD_REPLICATION_TRANSFER_H
#define KAD_REPLICATION_TRANSFER_H

#include "records/store.h"

struct kad_node;

/* One of them. */
struct kad_transfer {
  struct kad_transfer *next;
  struct kad_contact to;
  kad_record_handle handle; /* the newest of them */
  uint8_t tries;
  bool looking; /* we only want to know whether it has them */
  bool waiting; /* for the budget */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
  kad_record_handle *lacking; /* what it does not have, or NULL */
  size_t lacking_count;
  size_t lacking_cap;
  size_t sent; /* of these, in the store that is under way */
};

/* Begins with a call; kad_handoff_plan is called when it has ended. Where
 * we are only `looking`, kad_republish_looked is told. Returns false if it
 * cannot be asked. */
bool kad_transfer_begin(struct kad_node *node, kad_record_handle handle,
                        const struct kad_contact *to, bool looking);

/* Reads a held record as it is to be stored elsewhere. Returns false if it is
 * not there, or not to be handed over. */
bool kad_transfer_read(const struct kad_node *node, kad_record_handle handle,
                       struct kad_record *record);

/* Sends the stores that the budget allows now. */
void kad_transfer_send(struct kad_node *node);

/* Gives all of them up; for kad_node_free. */
void kad_transfer_stop(struct kad_node *node);

#endif
