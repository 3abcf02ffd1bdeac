#include "overlay/verify.h"

#include "base/time.h"
#include "overlay/node.h"

enum {
  PING_COST = 1000
};

/* Fills the allowance up for the time that has passed, and takes a ping off it.
 * Returns false when there is none. */
static bool take_allowance(struct kad_verifier *verifier, kad_time_ms now) {
  const uint32_t full = KAD_VERIFY_MAX * PING_COST;
  kad_time_ms since = kad_time_since(verifier->filled, now);
  since = since < full ? since : full;
  kad_time_ms allowance = verifier->allowance + since * KAD_VERIFY_PER_S;
  verifier->allowance = (uint32_t)(allowance < full ? allowance : full);
  verifier->filled = now;
  if (verifier->allowance < PING_COST) {
    return false;
  }
  verifier->allowance -= PING_COST;
  return true;
}

/* Returns the slot of `address`, or, if it has none, a free one; NULL when
 * there is no free one either. */
static struct kad_address *slot_of(struct kad_verifier *verifier,
                                   const struct kad_address *address) {
  struct kad_address *free_slot = NULL;
  for (size_t i = 0; i < KAD_VERIFY_MAX; i++) {
    struct kad_address *slot = &verifier->pending[i];
    if (slot->family == 0) {
      free_slot = free_slot == NULL ? slot : free_slot;
    } else if (kad_address_equal(slot, address)) {
      return slot;
    }
  }
  return free_slot;
}

static void verified(struct kad_node *node, struct kad_query *query,
                     enum kad_query_event event,
                     const struct kad_message *message) {
  (void)message;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  struct kad_verifier *verifier = &node->verifier;
  struct kad_address *slot = slot_of(verifier, &query->to.address);
  if (slot != NULL && slot->family != 0) {
    *slot = (struct kad_address){0};
    verifier->count--;
  }
}

static void ping(struct kad_node *node, const struct kad_contact *contact) {
  struct kad_verifier *verifier = &node->verifier;
  if (verifier->count == KAD_VERIFY_MAX) {
    return;
  }
  struct kad_address *slot = slot_of(verifier, &contact->address);
  if (slot == NULL || slot->family != 0) {
    return;
  }
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_PING;
  if (kad_rpc_send(node, contact, &message, verified, verifier, NULL) == 0) {
    *slot = contact->address;
    verifier->count++;
  }
}

void kad_verify_seen(struct kad_node *node, const struct kad_contact *contact) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  if (table == NULL || kad_id_equal(&contact->id, &node->config.id)) {
    return;
  }
  kad_time_ms now = kad_node_now(node);
  if (kad_table_seen(table, contact, now) ||
      node->verifier.count == KAD_VERIFY_MAX) {
    return;
  }
  if (take_allowance(&node->verifier, now)) {
    ping(node, contact);
  }
}

void kad_verify_probe(struct kad_node *node,
                      const struct kad_contact *contact) {
  ping(node, contact);
}
