/* message.h: messages as tables, of the class kadenza.Message, for codecs. */
#ifndef KAD_POLICY_MESSAGE_H
#define KAD_POLICY_MESSAGE_H

#include "kadenza_codec.h"

#include <lua.h>

/* Pushes `message` as a table. [-0, +1, m] */
void kad_policy_message_push(lua_State *L, const struct kad_message *message,
                             unsigned bits);

/* Reads the message in the table at the top. Its bytes are copied to `scratch`;
 * `scratch->overflow` tells if they do not fit. Raises naming the field.
 * [-0, +0, v] */
void kad_policy_message_read(lua_State *L, unsigned bits,
                             struct kad_message *message,
                             struct kad_writer *scratch);

#endif
