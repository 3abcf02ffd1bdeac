/* codec.h: the encoding of a node as a policy has it: two functions of Lua that
 * make bytes of messages, which are tables there, and messages of bytes. */
#ifndef KAD_POLICY_CODEC_H
#define KAD_POLICY_CODEC_H

#include "policy/policy.h"

/* Reads the codec of the set-up table at the top into `host`, if it has one.
 * Returns what a policy of the core is given, or NULL. [-0, +0, m] */
const struct kad_codec *kad_lua_codec_set_up(lua_State *L,
                                             struct kad_host *host);

/* Pushes `message` as a table: see kadenza.Message. [-0, +1, m] */
void kad_lua_push_message(lua_State *L, const struct kad_message *message,
                          unsigned bits);

/* Reads the message that the table at the top is. What it points to is copied
 * to `scratch`, where it may not fit: that shows in its `overflow`. Raises
 * naming the field. [-0, +0, v] */
void kad_lua_read_message(lua_State *L, unsigned bits,
                          struct kad_message *message,
                          struct kad_writer *scratch);

#endif
