/* Joining: pings the bootstrap addresses, some at a time, and looks up our own
 * id from those that answer, in the overlay of each family. Bootstrap names are
 * resolved meanwhile, and their addresses pinged next. Then each bucket farther
 * than the closest neighbour is refreshed in the background.
 * Source: Kademlia §2.3. */
#include "operations/join.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <string.h>

enum {
  PINGS_MAX = 16, /* under way, slow ones not counted */
  PING_TRIES = 3, /* for one address: a datagram may be lost */
  LOOKUP_TRIES = 3,
  NAMES_MS = 250 /* that a join which found contacts waits for names */
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
  struct kad_timer names_timer; /* ends the wait for names */
  bool waits_for_names;
  int problem;        /* why one was left out; 0: none, but our own */
  size_t address_cap; /* addresses that there is room for */
  size_t address_count;
  size_t next;             /* index of the address to ping next */
  size_t reachable;        /* addresses that were pinged and are not our own */
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
  const int problem = kad_node_check_address(node, &bootstrap->address);
  if (problem != 0) {
    join->problem = problem == KAD_EOWNID ? join->problem : problem;
    return;
  }
  const struct kad_contact contact = {.address = bootstrap->address};
  struct kad_query *query;
  struct kad_message message;
  kad_message_init_query(&message, KAD_METHOD_PING, NULL);
  bootstrap->tries++;
  if (kad_rpc_send(node, &contact, &message, on_ping_event, &join->op.queries,
                   &query) == 0) {
    query->tag = index;
    join->open++;
    join->reachable += bootstrap->tries == 1;
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

/* Returns why no contact was found. */
static int failure_of(const struct kad_node *node, const struct join *join) {
  if (join->reachable == 0 && join->problem != 0 &&
      kad_rejoin_is_wanted(node)) {
    return join->problem;
  }
  return join->reachable == 0 && kad_names_have_failed(node)
             ? KAD_ERESOLVE
             : kad_operation_no_answer_error(node, &join->op);
}

/* Ends a join whose lookups have ended: if they have found k contacts, or fewer
 * and no address or name blocks the end, or if none can answer any more. */
static void end_if_done(struct kad_node *node, struct join *join) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  if (join->op.lookups_open > 0) {
    return;
  }
  size_t found = kad_operation_closest(&join->op, closest);
  const bool names_are_pending = kad_names_pending(node) > 0;
  const bool blocks =
      join->blocking > 0 || (names_are_pending && join->waits_for_names);
  if (found >= join->op.options.k || (found > 0 && !blocks)) {
    kad_maintenance_joined(node);
    kad_operation_end(node, &join->op, 0);
  } else if (join->open == 0 && !look_up_again(node, join) &&
             !names_are_pending) {
    kad_operation_end(node, &join->op, failure_of(node, join));
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

/* Handles the reply of a bootstrap address. */
static void use_reply(struct kad_node *node, struct join *join,
                      const struct kad_query *query) {
  struct bootstrap *bootstrap = &join->addresses[query->tag];
  const bool was_answered = bootstrap->answered;
  bootstrap->answered = true;
  if (kad_id_equal(&query->to.id, &node->config.id)) { /* we ourselves */
    join->reachable -= !was_answered;
    kad_rejoin_forget(node, &query->to.address);
    kad_names_forget(node, &query->to.address);
    return;
  }
  join->seed = query->to;
  kad_rejoin_reached(node);
  look_up_from(node, join, &query->to);
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
    use_reply(node, join, query);
  }
  ping_next(node, join);
  end_if_done(node, join);
}

/* Adds an address, to be pinged next, unless it is there or there is no room.
 */
static void add_address(struct join *join, const struct kad_address *address) {
  bool is_there = false;
  for (size_t i = 0; i < join->address_count && !is_there; i++) {
    is_there = kad_address_equal(&join->addresses[i].address, address);
  }
  if (is_there || join->address_count == join->address_cap) {
    return;
  }
  struct bootstrap *added = &join->addresses[join->next];
  memmove(added + 1, added, (join->address_count - join->next) * sizeof *added);
  *added = (struct bootstrap){.address = *address};
  join->address_count++;
}

/* Adds addresses of a name: the first of them is pinged first. */
static void add_addresses(struct join *join,
                          const struct kad_address *addresses, size_t count) {
  for (size_t i = count; i > 0; i--) {
    add_address(join, &addresses[i - 1]);
  }
}

static void stop_waiting(struct kad_node *node, struct kad_timer *timer) {
  struct join *join = kad_container_of(timer, struct join, names_timer);
  join->waits_for_names = false;
  if (join->op.state == KAD_OPERATION_RUNNING) {
    end_if_done(node, join);
  }
}

/* Resolves the names again. The addresses that they had are used meanwhile. */
static void start_names(struct kad_node *node, struct join *join) {
  struct kad_name_cursor cursor = {0};
  const struct kad_address *address;
  while ((address = kad_names_next_address(node, &cursor)) != NULL) {
    add_address(join, address);
  }
  kad_names_resolve(node);
  join->waits_for_names = kad_names_pending(node) > 0;
  if (join->waits_for_names) {
    kad_timer_set(node, &join->names_timer,
                  kad_time_add(kad_node_now(node), NAMES_MS), stop_waiting);
  }
}

/* Looks up from the contacts of the table at once, if there are any. */
static void start_join(struct kad_node *node, struct kad_operation *op) {
  start_names(node, join_of(op));
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

static void stop_join(struct kad_node *node, struct kad_operation *op) {
  kad_timer_cancel(node, &join_of(op)->names_timer);
}

static const struct kad_operation_kind join_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .timed = KAD_TIMED_JOIN,
    .start = start_join,
    .looked_up = end_join,
    .stop = stop_join,
};

void kad_join_name_resolved(struct kad_node *node,
                            const struct kad_address *addresses, size_t count) {
  bool is_used = false;
  struct kad_operation *op = node->operations.first;
  while (op != NULL) {
    struct kad_operation *next = op->next;
    if (op->kind == &join_kind && op->state == KAD_OPERATION_RUNNING) {
      is_used = true;
      add_addresses(join_of(op), addresses, count);
      ping_next(node, join_of(op));
      end_if_done(node, join_of(op));
    }
    op = next;
  }
  for (size_t i = 0; i < count && !is_used; i++) {
    (void)kad_recovery_probe(node, &addresses[i]);
  }
}

int kad_node_bootstrap(struct kad_node *node, const struct kad_address *known,
                       size_t count, kad_done_fn done, void *data,
                       kad_operation_id *operation) {
  struct kad_operation *op;
  if (node == NULL || (known == NULL && count > 0)) {
    return KAD_EINVAL;
  }
  size_t used = count < KAD_REJOIN_KNOWN_MAX ? count : KAD_REJOIN_KNOWN_MAX;
  const size_t cap =
      used + node->maintenance.names.count * KAD_NAME_ADDRESSES_MAX;
  const struct kad_operation_request request = {
      .kind = &join_kind,
      .size = sizeof(struct join) + cap * sizeof(struct bootstrap),
      .target = &node->config.id,
      .done = done,
      .data = data};
  int error = kad_operation_new(node, &request, &op, operation);
  if (error != 0) {
    return error;
  }
  struct join *join = join_of(op);
  op->options.beta = 1;
  join->address_cap = cap;
  join->address_count = used;
  for (size_t i = 0; i < used; i++) {
    join->addresses[i].address = known[i];
  }
  kad_rejoin_remember(node, known, used);
  return 0;
}
