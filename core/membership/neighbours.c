#include "membership/neighbours.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

#include <string.h>

enum {
  FAILURES_MAX = 2 /* queries in a row without an answer: the neighbour left */
};

static void check_neighbours(struct kad_node *node, struct kad_timer *timer);

static struct kad_closest_set *set_of(const struct kad_node *node,
                                      unsigned family) {
  struct kad_neighbours *neighbours = node->neighbours;
  struct kad_closest_set *set =
      neighbours == NULL ? NULL
                         : &neighbours->families[kad_family_index(family)];
  return set != NULL && set->items != NULL ? set : NULL;
}

const struct kad_closest_set *kad_neighbours_of(const struct kad_node *node,
                                                unsigned family) {
  return set_of(node, family);
}

size_t kad_closest_set_count_closer(const struct kad_closest_set *set,
                                    const struct kad_id *key,
                                    const struct kad_id *id) {
  size_t closer = 0;
  for (size_t i = 0; i < set->count; i++) {
    closer += kad_id_compare(key, &set->items[i].contact.id, id) < 0;
  }
  return closer;
}

/* Returns the neighbour with this id at exactly this address, or NULL. */
static struct kad_neighbour *find(const struct kad_closest_set *set,
                                  const struct kad_contact *contact) {
  for (size_t i = 0; i < set->count; i++) {
    struct kad_neighbour *neighbour = &set->items[i];
    if (kad_contact_equal(&neighbour->contact, contact)) {
      return neighbour;
    }
  }
  return NULL;
}

static bool is_secure(const struct kad_node *node,
                      const struct kad_contact *contact) {
  return node->config.secure_ids == KAD_SECURE_IDS_OFF ||
         kad_secure_id_check(&contact->id, node->config.id_bits,
                             &contact->address);
}

/* Returns true if `contact` comes before `other`: it is secure and the other is
 * not, or it is closer. */
static bool comes_before(const struct kad_node *node,
                         const struct kad_contact *contact, bool secure,
                         const struct kad_neighbour *other) {
  return secure != other->is_secure
             ? secure
             : kad_id_compare(&node->config.id, &contact->id,
                              &other->contact.id) < 0;
}

/* Returns true if the set has room or `contact` comes before its last. */
static bool is_wanted(const struct kad_node *node,
                      const struct kad_closest_set *set,
                      const struct kad_contact *contact) {
  return set->count < set->cap ||
         comes_before(node, contact, is_secure(node, contact),
                      &set->items[set->count - 1]);
}

static kad_time_ms period_of(const struct kad_node *node) {
  return (kad_time_ms)node->config.neighbour_s * KAD_MS_PER_S;
}

/* Returns when to check a neighbour that was seen at `seen_at`. The jitter
 * makes one of two neighbours check first. */
static kad_time_ms check_time(struct kad_node *node, kad_time_ms seen_at) {
  return kad_time_add(seen_at, kad_rng_jitter(node, period_of(node)));
}

/* Sets the timer to `at`, unless it is set to an earlier time. */
static void set_timer(struct kad_node *node, kad_time_ms at) {
  struct kad_timer *timer = &node->neighbours->timer;
  if (!node->closing && at != KAD_TIME_NEVER &&
      (!timer->deadline.queued || at < timer->deadline.at)) {
    kad_timer_set(node, timer, at, check_neighbours);
  }
}

/* Inserts a contact by distance. If the set is full, the farthest leaves. */
static void insert(struct kad_node *node, struct kad_closest_set *set,
                   const struct kad_contact *contact, kad_time_ms seen_at) {
  const bool secure = is_secure(node, contact);
  set->count -= set->count == set->cap;
  size_t i = set->count++;
  while (i > 0 && comes_before(node, contact, secure, &set->items[i - 1])) {
    set->items[i] = set->items[i - 1];
    i--;
  }
  set->items[i] = (struct kad_neighbour){.contact = *contact,
                                         .is_secure = secure,
                                         .check_at = check_time(node, seen_at)};
  set_timer(node, set->items[i].check_at);
}

static void unlink_neighbour(struct kad_closest_set *set,
                             struct kad_neighbour *neighbour) {
  size_t i = (size_t)(neighbour - set->items);
  set->count--;
  memmove(neighbour, neighbour + 1, (set->count - i) * sizeof *neighbour);
}

/* Fills free places with the closest contacts of the table. */
static void fill_places(struct kad_node *node, struct kad_closest_set *set,
                        const struct kad_table *table) {
  struct kad_contact closest[KAD_BUCKET_MAX + KAD_NEIGHBOURS_MORE];
  size_t count = kad_table_closest_holders(
      table, &node->config.id, kad_node_now(node), closest, set->cap);
  for (size_t i = 0; i < count && set->count < set->cap; i++) {
    const struct kad_table_entry *entry = kad_table_find(table, &closest[i].id);
    if (entry != NULL && find(set, &closest[i]) == NULL) {
      insert(node, set, &closest[i], entry->last_seen);
    }
  }
}

static struct kad_former_neighbour *find_former(
    struct kad_neighbours *neighbours, const struct kad_contact *contact) {
  for (size_t i = 0; i < KAD_NEIGHBOURS_LEFT; i++) {
    struct kad_former_neighbour *former = &neighbours->former[i];
    if (kad_contact_equal(&former->contact, contact)) {
      return former;
    }
  }
  return NULL;
}

/* Returns true if `contact` has left, and others may not know it yet. */
static bool has_left(struct kad_node *node, const struct kad_contact *contact) {
  const struct kad_former_neighbour *former =
      find_former(node->neighbours, contact);
  return former != NULL && kad_time_since(former->left_at, kad_node_now(node)) <
                               2 * period_of(node);
}

/* Removes a neighbour that has left, and fills its place. */
static void remove_neighbour(struct kad_node *node, struct kad_closest_set *set,
                             struct kad_neighbour *neighbour) {
  struct kad_neighbours *neighbours = node->neighbours;
  const struct kad_contact contact = neighbour->contact;
  const struct kad_table *table = kad_node_table(node, contact.address.family);
  neighbours->former[neighbours->next_former++ % KAD_NEIGHBOURS_LEFT] =
      (struct kad_former_neighbour){.contact = contact,
                                    .left_at = kad_node_now(node)};
  unlink_neighbour(set, neighbour);
  fill_places(node, set, table);
  node->events->neighbour_left(node, &contact);
}

void kad_neighbours_contact_failed(struct kad_node *node,
                                   const struct kad_contact *contact) {
  struct kad_closest_set *set = set_of(node, contact->address.family);
  struct kad_neighbour *neighbour = set != NULL ? find(set, contact) : NULL;
  if (neighbour == NULL) {
    return;
  }
  if (neighbour->failures == 0) {
    neighbour->replies = node->stats.replies;
  }
  if (neighbour->failures < UINT8_MAX) {
    neighbour->failures++;
  }
  /* If no other contact answers either, this node is isolated. */
  if (neighbour->failures >= FAILURES_MAX &&
      neighbour->replies < node->stats.replies) {
    remove_neighbour(node, set, neighbour);
    return;
  }
  kad_time_ms now = kad_node_now(node);
  neighbour->check_at = neighbour->failures < FAILURES_MAX
                            ? kad_time_add(now, KAD_NEIGHBOUR_RETRY_MS)
                            : check_time(node, now);
  set_timer(node, neighbour->check_at);
}

void kad_neighbours_contact_replaced(struct kad_node *node,
                                     const struct kad_contact *contact) {
  struct kad_closest_set *set = set_of(node, contact->address.family);
  struct kad_neighbour *neighbour = set != NULL ? find(set, contact) : NULL;
  if (neighbour != NULL) {
    remove_neighbour(node, set, neighbour);
  }
}

void kad_neighbours_contact_queried(struct kad_node *node,
                                    const struct kad_contact *contact) {
  struct kad_closest_set *set = set_of(node, contact->address.family);
  struct kad_neighbour *neighbour = set != NULL ? find(set, contact) : NULL;
  if (neighbour != NULL && neighbour->failures < FAILURES_MAX) {
    neighbour->failures = 0;
    neighbour->check_at = check_time(node, kad_node_now(node));
  }
}

void kad_neighbours_contact_answered(struct kad_node *node,
                                     const struct kad_contact *contact) {
  struct kad_closest_set *set = set_of(node, contact->address.family);
  struct kad_neighbour *neighbour = set != NULL ? find(set, contact) : NULL;
  if (neighbour != NULL) {
    neighbour->failures = 0;
    neighbour->check_at = check_time(node, kad_node_now(node));
    return;
  }
  if (set == NULL || !is_wanted(node, set, contact)) {
    return;
  }
  struct kad_former_neighbour *former = find_former(node->neighbours, contact);
  if (former != NULL) {
    *former = (struct kad_former_neighbour){0};
  }
  insert(node, set, contact, kad_node_now(node));
  node->events->neighbour_joined(node, contact);
}

bool kad_neighbours_want(const struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_closest_set *set = set_of(node, contact->address.family);
  return set != NULL && is_wanted(node, set, contact) &&
         find(set, contact) == NULL;
}

/* Pings a contact that a neighbour named, if it would become a neighbour.
 * Returns true if so. */
static bool ping_named(struct kad_node *node,
                       const struct kad_contact *contact) {
  if (kad_node_is_own_id(node, &contact->id) ||
      !kad_node_admits(node, contact) || !kad_neighbours_want(node, contact) ||
      has_left(node, contact)) {
    return false;
  }
  kad_verification_ping(node, contact);
  return true;
}

/* Handles the reply to a check. The events of rpc have noted the answer. */
static void on_check_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  size_t pinged = 0;
  (void)query;
  if (event != KAD_QUERY_REPLY) {
    return;
  }
  for (size_t i = 0;
       i < message->contact_count && pinged < KAD_NEIGHBOURS_NAMED; i++) {
    pinged += ping_named(node, &message->contacts[i]);
  }
}

/* Sends a check: a find_node for our own id. */
static void send_check(struct kad_node *node,
                       const struct kad_contact *contact) {
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_FIND_NODE, &node->config.id);
  if (kad_rpc_send(node, contact, &message, on_check_event, NULL, NULL) == 0) {
    node->stats.neighbour_checks++;
  }
}

/* Checks a neighbour that is due, unless the node is isolated. Its answer or
 * its failure sets the time of the next check. */
static void check_due(struct kad_node *node, struct kad_neighbour *neighbour) {
  neighbour->check_at = check_time(node, kad_node_now(node));
  if (!node->maintenance.liveness.isolated) {
    send_check(node, &neighbour->contact);
  }
}

/* Checks the neighbours that are due. */
static void check_neighbours(struct kad_node *node, struct kad_timer *timer) {
  struct kad_neighbours *neighbours = node->neighbours;
  kad_time_ms now = kad_node_now(node);
  kad_time_ms next = KAD_TIME_NEVER;
  (void)timer;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_closest_set *set = &neighbours->families[i];
    for (size_t j = 0; j < set->count; j++) {
      struct kad_neighbour *neighbour = &set->items[j];
      if (neighbour->check_at <= now) {
        check_due(node, neighbour);
      }
      next = neighbour->check_at < next ? neighbour->check_at : next;
    }
  }
  set_timer(node, next);
}

/* Allocates the neighbours of a family. Returns false when out of memory. */
static bool allocate_set(struct kad_node *node, size_t family_index) {
  struct kad_closest_set *set = &node->neighbours->families[family_index];
  size_t cap = (size_t)node->config.k + KAD_NEIGHBOURS_MORE;
  set->items = kad_alloc(&node->env.allocator, cap * sizeof *set->items);
  set->cap = set->items != NULL ? cap : 0;
  return set->items != NULL;
}

void kad_neighbours_start(struct kad_node *node) {
  if (node->config.neighbour_s == 0 || node->closing) {
    return;
  }
  if (node->neighbours == NULL) {
    node->neighbours =
        kad_alloc_zero(&node->env.allocator, sizeof *node->neighbours);
  }
  for (size_t i = 0; i < KAD_FAMILIES && node->neighbours != NULL; i++) {
    struct kad_closest_set *set = &node->neighbours->families[i];
    if (set->items == NULL && node->tables[i] != NULL &&
        allocate_set(node, i)) {
      fill_places(node, set, node->tables[i]);
    }
  }
}

void kad_neighbours_moved(struct kad_node *node) {
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    struct kad_closest_set *set = set_of(node, kad_family_at(i));
    if (set != NULL) {
      set->count = 0;
      fill_places(node, set, node->tables[i]);
    }
  }
}

void kad_neighbours_stop(struct kad_node *node) {
  struct kad_neighbours *neighbours = node->neighbours;
  if (neighbours == NULL) {
    return;
  }
  kad_timer_cancel(node, &neighbours->timer);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    struct kad_closest_set *set = &neighbours->families[i];
    kad_release(&node->env.allocator, set->items,
                set->cap * sizeof *set->items);
  }
  kad_release(&node->env.allocator, neighbours, sizeof *neighbours);
  node->neighbours = NULL;
}
