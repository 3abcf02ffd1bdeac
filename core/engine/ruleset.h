/* The policy of a node, copied, with its record types completed. Counted, since
 * hook calls under way keep the one that they began in. */
#ifndef KAD_ENGINE_RULESET_H
#define KAD_ENGINE_RULESET_H

#include "records/type.h"

/* A custom query's rule. `rules.name` points to `name`. */
struct kad_method_rule {
  char name[KAD_METHOD_NAME_MAX + 1];
  struct kad_method rules;
};

struct kad_ruleset {
  struct kad_policy policy; /* its types and methods are not used */
  kad_time_ms deadline_ms;
  uint32_t users; /* the node, and each open call */
  size_t size;    /* bytes of this block */
  size_t type_count;
  size_t method_count;
  struct kad_method_rule *methods;
  struct kad_rules types[]; /* followed by the methods */
};

/* Makes a ruleset with one user from `policy`, or from nothing when it is NULL.
 * Returns 0 or the errors of kad_node_set_policy. */
KAD_MUST_CHECK int kad_ruleset_new(const struct kad_allocator *allocator,
                                   const struct kad_policy *policy,
                                   struct kad_ruleset **ruleset);

/* Counts one user more. */
void kad_ruleset_retain(struct kad_ruleset *ruleset);

/* Counts one user less; after the last, the policy is told and it is freed. */
void kad_ruleset_drop(struct kad_ruleset *ruleset,
                      const struct kad_allocator *allocator);

/* Finds a custom method by name, or NULL. */
const struct kad_method *kad_ruleset_method(const struct kad_ruleset *ruleset,
                                            struct kad_slice name);

/* Finds a record type by name, or NULL. */
const struct kad_type *kad_ruleset_type(const struct kad_ruleset *ruleset,
                                        struct kad_slice name);

#endif
