/* Checks and comparisons of single records, without any policy. */
#ifndef KAD_RECORDS_RECORD_H
#define KAD_RECORDS_RECORD_H

#include "kadenza.h"

/* Checks the limits and the form of a record: type name, salt, value size, a
 * publisher with a signature or neither. Does not verify the signature.
 * Returns 0, KAD_EINVAL (KAD_CODE_PROTOCOL), or KAD_ETOOBIG for a value or a
 * salt over the limit (KAD_CODE_TOO_BIG; KAD_CODE_SALT when the salt is). */
KAD_MUST_CHECK int kad_record_check(const struct kad_record *record);

/* Verifies the signature, about 50 µs. True for a record without publisher.
 * What it covers is the bencoded dictionary of `key` (20 or 32 bytes), `salt`,
 * `seq`, `type` and `v`, absent ones left out. In sign.c. */
bool kad_record_verify(const struct kad_record *record, unsigned id_bits);

/* Returns true if both are the same value of the same publisher and salt: a
 * store of one refreshes the other. */
bool kad_record_same(const struct kad_record *a, const struct kad_record *b);

/* Returns true if both are the same as above and have the same sequence number:
 * one only confirms the other. */
bool kad_record_identical(const struct kad_record *a,
                          const struct kad_record *b);

/* Returns true if `incoming` takes the place of `held` without a merge hook:
 * same publisher (not none) and salt, and a seq that is not lower (a record
 * without seq counts as seq 0). For unsigned records only the same value. */
bool kad_record_replaces(const struct kad_record *incoming,
                         const struct kad_record *held);

/* Returns true if `incoming` is older than `held`: same publisher and salt with
 * a lower seq. It is refused with KAD_CODE_SEQ. */
bool kad_record_is_older(const struct kad_record *incoming,
                         const struct kad_record *held);

#endif
