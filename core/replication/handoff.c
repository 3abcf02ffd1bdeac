#include "replication/handoff.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "replication/transfer.h"

static void work(struct kad_node *node, struct kad_timer *timer);

static bool some_wait(const struct kad_handoff *handoff) {
  const struct kad_transfer *transfer = handoff->transfers;
  while (transfer != NULL && !transfer->waiting) {
    transfer = transfer->next;
  }
  return transfer != NULL;
}

/* Returns how many keys may be on their way. */
static uint32_t most_at_once(const struct kad_handoff *handoff) {
  return handoff->leaving != NULL ? KAD_HANDOFFS_LEAVING : KAD_HANDOFFS_MAX;
}

void kad_handoff_plan(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_time_ms at = KAD_TIME_NEVER;
  if (handoff->leaving != NULL && handoff->first == NULL &&
      handoff->transfers == NULL && !node->closing) {
    struct kad_operation *op = handoff->leaving;
    handoff->leaving = NULL;
    kad_operation_end(node, op, 0);
  }
  if (some_wait(handoff)) {
    at = kad_budget_free_at(&node->budget);
  }
  if (handoff->first != NULL && handoff->first->at < at &&
      handoff->handing_count < most_at_once(handoff)) {
    at = handoff->first->at;
  }
  if (at == KAD_TIME_NEVER || node->closing) {
    kad_timer_cancel(node, &handoff->timer);
    return;
  }
  kad_time_ms now = kad_node_now(node);
  kad_timer_set(node, &handoff->timer, at > now ? at : now, work);
}

/* ------------------------------------------------------------- walking -- */

/* Returns true if no neighbour but `except` is closer to `key` than we are: of
 * the holders that we know of, we are the closest. */
static bool are_closest(const struct kad_node *node,
                        const struct kad_neighbourhood *hood,
                        const struct kad_id *key, const struct kad_id *except) {
  for (size_t i = 0; i < hood->count; i++) {
    const struct kad_id *id = &hood->items[i].contact.id;
    if (kad_id_compare(key, id, &node->config.id) < 0 &&
        !kad_id_equal(id, except)) {
      return false;
    }
  }
  return true;
}

/* Returns how many of the neighbours and us are closer to `key` than `id`. */
static size_t count_closer(const struct kad_node *node,
                           const struct kad_neighbourhood *hood,
                           const struct kad_id *key, const struct kad_id *id) {
  return kad_neighbourhood_closer(hood, key, id) +
         (kad_id_compare(key, &node->config.id, id) < 0);
}

/* Returns the neighbour that is the last of the k closest to `key`, NULL if it
 * is we, or if there are not so many. */
static const struct kad_contact *last_of_k(const struct kad_node *node,
                                           const struct kad_neighbourhood *hood,
                                           const struct kad_id *key) {
  for (size_t i = 0; i < hood->count; i++) {
    const struct kad_contact *contact = &hood->items[i].contact;
    if (count_closer(node, hood, key, &contact->id) + 1 == node->config.k) {
      return contact;
    }
  }
  return NULL;
}

/* Writes to `*to` the last of the k closest to `key` without us, if we are one
 * of them. Returns false otherwise. They are those of the table: of a key that
 * we are not close to, our neighbours are not the closest. */
static bool find_successor(const struct kad_node *node, unsigned family,
                           const struct kad_id *key, struct kad_contact *to) {
  struct kad_contact closest[KAD_BUCKET_MAX];
  uint32_t k = node->config.k;
  const struct kad_table *table = kad_node_table(node, family);
  size_t count = kad_table_closest(table, key, kad_node_now(node), closest, k);
  if (count < k ||
      kad_id_compare(key, &closest[k - 1].id, &node->config.id) < 0) {
    return false;
  }
  *to = closest[k - 1];
  return true;
}

/* Finds whom the event of `walk` has brought among the k closest to `key`, if
 * it is for us to hand him what is under it. Returns false otherwise. */
static bool find_receiver(const struct kad_node *node,
                          const struct kad_handoff_walk *walk,
                          const struct kad_neighbourhood *hood,
                          const struct kad_id *key, struct kad_contact *to) {
  const struct kad_contact *contact = &walk->contact;
  if (walk->event == KAD_HANDOFF_LEAVING) {
    return find_successor(node, contact->address.family, key, to);
  }
  if (!are_closest(node, hood, key, &contact->id) ||
      count_closer(node, hood, key, &contact->id) >= node->config.k) {
    return false;
  }
  if (walk->event == KAD_HANDOFF_DIED) {
    contact = last_of_k(node, hood, key);
  }
  if (contact != NULL) {
    *to = *contact;
  }
  return contact != NULL;
}

/* Hands over what is under the key of a record, if that is the newest of it:
 * the others go with it. */
static void look_at(struct kad_node *node, const struct kad_handoff_walk *walk,
                    const struct kad_neighbourhood *hood,
                    kad_record_handle handle) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  struct kad_contact to;
  kad_record_handle newest = 0;
  if (!kad_transfer_read(node, handle, &record)) {
    return;
  }
  if (!find_receiver(node, walk, hood, &record.key, &to)) {
    return;
  }
  (void)kad_store_find(store, &record.key, record.type, 0, &newest, 1);
  if (newest == handle) {
    (void)kad_transfer_begin(node, handle, &to, false);
  }
}

/* Ends the walk that is under way. */
static void end_walk(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  struct kad_handoff_walk *walk = handoff->first;
  handoff->first = walk->next;
  handoff->last = walk->next != NULL ? handoff->last : NULL;
  handoff->walks--;
  kad_release(&node->env.allocator, walk, sizeof *walk);
}

/* Goes on with the walk under way, some records at a time. */
static void go_on(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  struct kad_handoff_walk *walk = handoff->first;
  const struct kad_neighbourhood *hood =
      kad_neighbours_of(node, walk->contact.address.family);
  for (int i = 0; i < KAD_HANDOFF_BATCH; i++) {
    if (handoff->handing_count >= most_at_once(handoff)) {
      return;
    }
    kad_record_handle handle = kad_store_next(node->store, &walk->cursor);
    if (hood == NULL || handle == 0) {
      end_walk(node);
      return;
    }
    look_at(node, walk, hood, handle);
  }
}

static void work(struct kad_node *node, struct kad_timer *timer) {
  (void)timer;
  kad_transfer_send(node);
  const struct kad_handoff_walk *walk = node->handoff.first;
  if (walk != NULL && walk->at <= kad_node_now(node)) {
    go_on(node);
  }
  kad_handoff_plan(node);
}

/* ------------------------------------------------------------- events -- */

/* Adds a walk over the store, if there is something in it, that begins after
 * `delay_ms`. */
static void add_walk(struct kad_node *node, enum kad_handoff_event event,
                     const struct kad_contact *contact, kad_time_ms delay_ms) {
  struct kad_handoff *handoff = &node->handoff;
  if (kad_store_count(node->store) == 0 ||
      handoff->walks == KAD_HANDOFF_WALKS_MAX || node->closing) {
    return;
  }
  struct kad_handoff_walk *walk = kad_alloc(&node->env.allocator, sizeof *walk);
  if (walk == NULL) {
    return;
  }
  *walk = (struct kad_handoff_walk){
      .event = event,
      .contact = *contact,
      .at = kad_time_add(kad_node_now(node), delay_ms),
  };
  if (handoff->last != NULL) {
    handoff->last->next = walk;
  } else {
    handoff->first = walk;
  }
  handoff->last = walk;
  handoff->walks++;
  kad_handoff_plan(node);
}

void kad_handoff_entered(struct kad_node *node,
                         const struct kad_contact *contact) {
  add_walk(node, KAD_HANDOFF_ENTERED, contact, KAD_HANDOFF_DELAY_MS);
}

void kad_handoff_died(struct kad_node *node,
                      const struct kad_contact *contact) {
  add_walk(node, KAD_HANDOFF_DIED, contact, KAD_HANDOFF_DELAY_MS);
}

void kad_handoff_unanswered(struct kad_node *node,
                            const struct kad_contact *contact) {
  const struct kad_handoff_walk *walk = node->handoff.first;
  if (walk != NULL && walk->event == KAD_HANDOFF_ENTERED &&
      kad_id_equal(&walk->contact.id, &contact->id) &&
      kad_address_equal(&walk->contact.address, &contact->address)) {
    end_walk(node);
  }
}

/* Writes to `*to` the contact of `table` that is closest to `key`, if k of them
 * are closer than we are. Returns false otherwise. */
static bool find_first_of_k(const struct kad_node *node,
                            const struct kad_table *table,
                            const struct kad_id *key, struct kad_contact *to) {
  struct kad_contact closest[KAD_BUCKET_MAX];
  uint32_t k = node->config.k;
  size_t count = kad_table_closest(table, key, kad_node_now(node), closest, k);
  if (count < k ||
      kad_id_compare(key, &node->config.id, &closest[k - 1].id) < 0) {
    return false;
  }
  *to = closest[0];
  return true;
}

/* With sockets of both families, a record is held in both: whoever is one of
 * the k in either goes on. */
bool kad_handoff_look(struct kad_node *node, kad_record_handle handle) {
  struct kad_contact to;
  struct kad_record record;
  bool found = false;
  if (!kad_transfer_read(node, handle, &record)) {
    return false;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    if (table != NULL) {
      found = find_first_of_k(node, table, &record.key, &to);
      if (!found) {
        return false;
      }
    }
  }
  return found && kad_transfer_begin(node, handle, &to, true);
}

void kad_handoff_stop(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_timer_cancel(node, &handoff->timer);
  while (handoff->first != NULL) {
    end_walk(node);
  }
  kad_transfer_stop(node);
}

/* ------------------------------------------------------------- leaving -- */

/* What waited makes way: it is about a neighbourhood without us. */
static void start_leave(struct kad_node *node, struct kad_operation *op) {
  struct kad_handoff *handoff = &node->handoff;
  kad_time_ms end = kad_time_add(kad_node_now(node), op->options.deadline_ms);
  if (handoff->leaving != NULL) { /* both were asked for in one turn */
    kad_operation_end(node, op, KAD_EBUSY);
    return;
  }
  kad_timer_set(node, &op->overdue, end, op->overdue.fire);
  while (handoff->first != NULL) {
    end_walk(node);
  }
  handoff->leaving = op;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_contact self = {.id = node->config.id,
                                     .address = {.family = i == 0 ? 4 : 6}};
    add_walk(node, KAD_HANDOFF_LEAVING, &self, 0);
  }
  kad_handoff_plan(node);
}

static void stop_leave(struct kad_node *node, struct kad_operation *op) {
  if (node->handoff.leaving == op) {
    node->handoff.leaving = NULL;
  }
}

static const struct kad_operation_kind leave_kind = {
    .method = KAD_METHOD_PING,
    .start = start_leave,
    .stop = stop_leave,
};

int kad_node_leave(struct kad_node *node, uint32_t deadline_ms,
                   kad_done_fn done, void *data, kad_operation_id *operation) {
  const struct kad_lookup_options options = {.deadline_ms = deadline_ms};
  const struct kad_operation_request request = {
      .kind = &leave_kind,
      .size = sizeof(struct kad_operation),
      .options = &options,
      .done = done,
      .data = data};
  struct kad_operation *op;
  if (node == NULL) {
    return KAD_EINVAL;
  }
  if (node->handoff.leaving != NULL) {
    return KAD_EBUSY;
  }
  int error = kad_operation_new(node, &request, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}
