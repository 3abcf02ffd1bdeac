#include "lua/safe_module.h"

#include "lua/argument.h"
#include "lua/bencode.h"
#include "lua/blocklist.h"
#include "lua/box.h"
#include "lua/config.h"
#include "lua/error.h"
#include "lua/item.h"
#include "lua/plain.h"
#include "lua/record.h"
#include "lua/shown.h"
#include "lua/value.h"

#include <lauxlib.h>

#include <string.h>

/* Returns the width in bits of the id at argument `arg`. [-0, +0, v] */
static unsigned check_width(lua_State *L, int arg) {
  const size_t len = kad_lua_check_slice(L, arg).len;
  if (len != 20 && len != KAD_ID_SIZE) {
    luaL_argerror(L, arg, "an id has 20 or 32 bytes");
  }
  return (unsigned)len * 8;
}

static unsigned optional_bits(lua_State *L, int arg) {
  const lua_Integer bits = luaL_optinteger(L, arg, 160);
  if (bits != 160 && bits != 256) {
    luaL_argerror(L, arg, "the width is 160 or 256 bits");
  }
  return (unsigned)bits;
}

/* key(name [, bits]) → id */
static int key_of_name(lua_State *L) {
  struct kad_id id;
  const struct kad_slice name = kad_lua_check_slice(L, 1);
  const unsigned bits = optional_bits(L, 2);
  kad_id_hash(name, bits, &id);
  kad_lua_push_id(L, &id, bits);
  return 1;
}

/* hex(bytes) → text */
static int hex(lua_State *L) {
  static const char digits[] = "0123456789abcdef";
  luaL_Buffer buffer;
  const struct kad_slice bytes = kad_lua_check_slice(L, 1);
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < bytes.len; i++) {
    luaL_addchar(&buffer, digits[bytes.data[i] >> 4]);
    luaL_addchar(&buffer, digits[bytes.data[i] & 15]);
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* Returns the value of a hexadecimal digit, or -1. */
static int digit_value(uint8_t digit) {
  static const char digits[] = "0123456789abcdefABCDEF";
  const char *const found = digit == 0 ? NULL : strchr(digits, digit);
  if (found == NULL) {
    return -1;
  }
  const int place = (int)(found - digits);
  return place < 16 ? place : place - 6;
}

/* unhex(text) → bytes, or nil, message, code */
static int unhex(lua_State *L) {
  luaL_Buffer buffer;
  const struct kad_slice text = kad_lua_check_slice(L, 1);
  size_t done = 0;
  luaL_buffinit(L, &buffer);
  for (; done + 1 < text.len; done += 2) {
    const int high = digit_value(text.data[done]);
    const int low = digit_value(text.data[done + 1]);
    if (high < 0 || low < 0) {
      break;
    }
    luaL_addchar(&buffer, (char)(high * 16 + low));
  }
  luaL_pushresult(&buffer);
  if (done == text.len) {
    return 1;
  }
  lua_pushliteral(L, "not an even number of hexadecimal digits");
  return kad_lua_push_error_message(L, KAD_EINVAL);
}

/* distance(a, b) → their XOR, and the number of leading bits that are equal */
static int distance(lua_State *L) {
  struct kad_id a;
  struct kad_id b;
  struct kad_id difference;
  const unsigned bits = check_width(L, 1);
  kad_lua_check_id(L, 1, bits, &a);
  kad_lua_check_id(L, 2, bits, &b);
  for (size_t i = 0; i < KAD_ID_SIZE; i++) {
    difference.bytes[i] = a.bytes[i] ^ b.bytes[i];
  }
  const unsigned prefix = kad_id_prefix(&a, &b);
  kad_lua_push_id(L, &difference, bits);
  lua_pushinteger(L, prefix < bits ? prefix : bits);
  return 2;
}

/* compare(target, a, b) → -1 if a is closer, 1 if b is closer, else 0 */
static int compare(lua_State *L) {
  struct kad_id target;
  struct kad_id a;
  struct kad_id b;
  const unsigned bits = check_width(L, 1);
  kad_lua_check_id(L, 1, bits, &target);
  kad_lua_check_id(L, 2, bits, &a);
  kad_lua_check_id(L, 3, bits, &b);
  const int order = kad_id_compare(&target, &a, &b);
  lua_pushinteger(L, (order > 0) - (order < 0));
  return 1;
}

/* keypair(seed) → publisher, secret */
static int keypair(lua_State *L) {
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  const struct kad_slice seed = kad_lua_check_slice(L, 1);
  luaL_argcheck(L, seed.len == 32, 1, "a seed has 32 bytes");
  kad_keypair(seed.data, publisher, secret);
  lua_pushlstring(L, (const char *)publisher, sizeof publisher);
  lua_pushlstring(L, (const char *)secret, sizeof secret);
  return 2;
}

/* sign(record or bytes, secret [, bits]) → signature, or nil, message, code */
static int sign(lua_State *L) {
  struct kad_record record;
  uint8_t signature[KAD_SIGNATURE_SIZE];
  int status = 0;
  const bool is_record = lua_type(L, 1) != LUA_TSTRING;
  const struct kad_slice secret = kad_lua_check_slice(L, 2);
  const unsigned bits = optional_bits(L, 3);
  luaL_argcheck(L, secret.len == KAD_SECRET_SIZE, 2, "a secret has 64 bytes");
  if (is_record) {
    luaL_checktype(L, 1, LUA_TTABLE);
    kad_lua_check_record(L, 1, bits, &record);
    status = kad_record_sign(&record, bits, secret.data, signature);
  } else {
    kad_sign(kad_lua_check_slice(L, 1), secret.data, signature);
  }
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  lua_pushlstring(L, (const char *)signature, sizeof signature);
  return 1;
}

/* verify(publisher, bytes, signature) → whether the signature is valid */
static int verify(lua_State *L) {
  const struct kad_slice publisher = kad_lua_check_slice(L, 1);
  const struct kad_slice message = kad_lua_check_slice(L, 2);
  const struct kad_slice signature = kad_lua_check_slice(L, 3);
  lua_pushboolean(L, publisher.len == KAD_PUBLISHER_SIZE &&
                         signature.len == KAD_SIGNATURE_SIZE &&
                         kad_verify(message, publisher.data, signature.data));
  return 1;
}

/* address(text) → the address in canonical form, or nil, message, code */
static int address(lua_State *L) {
  struct kad_address parsed;
  const int status = kad_address_parse(kad_lua_check_slice(L, 1), &parsed);
  if (status != 0) {
    lua_pushfstring(L, "'%s' is not an address such as 192.0.2.1:6881",
                    kad_lua_push_shown(L, 1));
    return kad_lua_push_error_message(L, status);
  }
  kad_lua_push_address(L, &parsed);
  return 1;
}

/* is_local(text) → whether it is an address, of any port, that nodes ignore
 * without allow_local */
static int is_local(lua_State *L) {
  struct kad_address parsed;
  bool local = false;
  if (kad_address_parse(kad_lua_check_slice(L, 1), &parsed) == 0) {
    parsed.port = 1;
    local = kad_address_is_martian(&parsed, false) &&
            !kad_address_is_martian(&parsed, true);
  }
  lua_pushboolean(L, local);
  return 1;
}

/* is_reserved(text) → whether it is an address, of any port, that nodes ignore
 * even with allow_local. The unspecified address, which listens on all, is not.
 */
static int is_reserved(lua_State *L) {
  static const uint8_t unspecified[16];
  struct kad_address parsed;
  bool reserved = false;
  if (kad_address_parse(kad_lua_check_slice(L, 1), &parsed) == 0) {
    parsed.port = 1;
    reserved = kad_address_is_martian(&parsed, true) &&
               memcmp(parsed.ip, unspecified, sizeof unspecified) != 0;
  }
  lua_pushboolean(L, reserved);
  return 1;
}

/* Reads an address with or without a port. [-0, +0, v] */
static struct kad_address check_host(lua_State *L, int arg) {
  struct kad_address parsed = {.family = 0};
  const struct kad_slice text = kad_lua_check_slice(L, arg);
  if (kad_address_parse(text, &parsed) != 0) {
    const bool is_bare6 = memchr(text.data, ':', text.len) != NULL &&
                          memchr(text.data, '[', text.len) == NULL;
    lua_pushstring(L, is_bare6 ? "[" : "");
    lua_pushvalue(L, arg);
    lua_pushstring(L, is_bare6 ? "]:0" : ":0");
    lua_concat(L, 3);
    const bool is_host =
        kad_address_parse(kad_lua_check_slice(L, -1), &parsed) == 0;
    lua_pop(L, 1);
    luaL_argcheck(L, is_host, arg, "not an address such as 192.0.2.1");
  }
  return parsed;
}

/* bind_id(id, address) → the id with the bits that the address gives it */
static int bind_id(lua_State *L) {
  struct kad_id id;
  struct kad_id bound;
  const unsigned bits = check_width(L, 1);
  const struct kad_address host = check_host(L, 2);
  kad_lua_check_id(L, 1, bits, &id);
  const int status = kad_secure_id_make(&host, bits, id.bytes, &bound);
  if (status != 0) {
    return kad_lua_push_error(L, status);
  }
  kad_lua_push_id(L, &bound, bits);
  return 1;
}

/* is_secure_id(id, address) → whether the id fits the address (BEP 42) */
static int is_secure_id(lua_State *L) {
  struct kad_id id;
  const unsigned bits = check_width(L, 1);
  const struct kad_address host = check_host(L, 2);
  kad_lua_check_id(L, 1, bits, &id);
  lua_pushboolean(L, kad_secure_id_check(&id, bits, &host));
  return 1;
}

/* encode(value [, name [, dictionary]]) → string; see kad_lua_bencode_encode */
static int encode(lua_State *L) {
  luaL_checkany(L, 1);
  kad_lua_bencode_encode(L, 1, luaL_optstring(L, 2, "value"),
                         lua_toboolean(L, 3));
  return 1;
}

/* decode(string) → value, or nil, message, code */
static int decode(lua_State *L) {
  if (kad_lua_bencode_decode(L, kad_lua_check_slice(L, 1)) == 0) {
    return 1;
  }
  lua_pushliteral(L, "not one bencoded value");
  return kad_lua_push_error_message(L, KAD_EMALFORMED);
}

/* bencode_tables(string) → how many tables `decode` would make */
static int bencode_tables(lua_State *L) {
  lua_pushinteger(
      L, (lua_Integer)kad_lua_bencode_tables(kad_lua_check_slice(L, 1)));
  return 1;
}

/* place(fn) → the source of a function of Lua, and its first and last line */
static int place(lua_State *L) {
  lua_Debug function;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_getinfo(L, ">S", &function);
  lua_pushstring(L, function.source);
  lua_pushinteger(L, function.linedefined);
  lua_pushinteger(L, function.lastlinedefined);
  return 3;
}

/* traceback([coroutine]) → its calls, as debug.traceback shows them */
static int traceback(lua_State *L) {
  lua_State *const thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  luaL_traceback(L, thread, NULL, thread == L ? 1 : 0);
  return 1;
}

void kad_lua_push_safe_module(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"key", key_of_name},
      {"hex", hex},
      {"unhex", unhex},
      {"distance", distance},
      {"compare", compare},
      {"keypair", keypair},
      {"sign", sign},
      {"verify", verify},
      {"address", address},
      {"is_address_range", kad_lua_is_address_range},
      {"is_local", is_local},
      {"is_reserved", is_reserved},
      {"bind_id", bind_id},
      {"is_secure_id", is_secure_id},
      {"encode", encode},
      {"decode", decode},
      {"bencode_tables", bencode_tables},
      {"config_options", kad_lua_config_options},
      {"place", place},
      {"traceback", traceback},
      {NULL, NULL},
  };
  luaL_checkstack(L, 4, NULL);
  luaL_newlib(L, functions);
  kad_lua_add_plain(L);
  kad_lua_add_item(L);
  kad_lua_add_box(L);
  kad_lua_push_error_texts(L);
  lua_setfield(L, -2, "errors");
}
