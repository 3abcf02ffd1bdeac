/* What is to be held elsewhere, on its way to its holders: the closest contacts
 * are asked to take it, again while they are silent, since datagrams are lost,
 * and the next closest in the replica of one that cannot. Who has not given a
 * token yet is asked for one first. One that nobody asked for is paced: each of
 * its stores waits for the node's budget.
 *
 *   spare ─► (called: asked for a token) ─► asked ─► taken
 *                         └───────────────────┼────► refused
 *                                             └────► silent
 *
 * After one that is silent, has no token, failed or does not know the query,
 * the next spare replica of its group is tried. Not after one that refused what
 * was to be held for what it is. */
#ifndef KAD_REPLICATION_FANOUT_H
#define KAD_REPLICATION_FANOUT_H

#include "engine/timer.h"
#include "rpc/rpc.h"

enum {
  KAD_REPLICA_TRIES = 3 /* times a query is sent, each a soft timeout after the
                         one before; the hard timeout of the first ends all */
};

enum kad_replica_state {
  KAD_REPLICA_SPARE,
  KAD_REPLICA_TOKEN_ASKED, /* asked for a token */
  KAD_REPLICA_STORE_SENT,
  KAD_REPLICA_STORED,
  KAD_REPLICA_REJECTED,
  KAD_REPLICA_TIMED_OUT
};

/* A contact that may hold it. */
struct kad_replica {
  struct kad_contact contact;
  enum kad_replica_state state;
  uint8_t group; /* of the replicas that stand in for one another */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
  uint8_t tries;
  bool delayed;            /* a query to it waits for the budget */
  struct kad_query *query; /* under way, or NULL */
};

struct kad_fanout;

/* What a fanout asks, and whom it tells. */
struct kad_fanout_kind {
  /* Writes the query to `replica`, or, while that has no token, the one that
   * brings one; target and token are there already. */
  void (*write)(const struct kad_fanout *fanout,
                const struct kad_replica *replica, struct kad_message *message);
  /* Told once of each replica that was tried, when its state is known, with the
   * reply or the error; NULL when it was silent. The next replica has been
   * tried then. */
  void (*settled)(struct kad_node *node, struct kad_fanout *fanout,
                  const struct kad_replica *replica,
                  const struct kad_message *message);
};

/* Embedded in what is placed. All zero but for `kind` and `target`, it has no
 * replicas. */
struct kad_fanout {
  const struct kad_fanout_kind *kind;
  struct kad_query_owner queries;
  struct kad_id target;
  struct kad_replica *replicas; /* of each group, closest first */
  size_t count;
  size_t cap;
  kad_time_ms until;      /* no query begins that could end after this */
  bool paced;             /* its stores are within the node's budget */
  struct kad_timer timer; /* for the budget */
  uint32_t open;          /* replicas tried that have not settled */
  uint32_t asked;         /* replicas that were asked to take it */
  uint32_t messages;      /* queries sent */
};

/* Makes room for `count` more replicas. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_fanout_reserve(struct kad_node *node,
                                      struct kad_fanout *fanout, size_t count);

/* Adds a spare replica, for which there must be room. `token` may be empty. */
void kad_fanout_add(struct kad_fanout *fanout,
                    const struct kad_contact *contact, struct kad_slice token,
                    uint8_t group);

/* Returns true if `contact` has a replica. */
bool kad_fanout_has(const struct kad_fanout *fanout,
                    const struct kad_contact *contact);

/* Tries the first `want` spare replicas of a group, fewer if there are not so
 * many. */
void kad_fanout_begin(struct kad_node *node, struct kad_fanout *fanout,
                      uint8_t group, size_t want);

/* Forgets every replica. Queries under way go on by themselves. */
void kad_fanout_end(struct kad_node *node, struct kad_fanout *fanout);

#endif
