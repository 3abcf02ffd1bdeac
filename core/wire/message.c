#include "wire/message.h"

#include <string.h>

/* Indexed by kad_method_id. */
static const struct {
  const char *text;
  size_t len;
} names[] = {
#define NAME(method, literal) [method] = {literal, sizeof(literal) - 1}
    NAME(KAD_METHOD_CUSTOM, ""),
    NAME(KAD_METHOD_PING, "ping"),
    NAME(KAD_METHOD_FIND_NODE, "find_node"),
    NAME(KAD_METHOD_GET_PEERS, "get_peers"),
    NAME(KAD_METHOD_ANNOUNCE_PEER, "announce_peer"),
    NAME(KAD_METHOD_FIND_VALUE, "find_value"),
    NAME(KAD_METHOD_STORE, "store"),
    NAME(KAD_METHOD_GET, "get"),
    NAME(KAD_METHOD_PUT, "put"),
    NAME(KAD_METHOD_SAMPLE_INFOHASHES, "sample_infohashes"),
#undef NAME
};

enum {
  NAME_COUNT = sizeof names / sizeof names[0]
};

static const struct kad_slice none = {NULL, 0};
static const struct kad_id zero = {{0}};

static void empty_query(struct kad_message *message) {
  message->method = KAD_METHOD_CUSTOM;
  message->name = none;
  message->args = none;
  message->has_target = false;
  message->target = zero;
  message->want4 = false;
  message->want6 = false;
  message->has_port = false;
  message->port = 0;
  message->implied_port = false;
  message->skip = 0;
  message->seed = false;
  message->scrape = false;
  message->noseed = false;
  message->has_cas = false;
  message->cas = 0;
}

/* Empties the fields that queries and replies have. */
static void empty_both(struct kad_message *message) {
  message->has_id = false;
  message->id = zero;
  message->token = none;
  message->type = none;
  message->has_ttl = false;
  message->ttl = 0;
  message->why = none;
  message->has_seq = false;
  message->seq = 0;
  message->record_count = 0;
}

static void empty_reply(struct kad_message *message) {
  message->reply = none;
  message->malformed = false;
  message->has_item = false;
  message->has_nodes = false;
  message->has_nodes6 = false;
  message->contact_count = 0;
  message->peer_count = 0;
  message->has_total = false;
  message->total = 0;
  message->has_next = false;
  message->next = 0;
  message->has_stored = false;
  message->stored = 0;
  message->error_count = 0;
  message->seed_filter = none;
  message->peer_filter = none;
  message->has_interval = false;
  message->interval = 0;
  message->has_num = false;
  message->num = 0;
  message->has_samples = false;
  message->samples = none;
}

void kad_message_init(struct kad_message *message, enum kad_message_kind kind) {
  if (message == NULL) {
    return;
  }
  message->kind = kind;
  message->transaction = none;
  message->version = none;
  message->observed = (struct kad_address){0};
  message->read_only = false;
  empty_query(message);
  empty_both(message);
  empty_reply(message);
  message->code = 0;
  message->text = none;
}

void kad_message_init_query(struct kad_message *message,
                            enum kad_method_id method,
                            const struct kad_id *target) {
  kad_message_init(message, KAD_MESSAGE_QUERY);
  message->method = method;
  if (target != NULL) {
    message->has_target = true;
    message->target = *target;
  }
}

enum kad_method_id kad_method_find(struct kad_slice name) {
  for (unsigned i = KAD_METHOD_CUSTOM + 1; i < NAME_COUNT; i++) {
    if (name.len == names[i].len &&
        memcmp(name.data, names[i].text, name.len) == 0) {
      return (enum kad_method_id)i;
    }
  }
  return KAD_METHOD_CUSTOM;
}

bool kad_method_is_reserved(struct kad_slice name) {
  static const char *const reserved[] = {
      "get", "put",        /* BEP 44 */
      "sample_infohashes", /* BEP 51 */
      "vote",              /* sent by other programs */
  };
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
    if (kad_slice_equal(name, kad_slice_of(reserved[i]))) {
      return true;
    }
  }
  return false;
}

bool kad_method_is_callable(struct kad_slice name) {
  return kad_method_find(name) == KAD_METHOD_CUSTOM ||
         kad_method_is_reserved(name);
}

struct kad_slice kad_method_name(enum kad_method_id method) {
  if ((size_t)method >= NAME_COUNT) {
    return (struct kad_slice){NULL, 0};
  }
  return (struct kad_slice){(const uint8_t *)names[method].text,
                            names[method].len};
}
