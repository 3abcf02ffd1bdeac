#include "rpc/record_query.h"

#include "records/item.h"

enum kad_method_id kad_record_read_method(struct kad_slice type) {
  return kad_item_kind_of(type) == KAD_ITEM_NONE ? KAD_METHOD_FIND_VALUE
                                                 : KAD_METHOD_GET;
}

size_t kad_record_reply_count(const struct kad_message *reply,
                              struct kad_slice type) {
  const bool wants_item = kad_item_kind_of(type) != KAD_ITEM_NONE;
  return reply->has_item == wants_item ? reply->record_count : 0;
}

void kad_record_write_store(struct kad_message *message, struct kad_slice type,
                            bool knows_ttl) {
  message->type = type;
  if (kad_item_kind_of(type) == KAD_ITEM_NONE) {
    message->method = KAD_METHOD_STORE;
    return;
  }
  message->method = KAD_METHOD_PUT;
  message->record_count = 1;
  message->has_ttl = knows_ttl && message->records[0].ttl > 0;
  message->ttl = message->has_ttl ? message->records[0].ttl : 0;
  if (!knows_ttl) {
    message->why.len = 0;
  }
}

bool kad_record_was_stored(const struct kad_message *reply) {
  return !reply->has_stored || reply->stored > 0;
}
