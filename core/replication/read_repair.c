#include "replication/read_repair.h"

#include "engine/node.h"
#include "records/item.h"
#include "rpc/record_query.h"
#include "rpc/record_size.h"
#include "wire/krpc.h"

enum {
  CONTACTS_FACTOR = 3, /* contacts that are considered, times k */
  HALVINGS_MAX = 31    /* of a life of 32 bits */
};

/* The stores that are sent to one contact. */
struct delivery {
  const struct kad_candidate *to;
  const char *why;
  unsigned halvings; /* of the life of the records */
  kad_query_fn handler;
};

static void count_repair(struct kad_node *node, struct kad_query *query,
                         enum kad_query_event event,
                         const struct kad_message *message) {
  (void)query;
  node->stats.repairs +=
      event == KAD_QUERY_REPLY && kad_record_was_stored(message);
}

static void count_cached_copy(struct kad_node *node, struct kad_query *query,
                              enum kad_query_event event,
                              const struct kad_message *message) {
  (void)query;
  node->stats.cached_copies +=
      event == KAD_QUERY_REPLY && kad_record_was_stored(message);
}

/* Shortens the life of a cached copy. Returns false if it is too short then. */
static bool shorten_life(const struct kad_type *type,
                         const struct delivery *delivery,
                         struct kad_record *record) {
  if (delivery->halvings == 0) {
    return true;
  }
  const uint32_t life =
      record->ttl > 0 && record->ttl < type->ttl ? record->ttl : type->ttl;
  record->ttl = life >> delivery->halvings;
  return record->ttl >= KAD_CACHE_MIN_S;
}

/* Adds records from `*next` on to a store, as many as fit. Skips those that the
 * contact has returned. */
static void fill_store(const struct kad_node *node,
                       const struct kad_read_repair *repair,
                       const struct delivery *delivery, size_t *next,
                       struct kad_message *message) {
  size_t room = kad_record_store_room(node);
  for (; *next < repair->count; ++*next) {
    struct kad_record record = repair->records[*next];
    if (kad_found_records_returned(repair->found, &delivery->to->contact.id,
                                   &record) ||
        !shorten_life(repair->type, delivery, &record)) {
      continue;
    }
    const size_t size = kad_krpc_record_size(&record);
    if (message->record_count == KAD_RECORDS_PER_MESSAGE ||
        (size > room && message->record_count > 0)) {
      return;
    }
    room -= size < room ? size : room;
    message->records[message->record_count++] = record;
  }
}

/* Sends what a contact lacks, in as many stores as it takes and the store
 * budget allows. */
static void deliver(struct kad_node *node, const struct kad_read_repair *repair,
                    const struct delivery *delivery) {
  size_t next = 0;
  while (next < repair->count) {
    struct kad_message message;
    kad_message_init_query(&message, KAD_METHOD_STORE, repair->target);
    const struct kad_slice type = kad_slice_of(repair->type->name);
    fill_store(node, repair, delivery, &next, &message);
    if (message.record_count == 0 ||
        !kad_store_budget_borrow(&node->store_budget, kad_node_now(node))) {
      return;
    }
    message.token = (struct kad_slice){.data = delivery->to->token,
                                       .len = delivery->to->token_len};
    message.why = kad_slice_of(delivery->why);
    kad_record_write_store(&message, type, delivery->to->knows_ttl);
    int error = kad_rpc_send(node, &delivery->to->contact, &message,
                             delivery->handler, NULL, NULL);
    (void)error; /* the next get repairs it */
  }
}

/* Returns how often the life of a cached copy is halved, at a contact that has
 * `closer` contacts between it and the key. The k closest count as none: they
 * hold the records themselves. */
static unsigned count_halvings(size_t closer, size_t k) {
  size_t count = closer < k ? 1 : closer - k + 1;
  return count < HALVINGS_MAX ? (unsigned)count : HALVINGS_MAX;
}

/* Returns true if the contact can tell a cached copy from the record itself. */
static bool takes_cached_copy(const struct kad_read_repair *repair,
                              const struct kad_candidate *to) {
  return to->knows_ttl ||
         kad_item_kind_of(kad_slice_of(repair->type->name)) == KAD_ITEM_NONE;
}

void kad_read_repair_send(struct kad_node *node,
                          const struct kad_read_repair *repair,
                          const struct kad_lookup *lookup) {
  const struct kad_candidate *closest[CONTACTS_FACTOR * KAD_K_MAX];
  const size_t k = lookup->config.k;
  const size_t count =
      kad_paths_holders(&lookup->paths, true, closest, CONTACTS_FACTOR * k);
  bool caches = node->config.cache;
  for (size_t i = 0; i < count; i++) {
    const struct kad_candidate *to = closest[i];
    if (to->token_len == 0) {
      continue;
    }
    const enum kad_known_content content =
        kad_found_records_content(repair->found, &to->contact.id);
    if (lookup->converged && i < k && node->config.repair &&
        content != KAD_KNOWN_CONTENT_PARTIAL) {
      const struct delivery delivery = {
          .to = to, .why = "republish", .handler = count_repair};
      deliver(node, repair, &delivery);
    } else if (caches && content == KAD_KNOWN_CONTENT_NONE &&
               takes_cached_copy(repair, to)) {
      const struct delivery delivery = {.to = to,
                                        .why = "cache",
                                        .halvings = count_halvings(i, k),
                                        .handler = count_cached_copy};
      deliver(node, repair, &delivery);
      caches = false;
    }
  }
}
