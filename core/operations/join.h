/* The part of a join that lower rooms reach through events. */
#ifndef KAD_OPERATIONS_JOIN_H
#define KAD_OPERATIONS_JOIN_H

#include "kadenza.h"

/* Gives the addresses of a bootstrap name to the joins that run; if none does,
 * sends them reconnect probes. `count` is 0 if the name has failed. */
void kad_join_name_resolved(struct kad_node *node,
                            const struct kad_address *addresses, size_t count);

#endif
