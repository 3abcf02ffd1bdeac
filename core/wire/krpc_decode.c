#include "base/address.h"
#include "wire/krpc.h"
#include "wire/krpc_fields.h"
#include "wire/krpc_item.h"

#include <limits.h>
#include <string.h>

/* ------------------------------------------------------------- records -- */

static bool read_record_fields(const struct kad_fields *fields,
                               struct kad_record *record) {
  struct kad_slice publisher = {NULL, 0};
  struct kad_slice signature = {NULL, 0};
  bool has_ttl = false;
  if (!kad_fields_find(fields, KAD_KEY_V, KAD_BENCODE_STRING) ||
      !kad_fields_string(fields, KAD_KEY_V, 0, SIZE_MAX, &record->value) ||
      !kad_fields_string(fields, KAD_KEY_SALT, 0, KAD_MESSAGE_SALT_MAX,
                         &record->salt) ||
      !kad_fields_string(fields, KAD_KEY_K, KAD_PUBLISHER_SIZE,
                         KAD_PUBLISHER_SIZE, &publisher) ||
      !kad_fields_string(fields, KAD_KEY_SIG, KAD_SIGNATURE_SIZE,
                         KAD_SIGNATURE_SIZE, &signature) ||
      !kad_fields_number(fields, KAD_KEY_TTL, &has_ttl, &record->ttl) ||
      (publisher.data == NULL) != (signature.data == NULL)) {
    return false;
  }
  record->publisher = publisher.data;
  record->signature = signature.data;
  const struct kad_bencode *seq =
      kad_fields_find(fields, KAD_KEY_SEQ, KAD_BENCODE_INTEGER);
  record->has_seq = seq != NULL;
  record->seq = seq != NULL ? seq->integer : 0;
  return seq != NULL || kad_fields_is_absent(fields, KAD_KEY_SEQ);
}

static bool read_record(const struct kad_message *message,
                        const struct kad_bencode *dict,
                        struct kad_record *record) {
  struct kad_fields fields;
  kad_fields_collect(dict->bytes, &fields);
  *record = (struct kad_record){.key = message->target, .type = message->type};
  return read_record_fields(&fields, record);
}

/* Reads the records of a store query. A malformed record makes it malformed. */
static bool read_records(const struct kad_fields *fields,
                         struct kad_message *message) {
  const struct kad_bencode *list =
      kad_fields_find(fields, KAD_KEY_VALUES, KAD_BENCODE_LIST);
  if (list == NULL) {
    return kad_fields_is_absent(fields, KAD_KEY_VALUES);
  }
  struct kad_slice rest = list->bytes;
  struct kad_bencode item;
  size_t count = 0;
  while (kad_bencode_next(&rest, &item)) {
    if (item.type != KAD_BENCODE_DICT || count == KAD_RECORDS_PER_MESSAGE ||
        !read_record(message, &item, &message->records[count])) {
      return false;
    }
    count++;
  }
  message->record_count = count;
  return count > 0;
}

/* ------------------------------------------------------------- queries -- */

/* Reads the list `want`. Ignores items other than "n4" and "n6" (BEP 32). */
static bool read_want(const struct kad_fields *fields,
                      struct kad_message *message) {
  const struct kad_bencode *list =
      kad_fields_find(fields, KAD_KEY_WANT, KAD_BENCODE_LIST);
  if (list == NULL) {
    return kad_fields_is_absent(fields, KAD_KEY_WANT);
  }
  struct kad_slice rest = list->bytes;
  struct kad_bencode item;
  while (kad_bencode_next(&rest, &item)) {
    if (item.type == KAD_BENCODE_STRING && item.bytes.len == 2 &&
        item.bytes.data[0] == 'n') {
      message->want4 = message->want4 || item.bytes.data[1] == '4';
      message->want6 = message->want6 || item.bytes.data[1] == '6';
    }
  }
  return true;
}

/* Reads the port of an announcement. Ignores its value if it is implied. */
static bool read_port(const struct kad_fields *fields,
                      struct kad_message *message) {
  const struct kad_bencode *implied =
      kad_fields_find(fields, KAD_KEY_IMPLIED_PORT, KAD_BENCODE_INTEGER);
  const struct kad_bencode *port =
      kad_fields_find(fields, KAD_KEY_PORT, KAD_BENCODE_INTEGER);
  message->implied_port = implied != NULL && implied->integer != 0;
  message->has_port =
      port != NULL && port->integer > 0 && port->integer <= UINT16_MAX;
  message->port = message->has_port ? (uint16_t)port->integer : 0;
  return (implied != NULL ||
          kad_fields_is_absent(fields, KAD_KEY_IMPLIED_PORT)) &&
         (message->has_port || message->implied_port);
}

static bool read_target(const struct kad_fields *fields, enum kad_key key,
                        size_t id_size, struct kad_message *message) {
  return kad_fields_id(fields, key, id_size, &message->has_target,
                       &message->target);
}

static bool read_core_arguments(const struct kad_fields *fields, size_t id_size,
                                struct kad_message *message) {
  bool has_skip = false;
  return read_target(fields, KAD_KEY_TARGET, id_size, message) &&
         read_target(fields, KAD_KEY_INFO_HASH, id_size, message) &&
         read_want(fields, message) &&
         kad_fields_string(fields, KAD_KEY_TOKEN, 0, KAD_TOKEN_MAX,
                           &message->token) &&
         kad_fields_string(fields, KAD_KEY_TYPE, 1, KAD_TYPE_NAME_MAX,
                           &message->type) &&
         kad_fields_number(fields, KAD_KEY_SKIP, &has_skip, &message->skip) &&
         kad_fields_number(fields, KAD_KEY_TTL, &message->has_ttl,
                           &message->ttl) &&
         kad_fields_string(fields, KAD_KEY_WHY, 0, KAD_WHY_MAX,
                           &message->why) &&
         read_records(fields, message);
}

/* Reads the arguments that only the query itself has. */
static bool read_own_arguments(const struct kad_fields *fields,
                               struct kad_message *message) {
  switch (message->method) {
  case KAD_METHOD_ANNOUNCE_PEER:
    return read_port(fields, message) &&
           kad_fields_flag(fields, KAD_KEY_SEED, &message->seed);
  case KAD_METHOD_GET_PEERS:
    return kad_fields_flag(fields, KAD_KEY_SCRAPE, &message->scrape) &&
           kad_fields_flag(fields, KAD_KEY_NOSEED, &message->noseed);
  case KAD_METHOD_GET:
    return kad_fields_integer(fields, KAD_KEY_SEQ, &message->has_seq,
                              &message->seq);
  case KAD_METHOD_PUT:
    return kad_krpc_read_put(fields, message);
  case KAD_METHOD_CUSTOM:
  case KAD_METHOD_PING:
  case KAD_METHOD_FIND_NODE:
  case KAD_METHOD_FIND_VALUE:
  case KAD_METHOD_STORE:
  case KAD_METHOD_SAMPLE_INFOHASHES:
    return true;
  }
  return true;
}

/* A custom query may give these keys another meaning: reads them only if they
 * have the form that the core's queries have. */
static void read_custom_arguments(const struct kad_fields *fields,
                                  size_t id_size, struct kad_message *message) {
  (void)read_target(fields, KAD_KEY_TARGET, id_size, message);
  if (!message->has_target) {
    (void)read_target(fields, KAD_KEY_INFO_HASH, id_size, message);
  }
  (void)read_want(fields, message);
}

/* The arguments of the core's queries besides the id. Others are ignored. */
static const struct {
  uint64_t required;
  uint64_t optional;
} arguments_of[] = {
    [KAD_METHOD_PING] = {0, 0},
    [KAD_METHOD_FIND_NODE] = {KAD_KEY_BIT(KAD_KEY_TARGET),
                              KAD_KEY_BIT(KAD_KEY_WANT)},
    [KAD_METHOD_GET_PEERS] = {KAD_KEY_BIT(KAD_KEY_INFO_HASH),
                              KAD_KEY_BIT(KAD_KEY_WANT) |
                                  KAD_KEY_BIT(KAD_KEY_SCRAPE) |
                                  KAD_KEY_BIT(KAD_KEY_NOSEED)},
    [KAD_METHOD_ANNOUNCE_PEER] = {KAD_KEY_BIT(KAD_KEY_INFO_HASH) |
                                      KAD_KEY_BIT(KAD_KEY_TOKEN),
                                  KAD_KEY_BIT(KAD_KEY_PORT) |
                                      KAD_KEY_BIT(KAD_KEY_IMPLIED_PORT) |
                                      KAD_KEY_BIT(KAD_KEY_SEED)},
    [KAD_METHOD_FIND_VALUE] = {KAD_KEY_BIT(KAD_KEY_TARGET) |
                                   KAD_KEY_BIT(KAD_KEY_TYPE),
                               KAD_KEY_BIT(KAD_KEY_WANT) |
                                   KAD_KEY_BIT(KAD_KEY_SKIP) |
                                   KAD_KEY_BIT(KAD_KEY_TOKEN)},
    [KAD_METHOD_STORE] = {KAD_KEY_BIT(KAD_KEY_TARGET) |
                              KAD_KEY_BIT(KAD_KEY_TYPE) |
                              KAD_KEY_BIT(KAD_KEY_TOKEN) |
                              KAD_KEY_BIT(KAD_KEY_VALUES),
                          KAD_KEY_BIT(KAD_KEY_TTL) | KAD_KEY_BIT(KAD_KEY_WHY)},
    [KAD_METHOD_GET] = {KAD_KEY_BIT(KAD_KEY_TARGET),
                        KAD_KEY_BIT(KAD_KEY_WANT) | KAD_KEY_BIT(KAD_KEY_SEQ) |
                            KAD_KEY_BIT(KAD_KEY_TOKEN)},
    [KAD_METHOD_PUT] = {KAD_KEY_BIT(KAD_KEY_TOKEN) | KAD_KEY_BIT(KAD_KEY_V),
                        KAD_KEY_BIT(KAD_KEY_K) | KAD_KEY_BIT(KAD_KEY_SALT) |
                            KAD_KEY_BIT(KAD_KEY_SEQ) |
                            KAD_KEY_BIT(KAD_KEY_SIG) |
                            KAD_KEY_BIT(KAD_KEY_CAS) |
                            KAD_KEY_BIT(KAD_KEY_TTL) |
                            KAD_KEY_BIT(KAD_KEY_WHY)},
    [KAD_METHOD_SAMPLE_INFOHASHES] = {KAD_KEY_BIT(KAD_KEY_TARGET),
                                      KAD_KEY_BIT(KAD_KEY_WANT)},
};

static bool read_arguments(const struct kad_bencode *dict, size_t id_size,
                           struct kad_message *message) {
  struct kad_fields fields;
  kad_fields_collect(dict->bytes, &fields);
  if (!kad_fields_id(&fields, KAD_KEY_ID, id_size, &message->has_id,
                     &message->id) ||
      !message->has_id) {
    return false;
  }
  if (message->method == KAD_METHOD_CUSTOM) {
    read_custom_arguments(&fields, id_size, message);
    return true;
  }
  uint64_t required = arguments_of[message->method].required;
  fields.present &= required | arguments_of[message->method].optional;
  if ((fields.present & required) != required) {
    return false;
  }
  if (fields.present == 0) {
    return true;
  }
  return read_core_arguments(&fields, id_size, message) &&
         read_own_arguments(&fields, message);
}

/* Reads the token beside the body of an error, and of a custom query, whose
 * arguments are the policy's. Ignores a malformed one. */
static void read_token(const struct kad_fields *top,
                       struct kad_message *message) {
  (void)kad_fields_string(top, KAD_KEY_TOKEN, 0, KAD_TOKEN_MAX,
                          &message->token);
}

static int read_query(const struct kad_fields *top, size_t id_size,
                      struct kad_message *message) {
  const struct kad_bencode *name =
      kad_fields_find(top, KAD_KEY_Q, KAD_BENCODE_STRING);
  const struct kad_bencode *dict =
      kad_fields_find(top, KAD_KEY_A, KAD_BENCODE_DICT);
  if (name == NULL || dict == NULL) {
    return KAD_EMALFORMED;
  }
  message->name = name->bytes;
  message->method = kad_method_find(name->bytes);
  message->args = dict->raw;
  if (message->method == KAD_METHOD_CUSTOM) {
    read_token(top, message);
  }
  return read_arguments(dict, id_size, message) ? 0 : KAD_EMALFORMED;
}

/* ------------------------------------------------------------- replies -- */

/* Adds the contact `entry`, an id and a compact address. Ignores port 0. */
static void add_contact(struct kad_message *message, struct kad_slice entry,
                        size_t id_size) {
  if (message->contact_count == KAD_MESSAGE_CONTACTS) {
    return;
  }
  struct kad_slice compact = {entry.data + id_size, entry.len - id_size};
  struct kad_contact *contact = &message->contacts[message->contact_count];
  if (kad_address_unpack(compact, &contact->address) != 0 ||
      contact->address.port == 0) {
    return;
  }
  memset(&contact->id, 0, sizeof contact->id);
  memcpy(contact->id.bytes, entry.data, id_size);
  message->contact_count++;
}

static bool read_contacts(const struct kad_fields *fields, enum kad_key key,
                          size_t id_size, bool *has,
                          struct kad_message *message) {
  size_t entry = id_size + kad_compact_size(key == KAD_KEY_NODES ? 4 : 6);
  const struct kad_bencode *value =
      kad_fields_find(fields, key, KAD_BENCODE_STRING);
  if (value == NULL || value->bytes.len % entry != 0) {
    return kad_fields_is_absent(fields, key);
  }
  *has = true;
  for (size_t at = 0; at < value->bytes.len; at += entry) {
    add_contact(message, (struct kad_slice){value->bytes.data + at, entry},
                id_size);
  }
  return true;
}

/* Adds a peer to the values of a reply. Ignores a string that is not a peer. */
static void add_peer(struct kad_message *message, struct kad_slice compact) {
  struct kad_address peer;
  if (message->peer_count < KAD_MESSAGE_PEERS &&
      (compact.len == KAD_COMPACT_IP4 || compact.len == KAD_COMPACT_IP6) &&
      kad_address_unpack(compact, &peer) == 0 && peer.port != 0) {
    message->peers[message->peer_count++] = peer;
  }
}

static bool add_record(struct kad_message *message,
                       const struct kad_bencode *dict) {
  if (message->record_count == KAD_RECORDS_PER_MESSAGE) {
    return true;
  }
  if (!read_record(message, dict, &message->records[message->record_count])) {
    return false;
  }
  message->record_count++;
  return true;
}

/* Reads the values of a reply. Strings are peers, dictionaries are records. */
static bool read_values(const struct kad_fields *fields,
                        struct kad_message *message) {
  const struct kad_bencode *list =
      kad_fields_find(fields, KAD_KEY_VALUES, KAD_BENCODE_LIST);
  if (list == NULL) {
    return kad_fields_is_absent(fields, KAD_KEY_VALUES);
  }
  struct kad_slice rest = list->bytes;
  struct kad_bencode item;
  while (kad_bencode_next(&rest, &item)) {
    if (item.type == KAD_BENCODE_STRING) {
      add_peer(message, item.bytes);
    } else if (item.type == KAD_BENCODE_DICT && !add_record(message, &item)) {
      message->record_count = 0;
      message->peer_count = 0;
      return false;
    }
  }
  return true;
}

static bool next_integer(struct kad_slice *rest, int64_t min, int64_t max,
                         int64_t *integer) {
  struct kad_bencode item;
  if (!kad_bencode_next(rest, &item) || item.type != KAD_BENCODE_INTEGER ||
      item.integer < min || item.integer > max) {
    return false;
  }
  *integer = item.integer;
  return true;
}

/* Reads the code and the text that end an error and an entry of `errors`. */
static bool next_code(struct kad_slice *rest, int *code,
                      struct kad_slice *text) {
  struct kad_bencode item;
  int64_t integer = 0;
  if (!next_integer(rest, INT_MIN, INT_MAX, &integer) ||
      !kad_bencode_next(rest, &item) || item.type != KAD_BENCODE_STRING) {
    return false;
  }
  *code = (int)integer;
  *text = item.bytes;
  return true;
}

static bool read_record_error(const struct kad_bencode *item,
                              struct kad_record_error *error) {
  struct kad_slice rest = item->bytes;
  int64_t index = 0;
  if (item->type != KAD_BENCODE_LIST ||
      !next_integer(&rest, 0, UINT32_MAX, &index)) {
    return false;
  }
  error->index = (uint32_t)index;
  return next_code(&rest, &error->code, &error->reason);
}

static bool read_errors(const struct kad_fields *fields,
                        struct kad_message *message) {
  const struct kad_bencode *list =
      kad_fields_find(fields, KAD_KEY_ERRORS, KAD_BENCODE_LIST);
  if (list == NULL) {
    return kad_fields_is_absent(fields, KAD_KEY_ERRORS);
  }
  struct kad_slice rest = list->bytes;
  struct kad_bencode item;
  size_t count = 0;
  while (count < KAD_MESSAGE_ERRORS && kad_bencode_next(&rest, &item)) {
    if (!read_record_error(&item, &message->errors[count])) {
      return false;
    }
    count++;
  }
  message->error_count = count;
  return true;
}

/* Reads the Bloom filters of a scrape (BEP 33). */
static bool read_filters(const struct kad_fields *fields,
                         struct kad_message *message) {
  const bool is_valid[] = {
      kad_fields_string(fields, KAD_KEY_BFSD, KAD_FILTER_SIZE, KAD_FILTER_SIZE,
                        &message->seed_filter),
      kad_fields_string(fields, KAD_KEY_BFPE, KAD_FILTER_SIZE, KAD_FILTER_SIZE,
                        &message->peer_filter),
  };
  return is_valid[0] && is_valid[1];
}

/* Reads the samples of infohashes (BEP 51). */
static bool read_samples(const struct kad_fields *fields, size_t id_size,
                         struct kad_message *message) {
  const struct kad_bencode *value =
      kad_fields_find(fields, KAD_KEY_SAMPLES, KAD_BENCODE_STRING);
  const bool is_valid[] = {
      kad_fields_number(fields, KAD_KEY_INTERVAL, &message->has_interval,
                        &message->interval),
      kad_fields_number(fields, KAD_KEY_NUM, &message->has_num, &message->num),
      value != NULL ? value->bytes.len % id_size == 0
                    : kad_fields_is_absent(fields, KAD_KEY_SAMPLES),
  };
  if (value != NULL && is_valid[2]) {
    message->has_samples = true;
    message->samples = value->bytes;
  }
  return is_valid[0] && is_valid[1] && is_valid[2];
}

static int read_reply(const struct kad_fields *top, size_t id_size,
                      struct kad_message *message) {
  const struct kad_bencode *dict =
      kad_fields_find(top, KAD_KEY_R, KAD_BENCODE_DICT);
  if (dict == NULL) {
    return KAD_EMALFORMED;
  }
  struct kad_fields fields;
  kad_fields_collect(dict->bytes, &fields);
  message->reply = dict->raw;
  if (!kad_fields_id(&fields, KAD_KEY_ID, id_size, &message->has_id,
                     &message->id) ||
      !message->has_id) {
    return KAD_EMALFORMED;
  }
  /* Reads all keys, even after a malformed one. */
  const bool is_valid[] = {
      read_contacts(&fields, KAD_KEY_NODES, id_size, &message->has_nodes,
                    message),
      read_contacts(&fields, KAD_KEY_NODES6, id_size, &message->has_nodes6,
                    message),
      kad_fields_string(&fields, KAD_KEY_TOKEN, 0, KAD_TOKEN_MAX,
                        &message->token),
      kad_fields_number(&fields, KAD_KEY_TOTAL, &message->has_total,
                        &message->total),
      kad_fields_number(&fields, KAD_KEY_NEXT, &message->has_next,
                        &message->next),
      kad_fields_number(&fields, KAD_KEY_STORED, &message->has_stored,
                        &message->stored),
      read_values(&fields, message),
      read_errors(&fields, message),
      kad_krpc_read_item(&fields, message), /* after the values */
      read_filters(&fields, message),
      read_samples(&fields, id_size, message),
  };
  for (size_t i = 0; i < sizeof is_valid / sizeof *is_valid; i++) {
    message->malformed = message->malformed || !is_valid[i];
  }
  return 0;
}

/* ------------------------------------------------------------ messages -- */

static int read_error(const struct kad_fields *top,
                      struct kad_message *message) {
  const struct kad_bencode *list =
      kad_fields_find(top, KAD_KEY_E, KAD_BENCODE_LIST);
  if (list == NULL) {
    return KAD_EMALFORMED;
  }
  struct kad_slice rest = list->bytes;
  read_token(top, message);
  return next_code(&rest, &message->code, &message->text) ? 0 : KAD_EMALFORMED;
}

/* Reads the optional keys beside the body. Ignores malformed ones. */
static void read_envelope(const struct kad_fields *top,
                          struct kad_message *message) {
  const struct kad_bencode *ip =
      kad_fields_find(top, KAD_KEY_IP, KAD_BENCODE_STRING);
  const struct kad_bencode *read_only =
      kad_fields_find(top, KAD_KEY_RO, KAD_BENCODE_INTEGER);
  (void)kad_fields_string(top, KAD_KEY_V, 0, SIZE_MAX, &message->version);
  message->read_only = read_only != NULL && read_only->integer == 1;
  struct kad_address observed;
  if (ip != NULL && kad_address_unpack(ip->bytes, &observed) == 0) {
    message->observed = observed;
  }
}

/* Chooses the kind by `y` alone: some clients send errors with an `r`. */
static int read_body(const struct kad_fields *top, uint8_t kind, size_t id_size,
                     struct kad_message *message) {
  switch (kind) {
  case 'q':
    message->kind = KAD_MESSAGE_QUERY;
    return read_query(top, id_size, message);
  case 'r':
    message->kind = KAD_MESSAGE_REPLY;
    return read_reply(top, id_size, message);
  case 'e':
    message->kind = KAD_MESSAGE_ERROR;
    return read_error(top, message);
  default:
    return KAD_EMALFORMED;
  }
}

int kad_krpc_decode(void *state, struct kad_slice datagram, size_t id_size,
                    struct kad_message *message) {
  (void)state;
  struct kad_fields top;
  struct kad_slice kind = {NULL, 0};
  kad_message_init(message, KAD_MESSAGE_QUERY);
  if (!kad_fields_parse(datagram, &top) ||
      !kad_fields_string(&top, KAD_KEY_Y, 1, 1, &kind) || kind.data == NULL ||
      !kad_fields_string(&top, KAD_KEY_T, 1, KAD_TRANSACTION_MAX,
                         &message->transaction) ||
      message->transaction.data == NULL) {
    return KAD_EMALFORMED;
  }
  read_envelope(&top, message);
  int status = read_body(&top, *kind.data, id_size, message);
  if (status != 0 && *kind.data != 'q') {
    message->transaction = (struct kad_slice){NULL, 0};
  }
  return status;
}
