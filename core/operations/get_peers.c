/* Searches for the peers of a torrent: a lookup gathers them, then the policy
 * has its say, as about any record that is read.
 *
 *   looked up ─► validate each ─► select ─► ended
 *
 * There may be many, so they are kept as addresses; only what a hook is asked
 * about is made a record. */
#include "base/address.h"
#include "base/allocator.h"
#include "base/array.h"
#include "engine/node.h"
#include "replication/commit.h"

#include <string.h>

enum {
  PEERS_MAX = 1024,
  PEERS_GROWTH = 64
};

enum step {
  VALIDATE,
  SELECT,
  DONE
};

struct search {
  struct kad_operation op;
  struct kad_address *peers;
  size_t count;
  size_t cap;
  struct kad_ruleset *ruleset; /* kept while the peers are judged */
  const struct kad_type *type;
  enum step step;
  size_t index; /* of the peer that is being validated */
  size_t valid; /* those that were found to be, at the front */
};

/* A peer in the form that hooks know. */
struct peer_record {
  struct kad_record record;
  uint8_t compact[KAD_COMPACT_IP6];
};

static struct search *search_of(struct kad_operation *op) {
  return kad_container_of(op, struct search, op);
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
  if (search->count == search->cap &&
      KAD_ARRAY_RESERVE(&node->env.allocator, &search->peers, &search->cap,
                        search->cap + PEERS_GROWTH) != 0) {
    return;
  }
  search->peers[search->count++] = *peer;
}

/* Adds the peer that a record holds. Returns false if it holds none. */
static bool add_record(struct kad_node *node, struct search *search,
                       const struct kad_record *record) {
  struct kad_address peer;
  if (kad_address_unpack(record->value, &peer) != 0) {
    return false;
  }
  add_peer(node, search, &peer);
  return true;
}

static bool take_peers(struct kad_node *node, struct kad_lookup *lookup,
                       const struct kad_contact *from,
                       const struct kad_message *reply) {
  struct kad_operation *op = lookup->config.owner;
  (void)from;
  for (size_t i = 0; i < reply->peer_count; i++) {
    add_peer(node, search_of(op), &reply->peers[i]);
  }
  return reply->peer_count > 0;
}

/* Adds the peers that we hold ourselves. */
static void start_get_peers(struct kad_node *node, struct kad_operation *op) {
  struct search *search = search_of(op);
  const struct kad_record query = {.key = op->target,
                                   .type = kad_slice_of("peers")};
  struct kad_held_list held;
  search->ruleset = node->ruleset;
  kad_ruleset_retain(search->ruleset);
  search->type = kad_ruleset_type(search->ruleset, query.type);
  if (kad_held_read(node, &query, search->type, &held) == 0) {
    for (size_t i = 0; i < held.count; i++) {
      (void)add_record(node, search, &held.records[i]);
    }
    op->holders += held.count > 0;
    kad_held_free(node, &held);
  }
  kad_operation_look_further(node, op);
}

static void make_record(const struct search *search, size_t index,
                        struct peer_record *made) {
  const size_t len = kad_address_pack(&search->peers[index], made->compact);
  made->record = (struct kad_record){
      .key = search->op.target,
      .type = kad_slice_of("peers"),
      .value = {made->compact, len},
  };
}

/* Replaces the peers by what the policy has selected. */
static void take_selection(struct kad_node *node, struct search *search,
                           const struct kad_hook_result *answer) {
  if (answer->verdict != KAD_VERDICT_ACCEPT) {
    return;
  }
  search->count = 0;
  for (size_t i = 0; i < answer->record_count; i++) {
    node->stats.hook_failures += !add_record(node, search, &answer->records[i]);
  }
}

/* Applies the result of the current step's hook. */
static void apply_result(struct kad_node *node, struct kad_operation *op,
                         const struct kad_hook_result *answer) {
  struct search *search = search_of(op);
  if (search->step == SELECT) {
    take_selection(node, search, answer);
    search->step = DONE;
    return;
  }
  if (answer->verdict == KAD_VERDICT_ACCEPT) {
    search->peers[search->valid++] = search->peers[search->index];
  }
  search->index++;
}

/* Has every peer validated. Returns false when it has to wait. */
static bool validate(struct kad_node *node, struct search *search) {
  while (search->index < search->count) {
    struct peer_record peer;
    make_record(search, search->index, &peer);
    struct kad_hook_call call = {.reason = KAD_REASON_GET,
                                 .record = &peer.record};
    if (!kad_operation_call_hook(node, &search->op, search->ruleset,
                                 search->type, search->type->validate, &call)) {
      return false;
    }
  }
  search->count = search->valid;
  return true;
}

/* Has the policy select among the peers. Returns false when it has to wait. */
static bool select_peers(struct kad_node *node, struct search *search) {
  const struct kad_allocator *allocator = &node->env.allocator;
  const size_t count = search->count;
  struct peer_record *peers = kad_alloc(allocator, count * sizeof *peers);
  struct kad_record *records = kad_alloc(allocator, count * sizeof *records);
  bool done = true;
  if (peers != NULL && records != NULL) {
    for (size_t i = 0; i < count; i++) {
      make_record(search, i, &peers[i]);
      records[i] = peers[i].record;
    }
    struct kad_hook_call call = {
        .reason = KAD_REASON_GET, .held = records, .held_count = count};
    done = kad_operation_call_hook(node, &search->op, search->ruleset,
                                   search->type, search->type->select, &call);
  }
  kad_release(allocator, peers, count * sizeof *peers);
  kad_release(allocator, records, count * sizeof *records);
  return done;
}

static void end_search(struct kad_node *node, struct search *search) {
  const struct kad_candidate *closest[2 * KAD_K_MAX];
  struct kad_operation *op = &search->op;
  int status = 0;
  if (search->count == 0) {
    status = kad_operation_closest(op, closest) > 0 ? KAD_ENOTFOUND
                                                    : kad_operation_silence(op);
  }
  kad_operation_end(node, op, status);
}

/* Goes on until the search has to wait or has ended. */
static void run(struct kad_node *node, struct search *search) {
  if (search->step == VALIDATE) {
    if (search->type->validate != NULL && !validate(node, search)) {
      return;
    }
    search->step = SELECT;
  }
  if (search->step == SELECT && search->type->select != NULL &&
      search->count > 0 && !select_peers(node, search)) {
    return;
  }
  end_search(node, search);
}

static void judge_peers(struct kad_node *node, struct kad_operation *op) {
  run(node, search_of(op));
}

static void report_peers(struct kad_node *node, struct kad_operation *op,
                         struct kad_result *result) {
  (void)node;
  result->peers = search_of(op)->peers;
  result->peer_count = op->status == 0 ? search_of(op)->count : 0;
}

static void stop_search(struct kad_node *node, struct kad_operation *op) {
  struct search *search = search_of(op);
  KAD_ARRAY_FREE(&node->env.allocator, &search->peers, &search->cap);
  if (search->ruleset != NULL) {
    kad_ruleset_drop(search->ruleset, &node->env.allocator);
  }
}

static const struct kad_operation_kind get_peers_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .start = start_get_peers,
    .replied = take_peers,
    .looked_up = judge_peers,
    .apply_result = apply_result,
    .resume = judge_peers,
    .report = report_peers,
    .stop = stop_search,
};

int kad_node_get_peers(struct kad_node *node, const struct kad_id *info_hash,
                       const struct kad_lookup_options *options,
                       kad_done_fn done, void *data,
                       kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &get_peers_kind,
                                                .size = sizeof(struct search),
                                                .options = options,
                                                .target = info_hash,
                                                .done = done,
                                                .data = data};
  struct kad_operation *op;
  if (node == NULL || info_hash == NULL) {
    return KAD_EINVAL;
  }
  int error = kad_operation_new(node, &request, &op);
  if (error == 0 && operation != NULL) {
    *operation = op->name;
  }
  return error;
}
