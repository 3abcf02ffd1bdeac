#include "replication/fanout.h"

#include "base/array.h"
#include "base/time.h"
#include "engine/node.h"
#include "rpc/record_query.h"

#include <assert.h>
#include <string.h>

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message);

static void send_delayed(struct kad_node *node, struct kad_timer *timer);

/* Sends the query to a replica. Returns false if that is not possible. */
static bool send_now(struct kad_node *node, struct kad_fanout *fanout,
                     struct kad_replica *replica) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.has_target = true;
  message.target = fanout->target;
  message.token =
      (struct kad_slice){.data = replica->token, .len = replica->token_len};
  fanout->kind->write(fanout, replica, &message);
  int error =
      replica->query != NULL
          ? kad_rpc_resend(node, replica->query)
          : kad_rpc_send(node, &replica->contact, &message, on_query_event,
                         &fanout->queries, &replica->query);
  if (error != 0) {
    return false;
  }
  replica->query->tag = (uint32_t)(replica - fanout->replicas);
  replica->tries++;
  fanout->messages++;
  return true;
}

/* Sends the query to a replica when the budget allows it. Returns false if that
 * is not possible. */
static bool send_or_delay(struct kad_node *node, struct kad_fanout *fanout,
                          struct kad_replica *replica) {
  const bool paced = fanout->paced && replica->token_len > 0;
  if (!paced ||
      kad_store_budget_take(&node->store_budget, kad_node_now(node))) {
    return send_now(node, fanout, replica);
  }
  replica->delayed = true;
  kad_timer_set(node, &fanout->timer,
                kad_store_budget_free_at(&node->store_budget), send_delayed);
  return true;
}

/* Starts the store to a replica, or, if it has no token, asks for one. Returns
 * false if that is not possible. */
static bool try_replica(struct kad_node *node, struct kad_fanout *fanout,
                        struct kad_replica *replica) {
  const bool has_token = replica->token_len > 0;
  replica->state = has_token ? KAD_REPLICA_STORE_SENT : KAD_REPLICA_TOKEN_ASKED;
  replica->tries = 0;
  if (!send_or_delay(node, fanout, replica)) {
    replica->state = KAD_REPLICA_TIMED_OUT;
    return false;
  }
  fanout->asked += has_token;
  return true;
}

/* Returns true if a query that is started now ends in time. */
static bool has_time(const struct kad_node *node,
                     const struct kad_fanout *fanout) {
  return kad_time_add(kad_node_now(node), node->config.query_ms) <=
         fanout->end_at;
}

/* Tries the first spare replica of a group. Returns false if there is none that
 * can be tried, or no time. */
static bool try_next(struct kad_node *node, struct kad_fanout *fanout,
                     uint8_t group) {
  for (size_t i = 0; i < fanout->count && has_time(node, fanout); i++) {
    struct kad_replica *replica = &fanout->replicas[i];
    if (replica->group == group && replica->state == KAD_REPLICA_SPARE &&
        try_replica(node, fanout, replica)) {
      fanout->open++;
      return true;
    }
  }
  return false;
}

/* Returns true if the error is about the contact and not about the record, so
 * that another contact may store the record. */
static bool is_about_contact(const struct kad_message *error) {
  return error->code == KAD_CODE_FAILED || error->code == KAD_CODE_PROTOCOL ||
         error->code == KAD_CODE_METHOD;
}

/* Returns true if the next replica has to be tried after the last event of this
 * one. */
static bool needs_another(const struct kad_replica *replica,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  return replica->state == KAD_REPLICA_TIMED_OUT ||
         (replica->state == KAD_REPLICA_REJECTED &&
          (event != KAD_QUERY_ERROR || is_about_contact(message)));
}

/* Returns the state of a replica after its last event. */
static enum kad_replica_state end_state(const struct kad_replica *replica,
                                        enum kad_query_event event,
                                        const struct kad_message *message) {
  if (event == KAD_QUERY_TIMEOUT) {
    return KAD_REPLICA_TIMED_OUT;
  }
  return event == KAD_QUERY_REPLY && replica->state == KAD_REPLICA_STORE_SENT &&
                 kad_record_was_stored(message)
             ? KAD_REPLICA_STORED
             : KAD_REPLICA_REJECTED;
}

/* Keeps the token of a replica, and starts the store to it. Returns false if
 * there is no token, or no time. */
static bool store_with_token(struct kad_node *node, struct kad_fanout *fanout,
                             struct kad_replica *replica,
                             const struct kad_message *reply) {
  const struct kad_slice token = reply->token;
  if (token.len == 0 || token.len > KAD_TOKEN_MAX || !has_time(node, fanout)) {
    return false;
  }
  replica->token_len = (uint8_t)token.len;
  memcpy(replica->token, token.data, token.len);
  replica->knows_ttl = reply->has_total;
  replica->has_seq = reply->has_seq;
  replica->seq = reply->seq;
  return try_replica(node, fanout, replica);
}

/* Sends one delayed query. A replica whose first query is too late for it has
 * timed out. */
static void send_delayed(struct kad_node *node, struct kad_timer *timer) {
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
  kad_timer_set(node, timer, kad_node_now(node), send_delayed);
  if (replica->state != KAD_REPLICA_STORE_SENT ||
      (has_time(node, fanout) && send_or_delay(node, fanout, replica)) ||
      !first) {
    return;
  }
  replica->state = KAD_REPLICA_TIMED_OUT;
  fanout->open--;
  fanout->kind->replica_ended(node, fanout, replica, NULL);
}

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct kad_fanout *fanout =
      kad_container_of(query->owner, struct kad_fanout, queries);
  struct kad_replica *replica = &fanout->replicas[query->tag];
  if (event == KAD_QUERY_SOFT) {
    if (replica->tries < KAD_REPLICA_TRIES) {
      (void)send_or_delay(node, fanout, replica);
    }
    return;
  }
  replica->query = NULL;
  replica->delayed = false;
  if (event == KAD_QUERY_REPLY && replica->state == KAD_REPLICA_TOKEN_ASKED &&
      store_with_token(node, fanout, replica, message)) {
    return;
  }
  replica->state = end_state(replica, event, message);
  if (needs_another(replica, event, message)) {
    (void)try_next(node, fanout, replica->group);
  }
  fanout->open--;
  fanout->kind->replica_ended(node, fanout, replica, message);
}

int kad_fanout_reserve(struct kad_node *node, struct kad_fanout *fanout,
                       size_t count) {
  return KAD_ARRAY_RESERVE(&node->env.allocator, &fanout->replicas,
                           &fanout->cap, fanout->count + count);
}

struct kad_replica *kad_fanout_add(struct kad_fanout *fanout,
                                   const struct kad_contact *contact,
                                   uint8_t group) {
  assert(fanout->count < fanout->cap);
  struct kad_replica *replica = &fanout->replicas[fanout->count++];
  *replica = (struct kad_replica){.contact = *contact, .group = group};
  return replica;
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

void kad_fanout_start(struct kad_node *node, struct kad_fanout *fanout,
                      uint8_t group, size_t wanted) {
  while (wanted > 0 && try_next(node, fanout, group)) {
    wanted--;
  }
}

void kad_fanout_stop(struct kad_node *node, struct kad_fanout *fanout) {
  if (fanout->replicas == NULL) {
    return;
  }
  kad_rpc_disown(node, &fanout->queries);
  kad_timer_cancel(node, &fanout->timer);
  KAD_ARRAY_FREE(&node->env.allocator, &fanout->replicas, &fanout->cap);
  fanout->count = 0;
}
