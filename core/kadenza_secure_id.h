/* kadenza_secure_id.h: ids that fit an address. kadenza.h includes it.
 *
 * BEP 42 binds the first 21 bits of a node's id to its address: they are those
 * of a checksum of the address, of which only some bits count, and of `r`, the
 * last three bits of the id. So one address has eight prefixes, and an
 * attacker who wants many ids near a key needs many networks. Local addresses
 * are exempt: there every id fits.
 *
 * The last byte of an id of 256 bits has `r` too; BEP 42 knows 160 bits only.
 */
#ifndef KADENZA_SECURE_ID_H
#define KADENZA_SECURE_ID_H

#include "kadenza.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Values of the option secure_ids: what a node does about BEP 42. */
enum kad_secure_ids {
  KAD_SECURE_IDS_OFF,    /* nothing */
  KAD_SECURE_IDS_PREFER, /* uses contacts whose id fits first */
  KAD_SECURE_IDS_ENFORCE /* uses no others */
};

/* Makes an id of `id_bits` (160 or 256) that fits `address`, whose port does
 * not matter; it need not be known. The other bits, `r` included, are those of
 * `random`, KAD_ID_SIZE random bytes. For a local address the id has the prefix
 * all the same. Returns 0, or KAD_EINVAL for another width or family.
 * Source: BEP 42 "Node ID restriction". */
KAD_API KAD_MUST_CHECK int kad_secure_id_make(const struct kad_address *address,
                                              unsigned id_bits,
                                              const uint8_t *random,
                                              struct kad_id *id);

/* Returns true if `id` fits `address`, or the address is local: loopback,
 * link-local, or of a private network. Source: BEP 42 "Enforcement". */
KAD_API bool kad_secure_id_check(const struct kad_id *id, unsigned id_bits,
                                 const struct kad_address *address);

/* What a node knows about its id and its address. */
struct kad_secure_id_info {
  struct kad_address address; /* at which others see the node, with port 0;
                                 family 0: not known yet */
  bool fits;                  /* the id fits it */
  bool may_move;              /* the node may move to another id */
  uint32_t moves;             /* to another id, since the start */
  struct kad_id previous;     /* the id before the last move */
};

/* Sets `*info`. Returns false if an argument is NULL.
 *
 * A node whose id its user did not give moves to an id that fits its address,
 * unless secure_ids is off: once when it learns the address, and when the
 * address changes, an hour after the last move at the earliest. It learns it
 * from the sockets, if one is bound to a global address, and from the `ip` of
 * replies: an address wins when contacts of eight subnets more report it than
 * any other. kad_node_id then shows the new id. Contacts, records and
 * operations stay. Source: BEP 42 "Bootstrapping". */
KAD_API bool kad_node_secure_id(const struct kad_node *node,
                                struct kad_secure_id_info *info);

#ifdef __cplusplus
}
#endif

#endif
