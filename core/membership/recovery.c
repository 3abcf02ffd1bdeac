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
  return &node->maintenance.lost;
}

/* Returns the place of what was lost at `address`, or their number. */
static size_t find(const struct kad_recovery *lost,
                   const struct kad_address *address) {
  size_t i = 0;
  while (i < lost->count &&
         !kad_address_equal(&lost->items[i].contact.address, address)) {
    i++;
  }
  return i;
}

/* Makes room for one more. Returns false when there may not be, or when out of
 * memory. */
static bool grow(struct kad_node *node, struct kad_recovery *lost) {
  const size_t cap = lost->cap == 0 ? FIRST_CAP : 2 * lost->cap;
  return lost->count < lost->cap ||
         (cap <= KAD_RECOVERY_MAX &&
          KAD_ARRAY_RESERVE(&node->env.allocator, &lost->items, &lost->cap,
                            cap) == 0);
}

void kad_recovery_add(struct kad_node *node,
                      const struct kad_contact *contact) {
  struct kad_recovery *lost = recovery_of(node);
  const kad_time_ms now = kad_node_now(node);
  size_t place = find(lost, &contact->address);
  if (place == lost->count) {
    if (grow(node, lost)) {
      lost->count++;
    } else if (lost->count > 0) {
      place = kad_rng_below(node, (uint32_t)lost->count);
    } else {
      return;
    }
  }
  lost->items[place] = (struct kad_lost_contact){
      .contact = *contact,
      .lost_at = now,
      .ask_at = kad_time_add(now, kad_rng_jitter(node, KAD_RECOVERY_EVERY_MS)),
  };
}

static void forget(struct kad_recovery *lost, size_t place) {
  lost->count--;
  lost->items[place] = lost->items[lost->count];
}

void kad_recovery_found(struct kad_node *node,
                        const struct kad_contact *contact) {
  struct kad_recovery *lost = recovery_of(node);
  const size_t place = find(lost, &contact->address);
  if (place < lost->count) {
    forget(lost, place);
  }
}

/* Returns true if `contact` belongs to the k closest to us, of whom `closest`
 * are those that we know, but is none of them. */
static bool is_news(const struct kad_node *node, const struct kad_table *table,
                    const struct kad_contact *contact,
                    const struct kad_contact *closest, size_t count) {
  const struct kad_id *own = &node->config.id;
  return kad_rpc_is_named(contact) && !kad_id_equal(&contact->id, own) &&
         !kad_address_is_martian(&contact->address, node->config.allow_local) &&
         kad_table_find(table, &contact->id) == NULL &&
         (count < node->config.k ||
          kad_id_compare(own, &contact->id, &closest[count - 1].id) < 0);
}

/* Returns true if `reply` tells of neighbours whom we do not know. */
static bool tells_of_neighbours(const struct kad_node *node, unsigned family,
                                const struct kad_message *reply) {
  const struct kad_table *table = kad_node_table(node, family);
  struct kad_contact closest[KAD_K_MAX];
  const size_t count = kad_table_closest(
      table, &node->config.id, kad_node_now(node), closest, node->config.k);
  for (size_t i = 0; i < reply->contact_count; i++) {
    if (reply->contacts[i].address.family == family &&
        is_news(node, table, &reply->contacts[i], closest, count)) {
      return true;
    }
  }
  return false;
}

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  if (event == KAD_QUERY_REPLY &&
      tells_of_neighbours(node, query->to.address.family, message)) {
    kad_refresh_through(node, &query->to);
  }
}

/* Asks for the contacts closest to us. */
static void ask(struct kad_node *node, const struct kad_contact *contact) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_NODE;
  message.has_target = true;
  message.target = node->config.id;
  message.want4 = contact->address.family == 4;
  message.want6 = contact->address.family == 6;
  recovery_of(node)->free_at = kad_time_add(
      kad_node_now(node), kad_rng_jitter(node, KAD_RECOVERY_EVERY_MS));
  if (kad_rpc_send(node, contact, &message, take_event, NULL, NULL) == 0) {
    node->stats.reconnect_probes++;
  }
}

/* Asks the lost contact that has been due for longest. Returns false if none
 * is. */
static bool ask_lost(struct kad_node *node, kad_time_ms now) {
  struct kad_recovery *lost = recovery_of(node);
  struct kad_lost_contact *next = NULL;
  for (size_t i = 0; i < lost->count; i++) {
    struct kad_lost_contact *item = &lost->items[i];
    if (item->ask_at <= now && (next == NULL || item->ask_at < next->ask_at)) {
      next = item;
    }
  }
  if (next == NULL) {
    return false;
  }
  const struct kad_contact contact = next->contact;
  const kad_time_ms since = kad_time_since(next->lost_at, now);
  if (since >= KAD_RECOVERY_FORGET_MS) {
    forget(lost, (size_t)(next - lost->items));
    return false;
  }
  const kad_time_ms after = since / KAD_RECOVERY_SHARE > KAD_RECOVERY_EVERY_MS
                                ? since / KAD_RECOVERY_SHARE
                                : KAD_RECOVERY_EVERY_MS;
  next->ask_at = kad_time_add(now, kad_rng_jitter(node, after));
  ask(node, &contact);
  return true;
}

/* Asks the next known address at which we have no contact. */
static void ask_known(struct kad_node *node, kad_time_ms now) {
  struct kad_recovery *lost = recovery_of(node);
  const struct kad_rejoin *rejoin = &node->maintenance.rejoin;
  if (now < lost->known_at) {
    return;
  }
  lost->known_at = kad_time_add(now, kad_rng_jitter(node, KAD_KNOWN_EVERY_MS));
  for (size_t i = 0; i < rejoin->known_count; i++) {
    lost->known_next = (lost->known_next + 1) % rejoin->known_count;
    const struct kad_contact contact = {.address =
                                            rejoin->known[lost->known_next]};
    const struct kad_table *table =
        kad_node_table(node, contact.address.family);
    if (table != NULL &&
        kad_table_find_address(table, &contact.address) == NULL) {
      ask(node, &contact);
      return;
    }
  }
}

void kad_recovery_round(struct kad_node *node) {
  const kad_time_ms now = kad_node_now(node);
  if (now >= recovery_of(node)->free_at && !node->maintenance.liveness.alone &&
      !ask_lost(node, now)) {
    ask_known(node, now);
  }
}

void kad_recovery_stop(struct kad_node *node) {
  struct kad_recovery *lost = recovery_of(node);
  KAD_ARRAY_FREE(&node->env.allocator, &lost->items, &lost->cap);
  *lost = (struct kad_recovery){0};
}
