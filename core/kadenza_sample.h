/* kadenza_sample.h: samples of the info hashes that a node holds, for programs
 * that survey an overlay. kadenza.h includes it.
 *
 * A survey asks each node once in its interval, with a target near the node's
 * id, and goes on with the contacts in the replies. Source: BEP 51. */
#ifndef KADENZA_SAMPLE_H
#define KADENZA_SAMPLE_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A reply with a sample. */
struct kad_sampled {
  const struct kad_id *ids; /* info hashes under which the node holds peers */
  size_t count;
  uint32_t num;        /* number of those that it holds; 0: it does not say */
  uint32_t interval_s; /* seconds until it gives another sample: 0 … 21600 */
  const struct kad_contact *contacts; /* its contacts closest to the target.
                                         They have not answered this node */
  size_t contact_count;
};

/* Asks a node for a sample, and for the contacts it knows closest to `target`.
 * The reply must have the id `to->id`, unless that is all zero. `sampled` of
 * the result is set if it ends with 0. Returns and ends as kad_node_ping does;
 * with KAD_EREMOTE or KAD_EMALFORMED for a node that does not know the query:
 * some reply as to find_node. Source: BEP 51 "Sampling RPC". */
KAD_API KAD_MUST_CHECK int kad_node_sample(struct kad_node *node,
                                           const struct kad_contact *to,
                                           const struct kad_id *target,
                                           kad_done_fn done, void *data,
                                           kad_operation_id *operation);

/* Asks one node for the contacts it knows closest to `target`, as one step of a
 * lookup does. `sampled` of the result, which has no samples, is set if it ends
 * with 0. For surveys: of nodes that give no samples, too, contacts are learnt.
 * Returns and ends as kad_node_sample does. Source: BEP 5 "find_node". */
KAD_API KAD_MUST_CHECK int kad_node_neighbours(struct kad_node *node,
                                               const struct kad_contact *to,
                                               const struct kad_id *target,
                                               kad_done_fn done, void *data,
                                               kad_operation_id *operation);

#ifdef __cplusplus
}
#endif

#endif
