/* Checks and comparisons of single records, without any policy. */
#ifndef KAD_RECORDS_RECORD_H
#define KAD_RECORDS_RECORD_H

#include "records/verified.h"

/* Checks the length of the type name, of the salt and of the value, and that
 * the record has a publisher and a signature or neither. Does not verify the
 * signature. Returns 0, or
 *   KAD_EINVAL   the record is malformed (error code KAD_CODE_PROTOCOL)
 *   KAD_ETOOBIG  the value (KAD_CODE_TOO_BIG) or the salt (KAD_CODE_SALT) is
 *                too long */
KAD_MUST_CHECK int kad_record_check(const struct kad_record *record);

/* Verifies the signature, unless `verified` knows it. Returns true for a record
 * without a publisher.
 * It covers the bencoded dictionary of `key` (20 or 32 bytes), `salt`, `seq`,
 * `type` and `v`, without those that the record does not have. */
bool kad_record_verify(const struct kad_record *record, unsigned id_bits,
                       struct kad_verified *verified);

/* Returns true if both have the same value, publisher and salt: storing one
 * refreshes the other. */
bool kad_record_same(const struct kad_record *a, const struct kad_record *b);

/* Returns true if both are the same, as above, and have the same sequence
 * number: storing one confirms the other. */
bool kad_record_identical(const struct kad_record *a,
                          const struct kad_record *b);

/* Returns true if one of `count` records is identical to `record`. */
bool kad_record_is_among(const struct kad_record *records, size_t count,
                         const struct kad_record *record);

/* Returns true if `incoming` replaces `held` when there is no merge hook. A
 * signed record replaces one with the same publisher and salt and no higher
 * seq; a record without seq counts as seq 0. An unsigned record replaces only
 * the same value. */
bool kad_record_replaces(const struct kad_record *incoming,
                         const struct kad_record *held);

/* Returns true if `incoming` is older than `held`: same publisher and salt with
 * a lower seq. It is rejected with KAD_CODE_SEQ. */
bool kad_record_is_older(const struct kad_record *incoming,
                         const struct kad_record *held);

#endif
