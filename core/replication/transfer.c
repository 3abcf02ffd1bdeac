#include "replication/transfer.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"
#include "records/item.h"
#include "records/record.h"
#include "replication/held.h"
#include "rpc/record_query.h"
#include "rpc/record_size.h"
#include "wire/krpc.h"
#include "wire/message.h"

#include <string.h>

static void free_transfer(struct kad_node *node,
                          struct kad_transfer *transfer) {
  kad_release(&node->env.allocator, transfer->lacking,
              transfer->lacking_cap * sizeof *transfer->lacking);
  kad_release(&node->env.allocator, transfer, sizeof *transfer);
}

static void end_transfer(struct kad_node *node, struct kad_transfer *transfer,
                         enum kad_transfer_event event) {
  struct kad_transfers *transfers = &node->handoff.transfers;
  struct kad_transfer **link = &transfers->first;
  while (*link != transfer) {
    link = &(*link)->next;
  }
  *link = transfer->next;
  transfers->count--;
  transfer->handler(node, transfer, event);
  free_transfer(node, transfer);
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

/* Returns true if the contact holds a version of the item `record` that is not
 * older than ours, going by its reply. */
static bool holds_item(const struct kad_record *record,
                       const struct kad_message *reply) {
  return kad_item_kind_of(record->type) == KAD_ITEM_MUTABLE && reply->has_seq &&
         reply->seq >= record->seq;
}

/* Lists which of our records the contact lacks, going by its reply. A contact
 * that holds at least as many as we do, more than fit in a reply, lacks none.
 * Returns false when there is nothing to store. */
static bool find_lacking(struct kad_node *node, struct kad_transfer *transfer,
                         const struct kad_message *reply) {
  const struct kad_store *store = node->store;
  struct kad_record record;
  if (!kad_transfer_read(node, transfer->handle, &record)) {
    return false;
  }
  size_t count = kad_store_find(store, &record.key, record.type, 0, NULL, 0);
  const size_t given = kad_record_reply_count(reply, record.type);
  bool paged = reply->has_total && reply->total > given;
  if (count == 0 || (paged && reply->total >= count) ||
      holds_item(&record, reply)) {
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
        !kad_record_is_among(reply->records, given, &record)) {
      transfer->lacking[transfer->lacking_count++] = handle;
    }
  }
  return transfer->lacking_count > 0;
}

/* Fills `message` from the end of `lacking`. Returns how many entries of
 * `lacking` to remove if the store succeeds: those added and those that have
 * expired. */
static size_t fill_store(struct kad_node *node,
                         const struct kad_transfer *transfer,
                         struct kad_message *message) {
  size_t room = kad_record_store_room(node);
  size_t done = 0;
  while (done < transfer->lacking_count &&
         message->record_count < KAD_RECORDS_PER_MESSAGE) {
    struct kad_record *record = &message->records[message->record_count];
    size_t last = transfer->lacking_count - 1 - done;
    if (!kad_transfer_read(node, transfer->lacking[last], record)) {
      done++;
      continue;
    }
    size_t size = kad_krpc_record_size(record);
    if (size > room && message->record_count > 0) {
      break;
    }
    room -= size < room ? size : room;
    message->record_count++;
    done++;
  }
  return done;
}

static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message);

/* Sends one store. If the records do not fit, because another codec needs more
 * room than ours, sends one record. Returns false if nothing is sent. */
static bool send_store(struct kad_node *node, struct kad_transfer *transfer) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_QUERY);
  transfer->sent_count = fill_store(node, transfer, &message);
  if (message.record_count == 0) {
    return false;
  }
  message.has_target = true;
  message.target = message.records[0].key;
  message.token =
      (struct kad_slice){.data = transfer->token, .len = transfer->token_len};
  message.why = kad_slice_of("handoff");
  kad_record_write_store(&message, message.records[0].type,
                         transfer->knows_ttl);
  int error = kad_rpc_send(node, &transfer->to, &message, on_query_event,
                           &transfer->queries, NULL);
  if (error == KAD_ETOOBIG && message.record_count > 1) {
    message.record_count = 1;
    transfer->sent_count = 1;
    error = kad_rpc_send(node, &transfer->to, &message, on_query_event,
                         &transfer->queries, NULL);
  }
  return error == 0;
}

static void wait_for_budget(struct kad_node *node,
                            struct kad_transfer *transfer) {
  transfer->waiting = true;
  transfer->handler(node, transfer, KAD_TRANSFER_WAITS);
}

/* Asks the contact which records it holds. Returns false if that cannot be
 * sent. */
static bool send_find(struct kad_node *node, struct kad_transfer *transfer) {
  struct kad_message message;
  struct kad_record record;
  if (!kad_transfer_read(node, transfer->handle, &record)) {
    return false;
  }
  kad_message_init_query(&message, kad_record_read_method(record.type),
                         &record.key);
  message.type = record.type;
  return kad_rpc_send(node, &transfer->to, &message, on_query_event,
                      &transfer->queries, NULL) == 0;
}

static void apply_found(struct kad_node *node, struct kad_transfer *transfer,
                        const struct kad_message *reply) {
  size_t token_len = reply->token.len;
  bool lacks = find_lacking(node, transfer, reply);
  if (!lacks || transfer->checked != NULL || token_len == 0 ||
      token_len > sizeof transfer->token) {
    end_transfer(node, transfer,
                 lacks ? KAD_TRANSFER_ENDED : KAD_TRANSFER_HOLDS_ALL);
    return;
  }
  memcpy(transfer->token, reply->token.data, token_len);
  transfer->token_len = (uint8_t)token_len;
  transfer->knows_ttl = reply->has_total;
  transfer->tries = 0;
  wait_for_budget(node, transfer);
}

/* Returns how many of the records that were sent the reply says are stored: it
 * may say any number. */
static uint32_t count_stored(const struct kad_transfer *transfer,
                             const struct kad_message *reply) {
  const uint32_t stored = reply->has_stored ? reply->stored : 1;
  const uint32_t sent = (uint32_t)transfer->sent_count;
  return stored < sent ? stored : sent;
}

/* Handles an event of the find_value or, once `lacking` is set, of a store. */
static void on_query_event(struct kad_node *node, struct kad_query *query,
                           enum kad_query_event event,
                           const struct kad_message *message) {
  struct kad_transfer *transfer =
      kad_container_of(query->owner, struct kad_transfer, queries);
  const bool is_store = transfer->lacking != NULL;
  switch (event) {
  case KAD_QUERY_SOFT:
    return;
  case KAD_QUERY_TIMEOUT:
    if (++transfer->tries == KAD_TRANSFER_TRIES) {
      end_transfer(node, transfer, KAD_TRANSFER_TIMED_OUT);
    } else if (is_store) {
      wait_for_budget(node, transfer);
    } else if (!send_find(node, transfer)) {
      end_transfer(node, transfer, KAD_TRANSFER_ENDED);
    }
    return;
  case KAD_QUERY_ERROR:
    break;
  case KAD_QUERY_REPLY:
    if (!is_store) {
      apply_found(node, transfer, message);
      return;
    }
    node->stats.handoffs += count_stored(transfer, message);
    break;
  }
  transfer->lacking_count -= transfer->sent_count;
  transfer->tries = 0;
  if (transfer->lacking_count > 0) {
    wait_for_budget(node, transfer);
  } else {
    end_transfer(node, transfer, KAD_TRANSFER_ENDED);
  }
}

bool kad_transfer_start(struct kad_node *node, kad_record_handle handle,
                        const struct kad_contact *to, kad_transfer_fn handler,
                        kad_transfer_checked_fn checked) {
  struct kad_transfers *transfers = &node->handoff.transfers;
  struct kad_transfer *transfer =
      kad_alloc_zero(&node->env.allocator, sizeof *transfer);
  if (transfer == NULL) {
    return false;
  }
  transfer->to = *to;
  transfer->handle = handle;
  transfer->handler = handler;
  transfer->checked = checked;
  if (!send_find(node, transfer)) {
    free_transfer(node, transfer);
    return false;
  }
  transfer->next = transfers->first;
  transfers->first = transfer;
  transfers->count++;
  return true;
}

bool kad_transfer_any_waits(const struct kad_node *node) {
  const struct kad_transfer *transfer = node->handoff.transfers.first;
  while (transfer != NULL && !transfer->waiting) {
    transfer = transfer->next;
  }
  return transfer != NULL;
}

void kad_transfer_send_waiting(struct kad_node *node) {
  struct kad_transfer *transfer = node->handoff.transfers.first;
  while (transfer != NULL) {
    struct kad_transfer *next = transfer->next;
    if (transfer->waiting) {
      if (!kad_store_budget_take(&node->store_budget, kad_node_now(node))) {
        return;
      }
      transfer->waiting = false;
      if (!send_store(node, transfer)) {
        end_transfer(node, transfer, KAD_TRANSFER_ENDED);
      }
    }
    transfer = next;
  }
}

void kad_transfer_stop_all(struct kad_node *node) {
  struct kad_transfers *transfers = &node->handoff.transfers;
  while (transfers->first != NULL) {
    struct kad_transfer *transfer = transfers->first;
    transfers->first = transfer->next;
    kad_rpc_disown(node, &transfer->queries);
    free_transfer(node, transfer);
  }
  transfers->count = 0;
}
