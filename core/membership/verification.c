#include "membership/verification.h"

#include "base/address.h"
#include "base/array.h"
#include "engine/node.h"

#include <assert.h>
#include <string.h>

enum {
  FIRST_CAP = 4,
  TAG_PROBE = 1 /* of a ping to a contact of our table */
};

static_assert(KAD_VERIFICATION_MAX % FIRST_CAP == 0,
              "the slots double up to it");

void kad_verification_deinit(struct kad_node *node) {
  struct kad_verification *verification = &node->verification;
  KAD_ARRAY_FREE(&node->env.allocator, &verification->pending,
                 &verification->cap);
  verification->count = 0;
}

/* Makes room for more pings, and returns the first of the new slots. NULL when
 * there may not be more, or when out of memory. */
static struct kad_address *grow(struct kad_node *node) {
  struct kad_verification *verification = &node->verification;
  const size_t old = verification->cap;
  const size_t cap = old == 0 ? FIRST_CAP : 2 * old;
  if (old == KAD_VERIFICATION_MAX ||
      KAD_ARRAY_RESERVE(&node->env.allocator, &verification->pending,
                        &verification->cap, cap) != 0) {
    return NULL;
  }
  struct kad_address *added = &verification->pending[old];
  memset(added, 0, (cap - old) * sizeof *added);
  return added;
}

/* Takes a ping off the allowance. Returns false when there is none. */
static bool take_allowance(struct kad_verification *verification,
                           kad_time_ms now) {
  const struct kad_token_rate rate =
      kad_token_rate_of(KAD_VERIFICATION_PER_S, KAD_VERIFICATION_MAX);
  struct kad_token_bucket *allowance = &verification->allowance;
  kad_token_bucket_fill(allowance, &rate, now);
  if (!kad_token_bucket_has(allowance, &rate, KAD_TOKEN)) {
    return false;
  }
  kad_token_bucket_take(allowance, &rate, KAD_TOKEN);
  return true;
}

/* Returns the slot of `address`, or NULL if it is not being pinged. */
static struct kad_address *slot_of(struct kad_verification *verification,
                                   const struct kad_address *address) {
  for (size_t i = 0; i < verification->cap; i++) {
    if (kad_address_equal(&verification->pending[i], address)) {
      return &verification->pending[i];
    }
  }
  return NULL;
}

/* Returns a free slot for `address`, or NULL when there is none for it: all are
 * taken, it is being pinged, or its subnet has its share. */
static struct kad_address *free_slot_for(struct kad_node *node,
                                         const struct kad_address *address) {
  struct kad_verification *verification = &node->verification;
  bool exempt = node->config.allow_local && kad_address_is_local(address);
  struct kad_address *slot = NULL;
  size_t of_subnet = 0;
  size_t taken = 0;
  for (size_t i = 0; i < verification->cap; i++) {
    struct kad_address *other = &verification->pending[i];
    if (other->family == 0) {
      slot = slot == NULL ? other : slot;
      if (taken == verification->count) {
        return slot; /* the rest is free, too */
      }
      continue;
    }
    taken++;
    of_subnet += kad_address_same_subnet(other, address);
    if (kad_address_equal(other, address) ||
        (of_subnet == KAD_VERIFICATION_SUBNET && !exempt)) {
      return NULL;
    }
  }
  return slot != NULL ? slot : grow(node);
}

static void verified(struct kad_node *node, struct kad_query *query,
                     enum kad_query_event event,
                     const struct kad_message *message) {
  (void)message;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  struct kad_verification *verification = &node->verification;
  struct kad_address *slot = slot_of(verification, &query->to.address);
  if (slot != NULL) {
    *slot = (struct kad_address){0};
    verification->count--;
  }
  if (query->tag == TAG_PROBE) {
    kad_liveness_heard(node, event != KAD_QUERY_TIMEOUT);
  }
}

/* Returns the ping, or NULL if it could not be sent. */
static struct kad_query *ping(struct kad_node *node,
                              const struct kad_contact *contact,
                              struct kad_address *slot) {
  struct kad_query *query = NULL;
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_PING;
  if (kad_rpc_send(node, contact, &message, verified, NULL, &query) == 0) {
    *slot = contact->address;
    node->verification.count++;
  }
  return query;
}

/* Returns true if it is worth a ping to know who `contact` is: it may become a
 * neighbour, its bucket has a use for it, or what we know of its id or address
 * may no longer hold. */
static bool is_worth_a_ping(const struct kad_node *node,
                            const struct kad_table *table,
                            const struct kad_contact *contact) {
  const kad_time_ms fresh_ms =
      (kad_time_ms)node->config.refresh_s * KAD_MS_PER_S;
  return kad_neighbours_want(node, contact) ||
         kad_table_wants(table, &contact->id, kad_node_now(node), fresh_ms) ||
         kad_table_find(table, &contact->id) != NULL ||
         kad_table_find_address(table, &contact->address) != NULL;
}

void kad_verification_seen(struct kad_node *node,
                           const struct kad_contact *contact) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  if (table == NULL || kad_id_equal(&contact->id, &node->config.id)) {
    return;
  }
  const kad_time_ms now = kad_node_now(node);
  kad_neighbours_heard(node, contact);
  if (kad_table_seen(table, contact, now) ||
      !is_worth_a_ping(node, table, contact)) {
    return;
  }
  if (node->verification.count >=
      KAD_VERIFICATION_MAX - KAD_VERIFICATION_OURS) {
    return;
  }
  struct kad_address *slot = free_slot_for(node, &contact->address);
  if (slot != NULL && take_allowance(&node->verification, now) &&
      ping(node, contact, slot) != NULL) {
    node->stats.verifications++;
  }
}

void kad_verification_probe(struct kad_node *node,
                            const struct kad_contact *contact) {
  struct kad_address *slot = free_slot_for(node, &contact->address);
  struct kad_query *query = slot != NULL ? ping(node, contact, slot) : NULL;
  if (query == NULL) {
    return;
  }
  if (kad_node_is_proven(node, contact)) {
    query->tag = TAG_PROBE;
    node->stats.liveness_checks++;
  } else {
    node->stats.verifications++;
  }
}
