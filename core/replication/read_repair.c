#include "replication/read_repair.h"

#include "base/time.h"
#include "engine/node.h"
#include "wire/krpc.h"

enum {
  NEAR_FACTOR = 3,      /* contacts that are looked at, in k */
  STORE_OVERHEAD = 250, /* more than a store has around its records */
  SHIFT_MAX = 31        /* halvings of a life of 32 bits */
};

/* What goes to one contact. */
struct parcel {
  const struct kad_candidate *to;
  const char *why;
  unsigned halvings; /* of the life of the records */
  kad_query_fn handler;
};

static void count_repair(struct kad_node *node, struct kad_query *query,
                         enum kad_query_event event,
                         const struct kad_message *message) {
  (void)query;
  node->stats.repairs += event == KAD_QUERY_REPLY && message->stored > 0;
}

static void count_cache(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  (void)query;
  node->stats.cached_copies += event == KAD_QUERY_REPLY && message->stored > 0;
}

/* Gives `record` the life that it has in a parcel. Returns false if that is too
 * short to be worth a store. */
static bool shorten(const struct kad_type *type, const struct parcel *parcel,
                    struct kad_record *record) {
  if (parcel->halvings == 0) {
    return true;
  }
  const uint32_t life =
      record->ttl > 0 && record->ttl < type->ttl ? record->ttl : type->ttl;
  record->ttl = life >> parcel->halvings;
  return record->ttl >= KAD_CACHE_MIN_S;
}

/* Takes records from `*next` on into a store, as many as fit: those that the
 * contact did not give. */
static void pack(const struct kad_node *node,
                 const struct kad_read_repair *copies,
                 const struct parcel *parcel, size_t *next,
                 struct kad_message *message) {
  size_t room = node->config.max_reply - STORE_OVERHEAD;
  for (; *next < copies->count; ++*next) {
    struct kad_record record = copies->records[*next];
    if (copies->gave(copies->giver, &parcel->to->contact.id, &record) ||
        !shorten(copies->type, parcel, &record)) {
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

/* Sends what a contact lacks, in as many stores as it takes and the budget
 * allows. Returns false if it lacks nothing, or nothing could be sent. */
static bool deliver(struct kad_node *node, const struct kad_read_repair *copies,
                    const struct parcel *parcel) {
  size_t next = 0;
  bool sent = false;
  while (next < copies->count) {
    struct kad_message message;
    kad_message_init(&message, KAD_MESSAGE_QUERY);
    pack(node, copies, parcel, &next, &message);
    if (message.record_count == 0 ||
        !kad_budget_borrow(&node->budget, kad_node_now(node))) {
      break;
    }
    message.method = KAD_METHOD_STORE;
    message.has_target = true;
    message.target = *copies->target;
    message.type = kad_slice_of(copies->type->name);
    message.token = (struct kad_slice){.data = parcel->to->token,
                                       .len = parcel->to->token_len};
    message.why = kad_slice_of(parcel->why);
    sent = kad_rpc_send(node, &parcel->to->contact, &message, parcel->handler,
                        NULL, NULL) == 0 ||
           sent;
  }
  return sent;
}

/* Returns how often the life of a copy is halved at the contact that has
 * `closer` ones between it and the key: the k closest of them count as none,
 * since they hold the records themselves. */
static unsigned halvings(size_t closer, size_t k) {
  size_t count = closer < k ? 1 : closer - k + 1;
  return count < SHIFT_MAX ? (unsigned)count : SHIFT_MAX;
}

void kad_read_repair_run(struct kad_node *node,
                         const struct kad_read_repair *copies,
                         const struct kad_lookup *lookup) {
  const struct kad_candidate *near[NEAR_FACTOR * KAD_K_MAX];
  const size_t k = lookup->config.k;
  const size_t count = kad_lookup_living(lookup, near, NEAR_FACTOR * k);
  bool caches = node->config.cache;
  for (size_t i = 0; i < count; i++) {
    struct parcel parcel = {
        .to = near[i], .why = "republish", .handler = count_repair};
    if (near[i]->token_len == 0) {
      continue;
    }
    const enum kad_known_content gift =
        copies->gift(copies->giver, &near[i]->contact.id);
    if (lookup->whole && i < k && node->config.repair &&
        gift != KAD_KNOWN_CONTENT_PARTIAL) {
      (void)deliver(node, copies, &parcel);
    } else if (caches && gift == KAD_KNOWN_CONTENT_NONE) {
      parcel.why = "cache";
      parcel.halvings = halvings(i, k);
      parcel.handler = count_cache;
      (void)deliver(node, copies, &parcel);
      caches = false;
    }
  }
}
