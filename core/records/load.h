/* kadenza_load.h: puts records from elsewhere, such as a dump, into the store
 * of a node that does not run. Each is checked as if another node had sent it.
 */
#ifndef KADENZA_LOAD_H
#define KADENZA_LOAD_H

#include "kadenza_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Checks a record as a node checks one that is sent to it, before any policy:
 * its form; the target of an item; the address of a peer; the signature, which
 * takes about 50 µs. `id_bits` (160 or 256) is the width of the overlay's ids.
 * Returns 0, or, with `*reason` (unless NULL) set to a static text,
 *   KAD_EMALFORMED  a part is wrong, or missing
 *   KAD_ETOOBIG     the value or the salt is too long
 *   KAD_ESIGNATURE  the signature is wrong */
KAD_MUST_CHECK int kad_load_check(const struct kad_record *record,
                                  unsigned id_bits, const char **reason);

/* What became of a record. */
enum kad_load_outcome {
  KAD_LOAD_ADDED, /* it is held, in place of an older one if there was one */
  KAD_LOAD_HELD, /* it was held already; it lives as long as the longer lived */
  KAD_LOAD_OLDER /* a newer one is held: nothing has changed */
};

/* Adds a record that kad_load_check accepts to `store`, which no node uses. To
 * add it again changes nothing. Returns 0, or an error of the `add` of the
 * store, or
 *   KAD_EFULL  as many records of its key and type are held as can be */
KAD_MUST_CHECK int kad_load(struct kad_store *store,
                            const struct kad_record *record,
                            const struct kad_record_meta *meta,
                            enum kad_load_outcome *outcome);

#endif
