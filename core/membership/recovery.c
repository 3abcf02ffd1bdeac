#include "membership/recovery.h"

#include "base/address.h"
#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

enum {
  FIRST_CAP = 4
};

static struct kad_recovery *recovery_of(struct kad_node *node) {
  return &node->maintenance.recovery;
}

/* Returns the index of the lost contact at `address`, or their number. */
static size_t find(const struct kad_recovery *recovery,
                   const struct kad_address *address) {
  size_t i = 0;
  while (i < recovery->count &&
         !kad_address_equal(&recovery->items[i].contact.address, address)) {
    i++;
  }
  return i;
}

/* Makes room for one more contact. Returns false when there are
 * KAD_RECOVERY_MAX, or when out of memory. */
static bool reserve_item(struct kad_node *node, struct kad_recovery *recovery) {
  const size_t cap = recovery->cap == 0 ? FIRST_CAP : 2 * recovery->cap;
  return recovery->count < recovery->cap ||
         (cap <= KAD_RECOVERY_MAX &&
          KAD_ARRAY_RESERVE(&node->env.allocator, &recovery->items,
                            &recovery->cap, cap) == 0);
}

void kad_recovery_add(struct kad_node *node,
                      const struct kad_contact *contact) {
  struct kad_recovery *recovery = recovery_of(node);
  const kad_time_ms now = kad_node_now(node);
  size_t index = find(recovery, &contact->address);
  if (index == recovery->count) {
    if (reserve_item(node, recovery)) {
      recovery->count++;
    } else if (recovery->count > 0) {
      index = kad_rng_below(node, (uint32_t)recovery->count);
    } else {
      return;
    }
  }
  recovery->items[index] = (struct kad_lost_contact){
      .contact = *contact,
      .lost_at = now,
      .probe_at =
          kad_time_add(now, kad_rng_jitter(node, KAD_RECOVERY_EVERY_MS)),
  };
}

static void remove_item(struct kad_recovery *recovery, size_t index) {
  recovery->count--;
  recovery->items[index] = recovery->items[recovery->count];
}

void kad_recovery_remove(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_recovery *recovery = recovery_of(node);
  const size_t index = find(recovery, &contact->address);
  if (index < recovery->count) {
    remove_item(recovery, index);
  }
}

/* Returns true if `contact` is unknown, and closer to us than the farthest of
 * `closest`, the `count` closest that are known, or these are fewer than k. */
static bool is_unknown_neighbour(const struct kad_node *node,
                                 const struct kad_table *table,
                                 const struct kad_contact *contact,
                                 const struct kad_contact *closest,
                                 size_t count) {
  const struct kad_id *own = &node->config.id;
  return kad_contact_has_id(contact) &&
         !kad_node_is_own_id(node, &contact->id) &&
         !kad_node_shuns(node, &contact->address) &&
         kad_table_find(table, &contact->id) == NULL &&
         (count < node->config.k ||
          kad_id_compare(own, &contact->id, &closest[count - 1].id) < 0);
}

static bool has_unknown_neighbours(const struct kad_node *node, unsigned family,
                                   const struct kad_message *reply) {
  const struct kad_table *table = kad_node_table(node, family);
  struct kad_contact closest[KAD_K_MAX];
  const size_t count = kad_table_closest(
      table, &node->config.id, kad_node_now(node), closest, node->config.k);
  for (size_t i = 0; i < reply->contact_count; i++) {
    if (reply->contacts[i].address.family == family &&
        is_unknown_neighbour(node, table, &reply->contacts[i], closest,
                             count)) {
      return true;
    }
  }
  return false;
}

static void on_probe_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  if (event == KAD_QUERY_REPLY &&
      has_unknown_neighbours(node, query->to.address.family, message)) {
    kad_refresh_through(node, &query->to);
  }
}

/* Sends a reconnect probe: a find_node for our own id. */
static void send_probe(struct kad_node *node,
                       const struct kad_contact *contact) {
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_FIND_NODE, &node->config.id);
  recovery_of(node)->probe_at = kad_time_add(
      kad_node_now(node), kad_rng_jitter(node, KAD_RECOVERY_EVERY_MS));
  if (kad_rpc_send(node, contact, &message, on_probe_event, NULL, NULL) == 0) {
    node->stats.reconnect_probes++;
  }
}

/* Probes the lost contact that is due first. Returns false if none is due. */
static bool probe_lost(struct kad_node *node, kad_time_ms now) {
  struct kad_recovery *recovery = recovery_of(node);
  struct kad_lost_contact *next = NULL;
  for (size_t i = 0; i < recovery->count; i++) {
    struct kad_lost_contact *item = &recovery->items[i];
    if (item->probe_at <= now &&
        (next == NULL || item->probe_at < next->probe_at)) {
      next = item;
    }
  }
  if (next == NULL) {
    return false;
  }
  const struct kad_contact contact = next->contact;
  const kad_time_ms since = kad_time_since(next->lost_at, now);
  if (since >= KAD_RECOVERY_FORGET_MS) {
    remove_item(recovery, (size_t)(next - recovery->items));
    return false;
  }
  const kad_time_ms after = since / KAD_RECOVERY_SHARE > KAD_RECOVERY_EVERY_MS
                                ? since / KAD_RECOVERY_SHARE
                                : KAD_RECOVERY_EVERY_MS;
  next->probe_at = kad_time_add(now, kad_rng_jitter(node, after));
  send_probe(node, &contact);
  return true;
}

static size_t count_known(const struct kad_node *node) {
  const struct kad_names *names = &node->maintenance.names;
  size_t count = node->maintenance.rejoin.known_count;
  for (size_t i = 0; i < names->count; i++) {
    count += names->items[i].count;
  }
  return count;
}

/* Probes the next known address at which there is no contact. */
static void probe_known(struct kad_node *node, kad_time_ms now) {
  struct kad_recovery *recovery = recovery_of(node);
  if (now < recovery->known_at) {
    return;
  }
  recovery->known_at =
      kad_time_add(now, kad_rng_jitter(node, KAD_RECOVERY_KNOWN_EVERY_MS));
  const size_t count = count_known(node);
  for (size_t i = 0; i < count; i++) {
    recovery->known_index = (recovery->known_index + 1) % count;
    if (kad_recovery_probe(node,
                           kad_rejoin_known(node, recovery->known_index))) {
      return;
    }
  }
}

bool kad_recovery_probe(struct kad_node *node,
                        const struct kad_address *address) {
  const struct kad_contact contact = {.address = *address};
  const struct kad_table *table = kad_node_table(node, address->family);
  if (table == NULL || kad_table_find_address(table, address) != NULL) {
    return false;
  }
  send_probe(node, &contact);
  return true;
}

void kad_recovery_round(struct kad_node *node) {
  const kad_time_ms now = kad_node_now(node);
  if (now >= recovery_of(node)->probe_at &&
      !node->maintenance.liveness.isolated && !probe_lost(node, now)) {
    probe_known(node, now);
  }
}

void kad_recovery_stop(struct kad_node *node) {
  struct kad_recovery *recovery = recovery_of(node);
  KAD_ARRAY_FREE(&node->env.allocator, &recovery->items, &recovery->cap);
  *recovery = (struct kad_recovery){0};
}
