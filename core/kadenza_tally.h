/* kadenza_tally.h: what a node has sent and received, by kind: queries by their
 * method, errors by their code. The counters of struct kad_stats are the sums.
 */
#ifndef KADENZA_TALLY_H
#define KADENZA_TALLY_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The codes of errors that are counted on their own. Code. */
#define KAD_TALLY_CODE_MAP(X) \
  X(201)                      \
  X(202)                      \
  X(203)                      \
  X(204)                      \
  X(205)                      \
  X(206)                      \
  X(207)                      \
  X(301)                      \
  X(302)

/* How often one kind was counted since the start of the node. */
struct kad_tally {
  const char *subject; /* "query_sent", "error_sent" or "error_received" */
  const char *kind; /* the method of a query, or "custom"; the code of an error,
                       or "other"; always valid */
  uint64_t count;
};

/* Copies up to `cap` tallies of a node to `out`, those that are 0 too, in the
 * same order each time. Returns the number of all, which may exceed `cap`. */
KAD_API size_t kad_node_tallies(const struct kad_node *node,
                                struct kad_tally *out, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
