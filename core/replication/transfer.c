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

static void free_handing(struct kad_node *node, struct kad_transfer *transfer) {
  kad_release(&node->env.allocator, transfer->lacking,
              transfer->lacking_cap * sizeof *transfer->lacking);
  kad_release(&node->env.allocator, transfer, sizeof *transfer);
}

static void end_handing(struct kad_node *node, struct kad_transfer *transfer) {
  struct kad_transfer **link = &node->handoff.transfers;
  while (*link != transfer) {
    link = &(*link)->next;
  }
  *link = transfer->next;
  node->handoff.handing_count--;
  free_handing(node, transfer);
  kad_handoff_plan(node);
}

bool kad_transfer_read(const struct kad_node *node, kad_record_handle handle,
                       struct kad_record *record) {
  struct kad_held held;
  if (!kad_store_read(node->store, handle, &held) ||
      held.meta.republish_at == KAD_TIME_NEVER) {
    return false;
  }
  kad_held_age(&held.meta, kad_node_now(node), &held.record);
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
static bool find_lacking(struct kad_node *node, struct kad_transfer *transfer,
                         const struct kad_message *reply) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  if (!kad_transfer_read(node, transfer->handle, &record)) {
    return false;
  }
  size_t count = kad_store_find(store, &record.key, record.type, 0, NULL, 0);
  bool paged = reply->has_total && reply->total > reply->record_count;
  if (count == 0 || (paged && reply->total >= count)) {
    return false;
  }
  transfer->lacking =
      kad_alloc(&node->env.allocator, count * sizeof *transfer->lacking);
  if (transfer->lacking == NULL) {
    return false;
  }
  transfer->lacking_cap = count;
  (void)kad_store_find(store, &record.key, record.type, 0, transfer->lacking,
                       count);
  for (size_t i = 0; i < count; i++) {
    kad_record_handle handle = transfer->lacking[i];
    if (kad_transfer_read(node, handle, &record) &&
        !is_among(reply->records, reply->record_count, &record)) {
      transfer->lacking[transfer->lacking_count++] = handle;
    }
  }
  return transfer->lacking_count > 0;
}

/* Puts the last of what is lacking into a store, as many as it has room for.
 * Returns how many of `lacking` have been dealt with. */
static size_t fill_store(struct kad_node *node,
                         const struct kad_transfer *transfer,
                         struct kad_message *message) {
  size_t room = node->config.max_reply - OVERHEAD;
  size_t taken = 0;
  while (taken < transfer->lacking_count &&
         message->record_count < KAD_RECORDS_PER_MESSAGE) {
    struct kad_record *record = &message->records[message->record_count];
    size_t last = transfer->lacking_count - 1 - taken;
    if (!kad_transfer_read(node, transfer->lacking[last], record)) {
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
static bool send_store(struct kad_node *node, struct kad_transfer *transfer) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  transfer->sent = fill_store(node, transfer, &message);
  if (message.record_count == 0) {
    return false;
  }
  message.method = KAD_METHOD_STORE;
  message.has_target = true;
  message.target = message.records[0].key;
  message.type = message.records[0].type;
  message.token =
      (struct kad_slice){.data = transfer->token, .len = transfer->token_len};
  message.why = kad_slice_of("handoff");
  int error =
      kad_rpc_send(node, &transfer->to, &message, take_store, transfer, NULL);
  if (error == KAD_ETOOBIG && message.record_count > 1) {
    message.record_count = 1;
    transfer->sent = 1;
    error =
        kad_rpc_send(node, &transfer->to, &message, take_store, transfer, NULL);
  }
  return error == 0;
}

/* Goes on to the next store, when the budget has one. */
static void wait_for_budget(struct kad_node *node,
                            struct kad_transfer *transfer) {
  transfer->waiting = true;
  kad_handoff_plan(node);
}

static void take_store(struct kad_node *node, struct kad_query *query,
                       enum kad_query_event event,
                       const struct kad_message *message) {
  struct kad_transfer *transfer = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_REPLY:
    node->stats.handoffs += message->has_stored ? message->stored : 1;
    break;
  case KAD_QUERY_ERROR:
    break;
  case KAD_QUERY_TIMEOUT:
    if (++transfer->tries < KAD_HANDOFF_TRIES) {
      wait_for_budget(node, transfer);
    } else {
      kad_handoff_unanswered(node, &transfer->to);
      end_handing(node, transfer);
    }
    return;
  }
  transfer->lacking_count -= transfer->sent;
  transfer->tries = 0;
  if (transfer->lacking_count > 0) {
    wait_for_budget(node, transfer);
  } else {
    end_handing(node, transfer);
  }
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message);

/* Asks the contact what it holds under the key. Returns false if it cannot be
 * asked. */
static bool send_ask(struct kad_node *node, struct kad_transfer *transfer) {
  struct kad_message message;
  struct kad_record record;
  if (!kad_transfer_read(node, transfer->handle, &record)) {
    return false;
  }
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  message.method = KAD_METHOD_FIND_VALUE;
  message.has_target = true;
  message.target = record.key;
  message.type = record.type;
  return kad_rpc_send(node, &transfer->to, &message, take_values, transfer,
                      NULL) == 0;
}

/* Ends what was asked for without a store; `has` tells whether the contact has
 * the records. */
static void end_ask(struct kad_node *node, struct kad_transfer *transfer,
                    bool has) {
  const bool looking = transfer->looking;
  const kad_record_handle handle = transfer->handle;
  end_handing(node, transfer);
  if (looking) {
    kad_republish_looked(node, handle, has);
  }
}

/* Goes on with what the contact has shown. */
static void take_shown(struct kad_node *node, struct kad_transfer *transfer,
                       const struct kad_message *message) {
  size_t token_len = message->token.len;
  bool lacks = find_lacking(node, transfer, message);
  if (!lacks || transfer->looking || token_len == 0 ||
      token_len > sizeof transfer->token) {
    end_ask(node, transfer, !lacks);
    return;
  }
  memcpy(transfer->token, message->token.data, token_len);
  transfer->token_len = (uint8_t)token_len;
  transfer->tries = 0;
  wait_for_budget(node, transfer);
}

static void take_values(struct kad_node *node, struct kad_query *query,
                        enum kad_query_event event,
                        const struct kad_message *message) {
  struct kad_transfer *transfer = query->owner;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_TIMEOUT:
    if (++transfer->tries < KAD_HANDOFF_TRIES && send_ask(node, transfer)) {
      return;
    }
    if (transfer->tries == KAD_HANDOFF_TRIES) {
      kad_handoff_unanswered(node, &transfer->to);
    }
    end_ask(node, transfer, false);
    return;
  case KAD_QUERY_ERROR:
    end_ask(node, transfer, false);
    return;
  case KAD_QUERY_REPLY:
    take_shown(node, transfer, message);
    return;
  }
}

bool kad_transfer_begin(struct kad_node *node, kad_record_handle handle,
                        const struct kad_contact *to, bool looking) {
  struct kad_transfer *transfer =
      kad_alloc_zero(&node->env.allocator, sizeof *transfer);
  if (transfer == NULL) {
    return false;
  }
  transfer->to = *to;
  transfer->handle = handle;
  transfer->looking = looking;
  if (!send_ask(node, transfer)) {
    free_handing(node, transfer);
    return false;
  }
  transfer->next = node->handoff.transfers;
  node->handoff.transfers = transfer;
  node->handoff.handing_count++;
  return true;
}

void kad_transfer_send(struct kad_node *node) {
  struct kad_transfer *transfer = node->handoff.transfers;
  while (transfer != NULL) {
    struct kad_transfer *next = transfer->next;
    if (transfer->waiting) {
      if (!kad_budget_take(&node->budget, kad_node_now(node))) {
        return;
      }
      transfer->waiting = false;
      if (!send_store(node, transfer)) {
        end_handing(node, transfer);
      }
    }
    transfer = next;
  }
}

void kad_transfer_stop(struct kad_node *node) {
  struct kad_handoff *handoff = &node->handoff;
  while (handoff->transfers != NULL) {
    struct kad_transfer *transfer = handoff->transfers;
    handoff->transfers = transfer->next;
    kad_rpc_disown(node, transfer);
    free_handing(node, transfer);
  }
  handoff->handing_count = 0;
}
