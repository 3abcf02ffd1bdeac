/* The core's own check of a record, before the policy's `validate`.
 *
 * Tested by tests/unit/replication/admission_test.c,
 * tests/unit/operations/put_test.c.
 */
#ifndef KAD_REPLICATION_RECORD_CHECK_H
#define KAD_REPLICATION_RECORD_CHECK_H

#include "kadenza.h"

/* Checks the form of `record`, the limits of its type (NULL: unknown), and its
 * signature, which takes about 50 µs if it is new. Returns 0, or the code of
 * the KRPC error, with `*reason` set to a static text. */
int kad_record_check_type(struct kad_node *node, const struct kad_type *type,
                          const struct kad_record *record, const char **reason);

/* The same for a record that is to be stored: it must also be readable, see
 * rpc/record_size.h. */
int kad_record_check_new(struct kad_node *node, const struct kad_type *type,
                         const struct kad_record *record, const char **reason);

/* Returns the error that a user gets for a record that is rejected with the
 * KRPC code `code`: KAD_ETOOBIG, KAD_ESIGNATURE or KAD_EREFUSED. */
int kad_record_check_error(int code);

#endif
