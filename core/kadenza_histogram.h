/* kadenza_histogram.h: how long operations, replies and served stores take.
 *
 * A node counts the times of what happens in histograms, one for each kind and
 * outcome: those of the operations of its user, and of its own, in `operation`;
 * from a query of its own to the answer in `reply`; from a store of another
 * node to the reply in `served`. A histogram has a fixed size, and exists once
 * it counts something. */
#ifndef KADENZA_HISTOGRAM_H
#define KADENZA_HISTOGRAM_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_HISTOGRAM_BUCKETS = 18 /* under 1, 2, 4 … 65,536 ms, and the rest */
};

/* What is timed. Code, subject, kind. */
#define KAD_TIMED_MAP(X)                        \
  X(REPLY_IP4, "reply", "ip4")                  \
  X(REPLY_IP6, "reply", "ip6")                  \
  X(SERVED_STORE, "served", "store")            \
  X(SERVED_PUT, "served", "put")                \
  X(SERVED_ANNOUNCE, "served", "announce_peer") \
  X(PING, "operation", "ping")                  \
  X(CALL, "operation", "call")                  \
  X(JOIN, "operation", "join")                  \
  X(FIND_NODE, "operation", "find_node")        \
  X(GET, "operation", "get")                    \
  X(GET_ITEM, "operation", "get_item")          \
  X(GET_PEERS, "operation", "get_peers")        \
  X(PUT, "operation", "put")                    \
  X(PUT_ITEM, "operation", "put_item")          \
  X(ANNOUNCE, "operation", "announce")          \
  X(QUERY, "operation", "query")                \
  X(SAMPLE, "operation", "sample")              \
  X(NEIGHBOURS, "operation", "neighbours")      \
  X(REPUBLISH, "operation", "republish")        \
  X(REFRESH, "operation", "refresh")

/* How it ended. Code, name, text. */
#define KAD_TIMED_OUTCOME_MAP(X)                                        \
  X(SUCCESS, "success", "it succeeded; of a store: a record was taken") \
  X(NOT_FOUND, "not_found", "contacts answered, but none had a value")  \
  X(TIMEOUT, "timeout", "no contact answered in time")                  \
  X(FAILED, "failed", "another error, or a store of which nothing was taken")

/* The times of one kind with one outcome. */
struct kad_histogram {
  const char *subject; /* as in KAD_TIMED_MAP; always valid */
  const char *kind;
  const char *outcome;                    /* as in KAD_TIMED_OUTCOME_MAP */
  uint64_t counts[KAD_HISTOGRAM_BUCKETS]; /* [i]: of times under 2^i ms and no
                                             less than those before; the last:
                                             all longer ones */
  uint64_t sum_ms;                        /* of all times */
};

/* Copies up to `cap` histograms to `out`, in the order of the two maps. Returns
 * the number of all, which may exceed `cap`; those that count nothing are left
 * out. Operations that were canceled are not counted, and a time is lost when
 * the node is out of memory. */
KAD_API size_t kad_node_histograms(const struct kad_node *node,
                                   struct kad_histogram *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
