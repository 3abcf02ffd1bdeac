#include "lua/record.h"

#include "lua/field.h"
#include "lua/value.h"

#include <lauxlib.h>

static void set_optional_fields(lua_State *L, const struct kad_record *record) {
  if (record->salt.len > 0) {
    kad_lua_set_slice(L, "salt", record->salt);
  }
  if (record->publisher != NULL) {
    kad_lua_set_slice(
        L, "publisher",
        (struct kad_slice){record->publisher, KAD_PUBLISHER_SIZE});
  }
  if (record->signature != NULL) {
    kad_lua_set_slice(
        L, "signature",
        (struct kad_slice){record->signature, KAD_SIGNATURE_SIZE});
  }
  if (record->has_seq) {
    kad_lua_set_integer(L, "seq", record->seq);
  }
  if (record->ttl > 0) {
    kad_lua_set_integer(L, "ttl", record->ttl);
  }
  if (record->is_seed) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "seed");
  }
}

void kad_lua_push_record(lua_State *L, const struct kad_record *record,
                         unsigned bits) {
  luaL_checkstack(L, 3, NULL);
  lua_createtable(L, 0, 9);
  kad_lua_push_id(L, &record->key, bits);
  lua_setfield(L, -2, "key");
  kad_lua_set_slice(L, "type", record->type);
  kad_lua_set_slice(L, "value", record->value);
  kad_lua_set_integer(L, "age", record->age);
  set_optional_fields(L, record);
}

void kad_lua_push_records(lua_State *L, const struct kad_record *records,
                          size_t count, unsigned bits) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_record(L, &records[i], bits);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
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
  lua_Integer seq = 0;
  if (!lua_istable(L, index)) {
    luaL_error(L, "a record must be a table, not %s", luaL_typename(L, index));
  }
  (void)kad_lua_field_id(L, index, "key", bits, &read.key);
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
  (void)kad_lua_field_uint32(L, index, "ttl", 0, UINT32_MAX, &read.ttl);
  (void)kad_lua_field_boolean(L, index, "seed", &read.is_seed);
  *record = read;
}
