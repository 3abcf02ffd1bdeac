#include "rpc/rpc.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "rpc/datagram.h"

#include <assert.h>
#include <string.h>

enum {
  SOFT_MIN_MS = 200,      /* below this, jitter looks like a timeout */
  SOFT_MAX_MS = 1500,     /* above this, a lookup stalls */
  SOFT_FIRST_MS = 800,    /* without samples */
  DEVIATIONS = 4,         /* added to the mean round-trip time */
  HURRIED_DEVIATIONS = 1, /* the same for an owner in a hurry */
  HURRIED_MAX_MS = 350,   /* SOFT_MAX_MS of such an owner */
  HARD_TO_SOFT = 4,       /* hard timeout, in soft ones without a hurry */
  LIMITED_TRIES = 8, /* times that a query is sent to a contact that may limit
                        us */
  PATIENCE_MAX = 3,  /* doublings of the timeouts in these */
  TRANSACTION_SIZE = 4,
  TRANSACTION_TRIES = 16 /* to draw a free 32-bit number: more are needed only
                            if the random source is broken */
};

/* The transaction is its own hash: it is our own random number. */
static struct kad_query *find_query(const struct kad_node *node,
                                    uint32_t transaction) {
  struct kad_map_entry *entry = kad_map_first(&node->rpc.pending, transaction);
  return entry != NULL ? kad_container_of(entry, struct kad_query, entry)
                       : NULL;
}

/* Adds `query` to the list of its owner, if it has one. */
static void link_to_owner(struct kad_query *query) {
  if (query->owner == NULL) {
    return;
  }
  query->next = query->owner->first;
  query->link = &query->owner->first;
  if (query->next != NULL) {
    query->next->link = &query->next;
  }
  query->owner->first = query;
}

static void unlink_from_owner(struct kad_query *query) {
  if (query->link == NULL) {
    return;
  }
  *query->link = query->next;
  if (query->next != NULL) {
    query->next->link = query->link;
  }
  query->link = NULL;
}

static void end_query(struct kad_node *node, struct kad_query *query) {
  unlink_from_owner(query);
  kad_timer_cancel(node, &query->timer);
  kad_pacer_end(node, query);
  kad_map_remove(&node->rpc.pending, &query->entry);
}

static void free_query(struct kad_node *node, struct kad_query *query) {
  kad_release(&node->env.allocator, query, sizeof *query + query->len);
}

/* Adds a sample, which is at least 1 ms. */
static void add_rtt_sample(struct kad_rtt *rtt, uint32_t sample_ms) {
  if (rtt->mean_ms == 0) {
    rtt->mean_ms = sample_ms;
    rtt->deviation_ms = sample_ms / 2;
    return;
  }
  uint32_t mean = rtt->mean_ms;
  uint32_t off = sample_ms > mean ? sample_ms - mean : mean - sample_ms;
  rtt->deviation_ms = (3 * rtt->deviation_ms + off) / 4;
  rtt->mean_ms = (7 * mean + sample_ms) / 8;
  rtt->mean_ms = rtt->mean_ms > 0 ? rtt->mean_ms : 1;
}

/* Returns how long `to` may take to answer: by its own round-trip time if that
 * is known, otherwise by that of all contacts, with `deviations` of it. */
static kad_time_ms answer_time(const struct kad_node *node,
                               const struct kad_contact *to,
                               uint32_t deviations) {
  const struct kad_table *table = kad_node_table(node, to->address.family);
  const struct kad_table_entry *entry =
      table != NULL ? kad_table_find(table, &to->id) : NULL;
  uint32_t soft = SOFT_FIRST_MS;
  if (entry != NULL && entry->rtt_ms > 0) {
    soft = 2U * entry->rtt_ms + SOFT_MIN_MS / 2;
  } else if (node->rpc.rtt.mean_ms > 0) {
    soft = node->rpc.rtt.mean_ms + deviations * node->rpc.rtt.deviation_ms;
  }
  soft = soft < SOFT_MIN_MS ? SOFT_MIN_MS : soft;
  return soft > SOFT_MAX_MS ? SOFT_MAX_MS : soft;
}

/* Returns the soft timeout of `query`. */
static kad_time_ms soft_timeout(const struct kad_node *node,
                                const struct kad_query *query) {
  if (query->owner == NULL || !query->owner->hurried) {
    return answer_time(node, &query->to, DEVIATIONS);
  }
  const kad_time_ms soft = answer_time(node, &query->to, HURRIED_DEVIATIONS);
  return soft < HURRIED_MAX_MS ? soft : HURRIED_MAX_MS;
}

static void on_timeout(struct kad_node *node, struct kad_timer *timer);

/* `reply` is that of another id than was asked, or NULL. */
static void end_unanswered(struct kad_node *node, struct kad_query *query,
                           const struct kad_message *reply) {
  query->handler(node, query, KAD_QUERY_TIMEOUT, reply);
  free_query(node, query);
}

/* Ends a query that failed. Updates the table before it calls the handler. */
static void fail_query(struct kad_node *node, struct kad_query *query,
                       const struct kad_message *reply) {
  if (query->expects_id) {
    node->events->contact_failed(node, &query->to);
  }
  end_unanswered(node, query, reply);
}

static void on_timeout(struct kad_node *node, struct kad_timer *timer);

/* Ends a query that was left unanswered. A contact that has answered another
 * one lately is not dead: it limits us, or a datagram was lost. */
static void time_out(struct kad_node *node, struct kad_query *query) {
  const bool alive = kad_pacer_is_alive(node, query);
  if (query->custom) {
    kad_pacer_silent(node, query);
  }
  end_query(node, query);
  node->stats.timeouts++;
  kad_table_forget_via(kad_node_table(node, query->to.address.family),
                       &query->to);
  query->to.address.via = 0;
  if (alive) {
    end_unanswered(node, query, NULL);
  } else {
    fail_query(node, query, NULL);
  }
}

/* SOFT comes if the query waits for longer than it. */
static void set_waiting_timeout(struct kad_node *node,
                                struct kad_query *query) {
  kad_timer_set(node, &query->timer,
                kad_time_add(kad_node_now(node), soft_timeout(node, query)),
                on_timeout);
}

/* Lets a query wait to be sent again if the contact may limit us. Returns false
 * otherwise. */
static bool try_again(struct kad_node *node, struct kad_query *query) {
  if (query->custom || query->tries == LIMITED_TRIES ||
      !kad_pacer_is_pressed(node, query) ||
      kad_pacer_wait(node, query, true) != 0) {
    return false;
  }
  query->tries++;
  set_waiting_timeout(node, query);
  return true;
}

/* Handles the soft timeout of a query that was sent or waits. */
static void grow_slow(struct kad_node *node, struct kad_query *query) {
  if (query->in_flight) {
    kad_pacer_landed(node, query);
    if (!query->custom) {
      kad_pacer_silent(node, query);
    }
    if (try_again(node, query)) {
      return;
    }
  }
  if (!query->waits) {
    kad_timer_set(node, &query->timer, query->hard_at, on_timeout);
  }
  if (!query->soft) {
    query->soft = true;
    query->handler(node, query, KAD_QUERY_SOFT, NULL);
  }
}

static void on_timeout(struct kad_node *node, struct kad_timer *timer) {
  struct kad_query *query = kad_container_of(timer, struct kad_query, timer);
  if (query->waits || kad_node_now(node) < query->hard_at) {
    grow_slow(node, query);
  } else {
    time_out(node, query);
  }
}

static void send_query(struct kad_node *node, struct kad_query *query);

void kad_rpc_init(struct kad_node *node) {
  kad_map_init(&node->rpc.pending, &node->env.allocator, node->map_secret);
  kad_pacer_init(node, send_query);
}

void kad_rpc_deinit(struct kad_node *node) {
  struct kad_map_entry *entry;
  size_t from = 0;
  while ((entry = kad_map_any(&node->rpc.pending, &from)) != NULL) {
    struct kad_query *query = kad_container_of(entry, struct kad_query, entry);
    end_query(node, query);
    free_query(node, query);
  }
  kad_map_deinit(&node->rpc.pending);
  kad_pacer_deinit(node);
}

/* Draws a free transaction number. Returns 0 or KAD_EBUSY. */
static int draw_transaction(struct kad_node *node, uint32_t *transaction) {
  for (int i = 0; i < TRANSACTION_TRIES; i++) {
    uint8_t bytes[TRANSACTION_SIZE];
    node->env.random(node->env.state, bytes, sizeof bytes);
    memcpy(transaction, bytes, sizeof bytes);
    if (find_query(node, *transaction) == NULL) {
      return 0;
    }
  }
  return KAD_EBUSY;
}

/* Encodes `message` with a free transaction to `datagram`, of KAD_DATAGRAM_MAX
 * bytes. */
static int encode_query(struct kad_node *node, const struct kad_contact *to,
                        struct kad_message *message, uint8_t *datagram,
                        size_t *len, uint32_t *transaction) {
  uint8_t bytes[TRANSACTION_SIZE];
  int error = draw_transaction(node, transaction);
  if (error != 0) {
    return error;
  }
  memcpy(bytes, transaction, sizeof bytes);
  message->transaction = (struct kad_slice){.data = bytes, .len = sizeof bytes};
  message->has_id = true;
  message->id = node->config.id;
  message->read_only = kad_node_is_read_only(node, to->address.family);
  return kad_datagram_encode(node, message, datagram, len);
}

/* Returns true for queries that a hook of the other node's policy may decide
 * later. Their hard timeout is query_ms. */
static bool may_be_pending(enum kad_method_id method) {
  return method == KAD_METHOD_CUSTOM || method == KAD_METHOD_STORE ||
         method == KAD_METHOD_ANNOUNCE_PEER || method == KAD_METHOD_PUT;
}

/* Starts the timeouts of a query that is sent for the first time, or again
 * because it may have been limited. */
static void set_timeouts(struct kad_node *node, struct kad_query *query) {
  const kad_time_ms now = kad_node_now(node);
  kad_time_ms longest = node->config.query_ms;
  kad_time_ms soft = soft_timeout(node, query);
  soft <<= query->tries < PATIENCE_MAX ? query->tries : PATIENCE_MAX;
  kad_time_ms hard = HARD_TO_SOFT * answer_time(node, &query->to, DEVIATIONS);
  hard <<= query->tries < PATIENCE_MAX ? query->tries : PATIENCE_MAX;
  hard = hard > longest || may_be_pending(query->method) ? longest : hard;
  soft = soft < hard ? soft : hard;
  query->hard_at = kad_time_add(now, hard);
  kad_timer_set(node, &query->timer, kad_time_add(now, soft), on_timeout);
}

/* Starts the soft timeout of a query that is sent again. */
static void restart_soft_timeout(struct kad_node *node,
                                 struct kad_query *query) {
  const kad_time_ms soft =
      kad_time_add(kad_node_now(node), soft_timeout(node, query));
  kad_timer_set(node, &query->timer,
                soft < query->hard_at ? soft : query->hard_at, on_timeout);
}

/* Sends a query, whose place is taken. */
static void send_query(struct kad_node *node, struct kad_query *query) {
  const kad_time_ms now = kad_node_now(node);
  const bool first = !query->sent;
  query->resent = !first;
  query->sent_at = first ? now : query->sent_at;
  if (first || query->tries > 0) {
    set_timeouts(node, query);
  } else {
    restart_soft_timeout(node, query);
  }
  query->sent = true;
  query->unasked =
      first ? !kad_address_filter_has(&node->sent_to, &query->to.address, now)
            : query->unasked;
  kad_table_queried(kad_node_table(node, query->to.address.family), &query->to,
                    now);
  node->stats.queries++;
  node->tallies.queries_sent[query->method]++;
  kad_datagram_pass(
      node, &query->to.address,
      (struct kad_slice){.data = query->datagram, .len = query->len});
}

/* Sends a query now, or lets it wait. SOFT comes if it waits long. */
static int send_or_wait(struct kad_node *node, struct kad_query *query) {
  if (kad_pacer_take(node, query)) {
    send_query(node, query);
    return 0;
  }
  const int error = kad_pacer_wait(node, query, false);
  if (error == 0) {
    set_waiting_timeout(node, query);
  }
  return error;
}

/* Returns true if a NAT of `to` has no reason to let a query of ours in. */
static bool is_cold(const struct kad_node *node, const struct kad_contact *to) {
  const struct kad_table_entry *entry =
      kad_table_find_exact(kad_node_table(node, to->address.family), to);
  return entry == NULL || kad_table_entry_is_cold(entry, kad_node_now(node));
}

/* Makes a query with an encoded datagram. Returns NULL when out of memory. */
static struct kad_query *make_query(struct kad_node *node,
                                    const struct kad_contact *to,
                                    uint32_t transaction,
                                    struct kad_slice datagram) {
  struct kad_query *made =
      kad_alloc_zero(&node->env.allocator, sizeof *made + datagram.len);
  if (made == NULL) {
    return NULL;
  }
  made->to = *to;
  made->expects_id = kad_contact_has_id(to);
  made->cold = is_cold(node, to);
  made->transaction = transaction;
  made->len = datagram.len;
  memcpy(made->datagram, datagram.data, datagram.len);
  if (kad_map_add(&node->rpc.pending, &made->entry, transaction) != 0) {
    free_query(node, made);
    return NULL;
  }
  return made;
}

int kad_rpc_find_route(const struct kad_node *node,
                       const struct kad_address *to) {
  if ((to->family != 4 && to->family != 6) ||
      kad_node_table(node, to->family) == NULL) {
    return KAD_EFAMILY;
  }
  if (kad_address_is_martian(to, node->config.allow_local)) {
    return KAD_EMARTIAN;
  }
  if (kad_address_set_has(&node->blocked, to)) {
    return KAD_EBLOCKED;
  }
  return node->env.find_route != NULL
             ? node->env.find_route(node->env.state, to)
             : 0;
}

int kad_rpc_send(struct kad_node *node, const struct kad_contact *to,
                 struct kad_message *message, kad_query_fn handler,
                 struct kad_query_owner *owner, struct kad_query **query) {
  uint8_t datagram[KAD_DATAGRAM_MAX];
  size_t len;
  uint32_t transaction;
  if (kad_node_table(node, to->address.family) == NULL) {
    return KAD_EFAMILY;
  }
  if (kad_address_is_martian(&to->address, node->config.allow_local)) {
    return KAD_EMARTIAN;
  }
  if (kad_address_set_has(&node->blocked, &to->address)) {
    return KAD_EBLOCKED;
  }
  int error = encode_query(node, to, message, datagram, &len, &transaction);
  if (error != 0) {
    return error;
  }
  struct kad_query *made = make_query(
      node, to, transaction, (struct kad_slice){.data = datagram, .len = len});
  if (made == NULL) {
    return KAD_ENOMEM;
  }
  made->method = message->method;
  made->custom = message->method == KAD_METHOD_CUSTOM;
  made->handler = handler;
  made->owner = owner;
  made->class =
      owner != NULL && owner->user ? KAD_QUERY_CLASS_USER : KAD_QUERY_CLASS_OWN;
  link_to_owner(made);
  kad_pacer_begin(node, made);
  error = send_or_wait(node, made);
  if (error != 0) {
    end_query(node, made);
    free_query(node, made);
    return error;
  }
  if (query != NULL) {
    *query = made;
  }
  return 0;
}

int kad_rpc_resend(struct kad_node *node, struct kad_query *query) {
  if (query->waits) {
    return 0;
  }
  kad_pacer_landed(node, query);
  query->soft = false;
  const int error = send_or_wait(node, query);
  query->tries += query->waits;
  return error;
}

static void ignore_event(struct kad_node *node, struct kad_query *query,
                         enum kad_query_event event,
                         const struct kad_message *message) {
  (void)node;
  (void)query;
  (void)event;
  (void)message;
}

void kad_rpc_disown(struct kad_node *node, struct kad_query_owner *owner) {
  while (owner->first != NULL) {
    struct kad_query *query = owner->first;
    if (query->waits) {
      end_query(node, query);
      free_query(node, query);
      continue;
    }
    unlink_from_owner(query);
    query->owner = NULL;
    query->handler = ignore_event;
  }
}

/* Returns the query that `message` from `from` answers, or NULL. */
static struct kad_query *match_query(const struct kad_node *node,
                                     const struct kad_address *from,
                                     const struct kad_message *message) {
  if (message->transaction.len != TRANSACTION_SIZE) {
    return NULL;
  }
  uint32_t transaction;
  memcpy(&transaction, message->transaction.data, sizeof transaction);
  struct kad_query *query = find_query(node, transaction);
  if (query == NULL || !kad_address_equal(&query->to.address, from)) {
    return NULL;
  }
  return query;
}

/* Notes that the address of `contact`, which has answered, is proven, unless a
 * table notes it: most answers come from contacts of the tables. */
static void note_proof(struct kad_node *node,
                       const struct kad_contact *contact) {
  if (!kad_node_is_proven(node, contact)) {
    kad_proven_addresses_add(&node->proven, &contact->address,
                             kad_node_now(node));
  }
}

/* Handles a reply with another id: the contact that was asked is gone. */
static void replace_contact(struct kad_node *node, struct kad_query *query,
                            const struct kad_contact *answered, uint32_t rtt_ms,
                            const struct kad_message *reply) {
  struct kad_table *table = kad_node_table(node, query->to.address.family);
  kad_table_remove(table, &query->to);
  node->events->contact_replaced(node, &query->to);
  node->events->contact_answered(node, answered, rtt_ms, query->cold);
  note_proof(node, answered);
  fail_query(node, query, reply);
}

/* Counts the time of an answer, unless it may be to either of two messages. */
static void count_answer(struct kad_node *node, const struct kad_query *query,
                         enum kad_timed_outcome outcome) {
  if (!query->resent) {
    kad_histograms_add(node,
                       query->to.address.family == 4 ? KAD_TIMED_REPLY_IP4
                                                     : KAD_TIMED_REPLY_IP6,
                       outcome, query->sent_at);
  }
}

/* Handles the reply to `query`, which has ended already: a hook that the events
 * call cannot find it any more. */
static void handle_reply(struct kad_node *node, struct kad_query *query,
                         const struct kad_message *message) {
  kad_time_ms now = kad_node_now(node);
  uint32_t rtt_ms = (uint32_t)kad_time_since(query->sent_at, now);
  struct kad_contact answered = {.id = message->id,
                                 .address = query->to.address};
  rtt_ms = rtt_ms > 0 ? rtt_ms : 1;
  if (message->malformed && !query->custom) {
    node->stats.dropped_malformed++;
    fail_query(node, query, NULL);
    return;
  }
  node->stats.replies++;
  count_answer(node, query, KAD_TIMED_OUTCOME_SUCCESS);
  node->stats.late += query->soft;
  if (query->expects_id && !kad_id_equal(&message->id, &query->to.id)) {
    replace_contact(node, query, &answered, rtt_ms, message);
    return;
  }
  query->to.id = message->id;
  node->events->address_observed(node, &query->to, &message->observed);
  if (query->unasked && query->class == KAD_QUERY_CLASS_OWN) {
    node->events->unasked_answered(node, &query->to.address);
  }
  if (query->resent) { /* the reply may be to either of the two messages */
    (void)kad_table_seen(kad_node_table(node, answered.address.family),
                         &answered, now);
  } else {
    add_rtt_sample(&node->rpc.rtt, rtt_ms);
    node->events->contact_answered(node, &answered, rtt_ms, query->cold);
  }
  note_proof(node, &answered);
  query->handler(node, query, KAD_QUERY_REPLY, message);
  free_query(node, query);
}

void kad_rpc_receive(struct kad_node *node, const struct kad_address *from,
                     const struct kad_message *message) {
  struct kad_query *query = match_query(node, from, message);
  if (query == NULL) {
    node->stats.dropped_unmatched++;
    kad_talkers_drop(node, from);
    return;
  }
  kad_pacer_answered(node, query);
  end_query(node, query);
  if (message->kind == KAD_MESSAGE_REPLY) {
    handle_reply(node, query, message);
    return;
  }
  node->stats.errors++;
  kad_tally_error(node->tallies.errors_received, message->code);
  count_answer(node, query, KAD_TIMED_OUTCOME_FAILED);
  (void)kad_table_seen(kad_node_table(node, from->family), &query->to,
                       kad_node_now(node));
  note_proof(node, &query->to);
  query->handler(node, query, KAD_QUERY_ERROR, message);
  free_query(node, query);
}
