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

/* Returns true if `name` is a query that other nodes of BitTorrent's DHT
 * support, besides those of BEP 5. A policy must not answer it. */
bool kad_method_is_reserved(struct kad_slice name);

/* Returns true if the user may send `name` as a custom query: it is not one of
 * BEP 5 or kadenza's own. */
bool kad_method_is_callable(struct kad_slice name);

/* Returns the name of `method`, or an empty slice for KAD_METHOD_CUSTOM. */
struct kad_slice kad_method_name(enum kad_method_id method);

/* Returns true if `item` is one that a put can carry: its value is one bencoded
 * value in its only form, not nested too deeply for a message, and it has both
 * publisher and signature or neither. Its size is not checked. Source: BEP 44.
 */
bool kad_message_has_item_form(const struct kad_record *item);

/* Checks a message that a codec of the user has decoded, and sets what follows
 * from it: the method of a query, the key and the type of records. `id_size` is
 * 20 or 32. Returns 0 or KAD_EMALFORMED. */
KAD_MUST_CHECK int kad_message_check(struct kad_message *message,
                                     size_t id_size);

#endif
