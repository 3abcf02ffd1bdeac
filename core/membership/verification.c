#include "membership/verification.h"

#include "base/address.h"
#include "base/array.h"
#include "engine/node.h"
#include "membership/check_interval.h"

#include <assert.h>
#include <string.h>

enum {
  FIRST_CAP = 4,
  TAG_LIVENESS = 1 /* of a ping to a contact of a table */
};

static_assert(KAD_VERIFICATION_MAX % FIRST_CAP == 0,
              "the slots double up to this number");

void kad_verification_deinit(struct kad_node *node) {
  struct kad_verification *verification = &node->verification;
  KAD_ARRAY_FREE(&node->env.allocator, &verification->pending,
                 &verification->cap);
  verification->count = 0;
}

/* Makes room for more pings, and returns the first of the new slots. Returns
 * NULL when there are KAD_VERIFICATION_MAX, or when out of memory. */
static struct kad_address *add_slots(struct kad_node *node) {
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

/* Takes the token of one ping. Returns false if there is none. */
static bool take_token(struct kad_token_bucket *bucket,
                       const struct kad_token_rate *rate, kad_time_ms now) {
  kad_token_bucket_fill(bucket, rate, now);
  if (!kad_token_bucket_has(bucket, rate, KAD_TOKEN)) {
    return false;
  }
  kad_token_bucket_take(bucket, rate, KAD_TOKEN);
  return true;
}

/* Returns the slot of `address`, or NULL if it is not being pinged. */
static struct kad_address *find_slot(struct kad_verification *verification,
                                     const struct kad_address *address) {
  for (size_t i = 0; i < verification->cap; i++) {
    if (kad_address_equal(&verification->pending[i], address)) {
      return &verification->pending[i];
    }
  }
  return NULL;
}

/* Returns a free slot for `address`. Returns NULL if all are used, the address
 * is being pinged, or its subnet has reached its limit. */
static struct kad_address *find_free_slot(struct kad_node *node,
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
        return slot; /* the others are free too */
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
  return slot != NULL ? slot : add_slots(node);
}

static void on_ping_event(struct kad_node *node, struct kad_query *query,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  (void)message;
  if (event == KAD_QUERY_SOFT) {
    return;
  }
  struct kad_verification *verification = &node->verification;
  struct kad_address *slot = find_slot(verification, &query->to.address);
  if (slot != NULL) {
    *slot = (struct kad_address){0};
    verification->count--;
  }
  if (query->tag == TAG_LIVENESS) {
    kad_check_interval_adapt(node, event != KAD_QUERY_TIMEOUT);
  }
}

/* Returns the query, or NULL if it could not be sent. */
static struct kad_query *send_ping(struct kad_node *node,
                                   const struct kad_contact *contact,
                                   struct kad_address *slot) {
  struct kad_query *query = NULL;
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_PING, NULL);
  if (kad_rpc_send(node, contact, &message, on_ping_event, NULL, &query) == 0) {
    *slot = contact->address;
    node->verification.count++;
  }
  return query;
}

/* Pings an unknown contact within the limits of `bucket`. */
static void ping_unknown(struct kad_node *node,
                         const struct kad_contact *contact,
                         struct kad_token_bucket *bucket,
                         const struct kad_token_rate *rate) {
  if (node->verification.count >=
      KAD_VERIFICATION_MAX - KAD_VERIFICATION_OURS) {
    return;
  }
  struct kad_address *slot = find_free_slot(node, &contact->address);
  if (slot == NULL || !take_token(bucket, rate, kad_node_now(node))) {
    return;
  }
  struct kad_query *query = send_ping(node, contact, slot);
  if (query != NULL) {
    query->cold = false; /* it has just sent to us */
    node->stats.verifications++;
  }
}

void kad_verification_ping_stranger(struct kad_node *node,
                                    const struct kad_contact *contact) {
  const struct kad_token_rate rate =
      kad_token_rate_of(KAD_VERIFICATION_PER_S, KAD_VERIFICATION_MAX);
  ping_unknown(node, contact, &node->verification.strangers, &rate);
}

void kad_verification_ping_cut(struct kad_node *node,
                               const struct kad_contact *contact) {
  const struct kad_token_rate rate =
      kad_token_rate_of(KAD_VERIFICATION_CUT_PER_S, KAD_VERIFICATION_CUT_PER_S);
  ping_unknown(node, contact, &node->verification.cut, &rate);
}

void kad_verification_ping(struct kad_node *node,
                           const struct kad_contact *contact) {
  struct kad_address *slot = find_free_slot(node, &contact->address);
  struct kad_query *query =
      slot != NULL ? send_ping(node, contact, slot) : NULL;
  if (query == NULL) {
    return;
  }
  if (kad_node_is_proven(node, contact)) {
    query->tag = TAG_LIVENESS;
    node->stats.liveness_checks++;
  } else {
    node->stats.verifications++;
  }
}
