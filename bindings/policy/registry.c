#include "policy/registry.h"

const struct kad_policy_keys kad_policy_keys;
