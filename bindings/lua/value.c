#include "lua/value.h"

#include <lauxlib.h>

#include <string.h>

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

void kad_lua_push_addresses(lua_State *L, const struct kad_address *addresses,
                            size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    kad_lua_push_address(L, &addresses[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Sets address, host and port of the table at the top. [-0, +0, m] */
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

size_t kad_lua_cut_text(const char *text, size_t len, size_t max) {
  if (len <= max) {
    return len;
  }
  size_t cut = max;
  while (cut > 0 && ((unsigned char)text[cut] & 0xC0U) == 0x80U) {
    cut--;
  }
  return cut > 0 ? cut : max; /* no character is so long: not UTF-8 */
}
