#include "policy/message.h"

#include "lua/argument.h"
#include "lua/bencode.h"
#include "lua/field.h"
#include "lua/record.h"
#include "lua/value.h"

#include <lauxlib.h>

#include <limits.h>

static const char *const kinds[] = {
    [KAD_MESSAGE_QUERY] = "query",
    [KAD_MESSAGE_REPLY] = "reply",
    [KAD_MESSAGE_ERROR] = "error",
};

/* ------------------------------------------------------------- pushing -- */

/* The setters set a field of the table at the top. [-0, +0, m] */

/* Sets nothing if there are no bytes. */
static void set_bytes(lua_State *L, const char *name, struct kad_slice bytes) {
  if (bytes.len > 0) {
    kad_lua_set_slice(L, name, bytes);
  }
}

static void set_flag(lua_State *L, const char *name, bool value) {
  if (value) {
    kad_lua_set_boolean(L, name, true);
  }
}

static void set_number(lua_State *L, const char *name, bool has,
                       lua_Integer value) {
  if (has) {
    kad_lua_set_integer(L, name, value);
  }
}

static void set_address(lua_State *L, const char *name,
                        const struct kad_address *address) {
  kad_lua_push_address(L, address);
  lua_setfield(L, -2, name);
}

static void set_id(lua_State *L, const char *name, const struct kad_id *id,
                   unsigned bits) {
  kad_lua_push_id(L, id, bits);
  lua_setfield(L, -2, name);
}

/* Sets a decoded value; nothing if there are no bytes. */
static void set_value(lua_State *L, const char *name, struct kad_slice bytes) {
  if (bytes.len > 0 && kad_lua_bencode_decode(L, bytes) == 0) {
    lua_setfield(L, -2, name);
  }
}

static void set_contacts(lua_State *L, const char *name,
                         const struct kad_message *message, unsigned family,
                         unsigned bits) {
  lua_Integer count = 0;
  lua_newtable(L);
  for (size_t i = 0; i < message->contact_count; i++) {
    const struct kad_contact *const contact = &message->contacts[i];
    if (contact->address.family == family) {
      lua_createtable(L, 0, 2);
      set_id(L, "id", &contact->id, bits);
      set_address(L, "address", &contact->address);
      lua_rawseti(L, -2, ++count);
    }
  }
  lua_setfield(L, -2, name);
}

/* Leaves out key and type, which the query has, and age, which none has. */
static void push_record(lua_State *L, const struct kad_record *record,
                        unsigned bits) {
  static const char *const left_out[] = {"key", "type", "age"};
  kad_lua_push_record(L, record, bits);
  for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
    lua_pushnil(L);
    lua_setfield(L, -2, left_out[i]);
  }
}

static void set_records(lua_State *L, const struct kad_message *message,
                        unsigned bits) {
  if (message->record_count == 0) {
    return;
  }
  lua_createtable(L, (int)message->record_count, 0);
  for (size_t i = 0; i < message->record_count; i++) {
    push_record(L, &message->records[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "records");
}

static void set_errors(lua_State *L, const struct kad_message *message) {
  if (message->error_count == 0) {
    return;
  }
  lua_createtable(L, (int)message->error_count, 0);
  for (size_t i = 0; i < message->error_count; i++) {
    const struct kad_record_error *const error = &message->errors[i];
    lua_createtable(L, 0, 3);
    kad_lua_set_integer(L, "index", error->index);
    kad_lua_set_integer(L, "code", error->code);
    kad_lua_set_slice(L, "reason", error->reason);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "errors");
}

static void set_query(lua_State *L, const struct kad_message *message,
                      unsigned bits) {
  const bool custom = message->method == KAD_METHOD_CUSTOM;
  kad_lua_set_slice(L, "method",
                    custom ? message->name : kad_method_name(message->method));
  if (custom) {
    set_value(L, "args", message->args);
  }
  if (message->has_target) {
    set_id(L, "target", &message->target, bits);
  }
  set_flag(L, "want4", message->want4);
  set_flag(L, "want6", message->want6);
  set_flag(L, "implied_port", message->implied_port);
  set_flag(L, "seed", message->seed);
  set_flag(L, "scrape", message->scrape);
  set_flag(L, "noseed", message->noseed);
  set_number(L, "port", message->has_port, message->port);
  set_number(L, "skip", message->skip > 0, message->skip);
  set_number(L, "ttl", message->has_ttl, message->ttl);
  set_number(L, "cas", message->has_cas, message->cas);
  set_bytes(L, "type", message->type);
  set_bytes(L, "why", message->why);
}

/* Sets what the replies to a scrape (BEP 33) and to a sample (BEP 51) have. */
static void set_surveys(lua_State *L, const struct kad_message *message) {
  set_bytes(L, "seed_filter", message->seed_filter);
  set_bytes(L, "peer_filter", message->peer_filter);
  set_number(L, "interval", message->has_interval, message->interval);
  set_number(L, "num", message->has_num, message->num);
  if (message->has_samples) {
    kad_lua_set_slice(L, "samples", message->samples);
  }
}

static void set_reply(lua_State *L, const struct kad_message *message,
                      unsigned bits) {
  set_value(L, "reply", message->reply);
  set_flag(L, "item", message->has_item);
  set_surveys(L, message);
  if (message->has_nodes) {
    set_contacts(L, "nodes", message, 4, bits);
  }
  if (message->has_nodes6) {
    set_contacts(L, "nodes6", message, 6, bits);
  }
  if (message->peer_count > 0) {
    kad_lua_push_addresses(L, message->peers, message->peer_count);
    lua_setfield(L, -2, "peers");
  }
  set_number(L, "total", message->has_total, message->total);
  set_number(L, "next", message->has_next, message->next);
  set_number(L, "stored", message->has_stored, message->stored);
  set_errors(L, message);
}

void kad_policy_message_push(lua_State *L, const struct kad_message *message,
                             unsigned bits) {
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 0, 12);
  kad_lua_set_string(L, "kind", kinds[message->kind]);
  kad_lua_set_slice(L, "transaction", message->transaction);
  set_bytes(L, "version", message->version);
  set_flag(L, "read_only", message->read_only);
  if (message->observed.family != 0) {
    set_address(L, "observed", &message->observed);
  }
  if (message->has_id) {
    set_id(L, "id", &message->id, bits);
  }
  set_bytes(L, "token", message->token);
  set_number(L, "seq", message->has_seq, message->seq);
  set_records(L, message, bits);
  switch (message->kind) {
  case KAD_MESSAGE_QUERY:
    set_query(L, message, bits);
    return;
  case KAD_MESSAGE_REPLY:
    set_reply(L, message, bits);
    return;
  case KAD_MESSAGE_ERROR:
    kad_lua_set_integer(L, "code", message->code);
    kad_lua_set_slice(L, "text", message->text);
    return;
  }
}

/* ------------------------------------------------------------- reading -- */

/* Reads the table at `index`. */
struct reader {
  lua_State *L;
  int index;
  unsigned bits;
  struct kad_message *message;
  struct kad_writer *scratch;
};

/* Copies bytes to the scratch: their string may be collected. */
static struct kad_slice copy_to_scratch(const struct reader *reader,
                                        struct kad_slice bytes) {
  struct kad_writer *const scratch = reader->scratch;
  const size_t from = scratch->len;
  if (bytes.len > 0) {
    kad_write_raw(scratch, bytes);
  }
  return (struct kad_slice){scratch->data + from, scratch->len - from};
}

/* Does the same with `len` bytes, or NULL. */
static const uint8_t *copy_bytes(const struct reader *reader,
                                 const uint8_t *bytes, size_t len) {
  return bytes != NULL
             ? copy_to_scratch(reader, (struct kad_slice){bytes, len}).data
             : NULL;
}

/* The readers change nothing if the field is nil. [-0, +0, v] */

static bool read_bytes(const struct reader *reader, const char *name,
                       size_t min, size_t max, struct kad_slice *bytes) {
  struct kad_slice borrowed;
  if (!kad_lua_field_string(reader->L, reader->index, name, min, max,
                            &borrowed)) {
    return false;
  }
  *bytes = copy_to_scratch(reader, borrowed);
  return true;
}

static bool read_id(const struct reader *reader, const char *name,
                    struct kad_id *id) {
  return kad_lua_field_id(reader->L, reader->index, name, reader->bits, id);
}

static bool read_number(const struct reader *reader, const char *name,
                        uint32_t max, uint32_t *number) {
  return kad_lua_field_uint32(reader->L, reader->index, name, 0, max, number);
}

/* Reads any integer. Returns whether there is one. */
static bool read_integer(const struct reader *reader, const char *name,
                         int64_t *integer) {
  lua_Integer number = 0;
  const bool has = kad_lua_field_integer(
      reader->L, reader->index, name, LUA_MININTEGER, LUA_MAXINTEGER, &number);
  *integer = number;
  return has;
}

static bool read_code(const struct reader *reader, int *code) {
  lua_Integer number = 0;
  const bool has = kad_lua_field_integer(reader->L, reader->index, "code",
                                         INT_MIN, INT_MAX, &number);
  *code = (int)number;
  return has;
}

static void read_flag(const struct reader *reader, const char *name,
                      bool *flag) {
  (void)kad_lua_field_boolean(reader->L, reader->index, name, flag);
}

/* Reads and pops the address at the top. Errors call it `name`. [-1, +0, v] */
static void read_address(const struct reader *reader, const char *name,
                         struct kad_address *address) {
  size_t len = 0;
  const char *const text = lua_type(reader->L, -1) == LUA_TSTRING
                               ? lua_tolstring(reader->L, -1, &len)
                               : NULL;
  if (text == NULL ||
      kad_address_parse((struct kad_slice){(const uint8_t *)text, len},
                        address) != 0) {
    luaL_error(reader->L, "field '%s' has no address such as 192.0.2.1:6881",
               name);
  }
  lua_pop(reader->L, 1);
}

/* Pushes the list `name` and sets `*count`. If the field is nil, pushes nothing
 * and returns false. [-0, +0|1, v] */
static bool push_list(const struct reader *reader, const char *name, size_t max,
                      size_t *count) {
  lua_State *const L = reader->L;
  if (!kad_lua_push_field(L, reader->index, name)) {
    return false;
  }
  if (!lua_istable(L, -1)) {
    luaL_error(L, "field '%s' must be a list, not %s", name,
               luaL_typename(L, -1));
  }
  *count = (size_t)lua_rawlen(L, -1);
  if (*count > max) {
    luaL_error(L, "field '%s' has more than %d items", name, (int)max);
  }
  return true;
}

/* Pushes item `i`, which must be a table, of the list at the top, and returns
 * a reader of it. [-0, +1, v] */
static struct reader push_item(const struct reader *reader, const char *name,
                               size_t i) {
  struct reader item = *reader;
  if (lua_rawgeti(reader->L, -1, (lua_Integer)i + 1) != LUA_TTABLE) {
    luaL_error(reader->L, "field '%s' must be a list of tables", name);
  }
  item.index = lua_gettop(reader->L);
  return item;
}

static void read_contacts(const struct reader *reader, const char *name,
                          unsigned family, bool *has) {
  struct kad_message *const message = reader->message;
  size_t count = 0;
  if (!push_list(reader, name, KAD_MESSAGE_CONTACTS - message->contact_count,
                 &count)) {
    return;
  }
  *has = true;
  for (size_t i = 0; i < count; i++) {
    struct kad_contact *const contact =
        &message->contacts[message->contact_count++];
    const struct reader item = push_item(reader, name, i);
    if (!read_id(&item, "id", &contact->id)) {
      luaL_error(reader->L, "a contact of '%s' lacks its id", name);
    }
    if (!kad_lua_push_field(reader->L, item.index, "address")) {
      luaL_error(reader->L, "a contact of '%s' lacks its address", name);
    }
    read_address(reader, name, &contact->address);
    if (contact->address.family != family) {
      luaL_error(reader->L, "field '%s' has an address of another family",
                 name);
    }
    lua_pop(reader->L, 1);
  }
  lua_pop(reader->L, 1);
}

static void read_peers(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  if (!push_list(reader, "peers", KAD_MESSAGE_PEERS, &message->peer_count)) {
    return;
  }
  for (size_t i = 0; i < message->peer_count; i++) {
    lua_rawgeti(reader->L, -1, (lua_Integer)i + 1);
    read_address(reader, "peers", &message->peers[i]);
  }
  lua_pop(reader->L, 1);
}

static void read_records(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  if (!push_list(reader, "records", KAD_RECORDS_PER_MESSAGE,
                 &message->record_count)) {
    return;
  }
  for (size_t i = 0; i < message->record_count; i++) {
    struct kad_record *const record = &message->records[i];
    const struct reader item = push_item(reader, "records", i);
    kad_lua_check_record(item.L, item.index, item.bits, record);
    record->type = (struct kad_slice){NULL, 0}; /* the query has it */
    record->value = copy_to_scratch(reader, record->value);
    record->salt = copy_to_scratch(reader, record->salt);
    record->publisher =
        copy_bytes(reader, record->publisher, KAD_PUBLISHER_SIZE);
    record->signature =
        copy_bytes(reader, record->signature, KAD_SIGNATURE_SIZE);
    lua_pop(reader->L, 1);
  }
  lua_pop(reader->L, 1);
}

static void read_errors(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  if (!push_list(reader, "errors", KAD_MESSAGE_ERRORS, &message->error_count)) {
    return;
  }
  for (size_t i = 0; i < message->error_count; i++) {
    struct kad_record_error *const error = &message->errors[i];
    const struct reader item = push_item(reader, "errors", i);
    *error = (struct kad_record_error){.index = 0};
    (void)read_number(&item, "index", UINT32_MAX, &error->index);
    (void)read_code(&item, &error->code);
    (void)read_bytes(&item, "reason", 0, SIZE_MAX / 2, &error->reason);
    lua_pop(reader->L, 1);
  }
  lua_pop(reader->L, 1);
}

/* Adds the id `name` to the table at the top, if that has none. [-0, +0, v] */
static void add_id(const struct reader *reader, const char *name,
                   const struct kad_id *id) {
  lua_State *const L = reader->L;
  lua_pushstring(L, name);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushstring(L, name);
    kad_lua_push_id(L, id, reader->bits);
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
}

/* Encodes the table `name`, which a policy made, with the ids that KRPC has in
 * that dictionary. [-0, +0, v] */
static struct kad_slice read_dict(const struct reader *reader,
                                  const char *name) {
  lua_State *const L = reader->L;
  const struct kad_message *const message = reader->message;
  if (!kad_lua_push_field(L, reader->index, name)) {
    lua_newtable(L);
  } else if (!lua_istable(L, -1)) {
    luaL_error(L, "field '%s' must be a table, not %s", name,
               luaL_typename(L, -1));
  }
  add_id(reader, "id", &message->id);
  if (message->kind == KAD_MESSAGE_QUERY && message->has_target) {
    add_id(reader, "target", &message->target);
  }
  kad_lua_bencode_encode(L, -1, name, true);
  const struct kad_slice encoded =
      copy_to_scratch(reader, kad_lua_check_slice(L, lua_gettop(L)));
  lua_pop(L, 2);
  return encoded;
}

static void read_query(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  uint32_t port = 0;
  if (!read_bytes(reader, "method", 1, SIZE_MAX / 2, &message->name)) {
    luaL_error(reader->L, "field 'method' is missing");
  }
  message->has_target = read_id(reader, "target", &message->target);
  message->args = read_dict(reader, "args");
  read_flag(reader, "want4", &message->want4);
  read_flag(reader, "want6", &message->want6);
  read_flag(reader, "implied_port", &message->implied_port);
  read_flag(reader, "seed", &message->seed);
  read_flag(reader, "scrape", &message->scrape);
  read_flag(reader, "noseed", &message->noseed);
  message->has_cas = read_integer(reader, "cas", &message->cas);
  message->has_port = read_number(reader, "port", UINT16_MAX, &port);
  message->port = (uint16_t)port;
  (void)read_number(reader, "skip", UINT32_MAX, &message->skip);
  message->has_ttl = read_number(reader, "ttl", UINT32_MAX, &message->ttl);
  (void)read_bytes(reader, "type", 1, KAD_TYPE_NAME_MAX, &message->type);
  (void)read_bytes(reader, "why", 0, KAD_WHY_MAX, &message->why);
}

/* Reads what set_surveys sets. */
static void read_surveys(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  (void)read_bytes(reader, "seed_filter", 0, KAD_FILTER_SIZE,
                   &message->seed_filter);
  (void)read_bytes(reader, "peer_filter", 0, KAD_FILTER_SIZE,
                   &message->peer_filter);
  message->has_interval =
      read_number(reader, "interval", UINT32_MAX, &message->interval);
  message->has_num = read_number(reader, "num", UINT32_MAX, &message->num);
  message->has_samples =
      read_bytes(reader, "samples", 0, SIZE_MAX / 2, &message->samples);
}

static void read_reply(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  message->reply = read_dict(reader, "reply");
  read_flag(reader, "item", &message->has_item);
  read_surveys(reader);
  read_contacts(reader, "nodes", 4, &message->has_nodes);
  read_contacts(reader, "nodes6", 6, &message->has_nodes6);
  read_peers(reader);
  message->has_total =
      read_number(reader, "total", UINT32_MAX, &message->total);
  message->has_next = read_number(reader, "next", UINT32_MAX, &message->next);
  message->has_stored =
      read_number(reader, "stored", UINT32_MAX, &message->stored);
  read_errors(reader);
}

static void read_error(const struct reader *reader) {
  if (!read_code(reader, &reader->message->code)) {
    luaL_error(reader->L, "field 'code' is missing");
  }
  (void)read_bytes(reader, "text", 0, SIZE_MAX / 2, &reader->message->text);
}

static enum kad_message_kind read_kind(lua_State *L) {
  struct kad_slice name = {.len = 0};
  (void)kad_lua_field_string(L, lua_gettop(L), "kind", 0, SIZE_MAX / 2, &name);
  for (unsigned i = KAD_MESSAGE_QUERY; i <= KAD_MESSAGE_ERROR; i++) {
    if (kad_slice_equal(name, kad_slice_of(kinds[i]))) {
      return (enum kad_message_kind)i;
    }
  }
  luaL_error(L, "field 'kind' must be query, reply or error");
  return KAD_MESSAGE_ERROR;
}

/* Reads the fields that every kind of message has. */
static void read_envelope(const struct reader *reader) {
  struct kad_message *const message = reader->message;
  if (!read_bytes(reader, "transaction", 1, KAD_TRANSACTION_MAX,
                  &message->transaction)) {
    luaL_error(reader->L, "field 'transaction' is missing");
  }
  (void)read_bytes(reader, "version", 0, SIZE_MAX / 2, &message->version);
  read_flag(reader, "read_only", &message->read_only);
  if (kad_lua_push_field(reader->L, reader->index, "observed")) {
    read_address(reader, "observed", &message->observed);
  }
  message->has_id = read_id(reader, "id", &message->id);
  if (!message->has_id && message->kind != KAD_MESSAGE_ERROR) {
    luaL_error(reader->L, "field 'id' is missing");
  }
  (void)read_bytes(reader, "token", 0, KAD_TOKEN_MAX, &message->token);
  message->has_seq = read_integer(reader, "seq", &message->seq);
}

void kad_policy_message_read(lua_State *L, unsigned bits,
                             struct kad_message *message,
                             struct kad_writer *scratch) {
  luaL_checkstack(L, 12, NULL);
  const struct reader reader = {.L = L,
                                .index = lua_gettop(L),
                                .bits = bits,
                                .message = message,
                                .scratch = scratch};
  kad_message_init(message, read_kind(L));
  read_envelope(&reader);
  switch (message->kind) {
  case KAD_MESSAGE_QUERY:
    read_query(&reader);
    break;
  case KAD_MESSAGE_REPLY:
    read_reply(&reader);
    break;
  case KAD_MESSAGE_ERROR:
    read_error(&reader);
    return;
  }
  read_records(&reader);
}
