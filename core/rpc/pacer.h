/* The pace of queries: how many a second the node sends to one address, and
 * those that wait for it. A default node drops what is over its limits and
 * stays silent, so a sender that is faster loses queries, and takes living
 * contacts for dead ones.
 *
 * Each address that was queried lately has a pace: a token bucket, as fast as
 * pace_per_s and with a burst of four seconds, and a window, the queries that
 * may be in flight. While queries are few, none waits. Where a contact that is
 * alive leaves more than two of five unanswered, the rate and the window are
 * halved; where all are answered they grow again. A query that waits belongs to
 * the user or to the node itself; the two take turns, so that neither keeps the
 * other waiting.
 *
 * Tested by tests/unit/rpc/pacer_test.c, tests/sim/overload_test.c. */
#ifndef KAD_RPC_PACER_H
#define KAD_RPC_PACER_H

#include "base/map.h"
#include "base/token_bucket.h"
#include "engine/timer.h"

enum {
  KAD_PACER_ALIVE_MS = 8000, /* a contact that answered so lately is alive */
  KAD_PACER_MAX = 4096,      /* addresses that have a pace */
  KAD_PACER_BURST_S = 4      /* as that of the limits that it stays below */
};

/* Whose query it is. */
enum kad_query_class {
  KAD_QUERY_CLASS_OWN,  /* of the node itself: checks, refreshes, republishes */
  KAD_QUERY_CLASS_USER, /* of an operation of the user */
  KAD_QUERY_CLASSES
};

struct kad_query;
struct kad_pace;

/* Sends a query that has waited. Its place is taken already. */
typedef void (*kad_pacer_send_fn)(struct kad_node *node,
                                  struct kad_query *query);

struct kad_pacer {
  struct kad_map paces;
  struct kad_pace *stalest; /* the pace that was used longest ago */
  struct kad_pace *latest;
  size_t waiting[KAD_QUERY_CLASSES]; /* queries */
  kad_pacer_send_fn send;
};

/* Initialises the pacer of a node. */
void kad_pacer_init(struct kad_node *node, kad_pacer_send_fn send);

/* Frees the paces. No query waits any more. */
void kad_pacer_deinit(struct kad_node *node);

/* Gives `query` the pace of its address; none when out of memory: then it never
 * waits. */
void kad_pacer_begin(struct kad_node *node, struct kad_query *query);

/* Notes that `query` has ended: it neither waits nor is in flight. */
void kad_pacer_end(struct kad_node *node, struct kad_query *query);

/* Takes a place for `query`. Returns false if it has to wait. */
bool kad_pacer_take(struct kad_node *node, struct kad_query *query);

/* Lets `query`, which has a pace, wait; `first`: before all others of its
 * class. Returns 0, or KAD_EBUSY if max_waiting queries of its class wait. */
KAD_MUST_CHECK int kad_pacer_wait(struct kad_node *node,
                                  struct kad_query *query, bool first);

/* Notes that `query` no longer counts as in flight. */
void kad_pacer_landed(struct kad_node *node, struct kad_query *query);

/* Notes that `query` was answered. Before kad_pacer_end. */
void kad_pacer_answered(struct kad_node *node, struct kad_query *query);

/* Notes that `query` was left unanswered for so long that it may be lost. */
void kad_pacer_silent(struct kad_node *node, struct kad_query *query);

/* Returns true if the contact has answered since `query` was sent, or in the
 * last KAD_PACER_ALIVE_MS. */
bool kad_pacer_is_alive(const struct kad_node *node,
                        const struct kad_query *query);

/* Returns true if the node sends so much to a contact that is alive that its
 * silence may be a limit: the query should be sent again. */
bool kad_pacer_is_pressed(const struct kad_node *node,
                          const struct kad_query *query);

#endif
