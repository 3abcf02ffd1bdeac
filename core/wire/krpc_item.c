#include "wire/krpc_item.h"

static bool read_signature(const struct kad_fields *fields,
                           struct kad_record *record) {
  struct kad_slice publisher = {NULL, 0};
  struct kad_slice signature = {NULL, 0};
  if (!kad_fields_string(fields, KAD_KEY_K, KAD_PUBLISHER_SIZE,
                         KAD_PUBLISHER_SIZE, &publisher) ||
      !kad_fields_integer(fields, KAD_KEY_SEQ, &record->has_seq,
                          &record->seq) ||
      !kad_fields_string(fields, KAD_KEY_SIG, KAD_SIGNATURE_SIZE,
                         KAD_SIGNATURE_SIZE, &signature)) {
    return false;
  }
  record->publisher = publisher.data;
  record->signature = signature.data;
  return true;
}

/* Returns true if a node may store the item: it is canonical, and has all of a
 * signature or nothing. Some programs send a seq with an immutable item. */
static bool is_whole(const struct kad_record *record) {
  return kad_message_has_item_form(record) &&
         (record->publisher == NULL || record->has_seq);
}

/* Removes from an immutable item what only a mutable one has. */
static void strip_immutable(struct kad_record *record) {
  if (record->publisher == NULL) {
    record->salt = (struct kad_slice){NULL, 0};
    record->has_seq = false;
    record->seq = 0;
  }
}

bool kad_krpc_read_put(const struct kad_fields *fields,
                       struct kad_message *message) {
  struct kad_record record = {.value = fields->values[KAD_KEY_V].raw};
  if (!kad_fields_string(fields, KAD_KEY_SALT, 0, KAD_MESSAGE_SALT_MAX,
                         &record.salt) ||
      !kad_fields_integer(fields, KAD_KEY_CAS, &message->has_cas,
                          &message->cas) ||
      !read_signature(fields, &record) || !is_whole(&record)) {
    return false;
  }
  if (record.publisher == NULL) {
    message->has_cas = false;
    message->cas = 0;
  }
  strip_immutable(&record);
  message->records[0] = record;
  message->record_count = 1;
  return true;
}

bool kad_krpc_read_item(const struct kad_fields *fields,
                        struct kad_message *message) {
  struct kad_record record = {.has_seq = false};
  bool has_ttl = false;
  if (!read_signature(fields, &record) ||
      !kad_fields_number(fields, KAD_KEY_TTL, &has_ttl, &record.ttl)) {
    return false;
  }
  message->has_seq = record.has_seq;
  message->seq = record.seq;
  if (kad_fields_is_absent(fields, KAD_KEY_V) || message->record_count > 0) {
    return true;
  }
  record.value = fields->values[KAD_KEY_V].raw;
  if (is_whole(&record)) {
    strip_immutable(&record);
    message->records[0] = record;
    message->record_count = 1;
    message->has_item = true;
  }
  return true;
}

static void write_bytes(struct kad_writer *writer, const char *key,
                        const uint8_t *bytes, size_t len) {
  if (bytes != NULL) {
    kad_write_key(writer, key);
    kad_write_string(writer, (struct kad_slice){bytes, len});
  }
}

static void write_integer(struct kad_writer *writer, const char *key, bool has,
                          int64_t integer) {
  if (has) {
    kad_write_key(writer, key);
    kad_write_integer(writer, integer);
  }
}

/* Returns the item of a put, or of a reply to a get; NULL if it has none. */
static const struct kad_record *item_of(const struct kad_message *message) {
  return message->has_item || message->kind == KAD_MESSAGE_QUERY
             ? &message->records[0]
             : NULL;
}

void kad_krpc_write_publisher(struct kad_writer *writer,
                              const struct kad_message *message) {
  const struct kad_record *item = item_of(message);
  if (item != NULL) {
    write_bytes(writer, "k", item->publisher, KAD_PUBLISHER_SIZE);
  }
}

void kad_krpc_write_signature(struct kad_writer *writer,
                              const struct kad_message *message) {
  const struct kad_record *item = item_of(message);
  if (item == NULL || item->publisher == NULL) {
    write_integer(writer, "seq", message->has_seq, message->seq);
    return;
  }
  write_integer(writer, "seq", true, item->seq);
  write_bytes(writer, "sig", item->signature, KAD_SIGNATURE_SIZE);
}

void kad_krpc_write_value(struct kad_writer *writer,
                          const struct kad_message *message) {
  const struct kad_record *item = item_of(message);
  if (item != NULL) {
    write_integer(writer, "ttl", message->has_item && item->ttl > 0, item->ttl);
    kad_write_key(writer, "v");
    kad_write_raw(writer, item->value);
  }
}

void kad_krpc_write_put(struct kad_writer *writer,
                        const struct kad_message *message, size_t id_size) {
  const struct kad_record *item = &message->records[0];
  const bool is_mutable = item->publisher != NULL;
  write_integer(writer, "cas", is_mutable && message->has_cas, message->cas);
  write_bytes(writer, "id", message->id.bytes, id_size);
  kad_krpc_write_publisher(writer, message);
  if (is_mutable && item->salt.len > 0) {
    write_bytes(writer, "salt", item->salt.data, item->salt.len);
  }
  kad_krpc_write_signature(writer, message);
  kad_write_key(writer, "token");
  kad_write_string(writer, message->token);
  write_integer(writer, "ttl", message->has_ttl, message->ttl);
  kad_krpc_write_value(writer, message);
  if (message->why.len > 0) {
    write_bytes(writer, "why", message->why.data, message->why.len);
  }
}
