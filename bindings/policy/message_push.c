#include "lua/bencode.h"
#include "lua/field.h"
#include "lua/record.h"
#include "lua/value.h"
#include "policy/message.h"

#include <lauxlib.h>

const char *const kad_policy_message_kinds[] = {
    [KAD_MESSAGE_QUERY] = "query",
    [KAD_MESSAGE_REPLY] = "reply",
    [KAD_MESSAGE_ERROR] = "error",
};

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

static void set_peers(lua_State *L, const struct kad_message *message) {
  if (message->peer_count > 0) {
    kad_lua_push_addresses(L, message->peers, message->peer_count);
    lua_setfield(L, -2, "peers");
  }
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
  set_number(L, "port", message->has_port, message->port);
  set_number(L, "skip", message->skip > 0, message->skip);
  set_number(L, "ttl", message->has_ttl, message->ttl);
  set_bytes(L, "type", message->type);
  set_bytes(L, "why", message->why);
}

static void set_reply(lua_State *L, const struct kad_message *message,
                      unsigned bits) {
  set_value(L, "reply", message->reply);
  if (message->has_nodes) {
    set_contacts(L, "nodes", message, 4, bits);
  }
  if (message->has_nodes6) {
    set_contacts(L, "nodes6", message, 6, bits);
  }
  set_peers(L, message);
  set_number(L, "total", message->has_total, message->total);
  set_number(L, "stored", message->has_stored, message->stored);
  set_errors(L, message);
}

void kad_policy_message_push(lua_State *L, const struct kad_message *message,
                             unsigned bits) {
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 0, 12);
  kad_lua_set_string(L, "kind", kad_policy_message_kinds[message->kind]);
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
