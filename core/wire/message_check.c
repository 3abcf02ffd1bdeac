/* Checks the messages that a codec of the user has decoded.
 * Tested by tests/unit/wire/codec_test.c. */
#include "wire/message.h"

#include <string.h>

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

/* Returns true if a query has the arguments that its method needs. */
static bool has_arguments(const struct kad_message *message) {
  switch (message->method) {
  case KAD_METHOD_CUSTOM:
  case KAD_METHOD_PING:
    return true;
  case KAD_METHOD_FIND_NODE:
  case KAD_METHOD_GET_PEERS:
    return message->has_target;
  case KAD_METHOD_ANNOUNCE_PEER:
    return message->has_target &&
           ((message->has_port && message->port != 0) || message->implied_port);
  case KAD_METHOD_FIND_VALUE:
    return message->has_target && message->type.len > 0;
  case KAD_METHOD_STORE:
    return message->has_target && message->type.len > 0 &&
           message->record_count > 0;
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
    return message->has_id && is_dict(message->reply);
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
                        check_records(message) && check_body(message);
  return is_valid ? 0 : KAD_EMALFORMED;
}
