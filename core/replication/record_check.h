/* The core's own verdict on a record, before any policy is asked. */
#ifndef KAD_REPLICATION_RECORD_CHECK_H
#define KAD_REPLICATION_RECORD_CHECK_H

#include "kadenza.h"

/* Checks `record` by the limits and the form of its type (NULL: unknown), then
 * its signature, which costs about 50 µs. Returns 0, or the code of the KRPC
 * error with its reason in `*reason` (a static text). */
int kad_judge(const struct kad_type *type, const struct kad_record *record,
              unsigned id_bits, const char **reason);

#endif
