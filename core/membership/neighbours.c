#include "membership/neighbours.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"
#include "replication/handoff.h"

#include <string.h>

enum {
  LOST_MAX = 2 /* queries in a row that it may leave unanswered */
};

static void watch(struct kad_node *node, struct kad_timer *timer);

static struct kad_neighbourhood *hood_of(const struct kad_node *node,
                                         unsigned family) {
  struct kad_neighbours *neighbours = node->neighbours;
  struct kad_neighbourhood *hood =
      neighbours == NULL ? NULL
                         : &neighbours->families[kad_family_index(family)];
  return hood != NULL && hood->items != NULL ? hood : NULL;
}

const struct kad_neighbourhood *kad_neighbours_of(const struct kad_node *node,
                                                  unsigned family) {
  return hood_of(node, family);
}

size_t kad_neighbourhood_closer(const struct kad_neighbourhood *hood,
                                const struct kad_id *key,
                                const struct kad_id *id) {
  size_t closer = 0;
  for (size_t i = 0; i < hood->count; i++) {
    closer += kad_id_compare(key, &hood->items[i].contact.id, id) < 0;
  }
  return closer;
}

/* Returns the neighbour at exactly this address with this id, or NULL. */
static struct kad_neighbour *find(const struct kad_neighbourhood *hood,
                                  const struct kad_contact *contact) {
  for (size_t i = 0; i < hood->count; i++) {
    struct kad_neighbour *neighbour = &hood->items[i];
    if (kad_id_equal(&neighbour->contact.id, &contact->id) &&
        kad_address_equal(&neighbour->contact.address, &contact->address)) {
      return neighbour;
    }
  }
  return NULL;
}

/* Returns true if there is room for `id`, or it is closer than the farthest. */
static bool is_wanted(const struct kad_node *node,
                      const struct kad_neighbourhood *hood,
                      const struct kad_id *id) {
  return hood->count < hood->cap ||
         kad_id_compare(&node->config.id, id,
                        &hood->items[hood->count - 1].contact.id) < 0;
}

static kad_time_ms period_of(const struct kad_node *node) {
  return (kad_time_ms)node->config.neighbour_s * KAD_MS_PER_S;
}

/* Returns when a neighbour is to be asked that was heard at `heard_at`: at
 * random within a few moments, so that one of two asks before the other. */
static kad_time_ms due_after(struct kad_node *node, kad_time_ms heard_at) {
  return kad_time_add(heard_at, kad_rng_jitter(node, period_of(node)));
}

/* Moves the timer forward when `at` comes before it. */
static void wake_at(struct kad_node *node, kad_time_ms at) {
  struct kad_timer *timer = &node->neighbours->timer;
  if (!node->closing && at != KAD_TIME_NEVER &&
      (!timer->deadline.queued || at < timer->deadline.at)) {
    kad_timer_set(node, timer, at, watch);
  }
}

/* Puts a contact in its place; the farthest makes room. */
static void insert(struct kad_node *node, struct kad_neighbourhood *hood,
                   const struct kad_contact *contact, kad_time_ms heard_at) {
  hood->count -= hood->count == hood->cap;
  size_t i = hood->count++;
  while (i > 0 && kad_id_compare(&node->config.id, &contact->id,
                                 &hood->items[i - 1].contact.id) < 0) {
    hood->items[i] = hood->items[i - 1];
    i--;
  }
  hood->items[i] = (struct kad_neighbour){.contact = *contact,
                                          .ask_at = due_after(node, heard_at)};
  wake_at(node, hood->items[i].ask_at);
}

static void take_out(struct kad_neighbourhood *hood,
                     struct kad_neighbour *neighbour) {
  size_t i = (size_t)(neighbour - hood->items);
  hood->count--;
  memmove(neighbour, neighbour + 1, (hood->count - i) * sizeof *neighbour);
}

/* Takes the closest of the table where neighbours are missing. */
static void fill(struct kad_node *node, struct kad_neighbourhood *hood,
                 const struct kad_table *table) {
  struct kad_contact closest[KAD_BUCKET_MAX + KAD_NEIGHBOURS_MORE];
  size_t count = kad_table_closest(table, &node->config.id, kad_node_now(node),
                                   closest, hood->cap);
  for (size_t i = 0; i < count && hood->count < hood->cap; i++) {
    const struct kad_table_entry *entry = kad_table_find(table, &closest[i].id);
    if (entry != NULL && find(hood, &closest[i]) == NULL) {
      insert(node, hood, &closest[i], entry->last_seen);
    }
  }
}

/* ---------------------------------------------------------- its end -- */

static struct kad_gone *find_gone(struct kad_neighbours *neighbours,
                                  const struct kad_contact *contact) {
  for (size_t i = 0; i < KAD_NEIGHBOURS_GONE; i++) {
    struct kad_gone *gone = &neighbours->gone[i];
    if (kad_address_equal(&gone->contact.address, &contact->address) &&
        kad_id_equal(&gone->contact.id, &contact->id)) {
      return gone;
    }
  }
  return NULL;
}

/* Returns true if `contact` has died, and others may not yet know it. */
static bool is_gone(struct kad_node *node, const struct kad_contact *contact) {
  const struct kad_gone *gone = find_gone(node->neighbours, contact);
  return gone != NULL &&
         kad_time_since(gone->at, kad_node_now(node)) < 2 * period_of(node);
}

/* A neighbour has died: whoever has its place now is handed what it held. */
static void bury(struct kad_node *node, struct kad_neighbourhood *hood,
                 struct kad_neighbour *neighbour) {
  struct kad_neighbours *neighbours = node->neighbours;
  const struct kad_contact contact = neighbour->contact;
  const struct kad_table *table = kad_node_table(node, contact.address.family);
  neighbours->gone[neighbours->next_gone++ % KAD_NEIGHBOURS_GONE] =
      (struct kad_gone){.contact = contact, .at = kad_node_now(node)};
  take_out(hood, neighbour);
  fill(node, hood, table);
  kad_handoff_died(node, &contact);
}

void kad_neighbours_lost(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  struct kad_neighbour *neighbour = hood != NULL ? find(hood, contact) : NULL;
  if (neighbour == NULL) {
    return;
  }
  if (neighbour->lost == 0) {
    neighbour->replies = node->stats.replies;
  }
  if (neighbour->lost < UINT8_MAX) {
    neighbour->lost++;
  }
  /* Where nobody else answers, it is we who are cut off. */
  if (neighbour->lost >= LOST_MAX && neighbour->replies < node->stats.replies) {
    bury(node, hood, neighbour);
    return;
  }
  kad_time_ms now = kad_node_now(node);
  neighbour->ask_at = neighbour->lost < LOST_MAX
                          ? kad_time_add(now, KAD_NEIGHBOUR_RETRY_MS)
                          : due_after(node, now);
  wake_at(node, neighbour->ask_at);
}

void kad_neighbours_gone(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  struct kad_neighbour *neighbour = hood != NULL ? find(hood, contact) : NULL;
  if (neighbour != NULL) {
    bury(node, hood, neighbour);
  }
}

/* ---------------------------------------------------------- its life -- */

void kad_neighbours_heard(struct kad_node *node,
                          const struct kad_contact *contact) {
  struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  struct kad_neighbour *neighbour = hood != NULL ? find(hood, contact) : NULL;
  if (neighbour != NULL && neighbour->lost < LOST_MAX) {
    neighbour->lost = 0;
    neighbour->ask_at = due_after(node, kad_node_now(node));
  }
}

void kad_neighbours_met(struct kad_node *node,
                        const struct kad_contact *contact) {
  struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  struct kad_neighbour *neighbour = hood != NULL ? find(hood, contact) : NULL;
  if (neighbour != NULL) {
    neighbour->lost = 0;
    neighbour->ask_at = due_after(node, kad_node_now(node));
    return;
  }
  if (hood == NULL || !is_wanted(node, hood, &contact->id)) {
    return;
  }
  struct kad_gone *gone = find_gone(node->neighbours, contact);
  if (gone != NULL) {
    *gone = (struct kad_gone){0};
  }
  insert(node, hood, contact, kad_node_now(node));
  kad_handoff_entered(node, contact);
}

bool kad_neighbours_want(const struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  return hood != NULL && is_wanted(node, hood, &contact->id) &&
         find(hood, contact) == NULL;
}

/* Looks at a contact that a neighbour has told us of. Returns true if it is
 * asked whether it is there. */
static bool look_at(struct kad_node *node, const struct kad_contact *contact) {
  const struct kad_neighbourhood *hood = hood_of(node, contact->address.family);
  if (hood == NULL || kad_id_equal(&contact->id, &node->config.id) ||
      !is_wanted(node, hood, &contact->id) || find(hood, contact) != NULL ||
      is_gone(node, contact)) {
    return false;
  }
  kad_verification_probe(node, contact);
  return true;
}

/* What was asked of a neighbour has come to its end. Whether it has answered
 * was noted on the way here, as for every query. */
static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  size_t looked = 0;
  (void)query;
  if (event != KAD_QUERY_REPLY) {
    return;
  }
  for (size_t i = 0; i < message->contact_count && looked < KAD_NEIGHBOURS_TOLD;
       i++) {
    looked += look_at(node, &message->contacts[i]);
  }
}

/* Asks a neighbour for the contacts closest to us. */
static void ask(struct kad_node *node, const struct kad_contact *contact) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_NODE;
  message.has_target = true;
  message.target = node->config.id;
  if (kad_rpc_send(node, contact, &message, take_event, NULL, NULL) == 0) {
    node->stats.neighbour_checks++;
  }
}

/* Asks a neighbour that is due; its answer, or its silence, says when it is
 * again. While nobody answers at all, it is let be. */
static void ask_due(struct kad_node *node, struct kad_neighbour *neighbour) {
  neighbour->ask_at = due_after(node, kad_node_now(node));
  if (!node->maintenance.liveness.alone) {
    ask(node, &neighbour->contact);
  }
}

/* Asks those neighbours that are due. */
static void watch(struct kad_node *node, struct kad_timer *timer) {
  struct kad_neighbours *neighbours = node->neighbours;
  kad_time_ms now = kad_node_now(node);
  kad_time_ms next = KAD_TIME_NEVER;
  (void)timer;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_neighbourhood *hood = &neighbours->families[i];
    for (size_t j = 0; j < hood->count; j++) {
      struct kad_neighbour *neighbour = &hood->items[j];
      if (neighbour->ask_at <= now) {
        ask_due(node, neighbour);
      }
      next = neighbour->ask_at < next ? neighbour->ask_at : next;
    }
  }
  wake_at(node, next);
}

/* ------------------------------------------------------- start and end -- */

/* Makes room for the neighbours of a family. Returns false when out of memory.
 */
static bool make_hood(struct kad_node *node, size_t family_index) {
  struct kad_neighbourhood *hood = &node->neighbours->families[family_index];
  size_t cap = (size_t)node->config.k + KAD_NEIGHBOURS_MORE;
  hood->items = kad_alloc(&node->env.allocator, cap * sizeof *hood->items);
  hood->cap = hood->items != NULL ? cap : 0;
  return hood->items != NULL;
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
    struct kad_neighbourhood *hood = &node->neighbours->families[i];
    if (hood->items == NULL && node->tables[i] != NULL && make_hood(node, i)) {
      fill(node, hood, node->tables[i]);
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
    struct kad_neighbourhood *hood = &neighbours->families[i];
    kad_release(&node->env.allocator, hood->items,
                hood->cap * sizeof *hood->items);
  }
  kad_release(&node->env.allocator, neighbours, sizeof *neighbours);
  node->neighbours = NULL;
}
