/* Handing records over. Of the holders of a record that we know of, the closest
 * one sees to it that its k closest have it: who comes among them is asked for
 * it, and given what he lacks. So is who comes among them because another one
 * has died.
 *
 *   event ─► walk over the store ─► ask (find_value) ─► has it: done
 *                                     └─► wait for the budget ─► store
 *
 * Records that nobody republishes are not handed over: copies for readers,
 * peers, and those that the policy wants to end.
 * Source: Kademlia §2.5 "when a new node joins the system, it must store any
 * key-value pair to which it is one of the k closest". */
#ifndef KAD_REPLICATION_HANDOFF_H
#define KAD_REPLICATION_HANDOFF_H

#include "engine/timer.h"
#include "records/store.h"

enum {
  KAD_HANDOFFS_MAX = 8,        /* keys on their way at a time */
  KAD_HANDOFFS_LEAVING = 64,   /* while we leave */
  KAD_HANDOFF_WALKS_MAX = 128, /* events that wait; what more there are is left
                                  to the next republish */
  KAD_HANDOFF_BATCH = 256,     /* records looked at in a turn */
  KAD_HANDOFF_TRIES = 3,       /* queries that a contact may leave unanswered */
  KAD_HANDOFF_DELAY_MS = 5000  /* from an event: who joins, we or the other,
                                  soon knows closer ones */
};

enum kad_handoff_event {
  KAD_HANDOFF_ENTERED, /* the contact is a neighbour now */
  KAD_HANDOFF_DIED,    /* it was one */
  KAD_HANDOFF_LEAVING  /* it is we: our places become free */
};

/* An event: the records that it is about are looked for one after another. */
struct kad_handoff_walk {
  struct kad_handoff_walk *next;
  enum kad_handoff_event event;
  struct kad_contact contact;
  kad_time_ms at;  /* when it begins */
  uint64_t cursor; /* of the store */
};

struct kad_handoff {
  struct kad_timer timer;
  struct kad_handoff_walk *first; /* the one under way */
  struct kad_handoff_walk *last;
  uint32_t walks;
  struct kad_transfer *transfers; /* keys on their way */
  uint32_t handing_count;
  struct kad_operation
      *leaving; /* ends when nothing is left to hand over, or NULL */
};

/* Notes that `contact` has become a neighbour. */
void kad_handoff_entered(struct kad_node *node,
                         const struct kad_contact *contact);

/* Notes that `contact`, which was a neighbour, is none any more. */
void kad_handoff_died(struct kad_node *node, const struct kad_contact *contact);

/* Notes that `contact` has left a key's queries unanswered: if it is who has
 * come, it is not asked about the other keys, for which all would wait. */
void kad_handoff_unanswered(struct kad_node *node,
                            const struct kad_contact *contact);

/* Asks the contact closest to the key of a held record whether it has what is
 * held here under it, if there are k contacts closer than we are. Then
 * kad_republish_looked is told. Returns false if there are not, or it cannot
 * be asked. */
bool kad_handoff_look(struct kad_node *node, kad_record_handle handle);

/* Sets the timer for what can be done next without an answer. */
void kad_handoff_plan(struct kad_node *node);

/* Stops everything; for kad_node_free. */
void kad_handoff_stop(struct kad_node *node);

#endif
