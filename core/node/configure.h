/* What a node makes of its options when it is opened, and again when
 * kad_node_configure changes them. */
#ifndef KAD_NODE_CONFIGURE_H
#define KAD_NODE_CONFIGURE_H

#include "engine/node.h"
#include "kadenza_option.h"

/* Returns the quota of a node with `config`, whose id is set. */
struct kad_quota kad_configure_quota(const struct kad_config *config);

/* Makes the limiter that `config` asks for; NULL if it switches limits off.
 * `secret` has KAD_MAP_SECRET_SIZE random bytes. Returns 0 or KAD_ENOMEM. */
KAD_MUST_CHECK int kad_configure_limiter(const struct kad_node *node,
                                         const struct kad_config *config,
                                         const uint8_t *secret,
                                         struct kad_limiter **limiter);

#endif
