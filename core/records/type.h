/* The record types of a node: the built-in `peers` and `value`, with whatever a
 * policy adds or refines. */
#ifndef KAD_RECORDS_TYPE_H
#define KAD_RECORDS_TYPE_H

#include "kadenza.h"

enum { KAD_TYPES_MAX = 64 };

/* A type with its defaults filled in. `rules.name` points to `name`. */
struct kad_rules {
  char name[KAD_TYPE_NAME_MAX + 1];
  struct kad_type rules;
};

/* Checks a type that a policy declares: its name (1 … KAD_TYPE_NAME_MAX bytes of
 * a-z, 0-9, `_`, `-`, `.`) and limits. Returns 0 or KAD_EINVAL. */
KAD_MUST_CHECK int kad_type_check(const struct kad_type *type);

/* Writes the built-in types followed by `types`, merged where they refine a
 * built-in one, to `out` (KAD_TYPES_MAX), and their number to `*count`.
 * Returns 0, KAD_EINVAL, KAD_EFULL, or KAD_ECONFLICT for a name given twice. */
KAD_MUST_CHECK int kad_types_build(const struct kad_type *types,
                                   size_t type_count, struct kad_rules *out,
                                   size_t *count);

/* Finds a type by name, or NULL. */
const struct kad_rules *kad_types_find(const struct kad_rules *types,
                                       size_t count, struct kad_slice name);

/* The built-in check of `peers`: the value is one compact address of 6 or 18
 * bytes with a port other than 0, and has no publisher. Returns 0 or
 * KAD_EINVAL. */
KAD_MUST_CHECK int kad_type_check_peer(const struct kad_record *record);

#endif
