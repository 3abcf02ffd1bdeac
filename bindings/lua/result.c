#include "lua/kadenza_lua.h"

#include <string.h>

int kad_lua_push_error(lua_State *L, int error) {
  lua_pushnil(L);
  lua_pushstring(L, kad_error_text(error));
  lua_pushstring(L, kad_error_name(error));
  return 3;
}

void kad_lua_push_slice(lua_State *L, struct kad_slice slice) {
  lua_pushlstring(L, slice.len > 0 ? (const char *)slice.data : "", slice.len);
}

void kad_lua_push_id(lua_State *L, const struct kad_id *id, unsigned bits) {
  lua_pushlstring(L, (const char *)id->bytes, bits / 8);
}

void kad_lua_push_address(lua_State *L, const struct kad_address *address) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  if (address->family == 0) {
    lua_pushnil(L);
    return;
  }
  lua_pushstring(L, kad_address_format(address, text));
}

/* Sets the fields address, host and port of the table at the top.
 * [-0, +0, m] */
static void set_address(lua_State *L, const struct kad_address *address) {
  char text[KAD_ADDRESS_TEXT_SIZE];
  const char *host = kad_address_format(address, text);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "address");
  size_t len = (size_t)(strrchr(text, ':') - text);
  if (text[0] == '[') {
    host = text + 1;
    len -= 2;
  }
  lua_pushlstring(L, host, len);
  lua_setfield(L, -2, "host");
  lua_pushinteger(L, address->port);
  lua_setfield(L, -2, "port");
}

void kad_lua_push_contact(lua_State *L, const struct kad_contact *contact,
                          unsigned bits) {
  static const struct kad_id none = {{0}};
  luaL_checkstack(L, 3, NULL);
  lua_createtable(L, 0, 4);
  if (!kad_id_equal(&contact->id, &none)) {
    kad_lua_push_id(L, &contact->id, bits);
    lua_setfield(L, -2, "id");
  }
  if (contact->address.family != 0) {
    set_address(L, &contact->address);
  }
}

static void push_contacts(lua_State *L, const struct kad_contact *contacts,
                          size_t count, unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_contact(L, &contacts[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_records(lua_State *L, const struct kad_record *records,
                         size_t count, unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_record(L, &records[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_peers(lua_State *L, const struct kad_address *peers,
                       size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_address(L, &peers[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* One query of a lookup: a contact, and who told us of it. [-0, +1, m] */
static void push_step(lua_State *L, const struct kad_step *step,
                      unsigned bits) {
  kad_lua_push_contact(L, &step->contact, bits);
  if (step->heard_from.address.family != 0) {
    kad_lua_push_address(L, &step->heard_from.address);
    lua_setfield(L, -2, "heard_from");
  }
  lua_pushinteger(L, step->hop);
  lua_setfield(L, -2, "hop");
  lua_pushinteger(L, (lua_Integer)step->path + 1);
  lua_setfield(L, -2, "path");
  lua_pushboolean(L, step->answered);
  lua_setfield(L, -2, "answered");
  lua_pushboolean(L, step->had_value);
  lua_setfield(L, -2, "had_value");
  if (step->answered) {
    lua_pushnumber(L, step->rtt_ms / 1000.0);
    lua_setfield(L, -2, "rtt");
  }
}

static void push_path(lua_State *L, const struct kad_step *path, size_t count,
                      unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_step(L, &path[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Sets an integer field of the table at the top. [-0, +0, m] */
static void set_count(lua_State *L, const char *name, uint32_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

static void set_counts(lua_State *L, const struct kad_result *result) {
  set_count(L, "hops", result->hops);
  set_count(L, "messages", result->messages);
  set_count(L, "stored", result->stored);
  set_count(L, "asked", result->asked);
  set_count(L, "holders", result->holders);
  lua_pushnumber(L, result->took_ms / 1000.0);
  lua_setfield(L, -2, "took");
  lua_pushboolean(L, result->widened);
  lua_setfield(L, -2, "widened");
}

/* Sets what a call, or a remote error, brought. [-0, +0, m] */
static void set_answer(lua_State *L, const struct kad_result *result,
                       unsigned bits) {
  if (result->from.address.family != 0) {
    kad_lua_push_contact(L, &result->from, bits);
    lua_setfield(L, -2, "from");
  }
  if (result->reply.len > 0 && kad_lua_bencode_decode(L, result->reply) == 0) {
    lua_setfield(L, -2, "reply");
  }
  if (result->code != 0) {
    lua_pushinteger(L, result->code);
    lua_setfield(L, -2, "krpc");
  }
  if (result->reason.len > 0) {
    kad_lua_push_slice(L, result->reason);
    lua_setfield(L, -2, "reason");
  }
}

static void push_table(lua_State *L, const struct kad_result *result,
                       unsigned bits) {
  lua_createtable(L, 0, 12);
  set_counts(L, result);
  set_answer(L, result, bits);
  push_contacts(L, result->closest, result->closest_count, bits);
  lua_setfield(L, -2, "closest");
  push_records(L, result->records, result->record_count, bits);
  lua_setfield(L, -2, "records");
  push_peers(L, result->peers, result->peer_count);
  lua_setfield(L, -2, "peers");
  push_path(L, result->path, result->path_count, bits);
  lua_setfield(L, -2, "path");
}

/* Pushes the text of a failure, with the words of who refused. [-0, +1, m] */
static void push_message(lua_State *L, const struct kad_result *result) {
  lua_pushstring(L, kad_error_text(result->status));
  if (result->code != 0) {
    lua_pushfstring(L, ": %d", result->code);
    lua_concat(L, 2);
  }
  if (result->reason.len > 0) {
    lua_pushstring(L, result->code != 0 ? " " : ": ");
    kad_lua_push_slice(L, result->reason);
    lua_concat(L, 3);
  }
}

int kad_lua_push_result(lua_State *L, const struct kad_result *result,
                        unsigned bits) {
  luaL_checkstack(L, 10, NULL);
  if (result->status == 0) {
    push_table(L, result, bits);
    return 1;
  }
  lua_pushnil(L);
  push_message(L, result);
  lua_pushstring(L, kad_error_name(result->status));
  push_table(L, result, bits);
  return 4;
}
