#include "lua/kadenza_lua.h"

#include <string.h>

/* Sets a string field of the table at the top. [-0, +0, m] */
static void set_bytes(lua_State *L, const char *name, const void *data,
                      size_t len) {
  lua_pushlstring(L, data, len);
  lua_setfield(L, -2, name);
}

static void set_optional_fields(lua_State *L, const struct kad_record *record) {
  if (record->salt.len > 0) {
    set_bytes(L, "salt", record->salt.data, record->salt.len);
  }
  if (record->publisher != NULL) {
    set_bytes(L, "publisher", record->publisher, KAD_PUBLISHER_SIZE);
  }
  if (record->signature != NULL) {
    set_bytes(L, "signature", record->signature, KAD_SIGNATURE_SIZE);
  }
  if (record->has_seq) {
    lua_pushinteger(L, record->seq);
    lua_setfield(L, -2, "seq");
  }
  if (record->ttl > 0) {
    lua_pushinteger(L, record->ttl);
    lua_setfield(L, -2, "ttl");
  }
}

void kad_lua_push_record(lua_State *L, const struct kad_record *record,
                         unsigned bits) {
  luaL_checkstack(L, 3, NULL);
  lua_createtable(L, 0, 9);
  kad_lua_push_id(L, &record->key, bits);
  lua_setfield(L, -2, "key");
  kad_lua_push_slice(L, record->type);
  lua_setfield(L, -2, "type");
  kad_lua_push_slice(L, record->value);
  lua_setfield(L, -2, "value");
  lua_pushinteger(L, record->age);
  lua_setfield(L, -2, "age");
  set_optional_fields(L, record);
}

static void check_key(lua_State *L, int index, unsigned bits,
                      struct kad_record *record) {
  struct kad_slice key;
  const size_t len = bits / 8;
  if (kad_lua_field_string(L, index, "key", len, len, &key)) {
    memcpy(record->key.bytes, key.data, len);
  }
}

/* Returns the bytes of a field that has exactly `len`, or NULL. [-0, +0, v] */
static const uint8_t *check_bytes(lua_State *L, int index, const char *name,
                                  size_t len) {
  struct kad_slice bytes;
  return kad_lua_field_string(L, index, name, len, len, &bytes) ? bytes.data
                                                                : NULL;
}

void kad_lua_check_record(lua_State *L, int index, unsigned bits,
                          struct kad_record *record) {
  struct kad_record read = {.ttl = 0};
  lua_Integer ttl = 0;
  lua_Integer seq = 0;
  if (!lua_istable(L, index)) {
    luaL_error(L, "a record must be a table, not %s", luaL_typename(L, index));
  }
  check_key(L, index, bits, &read);
  if (!kad_lua_field_string(L, index, "value", 0, KAD_VALUE_MAX, &read.value)) {
    luaL_error(L, "field 'value' is missing");
  }
  (void)kad_lua_field_string(L, index, "type", 1, KAD_TYPE_NAME_MAX,
                             &read.type);
  (void)kad_lua_field_string(L, index, "salt", 0, KAD_SALT_MAX, &read.salt);
  read.publisher = check_bytes(L, index, "publisher", KAD_PUBLISHER_SIZE);
  read.signature = check_bytes(L, index, "signature", KAD_SIGNATURE_SIZE);
  read.has_seq = kad_lua_field_integer(L, index, "seq", LUA_MININTEGER,
                                       LUA_MAXINTEGER, &seq);
  read.seq = seq;
  (void)kad_lua_field_integer(L, index, "ttl", 0, UINT32_MAX, &ttl);
  read.ttl = (uint32_t)ttl;
  *record = read;
}
