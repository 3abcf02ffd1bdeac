/* Hand-off: gives records to a contact that has joined the k closest to their
 * key: it has joined the overlay, or has moved up after another left. The
 * closest holder that we know of hands off.
 *
 *   event ─► scan of the store ─► transfer to the contact (transfer.h)
 *
 * Records that are not republished are not handed off: cached copies, peers,
 * and those whose policy lets them expire.
 *
 * Source: Kademlia §2.5 "when a new node joins the system, it must store any
 * key-value pair to which it is one of the k closest".
 *
 * Tested by tests/sim/handoff_test.c.
 */
#ifndef KAD_REPLICATION_HANDOFF_H
#define KAD_REPLICATION_HANDOFF_H

#include "engine/timer.h"
#include "records/store.h"
#include "replication/transfer.h"

enum {
  KAD_HANDOFF_TRANSFERS_MAX = 8,      /* at a time */
  KAD_HANDOFF_TRANSFERS_LEAVING = 64, /* the same while we leave */
  KAD_HANDOFF_SCANS_MAX = 128, /* that wait; later events are left to the next
                                  republish */
  KAD_HANDOFF_BATCH = 256,     /* records scanned at a time */
  KAD_HANDOFF_DELAY_MS = 5000  /* from the event to the scan: a node that has
                                  just joined soon knows closer contacts */
};

enum kad_handoff_event {
  KAD_HANDOFF_JOINED, /* the contact has become a neighbour */
  KAD_HANDOFF_LEFT,   /* the contact was a neighbour */
  KAD_HANDOFF_LEAVING /* we leave the overlay */
};

/* A scan of the store for the records that an event concerns. */
struct kad_handoff_scan {
  struct kad_handoff_scan *next;
  enum kad_handoff_event event;
  struct kad_contact contact;
  kad_time_ms start_at;
  uint64_t cursor; /* of the store */
};

/* Called when everything has been handed off. */
typedef void (*kad_handoff_leave_done_fn)(struct kad_node *node, void *data);

struct kad_handoff {
  struct kad_timer timer;
  struct kad_handoff_scan *first; /* the one under way */
  struct kad_handoff_scan *last;
  uint32_t scan_count;
  struct kad_transfers transfers;
  kad_handoff_leave_done_fn leave_done; /* not NULL while we leave */
  void *leave_data;
};

/* Notes that `contact` has become a neighbour. */
void kad_handoff_neighbour_joined(struct kad_node *node,
                                  const struct kad_contact *contact);

/* Notes that `contact` is not a neighbour any more. */
void kad_handoff_neighbour_left(struct kad_node *node,
                                const struct kad_contact *contact);

/* If k contacts are closer to the key of a held record than we are, asks the
 * closest one whether it holds what is held here under that key. Returns true
 * if the query is sent; `checked` is called once. Returns false if fewer than k
 * contacts are closer, or the query cannot be sent. */
bool kad_handoff_check(struct kad_node *node, kad_record_handle handle,
                       kad_transfer_checked_fn checked);

/* Hands off every record because we leave. Drops the scans that wait.
 * `leave_done` follows when that is done. */
void kad_handoff_leave(struct kad_node *node,
                       kad_handoff_leave_done_fn leave_done, void *data);

/* Cancels the call of `leave_done`. */
void kad_handoff_cancel_leave(struct kad_node *node);

/* Stops all scans and transfers; for kad_node_free. */
void kad_handoff_stop(struct kad_node *node);

#endif
