/* Joining: the bootstrap addresses are pinged, some at a time; from those that
 * answer our own id is looked up, in the overlay of each family; then every
 * bucket farther than the closest neighbour is refreshed in the background.
 * Source: Kademlia §2.3. */
#include "base/allocator.h"
#include "engine/node.h"

enum {
  PINGS_MAX = 16, /* under way, those that are slow not counted */
  PING_TRIES = 3, /* of one address: a datagram may be lost */
  LOOKUP_TRIES = 3
};

/* A known address; its place in `known` is the tag of its pings. */
struct known {
  struct kad_address address;
  uint8_t tries;
  bool answered;
  bool due; /* one of the first, and still in time to answer */
};

struct join {
  struct kad_operation op;
  size_t known_count;
  size_t next;             /* of the known ones, to be pinged */
  uint32_t open;           /* pings under way */
  uint32_t slow;           /* of these */
  uint32_t due;            /* known ones that are */
  struct kad_contact seed; /* the known one that answered last */
  uint32_t lookups;        /* from it, that have come to nothing */
  struct known known[];
};

static struct join *join_of(struct kad_operation *op) {
  return kad_container_of(op, struct join, op);
}

static void ping_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

static void ping(struct kad_node *node, struct join *join, uint32_t place) {
  struct known *known = &join->known[place];
  const struct kad_contact contact = {.address = known->address};
  struct kad_query *query;
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_PING;
  known->tries++;
  if (kad_rpc_send(node, &contact, &message, ping_event, &join->op.queries,
                   &query) == 0) {
    query->tag = place;
    join->open++;
    if (known->tries == 1 && place < PINGS_MAX) {
      known->due = true;
      join->due++;
    }
  }
}

/* Notes that a ping of the address `place` was answered, or is late. */
static void settle(struct join *join, uint32_t place) {
  join->due -= join->known[place].due;
  join->known[place].due = false;
}

/* Pings the next known ones. */
static void ping_more(struct kad_node *node, struct join *join) {
  while (join->next < join->known_count &&
         join->open - join->slow < PINGS_MAX) {
    ping(node, join, (uint32_t)join->next++);
  }
}

/* Pings an address once more that is slow to answer. Of many addresses others
 * are asked instead. */
static void ping_again(struct kad_node *node, struct join *join,
                       uint32_t place) {
  const struct known *known = &join->known[place];
  if (join->known_count <= PINGS_MAX && !known->answered &&
      known->tries < PING_TRIES) {
    ping(node, join, place);
  }
}

static void look_up_from(struct kad_node *node, struct join *join,
                         const struct kad_contact *seed);

/* Looks up once more from an address that has answered a ping: of its lookup
 * the only datagram may have been lost. Returns false if there is none, or it
 * was tried often enough. */
static bool look_up_again(struct kad_node *node, struct join *join) {
  if (join->seed.address.family == 0 || join->lookups == LOOKUP_TRIES) {
    return false;
  }
  join->lookups++;
  look_up_from(node, join, &join->seed);
  return join->op.lookups_open > 0;
}

/* Ends a join whose lookups have ended: when they found k, or fewer and no
 * known address is in time to lead to more, or when nobody is left who might
 * answer.
 */
static void end_if_done(struct kad_node *node, struct join *join) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  if (join->op.lookups_open > 0) {
    return;
  }
  size_t found = kad_operation_closest(&join->op, closest);
  if (found >= join->op.options.k || (found > 0 && join->due == 0)) {
    kad_maintenance_joined(node);
    kad_operation_end(node, &join->op, 0);
  } else if (join->open == 0 && !look_up_again(node, join)) {
    kad_operation_end(node, &join->op, KAD_ENOCONTACTS);
  }
}

/* Looks our id up from `seed`, which has answered. When lookups have ended,
 * they found too few, and it is begun again. */
static void look_up_from(struct kad_node *node, struct join *join,
                         const struct kad_contact *seed) {
  bool again = join->op.lookups_open == 0;
  for (size_t i = 0; again && i < KAD_FAMILIES; i++) {
    if (join->op.lookups[i] != NULL) {
      kad_lookup_free(node, join->op.lookups[i]);
      join->op.lookups[i] = NULL;
    }
  }
  kad_operation_look_up_from(node, &join->op, seed);
}

static void ping_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct join *join = join_of(kad_operation_of_query(query));
  (void)message;
  if (join->op.state != KAD_OPERATION_RUNNING) {
    return;
  }
  settle(join, query->tag);
  if (event == KAD_QUERY_SOFT) {
    join->slow++;
    ping_again(node, join, query->tag);
    ping_more(node, join);
    end_if_done(node, join);
    return;
  }
  join->open--;
  join->slow -= query->soft;
  if (event == KAD_QUERY_REPLY) {
    join->known[query->tag].answered = true;
    join->seed = query->to;
    kad_rejoin_reached(node);
    look_up_from(node, join, &query->to);
  }
  ping_more(node, join);
  end_if_done(node, join);
}

/* What the table has is looked up from at once. */
static void start_join(struct kad_node *node, struct kad_operation *op) {
  ping_more(node, join_of(op));
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
  size_t used = count < KAD_KNOWN_MAX ? count : KAD_KNOWN_MAX;
  const struct kad_operation_request request = {
      .kind = &join_kind,
      .size = sizeof(struct join) + used * sizeof(struct known),
      .target = &node->config.id,
      .done = done,
      .data = data};
  int error = kad_operation_new(node, &request, &op);
  if (error != 0) {
    return error;
  }
  struct join *join = join_of(op);
  op->options.beta = 1;
  join->known_count = used;
  for (size_t i = 0; i < used; i++) {
    join->known[i].address = known[i];
  }
  kad_rejoin_remember(node, known, used);
  if (operation != NULL) {
    *operation = op->name;
  }
  return 0;
}
