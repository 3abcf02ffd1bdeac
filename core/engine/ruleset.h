/* The ruleset: a copy of the policy of a node, with its record types completed.
 * It is reference-counted: a pending hook call keeps the ruleset in which it
 * started, even when the node has another policy by then. */
#ifndef KAD_ENGINE_RULESET_H
#define KAD_ENGINE_RULESET_H

#include "records/type.h"

/* The rules of a custom query. `rules.name` points to `name`. */
struct kad_method_rule {
  char name[KAD_METHOD_NAME_MAX + 1];
  struct kad_method rules;
};

struct kad_ruleset {
  struct kad_policy policy; /* except its types and methods, see below */
  kad_time_ms deadline_ms;  /* of a pending hook call */
  uint32_t users;           /* the node, and each pending call */
  size_t size;              /* bytes of this block */
  size_t type_count;
  size_t method_count;
  struct kad_method_rule *methods;
  struct kad_rules types[]; /* followed by the methods */
};

/* Makes a ruleset with one user from `policy`; NULL is an empty policy.
 * Returns 0 or the errors of kad_node_set_policy. */
KAD_MUST_CHECK int kad_ruleset_new(const struct kad_allocator *allocator,
                                   const struct kad_policy *policy,
                                   struct kad_ruleset **ruleset);

/* Adds a user. */
void kad_ruleset_retain(struct kad_ruleset *ruleset);

/* Removes a user. After the last one, calls the policy's `release` and frees
 * the ruleset. */
void kad_ruleset_drop(struct kad_ruleset *ruleset,
                      const struct kad_allocator *allocator);

/* Finds a custom query by name. NULL if there is none. */
const struct kad_method *kad_ruleset_method(const struct kad_ruleset *ruleset,
                                            struct kad_slice name);

/* Finds a record type by name. NULL if there is none. */
const struct kad_type *kad_ruleset_type(const struct kad_ruleset *ruleset,
                                        struct kad_slice name);

#endif
