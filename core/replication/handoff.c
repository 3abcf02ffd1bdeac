#include "replication/handoff.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

static void fire_timer(struct kad_node *node, struct kad_timer *timer);

/* Returns how many transfers may be under way. */
static uint32_t max_transfers(const struct kad_handoff *handoff) {
  return handoff->leave_done != NULL ? KAD_HANDOFF_TRANSFERS_LEAVING
                                     : KAD_HANDOFF_TRANSFERS_MAX;
}

static void end_leave_if_done(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_handoff_leave_done_fn leave_done = handoff->leave_done;
  if (leave_done != NULL && handoff->first == NULL &&
      handoff->transfers.first == NULL && !node->closing) {
    handoff->leave_done = NULL;
    leave_done(node, handoff->leave_data);
  }
}

/* Sets the timer for the next step that does not wait for a reply. */
static void plan_next(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_time_ms at = KAD_TIME_NEVER;
  end_leave_if_done(node);
  if (kad_transfer_any_waits(node)) {
    at = kad_store_budget_free_at(&node->store_budget);
  }
  if (handoff->first != NULL && handoff->first->start_at < at &&
      handoff->transfers.count < max_transfers(handoff)) {
    at = handoff->first->start_at;
  }
  if (at == KAD_TIME_NEVER || node->closing) {
    kad_timer_cancel(node, &handoff->timer);
  } else {
    kad_timer_set(node, &handoff->timer, at, fire_timer);
  }
}

/* ------------------------------------------------------------ receiver -- */

/* Returns true if no neighbour but `except` is closer to `key` than we are: we
 * are the closest holder that we know of. */
static bool is_closest_holder(const struct kad_node *node,
                              const struct kad_closest_set *neighbours,
                              const struct kad_id *key,
                              const struct kad_id *except) {
  for (size_t i = 0; i < neighbours->count; i++) {
    const struct kad_id *id = &neighbours->items[i].contact.id;
    if (kad_id_compare(key, id, &node->config.id) < 0 &&
        !kad_id_equal(id, except)) {
      return false;
    }
  }
  return true;
}

/* Returns how many of the neighbours and ourselves are closer to `key` than
 * `id`. */
static size_t count_closer(const struct kad_node *node,
                           const struct kad_closest_set *neighbours,
                           const struct kad_id *key, const struct kad_id *id) {
  return kad_closest_set_count_closer(neighbours, key, id) +
         (kad_id_compare(key, &node->config.id, id) < 0);
}

/* Returns the neighbour that is the k-th closest to `key`. Returns NULL if we
 * are the k-th, or if there are fewer. */
static const struct kad_contact *find_kth(
    const struct kad_node *node, const struct kad_closest_set *neighbours,
    const struct kad_id *key) {
  for (size_t i = 0; i < neighbours->count; i++) {
    const struct kad_contact *contact = &neighbours->items[i].contact;
    if (count_closer(node, neighbours, key, &contact->id) + 1 ==
        node->config.k) {
      return contact;
    }
  }
  return NULL;
}

/* Sets `*closest`, of KAD_BUCKET_MAX, to the k contacts of `table` that are
 * closest to `key`. Returns 0 if there are fewer, a number below 0 if the k-th
 * is closer to `key` than we are, above 0 if it is farther. */
static int compare_to_kth(const struct kad_node *node,
                          const struct kad_table *table,
                          const struct kad_id *key,
                          struct kad_contact *closest) {
  const uint32_t k = node->config.k;
  const size_t count =
      kad_table_closest_holders(table, key, kad_node_now(node), closest, k);
  return count == k ? kad_id_compare(key, &closest[k - 1].id, &node->config.id)
                    : 0;
}

/* Sets `*to` to the contact that becomes the k-th closest to `key` when we
 * leave. Returns false if we are not one of the k closest. The k closest are
 * those of the table: our neighbours are the closest only to keys near us. */
static bool find_successor(const struct kad_node *node, unsigned family,
                           const struct kad_id *key, struct kad_contact *to) {
  struct kad_contact closest[KAD_BUCKET_MAX];
  if (compare_to_kth(node, kad_node_table(node, family), key, closest) <= 0) {
    return false;
  }
  *to = closest[node->config.k - 1];
  return true;
}

/* Sets `*to` to the contact that the event of `scan` has made one of the k
 * closest to `key`. Returns false if there is none, or if another holder has to
 * hand off what is held under `key`. */
static bool find_receiver(const struct kad_node *node,
                          const struct kad_handoff_scan *scan,
                          const struct kad_closest_set *neighbours,
                          const struct kad_id *key, struct kad_contact *to) {
  const struct kad_contact *contact = &scan->contact;
  if (scan->event == KAD_HANDOFF_LEAVING) {
    return find_successor(node, contact->address.family, key, to);
  }
  if (!is_closest_holder(node, neighbours, key, &contact->id) ||
      count_closer(node, neighbours, key, &contact->id) >= node->config.k) {
    return false;
  }
  if (scan->event == KAD_HANDOFF_LEFT) {
    contact = find_kth(node, neighbours, key);
  }
  if (contact != NULL) {
    *to = *contact;
  }
  return contact != NULL;
}

/* --------------------------------------------------------------- scans -- */

/* Ends the scan that is under way. */
static void end_scan(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  struct kad_handoff_scan *scan = handoff->first;
  handoff->first = scan->next;
  handoff->last = scan->next != NULL ? handoff->last : NULL;
  handoff->scan_count--;
  kad_release(&node->env.allocator, scan, sizeof *scan);
}

/* Ends the scan for a contact that does not answer: the transfers of the other
 * keys would all wait for it. */
static void end_scan_for(struct kad_node *node,
                         const struct kad_contact *contact) {
  const struct kad_handoff_scan *scan = node->handoff.first;
  if (scan != NULL && scan->event == KAD_HANDOFF_JOINED &&
      kad_contact_equal(&scan->contact, contact)) {
    end_scan(node);
  }
}

static void on_transfer_event(struct kad_node *node,
                              const struct kad_transfer *transfer,
                              enum kad_transfer_event event) {
  if (event == KAD_TRANSFER_TIMED_OUT) {
    end_scan_for(node, &transfer->to);
  }
  plan_next(node);
  if (event != KAD_TRANSFER_WAITS && transfer->checked != NULL) {
    transfer->checked(node, transfer->handle, event == KAD_TRANSFER_HOLDS_ALL);
  }
}

/* Starts a transfer of what is held under the key of a record, if the record is
 * the newest under its key: the others go with it. */
static void scan_record(struct kad_node *node,
                        const struct kad_handoff_scan *scan,
                        const struct kad_closest_set *neighbours,
                        kad_record_handle handle) {
  struct kad_record record;
  struct kad_contact to;
  kad_record_handle newest = 0;
  if (!kad_transfer_read(node, handle, &record) ||
      !find_receiver(node, scan, neighbours, &record.key, &to)) {
    return;
  }
  (void)kad_store_find(node->store, &record.key, record.type, 0, &newest, 1);
  if (newest == handle) {
    (void)kad_transfer_start(node, handle, &to, on_transfer_event, NULL);
  }
}

/* Continues the scan that is under way. */
static void scan_batch(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  struct kad_handoff_scan *scan = handoff->first;
  const struct kad_closest_set *neighbours =
      kad_neighbours_of(node, scan->contact.address.family);
  for (int i = 0; i < KAD_HANDOFF_BATCH; i++) {
    if (handoff->transfers.count >= max_transfers(handoff)) {
      return;
    }
    kad_record_handle handle = kad_store_next(node->store, &scan->cursor);
    if (neighbours == NULL || handle == 0) {
      end_scan(node);
      return;
    }
    scan_record(node, scan, neighbours, handle);
  }
}

static void fire_timer(struct kad_node *node, struct kad_timer *timer) {
  (void)timer;
  kad_transfer_send_waiting(node);
  const struct kad_handoff_scan *scan = node->handoff.first;
  if (scan != NULL && scan->start_at <= kad_node_now(node)) {
    scan_batch(node);
  }
  plan_next(node);
}

/* Adds a scan that starts after `delay_ms`, unless the store is empty. */
static void add_scan(struct kad_node *node, enum kad_handoff_event event,
                     const struct kad_contact *contact, kad_time_ms delay_ms) {
  struct kad_handoff *handoff = &node->handoff;
  if (kad_store_count(node->store) == 0 ||
      handoff->scan_count == KAD_HANDOFF_SCANS_MAX || node->closing) {
    return;
  }
  struct kad_handoff_scan *scan = kad_alloc(&node->env.allocator, sizeof *scan);
  if (scan == NULL) {
    return;
  }
  *scan = (struct kad_handoff_scan){
      .event = event,
      .contact = *contact,
      .start_at = kad_time_add(kad_node_now(node), delay_ms),
  };
  if (handoff->last != NULL) {
    handoff->last->next = scan;
  } else {
    handoff->first = scan;
  }
  handoff->last = scan;
  handoff->scan_count++;
  plan_next(node);
}

/* -------------------------------------------------------------- public -- */

void kad_handoff_neighbour_joined(struct kad_node *node,
                                  const struct kad_contact *contact) {
  add_scan(node, KAD_HANDOFF_JOINED, contact, KAD_HANDOFF_DELAY_MS);
}

void kad_handoff_neighbour_left(struct kad_node *node,
                                const struct kad_contact *contact) {
  add_scan(node, KAD_HANDOFF_LEFT, contact, KAD_HANDOFF_DELAY_MS);
}

/* With sockets of both families, a record is held in both: we stay responsible
 * for it while we are one of the k closest in either. */
bool kad_handoff_check(struct kad_node *node, kad_record_handle handle,
                       kad_transfer_checked_fn checked) {
  struct kad_contact closest[KAD_BUCKET_MAX];
  struct kad_record record;
  bool found = false;
  if (!kad_transfer_read(node, handle, &record)) {
    return false;
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_table *table = node->tables[i];
    if (table == NULL) {
      continue;
    }
    if (compare_to_kth(node, table, &record.key, closest) >= 0) {
      return false;
    }
    found = true;
  }
  return found && kad_transfer_start(node, handle, &closest[0],
                                     on_transfer_event, checked);
}

void kad_handoff_leave(struct kad_node *node,
                       kad_handoff_leave_done_fn leave_done, void *data) {
  struct kad_handoff *handoff = &node->handoff;
  while (handoff->first != NULL) {
    end_scan(node);
  }
  handoff->leave_done = leave_done;
  handoff->leave_data = data;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    const struct kad_contact self = {.id = node->config.id,
                                     .address = {.family = kad_family_at(i)}};
    add_scan(node, KAD_HANDOFF_LEAVING, &self, 0);
  }
  plan_next(node);
}

void kad_handoff_cancel_leave(struct kad_node *node) {
  node->handoff.leave_done = NULL;
}

void kad_handoff_stop(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_timer_cancel(node, &handoff->timer);
  while (handoff->first != NULL) {
    end_scan(node);
  }
  kad_transfer_stop_all(node);
}
