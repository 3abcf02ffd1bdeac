#include "overlay/lookup.h"

#include "base/allocator.h"
#include "base/time.h"
#include "overlay/node.h"

#include <assert.h>
#include <string.h>

enum {
  GROWTH = 32,      /* candidates and steps by which the arrays grow */
  HEARD_FACTOR = 2, /* contacts taken from one reply, in k */
  GROUP_MAX = 64    /* the greatest k */
};

static void advance(struct kad_node *node, struct kad_lookup *lookup);
static int send_query(struct kad_node *node, struct kad_lookup *lookup,
                      const struct kad_contact *to, enum kad_method_id method);

/* Returns where `contact` belongs in the order of distance. */
static size_t place_of(const struct kad_lookup *lookup,
                       const struct kad_id *id) {
  size_t low = 0;
  size_t high = lookup->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (kad_id_compare(&lookup->config.target,
                       &lookup->candidates[middle].contact.id, id) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

static bool is_known(const struct kad_lookup *lookup,
                     const struct kad_contact *contact) {
  for (size_t i = 0; i < lookup->count; i++) {
    const struct kad_contact *other = &lookup->candidates[i].contact;
    if (kad_id_equal(&other->id, &contact->id) ||
        kad_address_equal(&other->address, &contact->address)) {
      return true;
    }
  }
  return false;
}

/* Makes room for one more candidate at `place`. When there are too many, the
 * farthest goes if it is farther and has not been asked. Returns false if there
 * is no room. */
static bool make_room(struct kad_node *node, struct kad_lookup *lookup,
                      size_t place) {
  if (lookup->count < lookup->cap) {
    return true;
  }
  if (lookup->cap >= KAD_CANDIDATES_MAX) {
    if (place == lookup->count ||
        lookup->candidates[lookup->count - 1].state != KAD_CANDIDATE_HEARD) {
      return false;
    }
    lookup->count--;
    return true;
  }
  size_t cap = lookup->cap + GROWTH;
  void *grown = kad_resize(&node->env.allocator, lookup->candidates,
                           lookup->cap * sizeof *lookup->candidates,
                           cap * sizeof *lookup->candidates);
  if (grown == NULL) {
    return false;
  }
  lookup->candidates = grown;
  lookup->cap = cap;
  return true;
}

/* Adds a candidate that `source` (NULL: our table) told us of. Returns true if
 * it is closer than every one before. */
static bool add(struct kad_node *node, struct kad_lookup *lookup,
                const struct kad_contact *contact,
                const struct kad_candidate *source) {
  if (contact->address.family != lookup->config.family ||
      kad_id_equal(&contact->id, &node->config.id) ||
      !kad_rpc_is_named(contact) ||
      kad_address_is_martian(&contact->address, node->config.allow_local) ||
      is_known(lookup, contact)) {
    return false;
  }
  struct kad_candidate made = {.contact = *contact, .hop = 1};
  if (source != NULL) {
    made.heard_from = source->contact.address;
    made.heard_from_id = source->contact.id;
    made.hop = source->hop + 1;
  }
  size_t place = place_of(lookup, &contact->id);
  if (!make_room(node, lookup, place)) {
    return false;
  }
  memmove(&lookup->candidates[place + 1], &lookup->candidates[place],
          (lookup->count - place) * sizeof *lookup->candidates);
  lookup->candidates[place] = made;
  lookup->count++;
  return place == 0;
}

/* Returns the candidate that `query` asked, or NULL if it has been dropped. */
static struct kad_candidate *asked(const struct kad_lookup *lookup,
                                   const struct kad_query *query) {
  size_t place = place_of(lookup, &query->to.id);
  if (place < lookup->count &&
      kad_id_equal(&lookup->candidates[place].contact.id, &query->to.id)) {
    return &lookup->candidates[place];
  }
  return NULL;
}

static void keep_token(struct kad_candidate *candidate,
                       const struct kad_message *reply) {
  if (reply->token.len > 0 && reply->token.len <= KAD_TOKEN_MAX) {
    memcpy(candidate->token, reply->token.data, reply->token.len);
    candidate->token_len = (uint8_t)reply->token.len;
  }
}

/* Adds the contacts of a reply. */
static void hear(struct kad_node *node, struct kad_lookup *lookup,
                 const struct kad_candidate *source,
                 const struct kad_message *reply) {
  size_t most = (size_t)HEARD_FACTOR * lookup->config.k;
  bool closer = false;
  for (size_t i = 0; i < reply->contact_count && most > 0; i++) {
    if (reply->contacts[i].address.family == lookup->config.family) {
      closer = add(node, lookup, &reply->contacts[i], source) || closer;
      most--;
    }
  }
  lookup->fruitless = closer ? 0 : lookup->fruitless + 1;
}

/* Returns true if a custom query has left us without the contacts that the
 * candidate knows: they are asked for by themselves. */
static bool needs_bypass(const struct kad_lookup *lookup,
                         const struct kad_candidate *candidate,
                         const struct kad_message *answer) {
  if (lookup->config.method != KAD_METHOD_CUSTOM || candidate->bypassed) {
    return false;
  }
  return answer->kind != KAD_MESSAGE_REPLY ||
         !(lookup->config.family == 6 ? answer->has_nodes6 : answer->has_nodes);
}

/* Asks a candidate that has answered a custom query for its contacts. Without
 * memory for it, they are done without. */
static void bypass(struct kad_node *node, struct kad_lookup *lookup,
                   struct kad_candidate *candidate) {
  candidate->bypassed = true;
  if (!lookup->finished && send_query(node, lookup, &candidate->contact,
                                      KAD_METHOD_FIND_NODE) == 0) {
    candidate->state = KAD_CANDIDATE_ASKED;
  }
}

static void take_reply(struct kad_node *node, struct kad_lookup *lookup,
                       struct kad_candidate *candidate,
                       const struct kad_query *query,
                       const struct kad_message *reply) {
  uint32_t number = candidate->step;
  bool first = !candidate->bypassed;
  bool bypassing = needs_bypass(lookup, candidate, reply);
  candidate->state = KAD_CANDIDATE_ANSWERED;
  keep_token(candidate, reply);
  struct kad_candidate source = *candidate;
  if (!bypassing) {
    hear(node, lookup, &source, reply);
  }
  if (!first) {
    return;
  }
  struct kad_step *step = &lookup->steps[number];
  step->answered = true;
  step->rtt_ms = (uint32_t)kad_time_since(query->sent_at, kad_node_now(node));
  if (lookup->config.replied != NULL) {
    step->had_value =
        lookup->config.replied(node, lookup, &source.contact, reply);
  }
  if (bypassing) {
    bypass(node, lookup, asked(lookup, query));
  }
}

static void take_error(struct kad_node *node, struct kad_lookup *lookup,
                       struct kad_candidate *candidate,
                       const struct kad_message *error) {
  candidate->state = KAD_CANDIDATE_ANSWERED;
  lookup->steps[candidate->step].answered = true;
  if (needs_bypass(lookup, candidate, error)) {
    lookup->config.refused(node, lookup, error);
    bypass(node, lookup, candidate);
  }
}

/* Takes what became of a query. An error is an answer without contacts: the
 * contact lives, but does not know this method. So does one that has answered a
 * custom query, whatever becomes of the question for its contacts. */
static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_lookup *lookup = query->owner;
  struct kad_candidate *candidate = asked(lookup, query);
  assert(candidate != NULL);
  lookup->in_flight -= candidate->state == KAD_CANDIDATE_ASKED;
  lookup->unanswered -= event != KAD_QUERY_SOFT;
  if (lookup->finished) {
    candidate->state = KAD_CANDIDATE_FAILED;
    return;
  }
  switch (event) {
  case KAD_QUERY_SOFT:
    candidate->state = KAD_CANDIDATE_SLOW;
    break;
  case KAD_QUERY_REPLY:
    take_reply(node, lookup, candidate, query, message);
    break;
  case KAD_QUERY_ERROR:
    take_error(node, lookup, candidate, message);
    break;
  case KAD_QUERY_TIMEOUT:
    candidate->state =
        candidate->bypassed ? KAD_CANDIDATE_ANSWERED : KAD_CANDIDATE_FAILED;
    break;
  }
  advance(node, lookup);
}

/* Sends the lookup's query, or a find_node in its stead. Returns 0, or what
 * kad_rpc_send does. */
static int send_query(struct kad_node *node, struct kad_lookup *lookup,
                      const struct kad_contact *to, enum kad_method_id method) {
  const struct kad_lookup_config *config = &lookup->config;
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = method;
  message.name = config->name;
  message.args = config->args;
  message.has_target = true;
  message.target = config->target;
  message.type = config->type;
  message.skip = config->skip;
  message.want4 = config->family == 4;
  message.want6 = config->family == 6;
  int error = kad_rpc_send(node, to, &message, take_event, lookup, NULL);
  if (error != 0) {
    lookup->error = error;
    return error;
  }
  lookup->in_flight++;
  lookup->unanswered++;
  lookup->messages++;
  return 0;
}

/* Notes the query to `candidate` in the path. Returns false when out of memory,
 * or when the path is as long as it may be. */
static bool note_step(struct kad_node *node, struct kad_lookup *lookup,
                      struct kad_candidate *candidate) {
  if (lookup->step_count == lookup->step_cap) {
    size_t cap = lookup->step_cap + GROWTH;
    if (cap > KAD_STEPS_MAX) {
      return false;
    }
    void *grown = kad_resize(&node->env.allocator, lookup->steps,
                             lookup->step_cap * sizeof *lookup->steps,
                             cap * sizeof *lookup->steps);
    if (grown == NULL) {
      return false;
    }
    lookup->steps = grown;
    lookup->step_cap = cap;
  }
  candidate->step = (uint32_t)lookup->step_count;
  lookup->steps[lookup->step_count++] = (struct kad_step){
      .contact = candidate->contact,
      .heard_from = {.id = candidate->heard_from_id,
                     .address = candidate->heard_from},
      .hop = candidate->hop,
  };
  return true;
}

static void ask(struct kad_node *node, struct kad_lookup *lookup,
                struct kad_candidate *candidate) {
  candidate->state = KAD_CANDIDATE_FAILED;
  if (note_step(node, lookup, candidate) &&
      send_query(node, lookup, &candidate->contact, lookup->config.method) ==
          0) {
    candidate->state = KAD_CANDIDATE_ASKED;
  }
}

/* Asks the next candidates. Returns true if the k closest live candidates have
 * answered. One that is slow counts as dead while there are others: farther
 * ones are asked in its stead, and only for want of k answers is it awaited. */
static bool ask_closest(struct kad_node *node, struct kad_lookup *lookup) {
  uint32_t k = lookup->config.k;
  uint32_t alpha = lookup->config.alpha;
  uint32_t parallel = lookup->fruitless >= alpha ? k : alpha;
  uint32_t answered = 0;
  uint32_t waiting = 0; /* that have to answer before it ends */
  uint32_t slow = 0;
  for (size_t i = 0; i < lookup->count && answered + waiting < k; i++) {
    struct kad_candidate *candidate = &lookup->candidates[i];
    if (candidate->state == KAD_CANDIDATE_HEARD &&
        lookup->in_flight < parallel) {
      ask(node, lookup, candidate);
    }
    slow += candidate->state == KAD_CANDIDATE_SLOW;
    answered += candidate->state == KAD_CANDIDATE_ANSWERED;
    waiting += candidate->state == KAD_CANDIDATE_HEARD ||
               candidate->state == KAD_CANDIDATE_ASKED;
  }
  return waiting == 0 && (answered == k || slow == 0);
}

static void tell_done(struct kad_node *node, struct kad_alarm *alarm) {
  struct kad_lookup *lookup =
      kad_container_of(alarm, struct kad_lookup, ending);
  lookup->config.done(node, lookup);
}

void kad_lookup_finish(struct kad_node *node, struct kad_lookup *lookup) {
  if (lookup->finished) {
    return;
  }
  lookup->finished = true;
  kad_alarm_unset(node, &lookup->deadline);
  kad_alarm_set(node, &lookup->ending, kad_node_now(node), tell_done);
}

static void advance(struct kad_node *node, struct kad_lookup *lookup) {
  if (!lookup->finished && ask_closest(node, lookup)) {
    kad_lookup_finish(node, lookup);
  }
}

static void time_out(struct kad_node *node, struct kad_alarm *alarm) {
  struct kad_lookup *lookup =
      kad_container_of(alarm, struct kad_lookup, deadline);
  lookup->timed_out = true;
  kad_lookup_finish(node, lookup);
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
  made->started_at = kad_node_now(node);
  struct kad_contact closest[GROUP_MAX];
  size_t count = kad_table_closest(table, &config->target, made->started_at,
                                   closest, config->k);
  for (size_t i = 0; i < count; i++) {
    (void)add(node, made, &closest[i], NULL);
  }
  if (config->seed != NULL) {
    (void)add(node, made, config->seed, NULL);
  }
  made->config.seed = NULL;
  kad_table_looked_up(table, &config->target, made->started_at);
  kad_alarm_set(node, &made->deadline,
                kad_time_add(made->started_at, config->deadline_ms), time_out);
  node->stats.lookups++;
  *lookup = made;
  advance(node, made);
  return 0;
}

void kad_lookup_hear(struct kad_node *node, struct kad_lookup *lookup,
                     const struct kad_contact *contact) {
  if (!lookup->finished) {
    (void)add(node, lookup, contact, NULL);
    advance(node, lookup);
  }
}

void kad_lookup_free(struct kad_node *node, struct kad_lookup *lookup) {
  if (lookup->unanswered > 0) {
    kad_rpc_disown(node, lookup);
  }
  kad_alarm_unset(node, &lookup->deadline);
  kad_alarm_unset(node, &lookup->ending);
  kad_release(&node->env.allocator, lookup->candidates,
              lookup->cap * sizeof *lookup->candidates);
  kad_release(&node->env.allocator, lookup->steps,
              lookup->step_cap * sizeof *lookup->steps);
  kad_release(&node->env.allocator, lookup, sizeof *lookup);
}

size_t kad_lookup_closest(const struct kad_lookup *lookup,
                          const struct kad_candidate **out, size_t cap) {
  size_t count = 0;
  for (size_t i = 0; i < lookup->count && count < cap; i++) {
    if (lookup->candidates[i].state == KAD_CANDIDATE_ANSWERED ||
        lookup->candidates[i].bypassed) {
      out[count++] = &lookup->candidates[i];
    }
  }
  return count;
}

size_t kad_lookup_living(const struct kad_lookup *lookup,
                         const struct kad_candidate **out, size_t cap) {
  size_t count = 0;
  for (size_t i = 0; i < lookup->count && count < cap; i++) {
    if (lookup->candidates[i].state == KAD_CANDIDATE_ANSWERED ||
        lookup->candidates[i].state == KAD_CANDIDATE_HEARD) {
      out[count++] = &lookup->candidates[i];
    }
  }
  return count;
}

uint32_t kad_lookup_hops(const struct kad_lookup *lookup) {
  uint32_t hops = 0;
  for (size_t i = 0; i < lookup->step_count; i++) {
    if (lookup->steps[i].answered && lookup->steps[i].hop > hops) {
      hops = lookup->steps[i].hop;
    }
  }
  return hops;
}
