#include "overlay/handoff.h"

#include "base/allocator.h"
#include "base/time.h"
#include "overlay/holding.h"
#include "overlay/node.h"
#include "overlay/publishing.h"
#include "records/record.h"
#include "wire/krpc.h"

#include <string.h>

enum {
  OVERHEAD = 250 /* more than what a store has around its records */
};

/* The records of one type under one key, on their way to a contact. */
struct kad_handing {
  struct kad_handing *next;
  struct kad_contact to;
  kad_handle handle; /* the newest of them */
  uint8_t tries;
  bool looking; /* we only want to know whether it has them */
  bool waiting; /* for the budget */
  uint8_t token_len;
  uint8_t token[KAD_TOKEN_MAX];
  kad_handle *lacking; /* what it does not have, or NULL */
  size_t lacking_count;
  size_t lacking_cap;
  size_t sent; /* of these, in the store that is under way */
};

static void work(struct kad_node *node, struct kad_alarm *alarm);

/* ------------------------------------------------------------ planning -- */

static bool some_wait(const struct kad_handoff *handoff) {
  const struct kad_handing *handing = handoff->handings;
  while (handing != NULL && !handing->waiting) {
    handing = handing->next;
  }
  return handing != NULL;
}

/* Sets the alarm for what can be done next without an answer. */
static void plan(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_time_ms at = KAD_TIME_NEVER;
  if (some_wait(handoff)) {
    at = kad_budget_free_at(&node->budget);
  }
  if (handoff->first != NULL && handoff->first->at < at &&
      handoff->handing_count < KAD_HANDOFFS_MAX) {
    at = handoff->first->at;
  }
  if (at == KAD_TIME_NEVER || node->closing) {
    kad_alarm_unset(node, &handoff->alarm);
    return;
  }
  kad_time_ms now = kad_node_now(node);
  kad_alarm_set(node, &handoff->alarm, at > now ? at : now, work);
}

/* --------------------------------------------------------- one handing -- */

static void free_handing(struct kad_node *node, struct kad_handing *handing) {
  kad_release(&node->env.allocator, handing->lacking,
              handing->lacking_cap * sizeof *handing->lacking);
  kad_release(&node->env.allocator, handing, sizeof *handing);
}

static void end_handing(struct kad_node *node, struct kad_handing *handing) {
  struct kad_handing **link = &node->handoff.handings;
  while (*link != handing) {
    link = &(*link)->next;
  }
  *link = handing->next;
  node->handoff.handing_count--;
  free_handing(node, handing);
  plan(node);
}

/* Reads a held record as it is to be stored elsewhere. Returns false if it is
 * not there, or not to be handed over. */
static bool read_record(const struct kad_node *node, kad_handle handle,
                        struct kad_record *record) {
  struct kad_held held;
  if (!node->store->read(node->store->state, handle, &held) ||
      held.holding.republish_at == KAD_TIME_NEVER) {
    return false;
  }
  kad_held_age(&held.holding, kad_node_now(node), &held.record);
  *record = held.record;
  return record->ttl > 0;
}

static bool is_among(const struct kad_record *records, size_t count,
                     const struct kad_record *record) {
  for (size_t i = 0; i < count; i++) {
    if (kad_record_identical(&records[i], record)) {
      return true;
    }
  }
  return false;
}

/* Notes which of our records the contact lacks, by what it has shown. One that
 * holds as many as we do, more than a reply has room for, lacks none. Returns
 * false when there is nothing to store. */
static bool find_lacking(struct kad_node *node, struct kad_handing *handing,
                         const struct kad_message *reply) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  if (!read_record(node, handing->handle, &record)) {
    return false;
  }
  size_t count =
      store->find(store->state, &record.key, record.type, 0, NULL, 0);
  bool paged = reply->has_total && reply->total > reply->record_count;
  if (count == 0 || (paged && reply->total >= count)) {
    return false;
  }
  handing->lacking =
      kad_alloc(&node->env.allocator, count * sizeof *handing->lacking);
  if (handing->lacking == NULL) {
    return false;
  }
  handing->lacking_cap = count;
  (void)store->find(store->state, &record.key, record.type, 0, handing->lacking,
                    count);
  for (size_t i = 0; i < count; i++) {
    kad_handle handle = handing->lacking[i];
    if (read_record(node, handle, &record) &&
        !is_among(reply->records, reply->record_count, &record)) {
      handing->lacking[handing->lacking_count++] = handle;
    }
  }
  return handing->lacking_count > 0;
}

/* Puts the last of what is lacking into a store, as many as it has room for.
 * Returns how many of `lacking` have been dealt with. */
static size_t fill_store(struct kad_node *node,
                         const struct kad_handing *handing,
                         struct kad_message *message) {
  size_t room = node->config.max_reply - OVERHEAD;
  size_t taken = 0;
  while (taken < handing->lacking_count &&
         message->record_count < KAD_RECORDS_PER_MESSAGE) {
    struct kad_record *record = &message->records[message->record_count];
    size_t last = handing->lacking_count - 1 - taken;
    if (!read_record(node, handing->lacking[last], record)) {
      taken++;
      continue;
    }
    size_t size = kad_krpc_record_size(record);
    if (size > room && message->record_count > 0) {
      break;
    }
    room -= size < room ? size : room;
    message->record_count++;
    taken++;
  }
  return taken;
}

static void take_store(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

/* Sends what a store has room for. Other codecs may need more room than ours:
 * one record at a time, then. Returns false if there is nothing to send. */
static bool send_store(struct kad_node *node, struct kad_handing *handing) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  handing->sent = fill_store(node, handing, &message);
  if (message.record_count == 0) {
    return false;
  }
  message.method = KAD_METHOD_STORE;
  message.has_target = true;
  message.target = message.records[0].key;
  message.type = message.records[0].type;
  message.token =
      (struct kad_slice){.data = handing->token, .len = handing->token_len};
  message.why = kad_slice_of("handoff");
  int error =
      kad_rpc_send(node, &handing->to, &message, take_store, handing, NULL);
  if (error == KAD_ETOOBIG && message.record_count > 1) {
    message.record_count = 1;
    handing->sent = 1;
    error =
        kad_rpc_send(node, &handing->to, &message, take_store, handing, NULL);
  }
  return error == 0;
}

/* Goes on to the next store, when the budget has one. */
static void wait_for_budget(struct kad_node *node,
                            struct kad_handing *handing) {
  handing->waiting = true;
  plan(node);
}

static void take_store(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_handing *handing = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_REPLY:
    node->stats.handoffs += message->has_stored ? message->stored : 1;
    break;
  case KAD_QUERY_ERROR:
    break;
  case KAD_QUERY_TIMEOUT:
    if (++handing->tries < KAD_HANDOFF_TRIES) {
      wait_for_budget(node, handing);
    } else {
      end_handing(node, handing);
    }
    return;
  }
  handing->lacking_count -= handing->sent;
  handing->tries = 0;
  if (handing->lacking_count > 0) {
    wait_for_budget(node, handing);
  } else {
    end_handing(node, handing);
  }
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message);

/* Asks the contact what it holds under the key. Returns false if it cannot be
 * asked. */
static bool send_ask(struct kad_node *node, struct kad_handing *handing) {
  struct kad_message message;
  struct kad_record record;
  if (!read_record(node, handing->handle, &record)) {
    return false;
  }
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_VALUE;
  message.has_target = true;
  message.target = record.key;
  message.type = record.type;
  return kad_rpc_send(node, &handing->to, &message, take_values, handing,
                      NULL) == 0;
}

/* Ends what was asked for without a store; `has` tells whether the contact has
 * the records. */
static void end_ask(struct kad_node *node, struct kad_handing *handing,
                    bool has) {
  const bool looking = handing->looking;
  const kad_handle handle = handing->handle;
  end_handing(node, handing);
  if (looking) {
    kad_publishing_looked(node, handle, has);
  }
}

/* Goes on with what the contact has shown. */
static void take_shown(struct kad_node *node, struct kad_handing *handing,
                       const struct kad_message *message) {
  size_t token_len = message->token.len;
  bool lacks = find_lacking(node, handing, message);
  if (!lacks || handing->looking || token_len == 0 ||
      token_len > sizeof handing->token) {
    end_ask(node, handing, !lacks);
    return;
  }
  memcpy(handing->token, message->token.data, token_len);
  handing->token_len = (uint8_t)token_len;
  handing->tries = 0;
  wait_for_budget(node, handing);
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  struct kad_handing *handing = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_TIMEOUT:
    if (++handing->tries >= KAD_HANDOFF_TRIES || !send_ask(node, handing)) {
      end_ask(node, handing, false);
    }
    return;
  case KAD_QUERY_ERROR:
    end_ask(node, handing, false);
    return;
  case KAD_QUERY_REPLY:
    take_shown(node, handing, message);
    return;
  }
}

/* Begins with a question. Returns false if it cannot be asked. */
static bool begin_handing(struct kad_node *node, kad_handle handle,
                          const struct kad_contact *to, bool looking) {
  struct kad_handing *handing =
      kad_alloc_zero(&node->env.allocator, sizeof *handing);
  if (handing == NULL) {
    return false;
  }
  handing->to = *to;
  handing->handle = handle;
  handing->looking = looking;
  if (!send_ask(node, handing)) {
    free_handing(node, handing);
    return false;
  }
  handing->next = node->handoff.handings;
  node->handoff.handings = handing;
  node->handoff.handing_count++;
  return true;
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

/* Returns whom the event of `walk` has brought among the k closest to `key`, if
 * it is for us to hand him what is under it; or NULL. */
static const struct kad_contact *receiver_of(
    const struct kad_node *node, const struct kad_handoff_walk *walk,
    const struct kad_neighbourhood *hood, const struct kad_id *key) {
  const struct kad_contact *contact = &walk->contact;
  if (!are_closest(node, hood, key, &contact->id) ||
      count_closer(node, hood, key, &contact->id) >= node->config.k) {
    return NULL;
  }
  return walk->event == KAD_HANDOFF_ENTERED ? contact
                                            : last_of_k(node, hood, key);
}

/* Hands over what is under the key of a record, if that is the newest of it:
 * the others go with it. */
static void look_at(struct kad_node *node, const struct kad_handoff_walk *walk,
                    const struct kad_neighbourhood *hood, kad_handle handle) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  kad_handle newest = 0;
  if (!read_record(node, handle, &record)) {
    return;
  }
  const struct kad_contact *to = receiver_of(node, walk, hood, &record.key);
  if (to == NULL) {
    return;
  }
  (void)store->find(store->state, &record.key, record.type, 0, &newest, 1);
  if (newest == handle) {
    (void)begin_handing(node, handle, to, false);
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
    if (handoff->handing_count >= KAD_HANDOFFS_MAX) {
      return;
    }
    kad_handle handle = node->store->next(node->store->state, &walk->cursor);
    if (hood == NULL || handle == 0) {
      end_walk(node);
      return;
    }
    look_at(node, walk, hood, handle);
  }
}

/* Sends the stores that the budget allows now. */
static void send_waiting(struct kad_node *node) {
  struct kad_handing *handing = node->handoff.handings;
  while (handing != NULL) {
    struct kad_handing *next = handing->next;
    if (handing->waiting) {
      if (!kad_budget_take(&node->budget, kad_node_now(node))) {
        return;
      }
      handing->waiting = false;
      if (!send_store(node, handing)) {
        end_handing(node, handing);
      }
    }
    handing = next;
  }
}

static void work(struct kad_node *node, struct kad_alarm *alarm) {
  (void)alarm;
  send_waiting(node);
  const struct kad_handoff_walk *walk = node->handoff.first;
  if (walk != NULL && walk->at <= kad_node_now(node)) {
    go_on(node);
  }
  plan(node);
}

/* ------------------------------------------------------------- events -- */

/* Adds a walk over the store, if there is something in it. */
static void add_walk(struct kad_node *node, enum kad_handoff_event event,
                     const struct kad_contact *contact) {
  struct kad_handoff *handoff = &node->handoff;
  if (node->store->count(node->store->state) == 0 ||
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
      .at = kad_time_add(kad_node_now(node), KAD_HANDOFF_DELAY_MS),
  };
  if (handoff->last != NULL) {
    handoff->last->next = walk;
  } else {
    handoff->first = walk;
  }
  handoff->last = walk;
  handoff->walks++;
  plan(node);
}

void kad_handoff_entered(struct kad_node *node,
                         const struct kad_contact *contact) {
  add_walk(node, KAD_HANDOFF_ENTERED, contact);
}

void kad_handoff_died(struct kad_node *node,
                      const struct kad_contact *contact) {
  add_walk(node, KAD_HANDOFF_DIED, contact);
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
bool kad_handoff_look(struct kad_node *node, kad_handle handle) {
  struct kad_contact to;
  struct kad_record record;
  bool found = false;
  if (!read_record(node, handle, &record)) {
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
  return found && begin_handing(node, handle, &to, true);
}

void kad_handoff_stop(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  kad_alarm_unset(node, &handoff->alarm);
  while (handoff->first != NULL) {
    end_walk(node);
  }
  while (handoff->handings != NULL) {
    struct kad_handing *handing = handoff->handings;
    handoff->handings = handing->next;
    kad_rpc_disown(node, handing);
    free_handing(node, handing);
  }
  handoff->handing_count = 0;
}
