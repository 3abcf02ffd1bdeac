/* Checks the configuration of a node. */
#ifndef KAD_NODE_CONFIG_H
#define KAD_NODE_CONFIG_H

#include "kadenza_option.h"

/* Returns true if every field of `config` is within its range. */
bool kad_config_is_valid(const struct kad_config *config);

#endif
