#include "base/address.h"
#include "wire/bencode.h"
#include "wire/krpc.h"
#include "wire/krpc_item.h"

#include <string.h>

static struct kad_slice id_bytes(const struct kad_id *id, size_t id_size) {
  return (struct kad_slice){id->bytes, id_size};
}

static void write_pair(struct kad_writer *writer, const char *key,
                       struct kad_slice bytes) {
  kad_write_key(writer, key);
  kad_write_string(writer, bytes);
}

static void write_number(struct kad_writer *writer, const char *key,
                         int64_t number) {
  kad_write_key(writer, key);
  kad_write_integer(writer, number);
}

static void write_address(struct kad_writer *writer,
                          const struct kad_address *address) {
  uint8_t compact[KAD_COMPACT_IP6];
  size_t len = kad_address_pack(address, compact);
  kad_write_string(writer, (struct kad_slice){compact, len});
}

/* ------------------------------------------------------------- records -- */

static size_t string_size(size_t len) {
  return kad_decimal_size(len) + 1 + len;
}

static size_t integer_size(int64_t integer) {
  uint64_t magnitude = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
  size_t ends = integer < 0 ? sizeof "i-e" - 1 : sizeof "ie" - 1;
  return ends + kad_decimal_size(magnitude);
}

size_t kad_krpc_record_size(const struct kad_record *record) {
  size_t size = sizeof "d1:ve" - 1 + string_size(record->value.len);
  if (record->publisher != NULL) {
    size += sizeof "1:k" - 1 + string_size(KAD_PUBLISHER_SIZE);
  }
  if (record->salt.len > 0) {
    size += sizeof "4:salt" - 1 + string_size(record->salt.len);
  }
  if (record->has_seq) {
    size += sizeof "3:seq" - 1 + integer_size(record->seq);
  }
  if (record->signature != NULL) {
    size += sizeof "3:sig" - 1 + string_size(KAD_SIGNATURE_SIZE);
  }
  if (record->ttl > 0) {
    size += sizeof "3:ttl" - 1 + integer_size(record->ttl);
  }
  return size;
}

static void write_record(struct kad_writer *writer,
                         const struct kad_record *record) {
  kad_write_dict(writer);
  if (record->publisher != NULL) {
    write_pair(writer, "k",
               (struct kad_slice){record->publisher, KAD_PUBLISHER_SIZE});
  }
  if (record->salt.len > 0) {
    write_pair(writer, "salt", record->salt);
  }
  if (record->has_seq) {
    write_number(writer, "seq", record->seq);
  }
  if (record->signature != NULL) {
    write_pair(writer, "sig",
               (struct kad_slice){record->signature, KAD_SIGNATURE_SIZE});
  }
  if (record->ttl > 0) {
    write_number(writer, "ttl", record->ttl);
  }
  write_pair(writer, "v", record->value);
  kad_write_close(writer);
}

/* Writes the peers of a get_peers reply, or the records of another message. */
static void write_values(struct kad_writer *writer,
                         const struct kad_message *message) {
  kad_write_key(writer, "values");
  kad_write_list(writer);
  for (size_t i = 0; i < message->peer_count; i++) {
    write_address(writer, &message->peers[i]);
  }
  for (size_t i = 0; i < message->record_count && !message->has_item; i++) {
    write_record(writer, &message->records[i]);
  }
  kad_write_close(writer);
}

/* ------------------------------------------------- a custom dictionary -- */

/* Writes the contacts of `family` into one string. */
static void write_contacts(struct kad_writer *writer,
                           const struct kad_message *message, unsigned family,
                           size_t id_size) {
  size_t entry = id_size + kad_compact_size(family);
  size_t count = 0;
  for (size_t i = 0; i < message->contact_count; i++) {
    count += message->contacts[i].address.family == family;
  }
  kad_write_key(writer, family == 4 ? "nodes" : "nodes6");
  uint8_t *place = kad_writer_reserve_string(writer, count * entry);
  if (place == NULL) {
    return;
  }
  for (size_t i = 0; i < message->contact_count; i++) {
    const struct kad_contact *contact = &message->contacts[i];
    if (contact->address.family == family) {
      memcpy(place, contact->id.bytes, id_size);
      (void)kad_address_pack(&contact->address, place + id_size);
      place += entry;
    }
  }
}

/* The keys that the core adds to a dictionary of the user, ascending. */
enum own_key {
  OWN_ID,
  OWN_NODES,
  OWN_NODES6,
  OWN_TARGET,
  OWN_KEYS
};

static const char *const own_names[OWN_KEYS] = {
    [OWN_ID] = "id",
    [OWN_NODES] = "nodes",
    [OWN_NODES6] = "nodes6",
    [OWN_TARGET] = "target",
};

static bool has_key(const struct kad_bencode *dict, const char *key) {
  struct kad_bencode value;
  return kad_bencode_find(dict, key, &value);
}

/* Returns the keys to add: the id, and the others that `dict` does not have. */
static unsigned own_keys(const struct kad_message *message,
                         const struct kad_bencode *dict) {
  unsigned keys = 1U << OWN_ID;
  if (message->kind == KAD_MESSAGE_REPLY) {
    keys |= message->has_nodes && !has_key(dict, "nodes") ? 1U << OWN_NODES : 0;
    keys |=
        message->has_nodes6 && !has_key(dict, "nodes6") ? 1U << OWN_NODES6 : 0;
  } else if (message->has_target && !has_key(dict, "target") &&
             !has_key(dict, "info_hash")) {
    keys |= 1U << OWN_TARGET;
  }
  return keys;
}

static void write_own(struct kad_writer *writer,
                      const struct kad_message *message, size_t id_size,
                      enum own_key key) {
  if (key == OWN_NODES || key == OWN_NODES6) {
    write_contacts(writer, message, key == OWN_NODES ? 4 : 6, id_size);
  } else {
    const struct kad_id *id = key == OWN_ID ? &message->id : &message->target;
    write_pair(writer, own_names[key], id_bytes(id, id_size));
  }
}

/* Returns true if the bytes of `name` come before those of `key` or equal them.
 */
static bool precedes_or_equals(const char *name, struct kad_slice key) {
  struct kad_slice own = kad_slice_of(name);
  size_t len = own.len < key.len ? own.len : key.len;
  int order = len > 0 ? memcmp(own.data, key.data, len) : 0;
  return order < 0 || (order == 0 && own.len <= key.len);
}

/* Writes those of `*keys` that come before `before`, or all of them when it is
 * NULL. Removes them from `*keys`. */
static void write_own_until(struct kad_writer *writer,
                            const struct kad_message *message, size_t id_size,
                            unsigned *keys, const struct kad_slice *before) {
  for (unsigned i = 0; i < OWN_KEYS; i++) {
    if ((*keys & 1U << i) != 0 &&
        (before == NULL || precedes_or_equals(own_names[i], *before))) {
      write_own(writer, message, id_size, (enum own_key)i);
      *keys &= ~(1U << i);
    }
  }
}

/* Writes the dictionary `raw` of a custom message and the keys that the core
 * adds, in order, with our id for its `id`. */
static int write_merged(struct kad_writer *writer,
                        const struct kad_message *message, size_t id_size,
                        struct kad_slice raw) {
  struct kad_bencode dict;
  /* The message that holds `raw` is one level of the depth. */
  if (!kad_bencode_read(&raw, KAD_BENCODE_MAX_DEPTH - 1, &dict) ||
      raw.len != 0 || dict.type != KAD_BENCODE_DICT) {
    return KAD_EINVAL;
  }
  struct kad_slice rest = dict.bytes;
  struct kad_slice key;
  struct kad_slice last = kad_slice_of("id"); /* equals no key written below */
  struct kad_bencode value;
  unsigned own = own_keys(message, &dict);
  kad_write_dict(writer);
  while (kad_bencode_next_pair(&rest, &key, &value)) {
    write_own_until(writer, message, id_size, &own, &key);
    if (kad_slice_equal(key, kad_slice_of("id"))) {
      continue;
    }
    /* To leave out `id` can bring two equal keys together. */
    if (kad_slice_equal(key, last)) {
      return KAD_EINVAL;
    }
    kad_write_string(writer, key);
    kad_write_raw(writer, value.raw);
    last = key;
  }
  write_own_until(writer, message, id_size, &own, NULL);
  kad_write_close(writer);
  return 0;
}

/* ------------------------------------------------------------- queries -- */

static void write_want(struct kad_writer *writer,
                       const struct kad_message *message) {
  kad_write_key(writer, "want");
  kad_write_list(writer);
  if (message->want4) {
    kad_write_string(writer, kad_slice_of("n4"));
  }
  if (message->want6) {
    kad_write_string(writer, kad_slice_of("n6"));
  }
  kad_write_close(writer);
}

static bool takes_want(enum kad_method_id method) {
  return method == KAD_METHOD_FIND_NODE || method == KAD_METHOD_GET_PEERS ||
         method == KAD_METHOD_FIND_VALUE || method == KAD_METHOD_GET ||
         method == KAD_METHOD_SAMPLE_INFOHASHES;
}

/* Writes the arguments of announce_peer. The port is written even if it is
 * implied, because old nodes require it. */
static void write_announcement(struct kad_writer *writer,
                               const struct kad_message *message,
                               size_t id_size) {
  if (message->implied_port) {
    write_number(writer, "implied_port", 1);
  }
  write_pair(writer, "info_hash", id_bytes(&message->target, id_size));
  write_number(writer, "port", message->has_port ? message->port : 0);
  if (message->seed) {
    write_number(writer, "seed", 1);
  }
  write_pair(writer, "token", message->token);
}

/* Writes the arguments of find_value and store after the target. A find_value
 * may have a token, too: it proves the address. */
static void write_typed(struct kad_writer *writer,
                        const struct kad_message *message) {
  bool store = message->method == KAD_METHOD_STORE;
  if (store || message->token.len > 0) {
    write_pair(writer, "token", message->token);
  }
  if (store && message->has_ttl) {
    write_number(writer, "ttl", message->ttl);
  }
  write_pair(writer, "type", message->type);
  if (store) {
    write_values(writer, message);
  }
  if (store && message->why.len > 0) {
    write_pair(writer, "why", message->why);
  }
}

/* Writes the arguments of get_peers (BEP 5 and 33). */
static void write_peer_search(struct kad_writer *writer,
                              const struct kad_message *message,
                              size_t id_size) {
  write_pair(writer, "info_hash", id_bytes(&message->target, id_size));
  if (message->noseed) {
    write_number(writer, "noseed", 1);
  }
  if (message->scrape) {
    write_number(writer, "scrape", 1);
  }
}

/* Writes the target of a query, and what its method has before it. */
static void write_target(struct kad_writer *writer,
                         const struct kad_message *message, size_t id_size) {
  if (message->method == KAD_METHOD_GET && message->has_seq) {
    write_number(writer, "seq", message->seq);
  }
  if (message->method == KAD_METHOD_FIND_VALUE && message->skip > 0) {
    write_number(writer, "skip", message->skip);
  }
  write_pair(writer, "target", id_bytes(&message->target, id_size));
  if (message->method == KAD_METHOD_GET && message->token.len > 0) {
    write_pair(writer, "token", message->token);
  }
}

static void write_core_arguments(struct kad_writer *writer,
                                 const struct kad_message *message,
                                 size_t id_size) {
  enum kad_method_id method = message->method;
  kad_write_dict(writer);
  if (method == KAD_METHOD_PUT) {
    kad_krpc_write_put(writer, message, id_size);
    kad_write_close(writer);
    return;
  }
  write_pair(writer, "id", id_bytes(&message->id, id_size));
  if (method == KAD_METHOD_GET_PEERS) {
    write_peer_search(writer, message, id_size);
  } else if (method == KAD_METHOD_ANNOUNCE_PEER) {
    write_announcement(writer, message, id_size);
  } else if (method != KAD_METHOD_PING) {
    write_target(writer, message, id_size);
  }
  if (method == KAD_METHOD_FIND_VALUE || method == KAD_METHOD_STORE) {
    write_typed(writer, message);
  }
  if (takes_want(method) && (message->want4 || message->want6)) {
    write_want(writer, message);
  }
  kad_write_close(writer);
}

static int write_arguments(struct kad_writer *writer,
                           const struct kad_message *message, size_t id_size) {
  static const struct kad_slice empty = {(const uint8_t *)"de", 2};
  kad_write_key(writer, "a");
  if (message->method != KAD_METHOD_CUSTOM) {
    write_core_arguments(writer, message, id_size);
    return 0;
  }
  return write_merged(writer, message, id_size,
                      message->args.len > 0 ? message->args : empty);
}

/* ------------------------------------------------------------- replies -- */

static void write_errors(struct kad_writer *writer,
                         const struct kad_message *message) {
  kad_write_key(writer, "errors");
  kad_write_list(writer);
  for (size_t i = 0; i < message->error_count; i++) {
    const struct kad_record_error *error = &message->errors[i];
    kad_write_list(writer);
    kad_write_integer(writer, error->index);
    kad_write_integer(writer, error->code);
    kad_write_string(writer, error->reason);
    kad_write_close(writer);
  }
  kad_write_close(writer);
}

static void write_optional(struct kad_writer *writer, const char *key, bool has,
                           int64_t number) {
  if (has) {
    write_number(writer, key, number);
  }
}

static void write_filter(struct kad_writer *writer, const char *key,
                         struct kad_slice filter) {
  if (filter.len > 0) {
    write_pair(writer, key, filter);
  }
}

/* Writes the keys of a reply up to the contacts. */
static void write_reply_head(struct kad_writer *writer,
                             const struct kad_message *message,
                             size_t id_size) {
  write_filter(writer, "BFpe", message->peer_filter);
  write_filter(writer, "BFsd", message->seed_filter);
  if (message->error_count > 0) {
    write_errors(writer, message);
  }
  write_pair(writer, "id", id_bytes(&message->id, id_size));
  write_optional(writer, "interval", message->has_interval, message->interval);
  kad_krpc_write_publisher(writer, message);
  write_optional(writer, "next", message->has_next, message->next);
  if (message->has_nodes) {
    write_contacts(writer, message, 4, id_size);
  }
  if (message->has_nodes6) {
    write_contacts(writer, message, 6, id_size);
  }
}

static void write_core_reply(struct kad_writer *writer,
                             const struct kad_message *message,
                             size_t id_size) {
  kad_write_dict(writer);
  write_reply_head(writer, message, id_size);
  write_optional(writer, "num", message->has_num, message->num);
  if (message->has_samples) {
    write_pair(writer, "samples", message->samples);
  }
  kad_krpc_write_signature(writer, message);
  write_optional(writer, "stored", message->has_stored, message->stored);
  if (message->token.len > 0) {
    write_pair(writer, "token", message->token);
  }
  write_optional(writer, "total", message->has_total, message->total);
  kad_krpc_write_value(writer, message);
  if (message->peer_count > 0 ||
      (message->record_count > 0 && !message->has_item)) {
    write_values(writer, message);
  }
  kad_write_close(writer);
}

static int write_reply(struct kad_writer *writer,
                       const struct kad_message *message, size_t id_size) {
  kad_write_key(writer, "r");
  if (message->reply.len > 0) {
    return write_merged(writer, message, id_size, message->reply);
  }
  write_core_reply(writer, message, id_size);
  return 0;
}

static void write_error(struct kad_writer *writer,
                        const struct kad_message *message) {
  kad_write_key(writer, "e");
  kad_write_list(writer);
  kad_write_integer(writer, message->code);
  kad_write_string(writer, message->text);
  kad_write_close(writer);
}

/* ------------------------------------------------------------ messages -- */

static void write_method(struct kad_writer *writer,
                         const struct kad_message *message) {
  write_pair(writer, "q",
             message->method == KAD_METHOD_CUSTOM
                 ? message->name
                 : kad_method_name(message->method));
  if (message->read_only) {
    write_number(writer, "ro", 1);
  }
}

/* Writes the end of a message of any kind. */
static void write_tail(struct kad_writer *writer,
                       const struct kad_message *message) {
  static const char *const kinds[] = {
      [KAD_MESSAGE_QUERY] = "q",
      [KAD_MESSAGE_REPLY] = "r",
      [KAD_MESSAGE_ERROR] = "e",
  };
  write_pair(writer, "t", message->transaction);
  if (message->token.len > 0 && (message->kind == KAD_MESSAGE_ERROR ||
                                 (message->kind == KAD_MESSAGE_QUERY &&
                                  message->method == KAD_METHOD_CUSTOM))) {
    write_pair(writer, "token", message->token);
  }
  if (message->version.len > 0) {
    write_pair(writer, "v", message->version);
  }
  write_pair(writer, "y", kad_slice_of(kinds[message->kind]));
  kad_write_close(writer);
}

static void write_observed(struct kad_writer *writer,
                           const struct kad_message *message) {
  if (message->observed.family != 0) {
    kad_write_key(writer, "ip");
    write_address(writer, &message->observed);
  }
}

int kad_krpc_encode(void *state, const struct kad_message *message,
                    size_t id_size, struct kad_writer *writer) {
  (void)state;
  int status = 0;
  kad_write_dict(writer);
  switch (message->kind) {
  case KAD_MESSAGE_QUERY:
    status = write_arguments(writer, message, id_size);
    write_method(writer, message);
    break;
  case KAD_MESSAGE_REPLY:
    write_observed(writer, message);
    status = write_reply(writer, message, id_size);
    break;
  case KAD_MESSAGE_ERROR:
    write_error(writer, message);
    write_observed(writer, message);
    break;
  }
  write_tail(writer, message);
  return status == 0 && writer->overflow ? KAD_ETOOBIG : status;
}
