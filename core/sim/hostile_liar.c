#include "sim/hostile.h"

/* Returns the bytes with which the target of `query` begins. A put has none,
 * but the token that it got here, which has them. */
static const uint8_t *target_of(const struct kad_message *query) {
  return query->has_target || query->token.len < KAD_HOSTILE_TOKEN
             ? query->target.bytes
             : query->token.data;
}

/* Sends a lie. */
static void send_lie(struct kad_hostile *hostile,
                     const struct kad_address *from,
                     const struct kad_message *query) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction = query->transaction;
  reply.has_id = true;
  reply.id = *kad_hostile_claimed_id(hostile, target_of(query));
  reply.observed = *from;
  if (query->method == KAD_METHOD_STORE) {
    reply.has_stored = true;
    reply.stored = (uint32_t)query->record_count;
  } else if (query->method != KAD_METHOD_ANNOUNCE_PEER &&
             query->method != KAD_METHOD_PUT) {
    kad_hostile_fill_contacts(hostile, from->family, &query->target, &reply.id,
                              &reply);
  }
  if (query->method == KAD_METHOD_FIND_VALUE ||
      query->method == KAD_METHOD_GET) {
    reply.has_total = true;
  }
  if (query->method == KAD_METHOD_FIND_VALUE ||
      query->method == KAD_METHOD_GET ||
      query->method == KAD_METHOD_GET_PEERS) {
    reply.token = (struct kad_slice){query->target.bytes, KAD_HOSTILE_TOKEN};
  }
  kad_hostile_send(hostile, from, &reply);
}

bool kad_hostile_liar_reply(struct kad_hostile *hostile,
                            const struct kad_address *from,
                            const struct kad_message *query) {
  if (query->method == KAD_METHOD_PING) {
    return false;
  }
  if (hostile->hostility.behaviour != KAD_SIM_BEHAVIOUR_SILENT &&
      query->method != KAD_METHOD_CUSTOM) {
    send_lie(hostile, from, query);
  }
  return true;
}
