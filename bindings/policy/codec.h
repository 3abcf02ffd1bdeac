/* codec.h: the codec of a node that a policy defines: one function of Lua makes
 * bytes of messages, which are tables there, the other makes messages of bytes.
 *
 * Both are called for every datagram, and nothing can be done in their place.
 * So they run at once, on a coroutine of their own that is never resumed: they
 * cannot yield. They have the budget of any hook. No circuit breaker opens:
 * malformed datagrams of other nodes could make this one deaf. */
#ifndef KAD_POLICY_CODEC_H
#define KAD_POLICY_CODEC_H

#include "policy/host.h"

/* Reads the codec of the set-up at the top into `host`. Returns the codec
 * for the policy of the core; NULL if the set-up has none. [-0, +0, m] */
const struct kad_codec *kad_policy_codec_set_up(lua_State *L,
                                                struct kad_host *host);

#endif
