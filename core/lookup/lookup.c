#include "lookup/lookup.h"

#include "base/allocator.h"
#include "base/array.h"
#include "base/id.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>
#include <string.h>

enum {
  GROWTH = 32,      /* steps by which their array grows */
  HEARD_FACTOR = 2, /* contacts used of one reply, times k */
  LOG_BITS = 4,     /* bits after the first 1 of the distance that are used */
  LOG_UNIT = 1 << LOG_BITS,
  BITS_A_HOP = 6 /* by which a reply brings a lookup closer, about */
};

static void advance(struct kad_node *node, struct kad_lookup *lookup);
static int send_query(struct kad_node *node, struct kad_lookup *lookup,
                      uint32_t number, struct kad_candidate *candidate,
                      enum kad_method_id method);

/* Returns log2 of the distance of `id` to the target, times LOG_UNIT. */
static uint32_t log_distance(const struct kad_lookup *lookup,
                             const struct kad_id *id) {
  const struct kad_id *target = &lookup->config.target;
  const uint32_t shared = kad_id_prefix(target, id);
  uint32_t bits = (8 * KAD_ID_SIZE - shared) * LOG_UNIT;
  for (uint32_t i = 1; i <= LOG_BITS && shared + i < 8 * KAD_ID_SIZE; i++) {
    if (kad_id_bit(target, shared + i) != kad_id_bit(id, shared + i)) {
      bits += (uint32_t)LOG_UNIT >> i;
    }
  }
  return bits;
}

/* Returns the cost of a query to `contact`: its expected round-trip time, and
 * that of the hops which remain from there. Returns 0 if β is 1: the closest
 * candidates are asked first then. */
static uint32_t estimate_cost(const struct kad_node *node,
                              const struct kad_lookup *lookup,
                              const struct kad_contact *contact) {
  if (lookup->config.beta <= 1) {
    return 0;
  }
  const struct kad_table_entry *known =
      kad_table_find(kad_node_table(node, lookup->config.family), &contact->id);
  const uint32_t usual_ms = node->rpc.rtt.mean_ms;
  const uint32_t rtt_ms =
      known != NULL && known->rtt_ms > 0 ? known->rtt_ms : usual_ms;
  return rtt_ms * LOG_UNIT +
         log_distance(lookup, &contact->id) * usual_ms / BITS_A_HOP;
}

static bool is_secure(const struct kad_node *node,
                      const struct kad_contact *contact) {
  return node->config.secure_ids == KAD_SECURE_IDS_OFF ||
         kad_secure_id_check(&contact->id, node->config.id_bits,
                             &contact->address);
}

/* Adds a candidate that `source` (NULL: our table, or our user) named to path
 * `number`. Returns true if it is the closest now. */
static bool add_candidate(struct kad_node *node, struct kad_lookup *lookup,
                          uint32_t number, const struct kad_contact *contact,
                          const struct kad_candidate *source) {
  if (contact->address.family != lookup->config.family ||
      kad_node_is_own_id(node, &contact->id) || !kad_contact_has_id(contact) ||
      kad_node_shuns(node, &contact->address)) {
    return false;
  }
  struct kad_candidate made = {.contact = *contact,
                               .hop = 1,
                               .named = KAD_CANDIDATE_OWN,
                               .is_secure = is_secure(node, contact),
                               .cost = estimate_cost(node, lookup, contact)};
  if (source != NULL) {
    if (!made.is_secure && node->config.secure_ids == KAD_SECURE_IDS_ENFORCE) {
      return false;
    }
    made.heard_from = source->contact;
    made.hop = source->hop + 1;
    made.named = 1;
    made.named_by = source->step;
  }
  const struct kad_candidate *added =
      kad_paths_add(&lookup->paths, &node->env.allocator, number, &made);
  return added != NULL &&
         added == lookup->paths.path[number].candidates.items &&
         added->state == KAD_CANDIDATE_HEARD;
}

static struct kad_candidate *find_candidate(const struct kad_lookup *lookup,
                                            uint32_t number,
                                            const struct kad_contact *contact) {
  return kad_candidates_find(&lookup->paths.path[number].candidates,
                             &lookup->config.target, contact);
}

/* Returns the candidate that `query` asked, on the path of its tag. Candidates
 * that were asked are never removed. */
static struct kad_candidate *asked_candidate(const struct kad_lookup *lookup,
                                             const struct kad_query *query) {
  struct kad_candidate *candidate =
      find_candidate(lookup, query->tag, &query->to);
  assert(candidate != NULL);
  return candidate;
}

static void keep_token(struct kad_candidate *candidate,
                       const struct kad_message *reply) {
  if (reply->token.len > 0 && reply->token.len <= KAD_TOKEN_MAX) {
    memcpy(candidate->token, reply->token.data, reply->token.len);
    candidate->token_len = (uint8_t)reply->token.len;
  }
}

/* Keeps what a store to `candidate` needs to know. */
static void keep_state(struct kad_candidate *candidate,
                       const struct kad_message *reply) {
  keep_token(candidate, reply);
  candidate->knows_ttl = reply->has_total;
  candidate->has_seq = reply->has_seq;
  candidate->seq = reply->seq;
}

/* Adds the contacts of a reply to the path of its query. */
static void add_contacts(struct kad_node *node, struct kad_lookup *lookup,
                         uint32_t number, const struct kad_candidate *source,
                         const struct kad_message *reply) {
  struct kad_path *path = &lookup->paths.path[number];
  size_t most = (size_t)HEARD_FACTOR * lookup->config.k;
  bool closer = false;
  for (size_t i = 0; i < reply->contact_count && most > 0; i++) {
    if (reply->contacts[i].address.family == lookup->config.family) {
      closer =
          add_candidate(node, lookup, number, &reply->contacts[i], source) ||
          closer;
      most--;
    }
  }
  path->burst = closer ? lookup->config.beta : 0;
  path->fruitless = closer ? 0 : path->fruitless + 1;
}

/* Returns true if the answer to a custom query had no contacts, so that
 * find_node has to ask for them. */
static bool needs_find_node(const struct kad_lookup *lookup,
                            const struct kad_candidate *candidate,
                            const struct kad_message *answer) {
  if (lookup->config.method != KAD_METHOD_CUSTOM ||
      candidate->asked_find_node) {
    return false;
  }
  return answer->kind != KAD_MESSAGE_REPLY ||
         !(lookup->config.family == 6 ? answer->has_nodes6 : answer->has_nodes);
}

/* Asks a candidate that has answered a custom query for its contacts. Without
 * memory for the query the lookup goes on without them. */
static void send_find_node(struct kad_node *node, struct kad_lookup *lookup,
                           uint32_t number, struct kad_candidate *candidate) {
  candidate->asked_find_node = true;
  if (!lookup->finished &&
      send_query(node, lookup, number, candidate, KAD_METHOD_FIND_NODE) == 0) {
    kad_paths_set(&lookup->paths, number, candidate, KAD_CANDIDATE_ASKED);
  }
}

static void handle_reply(struct kad_node *node, struct kad_lookup *lookup,
                         struct kad_candidate *candidate,
                         const struct kad_query *query,
                         const struct kad_message *reply) {
  const uint32_t index = candidate->step;
  bool first = !candidate->asked_find_node;
  bool lacks_contacts = needs_find_node(lookup, candidate, reply);
  kad_paths_set(&lookup->paths, query->tag, candidate, KAD_CANDIDATE_ANSWERED);
  keep_state(candidate, reply);
  struct kad_candidate source = *candidate;
  if (!lacks_contacts) {
    add_contacts(node, lookup, query->tag, &source, reply);
  }
  if (!first) {
    return;
  }
  struct kad_step *step = &lookup->steps[index];
  step->answered = true;
  step->rtt_ms = (uint32_t)kad_time_since(query->sent_at, kad_node_now(node));
  if (lookup->config.replied != NULL) {
    step->had_value =
        lookup->config.replied(node, lookup, &source.contact, reply);
    if (step->had_value && lookup->value_hop == 0) {
      lookup->value_hop = source.hop;
      lookup->paths.leaves_slow = lookup->config.hurried;
    }
  }
  if (lacks_contacts) {
    send_find_node(node, lookup, query->tag,
                   find_candidate(lookup, query->tag, &source.contact));
  }
}

/* Asks a candidate again, with the token of its error, which proves our
 * address: its reply to a custom query is many times larger than the query.
 * Returns false if that is not so, or it was sent one already. */
static bool prove_address(struct kad_node *node, struct kad_lookup *lookup,
                          struct kad_candidate *candidate,
                          const struct kad_query *query,
                          const struct kad_message *error) {
  if (lookup->config.method != KAD_METHOD_CUSTOM || error->token.len == 0 ||
      candidate->proves || candidate->asked_find_node) {
    return false;
  }
  keep_token(candidate, error);
  candidate->proves = true;
  if (send_query(node, lookup, query->tag, candidate, KAD_METHOD_CUSTOM) != 0) {
    return false;
  }
  kad_paths_set(&lookup->paths, query->tag, candidate, KAD_CANDIDATE_ASKED);
  return true;
}

static void handle_error(struct kad_node *node, struct kad_lookup *lookup,
                         struct kad_candidate *candidate,
                         const struct kad_query *query,
                         const struct kad_message *error) {
  if (prove_address(node, lookup, candidate, query, error)) {
    return;
  }
  kad_paths_set(&lookup->paths, query->tag, candidate, KAD_CANDIDATE_ANSWERED);
  lookup->steps[candidate->step].answered = true;
  if (needs_find_node(lookup, candidate, error)) {
    lookup->config.refused(node, lookup, error);
    send_find_node(node, lookup, query->tag, candidate);
  }
}

/* Handles the reply of another id than `candidate` has: the contact that named
 * it is wrong, but the node that is there has answered the query. */
static void handle_other_id(struct kad_node *node, struct kad_lookup *lookup,
                            struct kad_candidate *candidate,
                            const struct kad_query *query,
                            const struct kad_message *reply) {
  const struct kad_contact answered = {.id = reply->id,
                                       .address = query->to.address};
  const uint32_t step = candidate->step;
  const struct kad_candidate *source =
      find_candidate(lookup, query->tag, &candidate->heard_from);
  kad_paths_set(&lookup->paths, query->tag, candidate, KAD_CANDIDATE_FAILED);
  (void)add_candidate(node, lookup, query->tag, &answered, source);
  candidate = find_candidate(lookup, query->tag, &answered);
  if (candidate != NULL) {
    candidate->step = step;
    lookup->steps[step].contact = answered;
    handle_reply(node, lookup, candidate, query, reply);
  }
}

/* Handles an event of a query. An error is an answer without contacts: the
 * contact is alive, but does not support the method. A timeout of find_node
 * after a custom query changes nothing: the contact has answered that. */
static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct kad_lookup *lookup =
      kad_container_of(query->owner, struct kad_lookup, queries);
  struct kad_candidate *candidate = asked_candidate(lookup, query);
  if (lookup->finished) {
    return;
  }
  switch (event) {
  case KAD_QUERY_SOFT:
    kad_paths_set(&lookup->paths, query->tag, candidate, KAD_CANDIDATE_SLOW);
    break;
  case KAD_QUERY_REPLY:
    handle_reply(node, lookup, candidate, query, message);
    break;
  case KAD_QUERY_ERROR:
    handle_error(node, lookup, candidate, query, message);
    break;
  case KAD_QUERY_TIMEOUT:
    if (message != NULL && !candidate->asked_find_node) {
      handle_other_id(node, lookup, candidate, query, message);
      break;
    }
    kad_paths_set(&lookup->paths, query->tag, candidate,
                  candidate->asked_find_node ? KAD_CANDIDATE_ANSWERED
                                             : KAD_CANDIDATE_FAILED);
    break;
  }
  advance(node, lookup);
}

/* Sends the query of the lookup, or find_node. Returns as kad_rpc_send does. */
static int send_query(struct kad_node *node, struct kad_lookup *lookup,
                      uint32_t number, struct kad_candidate *candidate,
                      enum kad_method_id method) {
  const struct kad_lookup_config *config = &lookup->config;
  struct kad_message message;
  struct kad_query *query;
  kad_message_init_query(&message, method, &config->target);
  message.name = config->name;
  message.args = config->args;
  message.type = config->type;
  message.skip = config->skip;
  message.has_seq = config->has_seq;
  message.seq = config->seq;
  message.noseed = config->noseed;
  message.scrape = config->scrape;
  if (candidate->proves && method == KAD_METHOD_CUSTOM) {
    message.token = (struct kad_slice){.data = candidate->token,
                                       .len = candidate->token_len};
  }
  int error = kad_rpc_send(node, &candidate->contact, &message, on_query_event,
                           &lookup->queries, &query);
  if (error != 0) {
    lookup->error = error;
    return error;
  }
  query->tag = number;
  lookup->messages++;
  return 0;
}

/* Returns how many contacts a path may ask, so that each path has a share. */
static uint32_t max_steps(const struct kad_lookup *lookup) {
  const uint32_t share = KAD_STEPS_MAX / lookup->paths.count;
  const uint32_t least = 2 * lookup->config.k;
  return share > least ? share : least;
}

/* Adds the query to `candidate` to the steps. Returns false when out of memory.
 */
static bool add_step(struct kad_node *node, struct kad_lookup *lookup,
                     uint32_t number, struct kad_candidate *candidate) {
  struct kad_path *path = &lookup->paths.path[number];
  if (lookup->step_count == lookup->step_cap &&
      KAD_ARRAY_RESERVE(&node->env.allocator, &lookup->steps, &lookup->step_cap,
                        lookup->step_cap + GROWTH) != 0) {
    return false;
  }
  path->asked++;
  candidate->step = (uint32_t)lookup->step_count;
  lookup->steps[lookup->step_count++] = (struct kad_step){
      .contact = candidate->contact,
      .heard_from = candidate->heard_from,
      .hop = candidate->hop,
      .path = number,
      .asked_ms =
          (uint32_t)kad_time_since(lookup->started_at, kad_node_now(node)),
  };
  return true;
}

static void ask_candidate(struct kad_node *node, struct kad_lookup *lookup,
                          uint32_t number, struct kad_candidate *candidate) {
  bool sent =
      add_step(node, lookup, number, candidate) &&
      send_query(node, lookup, number, candidate, lookup->config.method) == 0;
  kad_paths_set(&lookup->paths, number, candidate,
                sent ? KAD_CANDIDATE_ASKED : KAD_CANDIDATE_FAILED);
}

/* Asks the next candidates of a path. Returns its state then: it has ended,
 * too, when it has asked as many as it may. */
static struct kad_path_view advance_path(struct kad_node *node,
                                         struct kad_lookup *lookup,
                                         uint32_t number) {
  struct kad_path *path = &lookup->paths.path[number];
  uint32_t k = lookup->config.k;
  uint32_t alpha = lookup->config.alpha;
  const uint32_t most = max_steps(lookup);
  uint32_t parallel = path->fruitless >= alpha ? k : alpha;
  struct kad_path_view view = kad_paths_view(&lookup->paths, number, k);
  while (view.next != NULL && path->asked < most &&
         (path->in_flight < parallel || path->burst > 0)) {
    path->burst -= path->burst > 0;
    ask_candidate(node, lookup, number, view.next);
    view = kad_paths_view(&lookup->paths, number, k);
  }
  path->burst = 0;
  if (path->asked >= most && path->in_flight == 0) {
    view.reached = true;
    view.over = true;
  }
  return view;
}

/* Adds the distances that the lookup found to the estimated network size,
 * unless contacts are implausible by the present one. */
static void add_to_network_size(struct kad_node *node,
                                const struct kad_lookup *lookup) {
  const struct kad_lookup_config *config = &lookup->config;
  const struct kad_candidate *closest[KAD_K_MAX];
  size_t count = kad_paths_closest(&lookup->paths, closest, config->k);
  if (!lookup->converged || count == 0) {
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (closest[i]->is_implausible) {
      return;
    }
  }
  const struct kad_network_size_finding finding = {
      .target = &config->target,
      .farthest = &closest[count - 1]->contact.id,
      .count = count,
      .k = config->k,
      .own = kad_id_equal(&config->target, &node->config.id),
  };
  kad_network_size_add(&node->network_size[kad_family_index(config->family)],
                       &finding, kad_node_now(node));
}

static void call_done(struct kad_node *node, struct kad_timer *timer) {
  struct kad_lookup *lookup =
      kad_container_of(timer, struct kad_lookup, ending);
  add_to_network_size(node, lookup);
  lookup->config.done(node, lookup);
}

void kad_lookup_finish(struct kad_node *node, struct kad_lookup *lookup) {
  if (lookup->finished) {
    return;
  }
  lookup->finished = true;
  kad_rpc_disown(node, &lookup->queries);
  kad_timer_cancel(node, &lookup->deadline);
  kad_timer_set(node, &lookup->ending, kad_node_now(node), call_done);
}

/* Advances all paths: an answer on one path may let another one end. */
static void advance(struct kad_node *node, struct kad_lookup *lookup) {
  bool reached = true;
  bool over = true;
  for (uint32_t i = 0; i < lookup->paths.count && !lookup->finished; i++) {
    const struct kad_path_view view = advance_path(node, lookup, i);
    reached = reached && view.reached;
    over = over && view.over;
  }
  if (over && !lookup->finished) {
    lookup->converged = reached;
    kad_lookup_finish(node, lookup);
  }
}

static void on_deadline(struct kad_node *node, struct kad_timer *timer) {
  struct kad_lookup *lookup =
      kad_container_of(timer, struct kad_lookup, deadline);
  lookup->timed_out = true;
  kad_lookup_finish(node, lookup);
}

/* Distributes our own contacts closest to the target over the paths, in turn.
 * With several paths each gets at least as many as it may ask at once, so that
 * it does not depend on a single contact. */
static void add_own_contacts(struct kad_node *node, struct kad_lookup *lookup,
                             const struct kad_table *table) {
  const struct kad_lookup_config *config = &lookup->config;
  struct kad_contact closest[KAD_K_MAX];
  const uint32_t paths = lookup->paths.count;
  size_t max = paths > 1 ? (size_t)paths * config->alpha : 0;
  max = max > config->k ? max : config->k;
  max = max < KAD_K_MAX ? max : KAD_K_MAX;
  const size_t count =
      config->only_seed ? 0
                        : kad_table_closest(table, &config->target,
                                            lookup->started_at, closest, max);
  for (size_t i = 0; i < count; i++) {
    (void)add_candidate(node, lookup, (uint32_t)i % paths, &closest[i], NULL);
  }
  if (config->seed != NULL) {
    (void)add_candidate(node, lookup, (uint32_t)count % paths, config->seed,
                        NULL);
  }
}

int kad_lookup_start(struct kad_node *node,
                     const struct kad_lookup_config *config,
                     struct kad_lookup **lookup) {
  struct kad_table *table = kad_node_table(node, config->family);
  if (table == NULL) {
    return KAD_EFAMILY;
  }
  struct kad_lookup *made = kad_alloc_zero(&node->env.allocator, sizeof *made);
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  made->config = *config;
  made->queries.user = config->user;
  made->queries.hurried = config->hurried;
  made->started_at = kad_node_now(node);
  kad_paths_init(&made->paths, &config->target,
                 config->paths > 0 ? config->paths : 1,
                 node->config.allow_local);
  made->paths.nodes = kad_network_size_estimate(
      &node->network_size[kad_family_index(config->family)], made->started_at);
  made->paths.prefer_secure =
      node->config.secure_ids == KAD_SECURE_IDS_PREFER &&
      config->method != KAD_METHOD_FIND_NODE;
  add_own_contacts(node, made, table);
  made->config.seed = NULL;
  kad_table_looked_up(table, &config->target, made->started_at);
  kad_timer_set(node, &made->deadline,
                kad_time_add(made->started_at, config->deadline_ms),
                on_deadline);
  node->stats.lookups++;
  *lookup = made;
  advance(node, made);
  return 0;
}

void kad_lookup_add_contact(struct kad_node *node, struct kad_lookup *lookup,
                            const struct kad_contact *contact) {
  if (!lookup->finished) {
    (void)add_candidate(node, lookup, 0, contact, NULL);
    advance(node, lookup);
  }
}

void kad_lookup_free(struct kad_node *node, struct kad_lookup *lookup) {
  kad_rpc_disown(node, &lookup->queries);
  kad_timer_cancel(node, &lookup->deadline);
  kad_timer_cancel(node, &lookup->ending);
  kad_paths_deinit(&lookup->paths, &node->env.allocator);
  KAD_ARRAY_FREE(&node->env.allocator, &lookup->steps, &lookup->step_cap);
  kad_release(&node->env.allocator, lookup, sizeof *lookup);
}

uint32_t kad_lookup_hops(const struct kad_lookup *lookup) {
  const struct kad_candidate *closest;
  if (lookup->value_hop > 0) {
    return lookup->value_hop;
  }
  return kad_paths_closest(&lookup->paths, &closest, 1) > 0 ? closest->hop : 0;
}

void kad_lookup_add_counts(struct kad_lookup *const *lookups, size_t count,
                           struct kad_result *result) {
  for (size_t i = 0; i < count; i++) {
    const struct kad_lookup *lookup = lookups[i];
    if (lookup == NULL) {
      continue;
    }
    uint32_t hops = kad_lookup_hops(lookup);
    result->hops = hops > result->hops ? hops : result->hops;
    result->messages += lookup->messages;
    result->path_count += lookup->step_count;
  }
}

struct kad_step *kad_lookup_join_steps(const struct kad_node *node,
                                       struct kad_lookup *const *lookups,
                                       size_t count, size_t steps) {
  struct kad_step *joined =
      steps > 0 ? kad_alloc(&node->env.allocator, steps * sizeof *joined)
                : NULL;
  size_t used = 0;
  for (size_t i = 0; joined != NULL && i < count; i++) {
    const struct kad_lookup *lookup = lookups[i];
    if (lookup != NULL && lookup->step_count > 0) {
      memcpy(joined + used, lookup->steps, lookup->step_count * sizeof *joined);
      used += lookup->step_count;
    }
  }
  return joined;
}
