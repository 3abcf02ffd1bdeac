#include "replication/fanout.h"

#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>
#include <string.h>

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

static void go_on(struct kad_node *node, struct kad_timer *timer);

/* Sends the query to a replica now. Returns false if it cannot be. */
static bool transmit(struct kad_node *node, struct kad_fanout *fanout,
                     struct kad_replica *replica) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.has_target = true;
  message.target = fanout->target;
  message.token =
      (struct kad_slice){.data = replica->token, .len = replica->token_len};
  fanout->kind->write(fanout, replica, &message);
  int error = replica->query != NULL
                  ? kad_rpc_resend(node, replica->query, &message)
                  : kad_rpc_send(node, &replica->contact, &message, take_event,
                                 &fanout->queries, &replica->query);
  if (error != 0) {
    return false;
  }
  replica->query->tag = (uint32_t)(replica - fanout->replicas);
  replica->tries++;
  fanout->messages++;
  return true;
}

/* Sends the query to a replica once more, when the budget allows it. Returns
 * false if it cannot be sent. */
static bool send(struct kad_node *node, struct kad_fanout *fanout,
                 struct kad_replica *replica) {
  const bool paced = fanout->paced && replica->token_len > 0;
  if (!paced || kad_budget_take(&node->budget, kad_node_now(node))) {
    return transmit(node, fanout, replica);
  }
  replica->delayed = true;
  kad_timer_set(node, &fanout->timer, kad_budget_free_at(&node->budget), go_on);
  return true;
}

/* Asks a replica for a token, or, when it has one, to take what is placed.
 * Returns false if it cannot be asked. */
static bool ask(struct kad_node *node, struct kad_fanout *fanout,
                struct kad_replica *replica) {
  const bool has_token = replica->token_len > 0;
  replica->state = has_token ? KAD_REPLICA_STORE_SENT : KAD_REPLICA_TOKEN_ASKED;
  replica->tries = 0;
  if (!send(node, fanout, replica)) {
    replica->state = KAD_REPLICA_TIMED_OUT;
    return false;
  }
  fanout->asked += has_token;
  return true;
}

/* Returns true if what begins now ends in time. */
static bool has_time(const struct kad_node *node,
                     const struct kad_fanout *fanout) {
  return kad_time_add(kad_node_now(node), node->config.query_ms) <=
         fanout->until;
}

/* Tries the first spare replica of a group. Returns false if there is none that
 * can be asked, or no time for it. */
static bool ask_next(struct kad_node *node, struct kad_fanout *fanout,
                     uint8_t group) {
  kad_time_ms end = kad_time_add(kad_node_now(node), node->config.query_ms);
  for (size_t i = 0; i < fanout->count && end <= fanout->until; i++) {
    struct kad_replica *replica = &fanout->replicas[i];
    if (replica->group != group || replica->state != KAD_REPLICA_SPARE) {
      continue;
    }
    if (ask(node, fanout, replica)) {
      fanout->open++;
      return true;
    }
  }
  return false;
}

/* Returns true if the error is the contact's own affair: another one may take
 * what this one does not. What is refused for what it is goes to nobody else,
 * who would not know better: a name that belongs to another key, for one. */
static bool is_own_affair(const struct kad_message *error) {
  return error->code == KAD_CODE_FAILED || error->code == KAD_CODE_PROTOCOL ||
         error->code == KAD_CODE_METHOD;
}

/* Returns true if the next replica is to be tried, after the last event of this
 * one. */
static bool wants_another(const struct kad_replica *replica,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  return replica->state == KAD_REPLICA_TIMED_OUT ||
         (replica->state == KAD_REPLICA_REJECTED &&
          (event != KAD_QUERY_ERROR || is_own_affair(message)));
}

/* Returns what has become of a replica, by its last event. */
static enum kad_replica_state outcome(const struct kad_replica *replica,
                                      enum kad_query_event event,
                                      const struct kad_message *message) {
  if (event == KAD_QUERY_TIMEOUT) {
    return KAD_REPLICA_TIMED_OUT;
  }
  return event == KAD_QUERY_REPLY && replica->state == KAD_REPLICA_STORE_SENT &&
                 (!message->has_stored || message->stored > 0)
             ? KAD_REPLICA_STORED
             : KAD_REPLICA_REJECTED;
}

/* Takes the token that a replica was asked for, and goes on with it. Returns
 * false if there is none, or no time. */
static bool take_token(struct kad_node *node, struct kad_fanout *fanout,
                       struct kad_replica *replica,
                       const struct kad_message *reply) {
  const struct kad_slice token = reply->token;
  if (token.len == 0 || token.len > KAD_TOKEN_MAX || !has_time(node, fanout)) {
    return false;
  }
  replica->token_len = (uint8_t)token.len;
  memcpy(replica->token, token.data, token.len);
  return ask(node, fanout, replica);
}

/* Sends what was delayed, as far as the budget allows it now. Whom it comes too
 * late for was silent, in effect. */
static void go_on(struct kad_node *node, struct kad_timer *timer) {
  struct kad_fanout *fanout = kad_container_of(timer, struct kad_fanout, timer);
  size_t i = 0;
  while (i < fanout->count && !fanout->replicas[i].delayed) {
    i++;
  }
  if (i == fanout->count) {
    return;
  }
  struct kad_replica *replica = &fanout->replicas[i];
  const bool first = replica->tries == 0;
  replica->delayed = false;
  kad_timer_set(node, timer, kad_node_now(node), go_on);
  if (replica->state != KAD_REPLICA_STORE_SENT ||
      (has_time(node, fanout) && send(node, fanout, replica)) || !first) {
    return;
  }
  replica->state = KAD_REPLICA_TIMED_OUT;
  fanout->open--;
  fanout->kind->settled(node, fanout, replica, NULL);
}

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_fanout *fanout =
      kad_container_of(query->owner, struct kad_fanout, queries);
  struct kad_replica *replica = &fanout->replicas[query->tag];
  if (event == KAD_QUERY_SOFT) {
    if (replica->tries < KAD_REPLICA_TRIES) {
      (void)send(node, fanout, replica);
    }
    return;
  }
  replica->query = NULL;
  replica->delayed = false;
  if (event == KAD_QUERY_REPLY && replica->state == KAD_REPLICA_TOKEN_ASKED &&
      take_token(node, fanout, replica, message)) {
    return;
  }
  replica->state = outcome(replica, event, message);
  if (wants_another(replica, event, message)) {
    (void)ask_next(node, fanout, replica->group);
  }
  fanout->open--;
  fanout->kind->settled(node, fanout, replica, message);
}

int kad_fanout_reserve(struct kad_node *node, struct kad_fanout *fanout,
                       size_t count) {
  return KAD_ARRAY_RESERVE(&node->env.allocator, &fanout->replicas,
                           &fanout->cap, fanout->count + count);
}

void kad_fanout_add(struct kad_fanout *fanout,
                    const struct kad_contact *contact, struct kad_slice token,
                    uint8_t group) {
  assert(fanout->count < fanout->cap);
  assert(token.len <= KAD_TOKEN_MAX);
  struct kad_replica *replica = &fanout->replicas[fanout->count++];
  *replica = (struct kad_replica){
      .contact = *contact, .group = group, .token_len = (uint8_t)token.len};
  if (token.len > 0) {
    memcpy(replica->token, token.data, token.len);
  }
}

bool kad_fanout_has(const struct kad_fanout *fanout,
                    const struct kad_contact *contact) {
  for (size_t i = 0; i < fanout->count; i++) {
    if (kad_id_equal(&fanout->replicas[i].contact.id, &contact->id)) {
      return true;
    }
  }
  return false;
}

void kad_fanout_begin(struct kad_node *node, struct kad_fanout *fanout,
                      uint8_t group, size_t want) {
  while (want > 0 && ask_next(node, fanout, group)) {
    want--;
  }
}

void kad_fanout_end(struct kad_node *node, struct kad_fanout *fanout) {
  if (fanout->replicas == NULL) {
    return;
  }
  kad_rpc_disown(&fanout->queries);
  kad_timer_cancel(node, &fanout->timer);
  KAD_ARRAY_FREE(&node->env.allocator, &fanout->replicas, &fanout->cap);
  fanout->count = 0;
}
