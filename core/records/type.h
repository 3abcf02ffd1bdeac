/* The record types of a node: the built-in ones, and those that a policy adds
 * or refines. */
#ifndef KAD_RECORDS_TYPE_H
#define KAD_RECORDS_TYPE_H

#include "kadenza.h"

enum {
  KAD_TYPES_MAX = 66,
  KAD_TYPES_BUILT_IN = 4
};

/* A type with its defaults set. `rules.name` points to `name`. */
struct kad_rules {
  char name[KAD_TYPE_NAME_MAX + 1];
  struct kad_type rules;
};

/* Checks a type that a policy declares:
 *   its name has 1 … KAD_TYPE_NAME_MAX bytes of a-z, 0-9, `_`, `-`, `.`
 *   its limits are at most KAD_VALUE_MAX and KAD_VALUES_MAX
 *   `peers` and `immutable` are not `signed_only`: they have no signature
 *   an item has one value
 * Returns 0 or KAD_EINVAL. */
KAD_MUST_CHECK int kad_type_check(const struct kad_type *type);

/* Writes the built-in types, refined by those of `types` that have their name,
 * and then the rest of `types` to `out`, which has room for `type_count` types
 * and the built-in ones. Writes their number to `*count`.
 *
 * Built in: `peers`, 500 values of at most 18 bytes for a key, for 45 minutes,
 * never republished; `value`, 64 values of at most KAD_VALUE_MAX bytes for a
 * key, for a day, republished hourly; `immutable` and `mutable`, the items of
 * BEP 44, one for a key, for two hours, republished hourly. A limit of 0 means
 * the limit of the built-in type that is refined, or the default in struct
 * kad_type. Any other limit replaces that, lower or higher.
 *
 * `out` must not move, because names point into it. Copies: names. Borrows:
 * states. Returns 0, or
 *   KAD_EINVAL     kad_type_check refuses a type
 *   KAD_EFULL      more than KAD_TYPES_MAX types
 *   KAD_ECONFLICT  two types have one name */
KAD_MUST_CHECK int kad_types_build(const struct kad_type *types,
                                   size_t type_count, struct kad_rules *out,
                                   size_t *count);

/* Returns the type with this name, or NULL. */
const struct kad_rules *kad_types_find(const struct kad_rules *types,
                                       size_t count, struct kad_slice name);

/* Checks a record of `peers`. Its value must be one compact address of 6 or 18
 * bytes with a port other than 0. It must not have a publisher, salt or seq,
 * because one peer could have many records otherwise. Returns 0 or KAD_EINVAL.
 * Source: BEP 5 "Contact Encoding", BEP 32. */
KAD_MUST_CHECK int kad_type_check_peer(const struct kad_record *record);

/* Returns true if both are peers with the same IP address: a host is one peer
 * of a torrent, and its last announce counts. Loopback, link-local and private
 * addresses may have several peers, because several nodes may share one.
 * Source: BEP 33 "Changed announce accounting". */
bool kad_type_replaces_peer(const struct kad_record *incoming,
                            const struct kad_record *held);

#endif
