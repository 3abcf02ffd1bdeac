/* For O_CLOEXEC. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _XOPEN_SOURCE 700

/* Tested by tests/spec/network_key_spec.lua. */

#include "lua/network_key.h"

#include "base/hex.h"
#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/value.h"

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETWORK_KEY "kadenza.core.NetworkKey"

enum {
  FILE_MAX = 4096, /* bytes */
  DIGITS = 2 * KAD_NETWORK_KEY_SIZE
};

/* A key is a userdata, so that it can be wiped. */
struct network_key {
  bool is_open;
  uint8_t bytes[KAD_NETWORK_KEY_SIZE];
};

static void wipe(struct network_key *key) {
  sodium_memzero(key, sizeof *key);
}

/* Pushes a key without its bytes. [-0, +1, m] */
static struct network_key *push_new(lua_State *L) {
  struct network_key *const key = lua_newuserdatauv(L, sizeof *key, 0);
  *key = (struct network_key){.is_open = false};
  luaL_setmetatable(L, NETWORK_KEY);
  return key;
}

void kad_lua_push_network_key(lua_State *L, const uint8_t *bytes) {
  struct network_key *const key = push_new(L);
  memcpy(key->bytes, bytes, sizeof key->bytes);
  key->is_open = true;
}

static const struct network_key *check_key(lua_State *L, int arg) {
  const struct network_key *const key = luaL_checkudata(L, arg, NETWORK_KEY);
  luaL_argcheck(L, key->is_open, arg, "a closed network key");
  return key;
}

/* network_key([bytes]) → a key of 32 bytes, or a new random one */
static int make(lua_State *L) {
  uint8_t bytes[KAD_NETWORK_KEY_SIZE];
  if (lua_isnoneornil(L, 1)) {
    randombytes_buf(bytes, sizeof bytes);
  } else {
    const struct kad_slice given = kad_lua_check_slice(L, 1);
    luaL_argcheck(L, given.len == sizeof bytes, 1, "a key has 32 bytes");
    memcpy(bytes, given.data, sizeof bytes);
  }
  kad_lua_push_network_key(L, bytes);
  sodium_memzero(bytes, sizeof bytes);
  return 1;
}

/* is_network_key(value) → whether it is a key that is not closed */
static int is_key(lua_State *L) {
  const struct network_key *const key = luaL_testudata(L, 1, NETWORK_KEY);
  lua_pushboolean(L, key != NULL && key->is_open);
  return 1;
}

/* --------------------------------------------------------------- reading -- */

/* Reads a file to `text`, of FILE_MAX + 1 bytes, as far as it fits. Returns 0
 * or an errno. */
static int read_text(const char *path, uint8_t *text, size_t *len) {
  struct stat status;
  int number = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) {
    return errno;
  }
  if (fstat(fd, &status) != 0) {
    number = errno;
  } else if (!S_ISREG(status.st_mode)) {
    number = S_ISDIR(status.st_mode) ? EISDIR : ENOTSUP;
  }
  *len = 0;
  while (number == 0 && *len <= FILE_MAX) {
    const ssize_t count = read(fd, text + *len, FILE_MAX + 1 - *len);
    if (count == 0) {
      break;
    }
    number = count < 0 && errno != EINTR ? errno : 0;
    *len += count > 0 ? (size_t)count : 0;
  }
  (void)close(fd);
  return number;
}

/* Skips `word` at the start of `*text`. Returns false if it is not there. */
static bool skip(struct kad_slice *text, const char *word) {
  const size_t len = strlen(word);
  if (text->len < len || memcmp(text->data, word, len) != 0) {
    return false;
  }
  text->data += len;
  text->len -= len;
  return true;
}

static bool is_blank(struct kad_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == 0) {
      return false;
    }
  }
  return true;
}

/* Reads the digits of a key, with its head or without, and nothing else. */
static bool parse(struct kad_slice text, uint8_t *bytes) {
  (void)skip(&text, "\xef\xbb\xbf"); /* a mark of UTF-8 */
  if (skip(&text, "kadenza network key 1") &&
      !(skip(&text, "\nkey ") || skip(&text, "\r\nkey "))) {
    return false;
  }
  if (text.len < DIGITS) {
    return false;
  }
  for (size_t i = 0; i < KAD_NETWORK_KEY_SIZE; i++) {
    const int high = kad_hex_value(text.data[2 * i]);
    const int low = kad_hex_value(text.data[2 * i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  text.data += DIGITS;
  text.len -= DIGITS;
  return is_blank(text);
}

/* Pushes the key in `text`, or the text if it is none, as that which a
 * passphrase seals. [-0, +1, m] */
static int push_parsed(lua_State *L, struct kad_slice text) {
  uint8_t bytes[KAD_NETWORK_KEY_SIZE];
  const bool is_key = parse(text, bytes);
  if (is_key) {
    kad_lua_push_network_key(L, bytes);
  } else {
    kad_lua_push_slice(L, text);
  }
  sodium_memzero(bytes, sizeof bytes);
  return 1;
}

/* read_network_key(path) → the key in a file, or, if it is no key, its text; or
 * nil, message, code */
static int read_key(lua_State *L) {
  uint8_t text[FILE_MAX + 1];
  size_t len = 0;
  const char *const path = kad_lua_check_path(L, 1);
  const int number = read_text(path, text, &len);
  if (number != 0) {
    return kad_lua_push_system_failure(L,
                                       number == ENOENT ? KAD_ENOTFOUND
                                       : number == EISDIR
                                           ? KAD_EINVAL
                                           : kad_lua_error_of_errno(number),
                                       path, "read", number);
  }
  const int count =
      push_parsed(L, (struct kad_slice){.data = text, .len = len});
  sodium_memzero(text, sizeof text);
  return count;
}

/* --------------------------------------------------------------- methods -- */

/* key:fingerprint() → 16 hexadecimal digits, which tell keys apart and are not
 * secret */
static int fingerprint(lua_State *L) {
  char text[KAD_FINGERPRINT_SIZE];
  kad_network_key_fingerprint(check_key(L, 1)->bytes, text);
  lua_pushstring(L, text);
  return 1;
}

/* key:bytes() → its bytes, a string, which nothing wipes */
static int key_bytes(lua_State *L) {
  const struct network_key *const key = check_key(L, 1);
  kad_lua_push_slice(
      L, (struct kad_slice){.data = key->bytes, .len = sizeof key->bytes});
  return 1;
}

/* key:close(): wipes it */
static int key_close(lua_State *L) {
  wipe(luaL_checkudata(L, 1, NETWORK_KEY));
  return 0;
}

/* Never shows the key. */
static int key_tostring(lua_State *L) {
  const struct network_key *const key = luaL_checkudata(L, 1, NETWORK_KEY);
  if (!key->is_open) {
    lua_pushliteral(L, "network key (closed)");
    return 1;
  }
  (void)fingerprint(L);
  lua_pushfstring(L, "network key %s", lua_tostring(L, -1));
  return 1;
}

/* Reads the list of keys at `arg`. [-0, +0, v] */
static void check_keys(lua_State *L, int arg, struct kad_network_keys *keys) {
  luaL_checktype(L, arg, LUA_TTABLE);
  const lua_Unsigned count = lua_rawlen(L, arg);
  luaL_argcheck(L, count >= 1 && count <= KAD_NETWORK_KEYS_MAX, arg,
                "one or two network keys are needed");
  const struct network_key *list[KAD_NETWORK_KEYS_MAX];
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    list[i] = check_key(L, lua_gettop(L));
    lua_pop(L, 1); /* the list keeps it */
  }
  *keys = (struct kad_network_keys){.count = count};
  for (size_t i = 0; i < count; i++) {
    memcpy(keys->keys[i], list[i]->bytes, sizeof keys->keys[i]);
  }
}

bool kad_lua_field_network_keys(lua_State *L, int arg,
                                struct kad_network_keys *keys) {
  if (!kad_lua_push_field(L, arg, "network_keys")) {
    return false;
  }
  check_keys(L, lua_gettop(L), keys);
  lua_pop(L, 1);
  return true;
}

static int node_set_network_keys(lua_State *L) {
  struct kad_network_keys keys;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  check_keys(L, 2, &keys);
  const int error = kad_node_set_network_keys(self->link->node, &keys);
  sodium_memzero(&keys, sizeof keys);
  return kad_lua_push_outcome(L, error);
}

static int node_is_sealed(lua_State *L) {
  lua_pushboolean(L, kad_node_is_sealed(kad_lua_check_node(L, 1)->link->node));
  return 1;
}

static int node_next_seal_notice(lua_State *L) {
  struct kad_seal_notice notice;
  const struct kad_lua_node *const self = kad_lua_check_node(L, 1);
  uint64_t cursor = (uint64_t)kad_lua_check_integer(L, 2, 0, LUA_MAXINTEGER);
  if (!kad_node_next_seal_notice(self->link->node, &cursor, &notice)) {
    return 0;
  }
  lua_pushinteger(L, (lua_Integer)cursor);
  lua_pushstring(L, notice.problem == KAD_SEAL_PROBLEM_KEY ? "key" : "clock");
  kad_lua_push_address(L, &notice.from);
  lua_pushinteger(L, notice.ahead_s);
  return 4;
}

const luaL_Reg kad_lua_network_key_methods[] = {
    {"set_network_keys", node_set_network_keys},
    {"is_sealed", node_is_sealed},
    {"next_seal_notice", node_next_seal_notice},
    {NULL, NULL},
};

void kad_lua_add_network_key(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"fingerprint", fingerprint},
      {"bytes", key_bytes},
      {"close", key_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__gc", key_close},
                                  {"__close", key_close},
                                  {"__tostring", key_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg *const all[] = {methods, NULL};
  static const luaL_Reg module[] = {
      {"network_key", make},
      {"is_network_key", is_key},
      {"read_network_key", read_key},
      {NULL, NULL},
  };
  if (sodium_init() < 0) {
    luaL_error(L, "libsodium cannot start");
  }
  kad_lua_push_metatable(L, NETWORK_KEY, all, meta);
  lua_pop(L, 1);
  luaL_setfuncs(L, module, 0);
}
