/* What must hold of a message, whoever has read it. */
#include "wire/codec.h"

#include <string.h>

enum {
  SALT_MAX = 255 /* bytes of a salt that is read, to be refused */
};

static bool id_fits(const struct kad_id *id, size_t id_size) {
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

static bool contacts_fit(const struct kad_message *message, size_t id_size) {
  if (message->contact_count > KAD_MESSAGE_CONTACTS ||
      message->peer_count > KAD_MESSAGE_PEERS ||
      message->error_count > KAD_MESSAGE_ERRORS) {
    return false;
  }
  for (size_t i = 0; i < message->contact_count; i++) {
    const struct kad_contact *contact = &message->contacts[i];
    if (!is_reachable(&contact->address) || !id_fits(&contact->id, id_size)) {
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

/* Names the records by the query that they came in. */
static bool records_fit(struct kad_message *message) {
  if (message->record_count > KAD_RECORDS_PER_MESSAGE) {
    return false;
  }
  for (size_t i = 0; i < message->record_count; i++) {
    struct kad_record *record = &message->records[i];
    record->key = message->target;
    record->type = message->type;
    record->age = 0;
    if (record->salt.len > SALT_MAX ||
        (record->publisher == NULL) != (record->signature == NULL)) {
      return false;
    }
  }
  return true;
}

/* Tells whether a query has what its method needs. */
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

static bool body_fits(struct kad_message *message) {
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
  bool fits = message->transaction.len > 0 &&
              message->transaction.len <= KAD_TRANSACTION_MAX &&
              message->token.len <= KAD_TOKEN_MAX &&
              message->type.len <= KAD_TYPE_NAME_MAX &&
              id_fits(&message->id, id_size) &&
              id_fits(&message->target, id_size) &&
              contacts_fit(message, id_size) && records_fit(message) &&
              body_fits(message);
  return fits ? 0 : KAD_EMALFORMED;
}

int kad_codec_read(const struct kad_codec *codec, struct kad_slice datagram,
                   size_t id_size, struct kad_message *message,
                   struct kad_writer *scratch) {
  int error = codec->decode(codec->state, datagram, id_size, message, scratch);
  if (error == 0 && codec != kad_codec_krpc()) {
    error = scratch->overflow ? KAD_EMALFORMED
                              : kad_message_check(message, id_size);
    if (message->kind != KAD_MESSAGE_QUERY && error != 0) {
      message->transaction.len = 0;
    }
  }
  if (message->transaction.len > KAD_TRANSACTION_MAX) {
    message->transaction.len = 0;
  }
  return error == 0 ? 0 : KAD_EMALFORMED;
}
