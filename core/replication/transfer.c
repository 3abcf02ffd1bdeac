#include "replication/transfer.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "records/record.h"
#include "replication/commit.h"
#include "replication/republish.h"
#include "wire/krpc.h"

#include <string.h>

enum {
  OVERHEAD = 250 /* more than what a store has around its records */
};

static void free_handing(struct kad_node *node, struct kad_handing *handing) {
  kad_release(&node->env.allocator, handing->lacking,
              handing->lacking_cap * sizeof *handing->lacking);
  kad_release(&node->env.allocator, handing, sizeof *handing);
}

static void end_handing(struct kad_node *node, struct kad_handing *handing) {
  struct kad_handing **link = &node->handoff.handings;
  while (*link != handing) {
    link = &(*link)->next;
  }
  *link = handing->next;
  node->handoff.handing_count--;
  free_handing(node, handing);
  kad_handoff_plan(node);
}

bool kad_handing_read(const struct kad_node *node, kad_handle handle,
                      struct kad_record *record) {
  struct kad_held held;
  if (!node->store->read(node->store->state, handle, &held) ||
      held.holding.republish_at == KAD_TIME_NEVER) {
    return false;
  }
  kad_held_age(&held.holding, kad_node_now(node), &held.record);
  *record = held.record;
  return record->ttl > 0;
}

static bool is_among(const struct kad_record *records, size_t count,
                     const struct kad_record *record) {
  for (size_t i = 0; i < count; i++) {
    if (kad_record_identical(&records[i], record)) {
      return true;
    }
  }
  return false;
}

/* Notes which of our records the contact lacks, by what it has shown. One that
 * holds as many as we do, more than a reply has room for, lacks none. Returns
 * false when there is nothing to store. */
static bool find_lacking(struct kad_node *node, struct kad_handing *handing,
                         const struct kad_message *reply) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  if (!kad_handing_read(node, handing->handle, &record)) {
    return false;
  }
  size_t count =
      store->find(store->state, &record.key, record.type, 0, NULL, 0);
  bool paged = reply->has_total && reply->total > reply->record_count;
  if (count == 0 || (paged && reply->total >= count)) {
    return false;
  }
  handing->lacking =
      kad_alloc(&node->env.allocator, count * sizeof *handing->lacking);
  if (handing->lacking == NULL) {
    return false;
  }
  handing->lacking_cap = count;
  (void)store->find(store->state, &record.key, record.type, 0, handing->lacking,
                    count);
  for (size_t i = 0; i < count; i++) {
    kad_handle handle = handing->lacking[i];
    if (kad_handing_read(node, handle, &record) &&
        !is_among(reply->records, reply->record_count, &record)) {
      handing->lacking[handing->lacking_count++] = handle;
    }
  }
  return handing->lacking_count > 0;
}

/* Puts the last of what is lacking into a store, as many as it has room for.
 * Returns how many of `lacking` have been dealt with. */
static size_t fill_store(struct kad_node *node,
                         const struct kad_handing *handing,
                         struct kad_message *message) {
  size_t room = node->config.max_reply - OVERHEAD;
  size_t taken = 0;
  while (taken < handing->lacking_count &&
         message->record_count < KAD_RECORDS_PER_MESSAGE) {
    struct kad_record *record = &message->records[message->record_count];
    size_t last = handing->lacking_count - 1 - taken;
    if (!kad_handing_read(node, handing->lacking[last], record)) {
      taken++;
      continue;
    }
    size_t size = kad_krpc_record_size(record);
    if (size > room && message->record_count > 0) {
      break;
    }
    room -= size < room ? size : room;
    message->record_count++;
    taken++;
  }
  return taken;
}

static void take_store(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message);

/* Sends what a store has room for. Other codecs may need more room than ours:
 * one record at a time, then. Returns false if there is nothing to send. */
static bool send_store(struct kad_node *node, struct kad_handing *handing) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  handing->sent = fill_store(node, handing, &message);
  if (message.record_count == 0) {
    return false;
  }
  message.method = KAD_METHOD_STORE;
  message.has_target = true;
  message.target = message.records[0].key;
  message.type = message.records[0].type;
  message.token =
      (struct kad_slice){.data = handing->token, .len = handing->token_len};
  message.why = kad_slice_of("handoff");
  int error =
      kad_rpc_send(node, &handing->to, &message, take_store, handing, NULL);
  if (error == KAD_ETOOBIG && message.record_count > 1) {
    message.record_count = 1;
    handing->sent = 1;
    error =
        kad_rpc_send(node, &handing->to, &message, take_store, handing, NULL);
  }
  return error == 0;
}

/* Goes on to the next store, when the budget has one. */
static void wait_for_budget(struct kad_node *node,
                            struct kad_handing *handing) {
  handing->waiting = true;
  kad_handoff_plan(node);
}

static void take_store(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_handing *handing = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_REPLY:
    node->stats.handoffs += message->has_stored ? message->stored : 1;
    break;
  case KAD_QUERY_ERROR:
    break;
  case KAD_QUERY_TIMEOUT:
    if (++handing->tries < KAD_HANDOFF_TRIES) {
      wait_for_budget(node, handing);
    } else {
      kad_handoff_unanswered(node, &handing->to);
      end_handing(node, handing);
    }
    return;
  }
  handing->lacking_count -= handing->sent;
  handing->tries = 0;
  if (handing->lacking_count > 0) {
    wait_for_budget(node, handing);
  } else {
    end_handing(node, handing);
  }
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message);

/* Asks the contact what it holds under the key. Returns false if it cannot be
 * asked. */
static bool send_ask(struct kad_node *node, struct kad_handing *handing) {
  struct kad_message message;
  struct kad_record record;
  if (!kad_handing_read(node, handing->handle, &record)) {
    return false;
  }
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_VALUE;
  message.has_target = true;
  message.target = record.key;
  message.type = record.type;
  return kad_rpc_send(node, &handing->to, &message, take_values, handing,
                      NULL) == 0;
}

/* Ends what was asked for without a store; `has` tells whether the contact has
 * the records. */
static void end_ask(struct kad_node *node, struct kad_handing *handing,
                    bool has) {
  const bool looking = handing->looking;
  const kad_handle handle = handing->handle;
  end_handing(node, handing);
  if (looking) {
    kad_publishing_looked(node, handle, has);
  }
}

/* Goes on with what the contact has shown. */
static void take_shown(struct kad_node *node, struct kad_handing *handing,
                       const struct kad_message *message) {
  size_t token_len = message->token.len;
  bool lacks = find_lacking(node, handing, message);
  if (!lacks || handing->looking || token_len == 0 ||
      token_len > sizeof handing->token) {
    end_ask(node, handing, !lacks);
    return;
  }
  memcpy(handing->token, message->token.data, token_len);
  handing->token_len = (uint8_t)token_len;
  handing->tries = 0;
  wait_for_budget(node, handing);
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  struct kad_handing *handing = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_TIMEOUT:
    if (++handing->tries < KAD_HANDOFF_TRIES && send_ask(node, handing)) {
      return;
    }
    if (handing->tries == KAD_HANDOFF_TRIES) {
      kad_handoff_unanswered(node, &handing->to);
    }
    end_ask(node, handing, false);
    return;
  case KAD_QUERY_ERROR:
    end_ask(node, handing, false);
    return;
  case KAD_QUERY_REPLY:
    take_shown(node, handing, message);
    return;
  }
}

bool kad_handing_begin(struct kad_node *node, kad_handle handle,
                       const struct kad_contact *to, bool looking) {
  struct kad_handing *handing =
      kad_alloc_zero(&node->env.allocator, sizeof *handing);
  if (handing == NULL) {
    return false;
  }
  handing->to = *to;
  handing->handle = handle;
  handing->looking = looking;
  if (!send_ask(node, handing)) {
    free_handing(node, handing);
    return false;
  }
  handing->next = node->handoff.handings;
  node->handoff.handings = handing;
  node->handoff.handing_count++;
  return true;
}

void kad_handing_send(struct kad_node *node) {
  struct kad_handing *handing = node->handoff.handings;
  while (handing != NULL) {
    struct kad_handing *next = handing->next;
    if (handing->waiting) {
      if (!kad_budget_take(&node->budget, kad_node_now(node))) {
        return;
      }
      handing->waiting = false;
      if (!send_store(node, handing)) {
        end_handing(node, handing);
      }
    }
    handing = next;
  }
}

void kad_handing_stop(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  while (handoff->handings != NULL) {
    struct kad_handing *handing = handoff->handings;
    handoff->handings = handing->next;
    kad_rpc_disown(node, handing);
    free_handing(node, handing);
  }
  handoff->handing_count = 0;
}
