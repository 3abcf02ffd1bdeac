/* The neutral message, beyond what the public header says of it. */
#ifndef KAD_WIRE_MESSAGE_H
#define KAD_WIRE_MESSAGE_H

#include "kadenza.h"

/* Returns true if `name` has a meaning in BitTorrent's DHT that the core may
 * take up: no policy can answer it. */
bool kad_method_is_reserved(struct kad_slice name);

/* Returns the name of `method`; an empty slice for KAD_METHOD_CUSTOM. */
struct kad_slice kad_method_name(enum kad_method_id method);

/* Checks what a codec that is not ours has read, and fills in what follows from
 * it: the method of a query, the key and type of records. `id_size` is 20
 * or 32. Returns 0 or KAD_EMALFORMED. */
KAD_MUST_CHECK int kad_message_check(struct kad_message *message,
                                     size_t id_size);

#endif
