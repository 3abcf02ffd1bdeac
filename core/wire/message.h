/* Internal functions for struct kad_message and enum kad_method_id. */
#ifndef KAD_WIRE_MESSAGE_H
#define KAD_WIRE_MESSAGE_H

#include "kadenza_codec.h"

enum {
  KAD_MESSAGE_SALT_MAX = 255 /* bytes of a salt that is decoded; above
                                KAD_SALT_MAX a record is rejected with an error
                                of its own */
};

/* Initialises a query without arguments, or, if `target` is not NULL, with that
 * target. */
void kad_message_init_query(struct kad_message *message,
                            enum kad_method_id method,
                            const struct kad_id *target);

/* Returns true if `name` is a query of BitTorrent's DHT that the core may
 * support later. A policy must not answer it. */
bool kad_method_is_reserved(struct kad_slice name);

/* Returns the name of `method`, or an empty slice for KAD_METHOD_CUSTOM. */
struct kad_slice kad_method_name(enum kad_method_id method);

/* Checks a message that a codec of the user has decoded, and sets what follows
 * from it: the method of a query, the key and the type of records. `id_size` is
 * 20 or 32. Returns 0 or KAD_EMALFORMED. */
KAD_MUST_CHECK int kad_message_check(struct kad_message *message,
                                     size_t id_size);

#endif
