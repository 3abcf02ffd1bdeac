/* Decodes KRPC. The result must stay within its limits and within the datagram.
 * Encoding it, decoding that and encoding it again must give the same bytes. */
#include "wire/krpc.h"

#include "target.h"
#include "wire/message.h"

#include <assert.h>
#include <string.h>

enum {
  DATAGRAM_MAX = 65536
};

static void check_within(struct kad_slice datagram, struct kad_slice part) {
  assert(part.len <= datagram.len);
  assert(part.data == NULL ||
         (part.data >= datagram.data &&
          part.data + part.len <= datagram.data + datagram.len));
}

static void check_lists(const struct kad_message *message,
                        struct kad_slice datagram) {
  assert(message->contact_count <= KAD_MESSAGE_CONTACTS);
  assert(message->peer_count <= KAD_MESSAGE_PEERS);
  assert(message->record_count <= KAD_RECORDS_PER_MESSAGE);
  assert(message->error_count <= KAD_MESSAGE_ERRORS);
  for (size_t i = 0; i < message->contact_count; i++) {
    assert(message->contacts[i].address.port != 0);
  }
  for (size_t i = 0; i < message->peer_count; i++) {
    assert(message->peers[i].port != 0);
  }
  for (size_t i = 0; i < message->record_count; i++) {
    const struct kad_record *record = &message->records[i];
    check_within(datagram, record->value);
    check_within(datagram, record->salt);
    assert((record->publisher == NULL) == (record->signature == NULL));
  }
  for (size_t i = 0; i < message->error_count; i++) {
    check_within(datagram, message->errors[i].reason);
  }
}

/* An item can be stored, and encoded again with the same hash. */
static void check_item(const struct kad_message *message) {
  const struct kad_record *item = &message->records[0];
  assert(message->record_count == 1);
  assert(kad_message_has_item_form(item));
  assert(item->has_seq == (item->publisher != NULL));
  assert(item->publisher != NULL || item->salt.len == 0);
}

static void check_message(const struct kad_message *message,
                          struct kad_slice datagram) {
  assert(message->transaction.len >= 1);
  assert(message->transaction.len <= KAD_TRANSACTION_MAX);
  assert(message->token.len <= KAD_TOKEN_MAX);
  assert(message->type.len <= KAD_TYPE_NAME_MAX);
  check_within(datagram, message->transaction);
  check_within(datagram, message->version);
  check_within(datagram, message->name);
  check_within(datagram, message->args);
  check_within(datagram, message->token);
  check_within(datagram, message->type);
  check_within(datagram, message->reply);
  check_within(datagram, message->text);
  check_within(datagram, message->samples);
  check_within(datagram, message->seed_filter);
  check_within(datagram, message->peer_filter);
  if (message->has_item || (message->kind == KAD_MESSAGE_QUERY &&
                            message->method == KAD_METHOD_PUT)) {
    check_item(message);
  }
  check_lists(message, datagram);
  assert(message->has_id || message->kind == KAD_MESSAGE_ERROR);
}

/* A malformed message is a query that can be answered, or has no transaction.
 */
static void check_refusal(const struct kad_message *message,
                          struct kad_slice datagram) {
  if (message->transaction.len > 0) {
    assert(message->kind == KAD_MESSAGE_QUERY);
    assert(message->transaction.len <= KAD_TRANSACTION_MAX);
    check_within(datagram, message->transaction);
  }
}

/* Encodes `message`, decodes that, and encodes it again. */
static void check_again(const struct kad_message *message, size_t id_size) {
  static uint8_t first[DATAGRAM_MAX];
  static uint8_t second[DATAGRAM_MAX];
  struct kad_writer writer = {.data = first, .cap = sizeof first};
  int status = kad_krpc_encode(NULL, message, id_size, &writer);
  if (status != 0) {
    /* A dictionary may have one key on both sides of its id. */
    assert(status == KAD_EINVAL || status == KAD_ETOOBIG);
    return;
  }
  struct kad_slice datagram = {first, writer.len};
  struct kad_message again;
  assert(kad_krpc_decode(NULL, datagram, id_size, &again) == 0);
  check_message(&again, datagram);
  assert(again.kind == message->kind && again.method == message->method);
  assert(again.record_count == message->record_count);
  assert(again.contact_count == message->contact_count);
  assert(again.peer_count == message->peer_count);
  assert(again.has_item == message->has_item || message->reply.len > 0);
  assert(again.has_seq == message->has_seq && again.seq == message->seq);
  if (message->reply.len == 0) {
    again.reply.len = 0;
  }
  struct kad_writer rewriter = {.data = second, .cap = sizeof second};
  assert(kad_krpc_encode(NULL, &again, id_size, &rewriter) == 0);
  assert(rewriter.len == writer.len);
  assert(memcmp(first, second, writer.len) == 0);
}

static void check_datagram(struct kad_slice datagram, size_t id_size) {
  struct kad_message message;
  int status = kad_krpc_decode(NULL, datagram, id_size, &message);
  assert(status == 0 || status == KAD_EMALFORMED);
  if (status != 0) {
    check_refusal(&message, datagram);
    return;
  }
  check_message(&message, datagram);
  check_again(&message, id_size);
  /* Also encodes a reply from its fields. */
  if (message.kind == KAD_MESSAGE_REPLY) {
    message.reply.len = 0;
    message.malformed = false;
    check_again(&message, id_size);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct kad_slice datagram = {data, size};
  check_datagram(datagram, 20);
  check_datagram(datagram, 32);
  return 0;
}
