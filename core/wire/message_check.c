/* Checks the messages that a codec of the user has decoded.
 * Tested by tests/unit/wire/codec_test.c. */
#include "wire/bencode.h"
#include "wire/message.h"

#include <string.h>

enum {
  OUTER_LEVELS = 2 /* of the depth of a message, around the value of an item */
};

static bool is_id_of_size(const struct kad_id *id, size_t id_size) {
  static const uint8_t zero[KAD_ID_SIZE];
  return memcmp(id->bytes + id_size, zero, KAD_ID_SIZE - id_size) == 0;
}

static bool is_dict(struct kad_slice bytes) {
  struct kad_bencode value;
  return bytes.len == 0 || (kad_bencode_parse(bytes, &value) == 0 &&
                            value.type == KAD_BENCODE_DICT);
}

static bool is_reachable(const struct kad_address *address) {
  return (address->family == 4 || address->family == 6) && address->port != 0;
}

static bool check_contacts(const struct kad_message *message, size_t id_size) {
  if (message->contact_count > KAD_MESSAGE_CONTACTS ||
      message->peer_count > KAD_MESSAGE_PEERS ||
      message->error_count > KAD_MESSAGE_ERRORS) {
    return false;
  }
  for (size_t i = 0; i < message->contact_count; i++) {
    const struct kad_contact *contact = &message->contacts[i];
    if (!is_reachable(&contact->address) ||
        !is_id_of_size(&contact->id, id_size)) {
      return false;
    }
  }
  for (size_t i = 0; i < message->peer_count; i++) {
    if (!is_reachable(&message->peers[i])) {
      return false;
    }
  }
  return true;
}

/* Checks the records and sets their key and type to those of the message. */
static bool check_records(struct kad_message *message) {
  if (message->record_count > KAD_RECORDS_PER_MESSAGE) {
    return false;
  }
  for (size_t i = 0; i < message->record_count; i++) {
    struct kad_record *record = &message->records[i];
    record->key = message->target;
    record->type = message->type;
    record->age = 0;
    if (record->salt.len > KAD_MESSAGE_SALT_MAX ||
        (record->publisher == NULL) != (record->signature == NULL)) {
      return false;
    }
  }
  return true;
}

bool kad_message_has_item_form(const struct kad_record *item) {
  return (item->publisher == NULL) == (item->signature == NULL) &&
         kad_bencode_is_canonical(item->value,
                                  KAD_BENCODE_MAX_DEPTH - OUTER_LEVELS);
}

/* Returns true if the records are one item that a node may store. */
static bool is_item(const struct kad_message *message) {
  const struct kad_record *item = &message->records[0];
  return message->record_count == 1 && kad_message_has_item_form(item) &&
         (item->publisher == NULL || item->has_seq);
}

/* Returns true if the keys of a scrape and of a sample have their sizes. */
static bool check_strings(const struct kad_message *message, size_t id_size) {
  const size_t seeds = message->seed_filter.len;
  const size_t peers = message->peer_filter.len;
  return (seeds == 0 || seeds == KAD_FILTER_SIZE) &&
         (peers == 0 || peers == KAD_FILTER_SIZE) &&
         message->samples.len % id_size == 0;
}

/* Returns true if a query has the arguments that its method needs. */
static bool has_arguments(const struct kad_message *message) {
  switch (message->method) {
  case KAD_METHOD_CUSTOM:
  case KAD_METHOD_PING:
    return true;
  case KAD_METHOD_FIND_NODE:
  case KAD_METHOD_GET_PEERS:
  case KAD_METHOD_GET:
  case KAD_METHOD_SAMPLE_INFOHASHES:
    return message->has_target;
  case KAD_METHOD_ANNOUNCE_PEER:
    return message->has_target &&
           ((message->has_port && message->port != 0) || message->implied_port);
  case KAD_METHOD_FIND_VALUE:
    return message->has_target && message->type.len > 0;
  case KAD_METHOD_STORE:
    return message->has_target && message->type.len > 0 &&
           message->record_count > 0;
  case KAD_METHOD_PUT:
    return is_item(message);
  }
  return false;
}

static bool check_body(struct kad_message *message) {
  switch (message->kind) {
  case KAD_MESSAGE_QUERY:
    message->method = kad_method_find(message->name);
    return message->has_id && message->name.len > 0 && is_dict(message->args) &&
           has_arguments(message);
  case KAD_MESSAGE_REPLY:
    return message->has_id && is_dict(message->reply) &&
           (!message->has_item || is_item(message));
  case KAD_MESSAGE_ERROR:
    return true;
  }
  return false;
}

int kad_message_check(struct kad_message *message, size_t id_size) {
  const bool is_valid = message->transaction.len > 0 &&
                        message->transaction.len <= KAD_TRANSACTION_MAX &&
                        message->token.len <= KAD_TOKEN_MAX &&
                        message->type.len <= KAD_TYPE_NAME_MAX &&
                        is_id_of_size(&message->id, id_size) &&
                        is_id_of_size(&message->target, id_size) &&
                        check_contacts(message, id_size) &&
                        check_strings(message, id_size) &&
                        check_records(message) && check_body(message);
  return is_valid ? 0 : KAD_EMALFORMED;
}
