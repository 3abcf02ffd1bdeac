/* Lookups whose result is what they found: find_node and get_peers. */
#include "base/address.h"
#include "base/allocator.h"
#include "overlay/holding.h"
#include "overlay/node.h"

enum {
  PEERS_MAX = 1024,
  PEERS_GROWTH = 64
};

/* A lookup, with the peers that it has gathered. */
struct search {
  struct kad_op op;
  struct kad_address *peers;
  size_t count;
  size_t cap;
};

static struct search *search_of(struct kad_op *op) {
  return kad_container_of(op, struct search, op);
}

/* One that its deadline ended has not found the closest for sure. */
static void end_find_node(struct kad_node *node, struct kad_op *op) {
  const struct kad_candidate *closest[2 * KAD_WIDTH_MAX];
  bool found = kad_op_closest(op, closest) > 0 && !kad_op_timed_out(op);
  kad_op_end(node, op, found ? 0 : kad_op_silence(op));
}

static bool has_peer(const struct search *search,
                     const struct kad_address *peer) {
  for (size_t i = 0; i < search->count; i++) {
    if (kad_address_equal(&search->peers[i], peer)) {
      return true;
    }
  }
  return false;
}

static void add_peer(struct kad_node *node, struct search *search,
                     const struct kad_address *peer) {
  if (search->count == PEERS_MAX ||
      kad_address_is_martian(peer, node->config.allow_local) ||
      has_peer(search, peer)) {
    return;
  }
  if (search->count == search->cap) {
    size_t cap = search->cap + PEERS_GROWTH;
    void *grown = kad_resize(&node->env.allocator, search->peers,
                             search->cap * sizeof *search->peers,
                             cap * sizeof *search->peers);
    if (grown == NULL) {
      return;
    }
    search->peers = grown;
    search->cap = cap;
  }
  search->peers[search->count++] = *peer;
}

static bool take_peers(struct kad_node *node, struct kad_lookup *lookup,
                       const struct kad_contact *from,
                       const struct kad_message *reply) {
  struct kad_op *op = lookup->config.owner;
  (void)from;
  for (size_t i = 0; i < reply->peer_count; i++) {
    add_peer(node, search_of(op), &reply->peers[i]);
  }
  return reply->peer_count > 0;
}

/* Adds the peers that we hold ourselves. */
static void start_get_peers(struct kad_node *node, struct kad_op *op) {
  const struct kad_record query = {.key = op->target,
                                   .type = kad_slice_of("peers")};
  const struct kad_type *type = kad_ruleset_type(node->ruleset, query.type);
  struct kad_held_list held;
  if (kad_held_read(node, &query, type, &held) == 0) {
    for (size_t i = 0; i < held.count; i++) {
      struct kad_address peer;
      if (kad_address_unpack(held.records[i].value, &peer) == 0) {
        add_peer(node, search_of(op), &peer);
      }
    }
    op->holders += held.count > 0;
    kad_held_free(node, &held);
  }
  if (kad_op_has_quorum(op)) {
    kad_op_end(node, op, 0);
    return;
  }
  kad_op_look_up(node, op);
}

static void end_get_peers(struct kad_node *node, struct kad_op *op) {
  const struct kad_candidate *closest[2 * KAD_WIDTH_MAX];
  int status = 0;
  if (search_of(op)->count == 0) {
    status =
        kad_op_closest(op, closest) > 0 ? KAD_ENOTFOUND : kad_op_silence(op);
  }
  kad_op_end(node, op, status);
}

static void report_peers(struct kad_node *node, struct kad_op *op,
                         struct kad_result *result) {
  (void)node;
  result->peers = search_of(op)->peers;
  result->peer_count = search_of(op)->count;
}

static void stop_search(struct kad_node *node, struct kad_op *op) {
  struct search *search = search_of(op);
  kad_release(&node->env.allocator, search->peers,
              search->cap * sizeof *search->peers);
}

static const struct kad_op_kind find_node_kind = {
    .method = KAD_METHOD_FIND_NODE,
    .start = kad_op_look_up,
    .looked_up = end_find_node,
};

static const struct kad_op_kind get_peers_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .start = start_get_peers,
    .replied = take_peers,
    .looked_up = end_get_peers,
    .report = report_peers,
    .stop = stop_search,
};

static int start_op(struct kad_node *node, const struct kad_op_request *request,
                    kad_operation *operation) {
  struct kad_op *op;
  if (node == NULL || request->target == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_op_new(node, request, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}

int kad_node_find_node(struct kad_node *node, const struct kad_id *target,
                       const struct kad_lookup_options *options, kad_done done,
                       void *data, kad_operation *operation) {
  const struct kad_op_request request = {.kind = &find_node_kind,
                                         .size = sizeof(struct search),
                                         .options = options,
                                         .target = target,
                                         .done = done,
                                         .data = data};
  return start_op(node, &request, operation);
}

int kad_node_get_peers(struct kad_node *node, const struct kad_id *info_hash,
                       const struct kad_lookup_options *options, kad_done done,
                       void *data, kad_operation *operation) {
  const struct kad_op_request request = {.kind = &get_peers_kind,
                                         .size = sizeof(struct search),
                                         .options = options,
                                         .target = info_hash,
                                         .done = done,
                                         .data = data};
  return start_op(node, &request, operation);
}
