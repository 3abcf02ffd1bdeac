/* What a get leaves behind, once its answers have been validated and merged.
 *
 * Of the k closest contacts, who should hold the records, each that lacks some
 * of them, or has older ones, is sent those: a repair, which says "republish",
 * since it is the record itself and no copy beside it. The closest contact
 * behind them that answered without any is left a cache, whose life is halved
 * for every contact between it and the k closest. Nobody waits for either, they
 * are sent once, and the budget of stores bounds them. Source: Kademlia §2.3.
 */
#ifndef KAD_REPLICATION_READ_REPAIR_H
#define KAD_REPLICATION_READ_REPAIR_H

#include "engine/ruleset.h"
#include "lookup/lookup.h"

enum {
  KAD_CACHE_MIN_S = 10 /* a copy that would live shorter is not left */
};

/* What the get knows of a contact that answered. */
enum kad_known_content {
  KAD_KNOWN_CONTENT_PARTIAL, /* not all that it has was read */
  KAD_KNOWN_CONTENT_NONE,
  KAD_KNOWN_CONTENT_ALL
};

/* What was found, and who gave it. Borrowed during the call. */
struct kad_read_repair {
  const struct kad_id *target;
  const struct kad_type *type;
  const struct kad_record *records; /* as merged, before any are selected; with
                                       what they have left of their life as ttl,
                                       0 where nobody said */
  size_t count;
  const void *giver;
  /* Returns what a contact gave in all. */
  enum kad_known_content (*gift)(const void *giver,
                                 const struct kad_id *contact);
  /* Returns true if it gave `record`. */
  bool (*gave)(const void *giver, const struct kad_id *contact,
               const struct kad_record *record);
};

/* Leaves copies with the contacts that `lookup`, which has ended, has found. */
void kad_read_repair_run(struct kad_node *node,
                         const struct kad_read_repair *copies,
                         const struct kad_lookup *lookup);

#endif
