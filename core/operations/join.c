/* Joining: pings the bootstrap addresses, some at a time, and looks up our own
 * id from those that answer, in the overlay of each family. Then each bucket
 * farther than the closest neighbour is refreshed in the background.
 * Source: Kademlia §2.3. */
#include "base/allocator.h"
#include "engine/node.h"

enum {
  PINGS_MAX = 16, /* under way, slow ones not counted */
  PING_TRIES = 3, /* for one address: a datagram may be lost */
  LOOKUP_TRIES = 3
};

/* A bootstrap address. Its index is the tag of its pings. */
struct bootstrap {
  struct kad_address address;
  uint8_t tries;
  bool answered;
  bool blocks_end; /* one of the first, and neither answered nor slow */
};

struct join {
  struct kad_operation op;
  size_t address_count;
  size_t next;             /* index of the address to ping next */
  uint32_t open;           /* pings under way */
  uint32_t slow;           /* of these, past the soft timeout */
  uint32_t blocking;       /* addresses that block the end */
  struct kad_contact seed; /* the bootstrap contact that answered last */
  uint32_t retries;        /* lookups from `seed` after one found nothing */
  struct bootstrap addresses[];
};

static struct join *join_of(struct kad_operation *op) {
  return kad_container_of(op, struct join, op);
}

static void on_ping_event(struct kad_node *node, struct kad_query *query,
                          enum kad_query_event event,
                          const struct kad_message *message);

static void send_ping(struct kad_node *node, struct join *join,
                      uint32_t index) {
  struct bootstrap *bootstrap = &join->addresses[index];
  const struct kad_contact contact = {.address = bootstrap->address};
  struct kad_query *query;
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_PING, NULL);
  bootstrap->tries++;
  if (kad_rpc_send(node, &contact, &message, on_ping_event, &join->op.queries,
                   &query) == 0) {
    query->tag = index;
    join->open++;
    if (bootstrap->tries == 1 && index < PINGS_MAX) {
      bootstrap->blocks_end = true;
      join->blocking++;
    }
  }
}

/* Notes that a ping was answered, or is slow. */
static void unblock_end(struct join *join, uint32_t index) {
  join->blocking -= join->addresses[index].blocks_end;
  join->addresses[index].blocks_end = false;
}

static void ping_next(struct kad_node *node, struct join *join) {
  while (join->next < join->address_count &&
         join->open - join->slow < PINGS_MAX) {
    send_ping(node, join, (uint32_t)join->next++);
  }
}

/* Pings a slow address again. If there are many addresses, the next ones are
 * pinged instead. */
static void ping_again(struct kad_node *node, struct join *join,
                       uint32_t index) {
  const struct bootstrap *bootstrap = &join->addresses[index];
  if (join->address_count <= PINGS_MAX && !bootstrap->answered &&
      bootstrap->tries < PING_TRIES) {
    send_ping(node, join, index);
  }
}

static void look_up_from(struct kad_node *node, struct join *join,
                         const struct kad_contact *seed);

/* Looks up again from a contact that has answered a ping: the only datagram of
 * its lookup may have been lost. Returns false if there is no such contact, or
 * it was tried often enough. */
static bool look_up_again(struct kad_node *node, struct join *join) {
  if (join->seed.address.family == 0 || join->retries == LOOKUP_TRIES) {
    return false;
  }
  join->retries++;
  look_up_from(node, join, &join->seed);
  return join->op.lookups_open > 0;
}

/* Ends a join whose lookups have ended: if they have found k contacts, or fewer
 * and no address blocks the end, or if no address can answer any more. */
static void end_if_done(struct kad_node *node, struct join *join) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  if (join->op.lookups_open > 0) {
    return;
  }
  size_t found = kad_operation_closest(&join->op, closest);
  if (found >= join->op.options.k || (found > 0 && join->blocking == 0)) {
    kad_maintenance_joined(node);
    kad_operation_end(node, &join->op, 0);
  } else if (join->open == 0 && !look_up_again(node, join)) {
    kad_operation_end(node, &join->op, KAD_ENOCONTACTS);
  }
}

/* Looks up our id from `seed`, which has answered. Lookups that have ended have
 * found too few contacts: they start again. */
static void look_up_from(struct kad_node *node, struct join *join,
                         const struct kad_contact *seed) {
  bool restart = join->op.lookups_open == 0;
  for (size_t i = 0; restart && i < KAD_FAMILIES; i++) {
    if (join->op.lookups[i] != NULL) {
      kad_lookup_free(node, join->op.lookups[i]);
      join->op.lookups[i] = NULL;
    }
  }
  kad_operation_look_up_from(node, &join->op, seed);
}

static void on_ping_event(struct kad_node *node, struct kad_query *query,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  struct join *join = join_of(kad_operation_of_query(query));
  (void)message;
  if (join->op.state != KAD_OPERATION_RUNNING) {
    return;
  }
  unblock_end(join, query->tag);
  if (event == KAD_QUERY_SOFT) {
    join->slow++;
    ping_again(node, join, query->tag);
  } else {
    join->open--;
    join->slow -= query->soft;
  }
  if (event == KAD_QUERY_REPLY) {
    join->addresses[query->tag].answered = true;
    join->seed = query->to;
    kad_rejoin_reached(node);
    look_up_from(node, join, &query->to);
  }
  ping_next(node, join);
  end_if_done(node, join);
}

/* Looks up from the contacts of the table at once, if there are any. */
static void start_join(struct kad_node *node, struct kad_operation *op) {
  ping_next(node, join_of(op));
  if (kad_liveness_has_contacts(node)) {
    kad_operation_look_up(node, op);
  } else {
    end_if_done(node, join_of(op));
  }
}

static void end_join(struct kad_node *node, struct kad_operation *op) {
  end_if_done(node, join_of(op));
}

static const struct kad_operation_kind join_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .start = start_join,
    .looked_up = end_join,
};

int kad_node_bootstrap(struct kad_node *node, const struct kad_address *known,
                       size_t count, kad_done_fn done, void *data,
                       kad_operation_id *operation) {
  struct kad_operation *op;
  if (node == NULL || (known == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  size_t used = count < KAD_REJOIN_KNOWN_MAX ? count : KAD_REJOIN_KNOWN_MAX;
  const struct kad_operation_request request = {
      .kind = &join_kind,
      .size = sizeof(struct join) + used * sizeof(struct bootstrap),
      .target = &node->config.id,
      .done = done,
      .data = data};
  int error = kad_operation_new(node, &request, &op, operation);
  if (error != 0) {
    return error;
  }
  struct join *join = join_of(op);
  op->options.beta = 1;
  join->address_count = used;
  for (size_t i = 0; i < used; i++) {
    join->addresses[i].address = known[i];
  }
  kad_rejoin_remember(node, known, used);
  return 0;
}
