/* The record types of a node: the built-in `peers` and `value`, with whatever a
 * policy adds or refines. */
#ifndef KAD_RECORDS_TYPE_H
#define KAD_RECORDS_TYPE_H

#include "kadenza.h"

enum {
  KAD_TYPES_MAX = 64
};

/* A type with its defaults filled in. `rules.name` points to `name`. */
struct kad_rules {
  char name[KAD_TYPE_NAME_MAX + 1];
  struct kad_type rules;
};

/* Checks a type that a policy declares: its name (1 … KAD_TYPE_NAME_MAX bytes
 * of a-z, 0-9, `_`, `-`, `.`), its limits within KAD_VALUE_MAX and
 * KAD_VALUES_MAX, and that `peers`, who sign nothing, are not refused for it.
 * Returns 0 or KAD_EINVAL. */
KAD_MUST_CHECK int kad_type_check(const struct kad_type *type);

/* Writes the built-in types followed by `types`, merged where they refine a
 * built-in one, to `out` (KAD_TYPES_MAX), and their number to `*count`.
 *
 * Built in: `peers`, 500 values a key of at most 18 bytes for 45 minutes, never
 * republished, and `value`, 64 values a key of at most KAD_VALUE_MAX bytes for
 * a day, republished hourly. A limit of 0 is the built-in type's in a
 * refinement, the one that struct kad_type names otherwise; any other limit
 * replaces it, lower or higher.
 *
 * `out` must not move: names point into it. Copies: names. Borrows: states.
 * Returns 0, KAD_EINVAL, KAD_EFULL, or KAD_ECONFLICT for a name given twice. */
KAD_MUST_CHECK int kad_types_build(const struct kad_type *types,
                                   size_t type_count, struct kad_rules *out,
                                   size_t *count);

/* Finds a type by name, or NULL. */
const struct kad_rules *kad_types_find(const struct kad_rules *types,
                                       size_t count, struct kad_slice name);

/* Checks a record of `peers`: its value is one compact address of 6 or 18 bytes
 * with a port other than 0, and it has neither publisher, salt nor seq, with
 * which one peer could be held many times. Returns 0 or KAD_EINVAL.
 * Source: BEP 5 "Contact Encoding", BEP 32. */
KAD_MUST_CHECK int kad_type_check_peer(const struct kad_record *record);

#endif
