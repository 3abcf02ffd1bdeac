/* kadenza_blocklist.h: addresses that a node blocks, and those that are exempt
 * from its rate limits. kadenza.h includes it.
 *
 *     struct kad_address_range range;
 *     error = kad_address_range_parse(kad_slice_of("192.0.2.0/24"), &range);
 *     error = kad_node_block(node, &range, 1);
 *
 * A blocked address might as well not exist: what it sends is dropped unread
 * and counted (dropped_blocked), nothing is sent to it, and it is no contact.
 * Records that it stored before stay until they expire. */
#ifndef KADENZA_BLOCKLIST_H
#define KADENZA_BLOCKLIST_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  KAD_RANGES_MAX = 1000000, /* ranges of a list */
  KAD_RANGE_TEXT_MAX = 96   /* bytes of the text of a range */
};

/* The addresses from `first` to `last`, both included, of one family. Ports do
 * not matter. */
struct kad_address_range {
  struct kad_address first;
  struct kad_address last;
};

/* Reads an address "192.0.2.1" or "2001:db8::1", a prefix "192.0.2.0/24" or
 * "2001:db8::/32", or a range "192.0.2.1-192.0.2.9". A space may stand on each
 * side of the "-". Of a prefix, the bits behind it are ignored. Returns 0, or
 * KAD_EINVAL with `*range` unchanged. */
KAD_API KAD_MUST_CHECK int kad_address_range_parse(
    struct kad_slice text, struct kad_address_range *range);

/* Replaces the list of blocked addresses. Ranges may overlap; with `count` 0
 * nothing is blocked. Contacts that are blocked now leave the tables. Copies:
 * `ranges`. Each call sorts the list: a million ranges take a moment.
 * Returns 0, or an error, with the old list in force:
 *   KAD_EINVAL  a range has two families or none, or ends before it begins; or
 *               there are more than KAD_RANGES_MAX
 *   KAD_ENOMEM  out of memory
 *   KAD_EBUSY   called from inside the `send` of the environment */
KAD_API KAD_MUST_CHECK int kad_node_block(
    struct kad_node *node, const struct kad_address_range *ranges,
    size_t count);

/* Replaces the list of exempt addresses, whose queries and signatures no rate
 * limit counts or drops; replies to them count for `bytes_per_s` still. An
 * address that is blocked, too, is blocked. Copies: `ranges`. Returns what
 * kad_node_block does. */
KAD_API KAD_MUST_CHECK int kad_node_exempt(
    struct kad_node *node, const struct kad_address_range *ranges,
    size_t count);

#ifdef __cplusplus
}
#endif

#endif
