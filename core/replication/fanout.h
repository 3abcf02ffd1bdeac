/* Store fan-out: sends a record to contacts that should hold it, the replicas.
 * A query is sent again after each soft timeout, because datagrams are lost. A
 * replica without a write token is asked for one first. After a replica that
 * times out, gives no token, fails, or does not support the query, the next
 * spare replica of its group is tried. A replica that rejects the record
 * because of its content is not replaced. The stores of a paced fan-out wait
 * for the store budget.
 *
 *   spare ─► (token asked ─►) store sent ─► stored
 *                 └─────────────┼─────────► rejected
 *                               └─────────► timed out
 *
 * Tested by tests/unit/operations/put_test.c, tests/sim/put_test.c.
 */
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
  KAD_REPLICA_TOKEN_ASKED,
  KAD_REPLICA_STORE_SENT,
  KAD_REPLICA_STORED,
  KAD_REPLICA_REJECTED,
  KAD_REPLICA_TIMED_OUT
};

/* A contact that may hold the record. */
struct kad_replica {
  struct kad_contact contact;
  enum kad_replica_state state;
  uint8_t group; /* replicas of one group replace each other */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
  bool knows_ttl; /* see record_query.h */
  bool has_seq;
  int64_t seq; /* of the item that it says it holds */
  uint8_t tries;
  bool delayed;            /* a query waits for the budget */
  struct kad_query *query; /* under way, or NULL */
};

struct kad_fanout;

/* What differs between kinds of fan-outs. */
struct kad_fanout_kind {
  /* Writes the store to `replica`, or, if that has no token, the query that
   * returns one. Target and token are set already. */
  void (*write)(const struct kad_fanout *fanout,
                const struct kad_replica *replica, struct kad_message *message);
  /* Called once for each replica that was tried, when it is stored, rejected or
   * timed out, and the next one has been tried. `message` is the reply or the
   * error; NULL after a timeout. */
  void (*replica_ended)(struct kad_node *node, struct kad_fanout *fanout,
                        const struct kad_replica *replica,
                        const struct kad_message *message);
};

/* Embedded in its owner. It is zero but for `kind` and `target`, and has no
 * replicas then. */
struct kad_fanout {
  const struct kad_fanout_kind *kind;
  struct kad_query_owner queries;
  struct kad_id target;
  struct kad_replica *replicas; /* in each group, closest first */
  size_t count;
  size_t cap;
  kad_time_ms end_at;     /* no query is started that may end later */
  bool paced;             /* its stores wait for the store budget */
  struct kad_timer timer; /* for the budget */
  uint32_t open;          /* replicas tried that have not ended */
  uint32_t asked;         /* replicas that a store was sent to */
  uint32_t messages;      /* queries sent */
};

/* Makes room for `count` more replicas. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_fanout_reserve(struct kad_node *node,
                                      struct kad_fanout *fanout, size_t count);

/* Adds a spare replica without a token; there must be room for it. Returns it,
 * valid until the next call. */
struct kad_replica *kad_fanout_add(struct kad_fanout *fanout,
                                   const struct kad_contact *contact,
                                   uint8_t group);

/* Returns true if `contact` is a replica. */
bool kad_fanout_has(const struct kad_fanout *fanout,
                    const struct kad_contact *contact);

/* Tries up to `wanted` spare replicas of a group. */
void kad_fanout_start(struct kad_node *node, struct kad_fanout *fanout,
                      uint8_t group, size_t wanted);

/* Frees the replicas. No callback follows. */
void kad_fanout_stop(struct kad_node *node, struct kad_fanout *fanout);

#endif
