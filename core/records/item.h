/* The items of BEP 44 among the records. The other functions are in
 * kadenza_item.h. */
#ifndef KAD_RECORDS_ITEM_H
#define KAD_RECORDS_ITEM_H

#include "kadenza.h"
#include "records/verified.h"

enum {
  KAD_ITEM_ID_BITS = 160 /* a target is a SHA-1 */
};

enum kad_item_kind {
  KAD_ITEM_NONE, /* a record of another type */
  KAD_ITEM_IMMUTABLE,
  KAD_ITEM_MUTABLE
};

/* Returns which kind of item records of `type` are. */
enum kad_item_kind kad_item_kind_of(struct kad_slice type);

/* Returns the record type of a kind of item other than KAD_ITEM_NONE. Always
 * valid. */
struct kad_slice kad_item_type(enum kad_item_kind kind);

/* Returns the kind of a decoded item: mutable if it has a publisher. */
enum kad_item_kind kad_item_kind_of_record(const struct kad_record *item);

/* Sets key and type of a decoded item. Returns 0, or the error of
 * kad_item_target_immutable or kad_item_target_mutable. */
KAD_MUST_CHECK int kad_item_name(struct kad_record *item);

/* Checks an item of `kind` except its signature: its value, its fields, and
 * that its key is theirs. Returns 0, or the code of the KRPC error, with
 * `*reason` set to a static text. */
int kad_item_check(enum kad_item_kind kind, const struct kad_record *item,
                   const char **reason);

/* Returns true if the signature of a mutable item is right, or the item is
 * immutable. Does not verify a signature that `verified` knows. */
bool kad_item_is_signed(const struct kad_record *item,
                        struct kad_verified *verified);

/* Checks that `incoming` may be held in place of the mutable item `held`, with
 * `cas` (NULL: none) the sequence number that `held` must have. One with the
 * same sequence number is replaced by itself alone. Returns 0, KAD_CODE_CAS or
 * KAD_CODE_SEQ, with `*reason` set to a static text.
 * Source: BEP 44 "put message", "CAS". */
int kad_item_check_update(const struct kad_record *incoming,
                          const struct kad_record *held, const int64_t *cas,
                          const char **reason);

#endif
