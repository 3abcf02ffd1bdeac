/* Searching for the peers of a torrent: a lookup finds them, the type's hooks
 * validate each and select what the user gets.
 *
 *   looked up ─► validate each ─► select ─► ended
 *
 * There may be many peers, so they are kept as addresses. A record is made only
 * for a hook. A scrape (BEP 33) merges the Bloom filters of all replies; no
 * hook sees those.
 *
 * Tested by tests/unit/operations/get_test.c,
 * tests/unit/operations/put_test.c.
 */
#include "base/address.h"
#include "base/allocator.h"
#include "base/array.h"
#include "engine/node.h"
#include "kadenza_scrape.h"
#include "operations/read.h"

#include <math.h>

enum {
  PEERS_MAX = 1024,
  PEERS_GROWTH = 64
};

enum search_step {
  SEARCH_VALIDATE,
  SEARCH_SELECT,
  SEARCH_DONE
};

struct peer_search {
  struct kad_read read;
  struct kad_address *peers;
  size_t count;
  size_t cap;
  size_t valid_count; /* valid peers; they are moved to the front */
  enum search_step step;
  struct kad_scrape *scrape; /* NULL: none is wanted */
};

/* A peer in the form that hooks get. */
struct peer_record {
  struct kad_record record;
  uint8_t compact[KAD_COMPACT_IP6];
};

static struct peer_search *search_of(struct kad_operation *op) {
  return kad_container_of(op, struct peer_search, read.op);
}

static bool has_peer(const struct peer_search *search,
                     const struct kad_address *peer) {
  for (size_t i = 0; i < search->count; i++) {
    if (kad_address_equal(&search->peers[i], peer)) {
      return true;
    }
  }
  return false;
}

static void add_peer(struct kad_node *node, struct peer_search *search,
                     const struct kad_address *peer) {
  if (search->count == PEERS_MAX || kad_node_shuns(node, peer) ||
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

static void add_held(struct kad_node *node, struct kad_read *read,
                     const struct kad_record *record) {
  struct peer_search *search = kad_container_of(read, struct peer_search, read);
  struct kad_address peer;
  if (kad_address_unpack(record->value, &peer) != 0) {
    return;
  }
  if (search->scrape != NULL) {
    kad_filter_add(record->is_seed ? search->scrape->seed_filter
                                   : search->scrape->peer_filter,
                   &peer);
  }
  if (!record->is_seed || !read->op.options.noseed) {
    add_peer(node, search, &peer);
  }
}

static void start_search(struct kad_node *node, struct kad_operation *op) {
  struct peer_search *search = search_of(op);
  if (op->options.scrape) {
    search->scrape =
        kad_alloc_zero(&node->env.allocator, sizeof *search->scrape);
    if (search->scrape == NULL) {
      kad_operation_end(node, op, KAD_ENOMEM);
      return;
    }
  }
  kad_read_start(node, &search->read, kad_slice_of("peers"), add_held);
}

/* Returns true if the filters of a reply are possible: neither is so full that
 * it says nothing, and the peers of the reply are in them. */
static bool are_plausible(const struct kad_message *reply) {
  const uint8_t *seeds = reply->seed_filter.data;
  const uint8_t *peers = reply->peer_filter.data;
  for (size_t i = 0; i < reply->peer_count; i++) {
    if (!kad_filter_has(seeds, &reply->peers[i]) &&
        !kad_filter_has(peers, &reply->peers[i])) {
      return false;
    }
  }
  return kad_filter_count(seeds) <= KAD_FILTER_COUNT_MAX &&
         kad_filter_count(peers) <= KAD_FILTER_COUNT_MAX;
}

/* Adds the filters of a reply. Returns true if they say that there are peers.
 */
static bool add_filters(struct peer_search *search,
                        const struct kad_message *reply) {
  if (search->scrape == NULL || reply->seed_filter.len != KAD_FILTER_SIZE ||
      reply->peer_filter.len != KAD_FILTER_SIZE || !are_plausible(reply)) {
    return false;
  }
  kad_filter_merge(search->scrape->seed_filter, reply->seed_filter.data);
  kad_filter_merge(search->scrape->peer_filter, reply->peer_filter.data);
  return kad_filter_count(reply->seed_filter.data) +
             kad_filter_count(reply->peer_filter.data) >
         0;
}

/* Ends a scrape. Peers that no filter has, because their node sends none, count
 * as peers. An address that one node takes for a seed is no peer.
 * Source: BEP 33 "Handling legacy responses". */
static void count_scrape(struct peer_search *search) {
  struct kad_scrape *scrape = search->scrape;
  for (size_t i = 0; i < search->count; i++) {
    if (!kad_filter_has(scrape->seed_filter, &search->peers[i])) {
      kad_filter_add(scrape->peer_filter, &search->peers[i]);
    }
  }
  scrape->seeds = (uint32_t)lround(kad_filter_count(scrape->seed_filter));
  scrape->peers = (uint32_t)lround(kad_filter_count(scrape->peer_filter));
}

static bool has_scraped(const struct peer_search *search) {
  return search->scrape != NULL &&
         search->scrape->seeds + search->scrape->peers > 0;
}

/* Adds the peers of a reply. Returns true if it has any. */
static bool add_reply(struct kad_node *node, struct kad_lookup *lookup,
                      const struct kad_contact *from,
                      const struct kad_message *reply) {
  struct peer_search *search = search_of(lookup->config.owner);
  (void)from;
  for (size_t i = 0; i < reply->peer_count; i++) {
    add_peer(node, search, &reply->peers[i]);
  }
  return add_filters(search, reply) || reply->peer_count > 0;
}

static void make_record(const struct peer_search *search, size_t index,
                        struct peer_record *made) {
  const size_t len = kad_address_pack(&search->peers[index], made->compact);
  made->record = (struct kad_record){
      .key = search->read.op.target,
      .type = kad_slice_of("peers"),
      .value = {made->compact, len},
  };
}

/* Replaces the peers by those that the policy has selected. */
static void set_peers(struct kad_node *node, struct peer_search *search,
                      const struct kad_hook_result *result) {
  search->count = 0;
  for (size_t i = 0; i < result->record_count; i++) {
    struct kad_address peer;
    if (kad_address_unpack(result->records[i].value, &peer) == 0) {
      add_peer(node, search, &peer);
    } else {
      node->stats.hook_failures++;
    }
  }
}

/* Applies the result of the hook of the current step. */
static void apply_result(struct kad_node *node, struct kad_operation *op,
                         const struct kad_hook_result *result) {
  struct peer_search *search = search_of(op);
  const bool accepted = result->verdict == KAD_VERDICT_ACCEPT;
  if (search->step == SEARCH_VALIDATE) {
    const size_t index = search->read.index++;
    if (accepted) {
      search->peers[search->valid_count++] = search->peers[index];
    }
    return;
  }
  search->step = SEARCH_DONE;
  if (accepted) {
    set_peers(node, search, result);
  }
}

/* Validates the next peer. Returns false if the hook call is pending. */
static bool validate_next(struct kad_node *node, struct peer_search *search) {
  struct peer_record peer;
  make_record(search, search->read.index, &peer);
  struct kad_hook_call call = {.record = &peer.record};
  return kad_read_call_hook(node, &search->read, search->read.type->validate,
                            &call);
}

/* Selects among the peers. Returns false if the hook call is pending. When out
 * of memory, all are selected. */
static bool select_peers(struct kad_node *node, struct peer_search *search) {
  const struct kad_allocator *allocator = &node->env.allocator;
  const size_t count = search->count;
  if (search->read.type->select == NULL || count == 0) {
    return true;
  }
  struct peer_record *peers = kad_alloc(allocator, count * sizeof *peers);
  struct kad_record *records = kad_alloc(allocator, count * sizeof *records);
  bool done = true;
  if (peers != NULL && records != NULL) {
    for (size_t i = 0; i < count; i++) {
      make_record(search, i, &peers[i]);
      records[i] = peers[i].record;
    }
    struct kad_hook_call call = {.held = records, .held_count = count};
    done = kad_read_call_hook(node, &search->read, search->read.type->select,
                              &call);
  }
  kad_release(allocator, peers, count * sizeof *peers);
  kad_release(allocator, records, count * sizeof *records);
  return done;
}

/* Processes the peers that were found, until a hook call is pending. */
static void process_peers(struct kad_node *node, struct kad_operation *op) {
  struct peer_search *search = search_of(op);
  const bool has_hook = search->read.type->validate != NULL;
  while (search->step == SEARCH_VALIDATE && has_hook &&
         search->read.index < search->count) {
    if (!validate_next(node, search)) {
      return;
    }
  }
  if (search->step == SEARCH_VALIDATE) {
    search->count = has_hook ? search->valid_count : search->count;
    search->step = SEARCH_SELECT;
  }
  if (search->step == SEARCH_SELECT && !select_peers(node, search)) {
    return;
  }
  kad_operation_end_search(node, op, search->count > 0 || has_scraped(search));
}

static void end_lookups(struct kad_node *node, struct kad_operation *op) {
  if (search_of(op)->scrape != NULL) {
    count_scrape(search_of(op));
  }
  process_peers(node, op);
}

static void report_peers(struct kad_node *node, struct kad_operation *op,
                         struct kad_result *result) {
  (void)node;
  result->peers = search_of(op)->peers;
  result->peer_count = op->status == 0 ? search_of(op)->count : 0;
  result->scrape = op->status == 0 ? search_of(op)->scrape : NULL;
}

static void stop_search(struct kad_node *node, struct kad_operation *op) {
  struct peer_search *search = search_of(op);
  KAD_ARRAY_FREE(&node->env.allocator, &search->peers, &search->cap);
  kad_release(&node->env.allocator, search->scrape, sizeof *search->scrape);
  kad_read_stop(node, &search->read);
}

static const struct kad_operation_kind get_peers_kind = {
    .method = KAD_METHOD_GET_PEERS,
    .timed = KAD_TIMED_GET_PEERS,
    .start = start_search,
    .replied = add_reply,
    .looked_up = end_lookups,
    .apply_result = apply_result,
    .resume = process_peers,
    .report = report_peers,
    .stop = stop_search,
};

int kad_node_get_peers(struct kad_node *node, const struct kad_id *info_hash,
                       const struct kad_lookup_options *options,
                       kad_done_fn done, void *data,
                       kad_operation_id *operation) {
  const struct kad_operation_request request = {.kind = &get_peers_kind,
                                                .size =
                                                    sizeof(struct peer_search),
                                                .options = options,
                                                .target = info_hash,
                                                .done = done,
                                                .data = data};
  if (node == NULL || info_hash == NULL) {
    return KAD_EINVAL;
  }
  return kad_operation_new(node, &request, NULL, operation);
}
