/* Hostile members that reply in the place of their engine: silent ones, liars
 * and sybils. */
#ifndef KAD_SIM_HOSTILE_LIAR_H
#define KAD_SIM_HOSTILE_LIAR_H

#include "sim/hostile.h"

/* Replies to `query` of `from` with a lie, or not at all. Returns false for a
 * ping, which the engine answers. */
bool kad_hostile_liar_reply(struct kad_hostile *hostile,
                            const struct kad_address *from,
                            const struct kad_message *query);

#endif
