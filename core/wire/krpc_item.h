/* The items of BEP 44 in KRPC: the arguments of a put, and what the reply to a
 * get has besides contacts and a token. */
#ifndef KAD_WIRE_KRPC_ITEM_H
#define KAD_WIRE_KRPC_ITEM_H

#include "wire/krpc_fields.h"
#include "wire/message.h"

/* Reads the item and the other arguments of a put. Returns false if one is
 * malformed. Of an immutable item reads the value alone. */
bool kad_krpc_read_put(const struct kad_fields *fields,
                       struct kad_message *message);

/* Reads the item in a reply, unless the reply has other records. Ignores an
 * item that no put could have stored. Returns false if a key of the item has
 * the wrong form. */
bool kad_krpc_read_item(const struct kad_fields *fields,
                        struct kad_message *message);

/* The keys of an item, in their order in a reply, so that a writer can put
 * others between them. Each function writes nothing if its key is absent. */

/* Writes `k`. */
void kad_krpc_write_publisher(struct kad_writer *writer,
                              const struct kad_message *message);

/* Writes `seq` and `sig`. */
void kad_krpc_write_signature(struct kad_writer *writer,
                              const struct kad_message *message);

/* Writes `ttl` of an item in a reply, and `v`. */
void kad_krpc_write_value(struct kad_writer *writer,
                          const struct kad_message *message);

/* Writes the arguments of a put, `id` included. */
void kad_krpc_write_put(struct kad_writer *writer,
                        const struct kad_message *message, size_t id_size);

#endif
