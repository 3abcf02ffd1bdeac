#include "rpc/record_size.h"

#include "engine/node.h"
#include "records/item.h"
#include "rpc/datagram.h"
#include "wire/krpc.h"

#include <string.h>

enum {
  TRANSACTION_SIZE = 4, /* bytes of the transaction of our queries */
  STORE_OVERHEAD = 250, /* bytes; more than a store has around its records */
  VALUE_RESERVE = 452,  /* bytes; at least what a message has beside a value */
  ANY_OVERHEAD = 300    /* bytes; more than KRPC has around a record, in a store
                           and in a reply, and for the digits of its ttl */
};

/* What a reply or a store with a record has at most, besides the record. */
static const uint8_t longest[KAD_TRANSACTION_MAX];

static bool fits(struct kad_node *node, struct kad_message *message,
                 const struct kad_record *record) {
  size_t size = 0;
  message->has_id = true;
  message->id = node->config.id;
  message->records[0] = *record;
  message->records[0].ttl = UINT32_MAX;
  message->record_count = 1;
  message->token = (struct kad_slice){.data = longest, .len = KAD_TOKEN_SIZE};
  return kad_datagram_measure(node, message, &size) == 0;
}

static bool fits_store(struct kad_node *node, const struct kad_record *record) {
  struct kad_message store;
  kad_message_init_query(&store, KAD_METHOD_STORE, &record->key);
  store.transaction =
      (struct kad_slice){.data = longest, .len = TRANSACTION_SIZE};
  store.type = record->type;
  store.why = kad_slice_of("republish"); /* the longest */
  if (kad_item_kind_of(record->type) != KAD_ITEM_NONE) {
    store.method = KAD_METHOD_PUT;
    store.has_ttl = true;
    store.ttl = UINT32_MAX;
    store.has_cas = true;
    store.cas = INT64_MIN; /* the longest */
  }
  store.read_only = true;
  return fits(node, &store, record);
}

static bool fits_reply(struct kad_node *node, const struct kad_record *record) {
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction =
      (struct kad_slice){.data = longest, .len = sizeof longest};
  reply.observed = (struct kad_address){.family = 6, .port = 1};
  reply.has_nodes = true;
  reply.has_nodes6 = true;
  reply.has_total = true;
  reply.total = UINT32_MAX;
  reply.has_item = kad_item_kind_of(record->type) != KAD_ITEM_NONE;
  reply.has_next = !reply.has_item;
  reply.next = UINT32_MAX;
  return fits(node, &reply, record);
}

bool kad_record_is_readable(struct kad_node *node,
                            const struct kad_record *record) {
  const bool is_small =
      kad_krpc_record_size(record) + ANY_OVERHEAD <= kad_datagram_room(node);
  if (is_small && kad_datagram_is_krpc(node)) {
    return true;
  }
  return fits_reply(node, record) && fits_store(node, record);
}

size_t kad_record_value_room(const struct kad_node *node) {
  const size_t room = kad_datagram_room(node);
  if (room < KAD_ITEM_VALUE_MAX + VALUE_RESERVE) {
    return KAD_ITEM_VALUE_MAX; /* records that have less beside them fit */
  }
  return room < KAD_VALUE_MAX + VALUE_RESERVE ? room - VALUE_RESERVE
                                              : KAD_VALUE_MAX;
}

size_t kad_record_store_room(const struct kad_node *node) {
  return kad_datagram_page_room(node) - STORE_OVERHEAD;
}
