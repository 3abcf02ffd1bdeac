/* Replies to announce_peer, store and put: checks the token first, as verifying
 * a signature takes 50 µs, admits the records, and replies. */
#include "base/address.h"
#include "base/allocator.h"
#include "engine/node.h"
#include "node/reply.h"
#include "records/item.h"
#include "replication/admission.h"
#include "rpc/datagram.h"
#include "rpc/limiter.h"

#include <string.h>

enum {
  REPLY_OVERHEAD = 200, /* more than the bytes of a reply besides its errors */
  ERROR_OVERHEAD = 24   /* bytes of an error besides its reason: integers of at
                           most 2 and 11 digits, and the length */
};

/* The query that a pending admission replies to. The same query sent again
 * meanwhile (by address, transaction and target) is ignored. */
struct store_reply {
  struct kad_map_entry entry;
  struct kad_id target;
  bool mapped;
  struct kad_reply_bound bound;
  enum kad_method_id method;
  kad_time_ms started_at;
  uint8_t transaction_len;
  uint8_t transaction[KAD_TRANSACTION_MAX];
};

/* Replies with the error of the first record, when all were rejected. */
static void reply_rejected(struct kad_node *node,
                           const struct kad_admission *admission,
                           const struct store_reply *reply) {
  struct kad_slice transaction = {.data = reply->transaction,
                                  .len = reply->transaction_len};
  kad_reply_error(node, &reply->bound, transaction, admission->outcomes[0].code,
                  kad_admission_reason(admission, 0));
}

/* Lists the rejected records with their reasons, within `max` bytes of the
 * reply. Shortens reasons, then omits errors, if there is not enough room. */
static void list_errors(const struct kad_admission *admission, size_t max,
                        struct kad_message *message) {
  size_t room = max > REPLY_OVERHEAD ? max - REPLY_OVERHEAD : 0;
  for (uint32_t i = 0; i < admission->request.count; i++) {
    const struct kad_outcome *outcome = &admission->outcomes[i];
    if (outcome->code == 0) {
      continue;
    }
    if (room < ERROR_OVERHEAD) {
      return;
    }
    room -= ERROR_OVERHEAD;
    struct kad_slice reason = kad_admission_reason(admission, i);
    reason.len = reason.len < room ? reason.len : room;
    room -= reason.len;
    message->errors[message->error_count++] = (struct kad_record_error){
        .index = i, .code = outcome->code, .reason = reason};
  }
}

static void reply_stored(struct kad_node *node,
                         const struct kad_admission *admission,
                         const struct store_reply *reply) {
  struct kad_message message;
  kad_message_init(&message, KAD_MESSAGE_REPLY);
  message.transaction = (struct kad_slice){.data = reply->transaction,
                                           .len = reply->transaction_len};
  message.has_id = true;
  message.id = node->config.id;
  message.observed = reply->bound.to;
  if (reply->method == KAD_METHOD_STORE) {
    message.has_stored = true;
    message.stored = admission->stored;
    list_errors(admission, reply->bound.max, &message);
  }
  if (kad_reply_bound_send(node, &reply->bound, &message, SIZE_MAX) == 0) {
    node->stats.served_announce_peer +=
        reply->method == KAD_METHOD_ANNOUNCE_PEER;
    node->stats.served_store += reply->method == KAD_METHOD_STORE;
    node->stats.served_put += reply->method == KAD_METHOD_PUT;
  } else {
    node->stats.unsent++;
  }
}

static void free_store_reply(struct kad_node *node, struct store_reply *reply) {
  if (reply->mapped) {
    kad_map_remove(&node->storing, &reply->entry);
  }
  kad_release(&node->env.allocator, reply, sizeof *reply);
}

static void count_time(struct kad_node *node, const struct store_reply *reply,
                       bool has_stored) {
  const enum kad_timed_outcome outcome =
      has_stored ? KAD_TIMED_OUTCOME_SUCCESS : KAD_TIMED_OUTCOME_FAILED;
  enum kad_timed timed = KAD_TIMED_SERVED_STORE;
  if (reply->method == KAD_METHOD_PUT) {
    timed = KAD_TIMED_SERVED_PUT;
  } else if (reply->method == KAD_METHOD_ANNOUNCE_PEER) {
    timed = KAD_TIMED_SERVED_ANNOUNCE;
  }
  kad_histograms_add(node, timed, outcome, reply->started_at);
}

static void send_store_reply(struct kad_node *node,
                             const struct kad_admission *admission,
                             void *data) {
  struct store_reply *reply = data;
  count_time(node, reply, admission->stored > 0);
  if (admission->stored == 0) {
    reply_rejected(node, admission, reply);
  } else {
    reply_stored(node, admission, reply);
  }
  free_store_reply(node, reply);
}

static uint64_t hash_of(const struct kad_node *node,
                        const struct store_reply *reply) {
  return kad_map_hash(&node->storing, reply->transaction,
                      sizeof reply->transaction);
}

/* Returns true if the same query is pending. */
static bool is_pending(const struct kad_node *node,
                       const struct store_reply *reply) {
  const struct kad_map_entry *entry =
      kad_map_first(&node->storing, hash_of(node, reply));
  for (; entry != NULL; entry = kad_map_after(entry)) {
    const struct store_reply *other =
        kad_container_of(entry, struct store_reply, entry);
    if (other->transaction_len == reply->transaction_len &&
        memcmp(other->transaction, reply->transaction,
               reply->transaction_len) == 0 &&
        kad_address_equal(&other->bound.to, &reply->bound.to) &&
        kad_id_equal(&other->target, &reply->target)) {
      return true;
    }
  }
  return false;
}

static void reply_error(struct kad_node *node,
                        const struct kad_incoming *incoming, int code,
                        const char *text) {
  const struct kad_reply_bound bound = kad_reply_bound_of_error(node, incoming);
  kad_reply_error(node, &bound, incoming->message->transaction, code,
                  kad_slice_of(text));
}

/* Returns the reason that the sender gives. */
static enum kad_reason reason_of(struct kad_slice why) {
  static const struct {
    const char *name;
    enum kad_reason reason;
  } reasons[] = {
      {"republish", KAD_REASON_REPUBLISH},
      {"handoff", KAD_REASON_HANDOFF},
      {"cache", KAD_REASON_CACHE},
  };
  for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
    if (kad_slice_equal(why, kad_slice_of(reasons[i].name))) {
      return reasons[i].reason;
    }
  }
  return KAD_REASON_STORE;
}

/* Admits `count` records of `incoming`, which have one key, and replies when
 * they are admitted. */
static void admit(struct kad_node *node, const struct kad_incoming *incoming,
                  const struct kad_record *records, size_t count) {
  struct kad_slice transaction = incoming->message->transaction;
  struct store_reply *reply =
      kad_alloc_zero(&node->env.allocator, sizeof *reply);
  if (reply == NULL) {
    reply_error(node, incoming, KAD_CODE_FAILED, "out of memory");
    return;
  }
  reply->bound = kad_reply_bound_of(node, incoming, SIZE_MAX);
  reply->method = incoming->message->method;
  reply->started_at = kad_node_now(node);
  reply->transaction_len = (uint8_t)transaction.len;
  memcpy(reply->transaction, transaction.data, transaction.len);
  reply->target = records->key;
  if (is_pending(node, reply)) {
    kad_release(&node->env.allocator, reply, sizeof *reply);
    return;
  }
  reply->mapped =
      kad_map_add(&node->storing, &reply->entry, hash_of(node, reply)) == 0;
  const struct kad_admission_request request = {
      .records = records,
      .count = count,
      .from = incoming->from,
      .proven = kad_node_is_proven(node, &incoming->from),
      .has_cas = incoming->message->has_cas,
      .cas = incoming->message->cas,
      .reason = reason_of(incoming->message->why),
      .done = send_store_reply,
      .data = reply,
  };
  if (kad_admission_start(node, &request) != 0) {
    free_store_reply(node, reply);
    reply_error(node, incoming, KAD_CODE_FAILED, "out of memory");
  }
}

static bool check_token(struct kad_node *node,
                        const struct kad_incoming *incoming,
                        const struct kad_id *target) {
  if (kad_token_check(&node->tokens, &incoming->from.address, target,
                      kad_node_now(node), incoming->message->token)) {
    kad_proven_addresses_add(&node->proven, &incoming->from.address,
                             kad_node_now(node));
    return true;
  }
  node->stats.bad_token++;
  reply_error(node, incoming, KAD_CODE_PROTOCOL, "bad token");
  return false;
}

void kad_reply_announce_peer(struct kad_node *node,
                             const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  uint8_t compact[KAD_COMPACT_IP6];
  struct kad_address peer = incoming->from.address;
  if (!check_token(node, incoming, &query->target)) {
    return;
  }
  peer.port = query->implied_port ? peer.port : query->port;
  const struct kad_record record = {
      .key = query->target,
      .type = kad_slice_of("peers"),
      .value = {.data = compact, .len = kad_address_pack(&peer, compact)},
      .is_seed = query->seed,
  };
  admit(node, incoming, &record, 1);
}

/* Returns true if `record` is a peer at another host than the sender. The token
 * does not prove that address: an attacker could send a swarm to it. */
static bool is_foreign_peer(const struct kad_incoming *incoming,
                            const struct kad_record *record) {
  struct kad_address peer;
  return kad_slice_equal(record->type, kad_slice_of("peers")) &&
         kad_address_unpack(record->value, &peer) == 0 &&
         !kad_address_same_ip(&peer, &incoming->from.address);
}

/* Returns true if the limits of signatures allow those of a store. */
static bool may_verify(struct kad_node *node,
                       const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  const struct kad_address *from = &incoming->from.address;
  struct kad_limiter *limiter = kad_node_limiter(node, from);
  uint32_t count = 0;
  for (size_t i = 0; i < query->record_count; i++) {
    count += query->records[i].publisher != NULL;
  }
  if (count == 0 || limiter == NULL ||
      kad_limiter_signatures(limiter, from, count, kad_node_now(node))) {
    return true;
  }
  node->stats.dropped_limited++;
  kad_talkers_drop(node, from);
  return false;
}

void kad_reply_store(struct kad_node *node,
                     const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  struct kad_record records[KAD_RECORDS_PER_MESSAGE];
  if (!check_token(node, incoming, &query->target) ||
      !may_verify(node, incoming)) {
    return;
  }
  if (kad_item_kind_of(query->type) != KAD_ITEM_NONE) {
    reply_error(node, incoming, KAD_CODE_PROTOCOL, "items are stored with put");
    return;
  }
  if (query->record_count == 0) {
    reply_error(node, incoming, KAD_CODE_PROTOCOL, "no records");
    return;
  }
  for (size_t i = 0; i < query->record_count; i++) {
    records[i] = query->records[i];
    if (is_foreign_peer(incoming, &records[i])) {
      reply_error(node, incoming, KAD_CODE_REFUSED, "a peer announces itself");
      return;
    }
    if (records[i].ttl == 0 && query->has_ttl) {
      records[i].ttl = query->ttl;
    }
  }
  admit(node, incoming, records, query->record_count);
}

/* The item tells under which target it is stored, and so which token is right.
 * A size that leaves no target is refused before. */
void kad_reply_put(struct kad_node *node, const struct kad_incoming *incoming) {
  const struct kad_message *query = incoming->message;
  struct kad_record item = query->records[0];
  if (kad_item_name(&item) != 0) {
    const bool is_mutable = item.publisher != NULL;
    reply_error(node, incoming, is_mutable ? KAD_CODE_SALT : KAD_CODE_TOO_BIG,
                is_mutable ? "salt too large" : "value too large");
    return;
  }
  if (!check_token(node, incoming, &item.key) || !may_verify(node, incoming)) {
    return;
  }
  item.ttl = query->has_ttl ? query->ttl : 0;
  admit(node, incoming, &item, 1);
}
