#include "replication/fanout.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>
#include <string.h>

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

static void go_on(struct kad_node *node, struct kad_timer *timer);

/* Sends the query to a place now. Returns false if it cannot be. */
static bool transmit(struct kad_node *node, struct kad_placing *placing,
                     struct kad_place *place) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.has_target = true;
  message.target = placing->target;
  message.token =
      (struct kad_slice){.data = place->token, .len = place->token_len};
  placing->kind->write(placing, place, &message);
  int error = place->query != NULL
                  ? kad_rpc_resend(node, place->query, &message)
                  : kad_rpc_send(node, &place->contact, &message, take_event,
                                 placing, &place->query);
  if (error != 0) {
    return false;
  }
  place->query->tag = (uint32_t)(place - placing->places);
  place->tries++;
  placing->messages++;
  return true;
}

/* Sends the query to a place once more, when the budget allows it. Returns
 * false if it cannot be sent. */
static bool send(struct kad_node *node, struct kad_placing *placing,
                 struct kad_place *place) {
  const bool paced = placing->paced && place->token_len > 0;
  if (!paced || kad_budget_take(&node->budget, kad_node_now(node))) {
    return transmit(node, placing, place);
  }
  place->delayed = true;
  kad_timer_set(node, &placing->timer, kad_budget_free_at(&node->budget),
                go_on);
  return true;
}

/* Asks a place for a token, or, when it has one, to take what is placed.
 * Returns false if it cannot be asked. */
static bool ask(struct kad_node *node, struct kad_placing *placing,
                struct kad_place *place) {
  const bool has_token = place->token_len > 0;
  place->state = has_token ? KAD_PLACE_ASKED : KAD_PLACE_CALLED;
  place->tries = 0;
  if (!send(node, placing, place)) {
    place->state = KAD_PLACE_SILENT;
    return false;
  }
  placing->asked += has_token;
  return true;
}

/* Returns true if what begins now ends in time. */
static bool has_time(const struct kad_node *node,
                     const struct kad_placing *placing) {
  return kad_time_add(kad_node_now(node), node->config.query_ms) <=
         placing->until;
}

/* Tries the first spare place of a group. Returns false if there is none that
 * can be asked, or no time for it. */
static bool ask_next(struct kad_node *node, struct kad_placing *placing,
                     uint8_t group) {
  kad_time_ms end = kad_time_add(kad_node_now(node), node->config.query_ms);
  for (size_t i = 0; i < placing->count && end <= placing->until; i++) {
    struct kad_place *place = &placing->places[i];
    if (place->group != group || place->state != KAD_PLACE_SPARE) {
      continue;
    }
    if (ask(node, placing, place)) {
      placing->open++;
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

/* Returns true if the next place is to be tried, after the last event of this
 * one. */
static bool wants_another(const struct kad_place *place,
                          enum kad_query_event event,
                          const struct kad_message *message) {
  return place->state == KAD_PLACE_SILENT ||
         (place->state == KAD_PLACE_REFUSED &&
          (event != KAD_QUERY_ERROR || is_own_affair(message)));
}

/* Returns what has become of a place, by its last event. */
static enum kad_place_state outcome(const struct kad_place *place,
                                    enum kad_query_event event,
                                    const struct kad_message *message) {
  if (event == KAD_QUERY_TIMEOUT) {
    return KAD_PLACE_SILENT;
  }
  return event == KAD_QUERY_REPLY && place->state == KAD_PLACE_ASKED &&
                 (!message->has_stored || message->stored > 0)
             ? KAD_PLACE_TAKEN
             : KAD_PLACE_REFUSED;
}

/* Takes the token that a place was asked for, and goes on with it. Returns
 * false if there is none, or no time. */
static bool take_token(struct kad_node *node, struct kad_placing *placing,
                       struct kad_place *place,
                       const struct kad_message *reply) {
  const struct kad_slice token = reply->token;
  if (token.len == 0 || token.len > KAD_TOKEN_MAX || !has_time(node, placing)) {
    return false;
  }
  place->token_len = (uint8_t)token.len;
  memcpy(place->token, token.data, token.len);
  return ask(node, placing, place);
}

/* Sends what was delayed, as far as the budget allows it now. Whom it comes too
 * late for was silent, in effect. */
static void go_on(struct kad_node *node, struct kad_timer *timer) {
  struct kad_placing *placing =
      kad_container_of(timer, struct kad_placing, timer);
  size_t i = 0;
  while (i < placing->count && !placing->places[i].delayed) {
    i++;
  }
  if (i == placing->count) {
    return;
  }
  struct kad_place *place = &placing->places[i];
  const bool first = place->tries == 0;
  place->delayed = false;
  kad_timer_set(node, timer, kad_node_now(node), go_on);
  if (place->state != KAD_PLACE_ASKED ||
      (has_time(node, placing) && send(node, placing, place)) || !first) {
    return;
  }
  place->state = KAD_PLACE_SILENT;
  placing->open--;
  placing->kind->settled(node, placing, place, NULL);
}

static void take_event(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_placing *placing = query->owner;
  struct kad_place *place = &placing->places[query->tag];
  if (event == KAD_QUERY_SOFT) {
    if (place->tries < KAD_PLACE_TRIES) {
      (void)send(node, placing, place);
    }
    return;
  }
  place->query = NULL;
  place->delayed = false;
  if (event == KAD_QUERY_REPLY && place->state == KAD_PLACE_CALLED &&
      take_token(node, placing, place, message)) {
    return;
  }
  place->state = outcome(place, event, message);
  if (wants_another(place, event, message)) {
    (void)ask_next(node, placing, place->group);
  }
  placing->open--;
  placing->kind->settled(node, placing, place, message);
}

int kad_placing_reserve(struct kad_node *node, struct kad_placing *placing,
                        size_t count) {
  size_t cap = placing->count + count;
  if (cap <= placing->cap) {
    return 0;
  }
  void *grown = kad_resize(&node->env.allocator, placing->places,
                           placing->cap * sizeof *placing->places,
                           cap * sizeof *placing->places);
  if (grown == NULL) {
    return KAD_ENOMEM;
  }
  placing->places = grown;
  placing->cap = cap;
  return 0;
}

void kad_placing_add(struct kad_placing *placing,
                     const struct kad_contact *contact, struct kad_slice token,
                     uint8_t group) {
  assert(placing->count < placing->cap);
  assert(token.len <= KAD_TOKEN_MAX);
  struct kad_place *place = &placing->places[placing->count++];
  *place = (struct kad_place){
      .contact = *contact, .group = group, .token_len = (uint8_t)token.len};
  if (token.len > 0) {
    memcpy(place->token, token.data, token.len);
  }
}

bool kad_placing_has(const struct kad_placing *placing,
                     const struct kad_contact *contact) {
  for (size_t i = 0; i < placing->count; i++) {
    if (kad_id_equal(&placing->places[i].contact.id, &contact->id)) {
      return true;
    }
  }
  return false;
}

void kad_placing_begin(struct kad_node *node, struct kad_placing *placing,
                       uint8_t group, size_t want) {
  while (want > 0 && ask_next(node, placing, group)) {
    want--;
  }
}

void kad_placing_end(struct kad_node *node, struct kad_placing *placing) {
  if (placing->places == NULL) {
    return;
  }
  kad_rpc_disown(node, placing);
  kad_timer_cancel(node, &placing->timer);
  kad_release(&node->env.allocator, placing->places,
              placing->cap * sizeof *placing->places);
  placing->places = NULL;
  placing->count = 0;
  placing->cap = 0;
}
