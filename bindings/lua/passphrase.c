/* For O_CLOEXEC. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _XOPEN_SOURCE 700

/* Tested by tests/spec/cli/secret_spec.lua. */

#include "lua/passphrase.h"

#include "lua/argument.h"
#include "lua/error.h"
#include "lua/field.h"
#include "lua/handle.h"
#include "lua/hidden_input.h"
#include "lua/network_key.h"

#include <lauxlib.h>
#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define PASSPHRASE "kadenza.core.Passphrase"

enum {
  PASSPHRASE_MAX = 1024, /* bytes */
  LINE_CAP = PASSPHRASE_MAX + 2,
  SECRET_MAX = 1024, /* bytes that can be sealed */
  KIB = 1024,
  MEMORY_MIN_KIB = 8,          /* what Argon2 needs */
  MEMORY_MAX_KIB = 1024 * KIB, /* what a hostile file may make us use */
  PASSES_MAX = 1024,
  /* Passes times memory: about 4 seconds of work. */
  WORK_MAX_KIB = 4 * MEMORY_MAX_KIB
};

/* A passphrase is a userdata and never a string of Lua, which cannot be
 * wiped. */
struct passphrase {
  size_t len;
  uint8_t bytes[LINE_CAP];
};

static void wipe(struct passphrase *passphrase) {
  sodium_memzero(passphrase, sizeof *passphrase);
}

/* Pushes an empty passphrase. [-0, +1, m] */
static struct passphrase *push_new(lua_State *L) {
  struct passphrase *const passphrase =
      lua_newuserdatauv(L, sizeof *passphrase, 0);
  passphrase->len = 0;
  luaL_setmetatable(L, PASSPHRASE);
  return passphrase;
}

/* -------------------------------------------------------------- reading -- */

/* Removes the end of the line. Returns false unless one line is left that is
 * neither empty nor too long. */
static bool trim_line(struct passphrase *passphrase) {
  const uint8_t *const bytes = passphrase->bytes;
  size_t len = passphrase->len;
  if (len > 0 && bytes[len - 1] == '\n') {
    len--;
    len -= len > 0 && bytes[len - 1] == '\r';
  }
  passphrase->len = len;
  return len > 0 && len <= PASSPHRASE_MAX && memchr(bytes, '\n', len) == NULL;
}

/* Returns the passphrase at the top, or the error that it is none.
 * [-0, +0|3, m] */
static int finish(lua_State *L, struct passphrase *passphrase) {
  if (trim_line(passphrase)) {
    return 1;
  }
  wipe(passphrase);
  lua_pushfstring(L, "a passphrase is one line of 1 to %d bytes",
                  PASSPHRASE_MAX);
  return kad_lua_push_error_message(L, KAD_EINVAL);
}

/* Reads a file into the passphrase, as far as it fits. */
static bool read_whole(int fd, struct passphrase *passphrase) {
  while (passphrase->len < LINE_CAP) {
    const ssize_t count = read(fd, passphrase->bytes + passphrase->len,
                               LINE_CAP - passphrase->len);
    if (count < 0 && errno != EINTR) {
      return false;
    }
    if (count == 0) {
      break;
    }
    passphrase->len += count > 0 ? (size_t)count : 0;
  }
  return true;
}

/* read_passphrase(path) → the passphrase in a file; or nil, message, code:
 *   KAD_EINVAL  the file has not one line of 1 to 1024 bytes */
static int read_passphrase(lua_State *L) {
  const char *const path = kad_lua_check_path(L, 1);
  struct passphrase *const passphrase = push_new(L);
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    const int number = errno;
    return kad_lua_push_system_failure(
        L, number == ENOENT ? KAD_ENOTFOUND : kad_lua_error_of_errno(number),
        path, "open", number);
  }
  const bool done = read_whole(fd, passphrase);
  const int number = errno;
  (void)close(fd);
  if (!done) {
    wipe(passphrase);
    return kad_lua_push_system_failure(
        L, number == EISDIR ? KAD_EINVAL : kad_lua_error_of_errno(number), path,
        "read", number);
  }
  return finish(L, passphrase);
}

/* new_passphrase(text) → the passphrase of a string; or nil, message, code:
 *   KAD_EINVAL  it is not one line of 1 to 1024 bytes */
static int new_passphrase(lua_State *L) {
  const struct kad_slice text = kad_lua_check_slice(L, 1);
  struct passphrase *const passphrase = push_new(L);
  if (text.len < LINE_CAP) { /* a longer one stays empty: it is refused */
    memcpy(passphrase->bytes, text.data, text.len);
    passphrase->len = text.len;
  }
  return finish(L, passphrase);
}

/* ask_passphrase(prompt) → what the user types at the terminal of the process,
 * which does not show it; or nil, message, code:
 *   KAD_ENOTFOUND  there is no terminal
 *   KAD_ECANCELED  the user has ended the input
 *   KAD_EINVAL     it has not 1 to 1024 bytes */
static int ask_passphrase(lua_State *L) {
  const char *const prompt = luaL_checkstring(L, 1);
  struct passphrase *const passphrase = push_new(L);
  const int status = kad_hidden_input_read(prompt, passphrase->bytes, LINE_CAP,
                                           &passphrase->len);
  if (status == KAD_ENOTFOUND) {
    lua_pushliteral(L, "there is no terminal to ask for it");
    return kad_lua_push_error_message(L, status);
  }
  if (status != 0) {
    wipe(passphrase);
    return kad_lua_push_error(L, status);
  }
  return finish(L, passphrase);
}

/* -------------------------------------------------------------- sealing -- */

/* How a key is made of a passphrase: Argon2id. */
struct derivation {
  lua_Integer passes;
  lua_Integer memory_kib;
  uint8_t salt[crypto_pwhash_SALTBYTES];
};

/* Tells whether a derivation is one that we are willing to do. */
static bool is_bounded(const struct derivation *derivation) {
  return derivation->passes >= 1 && derivation->passes <= PASSES_MAX &&
         derivation->memory_kib >= MEMORY_MIN_KIB &&
         derivation->memory_kib <= MEMORY_MAX_KIB &&
         derivation->passes * derivation->memory_kib <= WORK_MAX_KIB;
}

/* Returns 0 or KAD_ENOMEM. */
static int derive(const struct passphrase *passphrase,
                  const struct derivation *derivation,
                  uint8_t key[crypto_secretbox_KEYBYTES]) {
  const int failed = crypto_pwhash(
      key, crypto_secretbox_KEYBYTES, (const char *)passphrase->bytes,
      passphrase->len, derivation->salt, (unsigned long long)derivation->passes,
      (size_t)derivation->memory_kib * KIB, crypto_pwhash_ALG_ARGON2ID13);
  return failed == 0 ? 0 : KAD_ENOMEM;
}

/* Reads the passphrase at 1. [-0, +0, v] */
static const struct passphrase *check_passphrase(lua_State *L) {
  const struct passphrase *const passphrase = luaL_checkudata(L, 1, PASSPHRASE);
  luaL_argcheck(L, passphrase->len > 0, 1, "a closed passphrase");
  return passphrase;
}

/* Reads passes and memory at `arg`. [-0, +0, v] */
static struct derivation check_derivation(lua_State *L, int arg) {
  struct derivation derivation = {
      .passes = luaL_optinteger(L, arg, crypto_pwhash_OPSLIMIT_MODERATE),
      .memory_kib =
          luaL_optinteger(L, arg + 1, crypto_pwhash_MEMLIMIT_MODERATE / KIB),
  };
  return derivation;
}

/* Pushes why a key could not be derived. [-0, +3, m] */
static int push_no_memory(lua_State *L, const struct derivation *derivation) {
  lua_pushfstring(L, "the passphrase needs %d MiB of memory",
                  (int)((derivation->memory_kib + KIB - 1) / KIB));
  return kad_lua_push_error_message(L, KAD_ENOMEM);
}

/* passphrase:seal(bytes [, passes, memory_kib]) → a table with `passes`,
 * `memory_kib`, `salt`, `nonce` and `box`, which `open` takes; or nil, message,
 * code */
static int seal(lua_State *L) {
  uint8_t key[crypto_secretbox_KEYBYTES];
  uint8_t nonce[crypto_secretbox_NONCEBYTES];
  uint8_t box[crypto_secretbox_MACBYTES + SECRET_MAX];
  const struct passphrase *const passphrase = check_passphrase(L);
  const struct kad_slice bytes = kad_lua_check_slice(L, 2);
  struct derivation derivation = check_derivation(L, 3);
  luaL_argcheck(L, bytes.len <= SECRET_MAX, 2, "at most 1024 bytes");
  luaL_argcheck(L, is_bounded(&derivation), 3, "out of bounds");
  randombytes_buf(derivation.salt, sizeof derivation.salt);
  randombytes_buf(nonce, sizeof nonce);
  if (derive(passphrase, &derivation, key) != 0) {
    return push_no_memory(L, &derivation);
  }
  (void)crypto_secretbox_easy(box, bytes.data, bytes.len, nonce, key);
  sodium_memzero(key, sizeof key);
  lua_createtable(L, 0, 5);
  kad_lua_set_integer(L, "passes", derivation.passes);
  kad_lua_set_integer(L, "memory_kib", derivation.memory_kib);
  kad_lua_set_slice(
      L, "salt", (struct kad_slice){derivation.salt, sizeof derivation.salt});
  kad_lua_set_slice(L, "nonce", (struct kad_slice){nonce, sizeof nonce});
  kad_lua_set_slice(
      L, "box", (struct kad_slice){box, crypto_secretbox_MACBYTES + bytes.len});
  return 1;
}

/* Borrows the bytes of a field of the table at 2. [-0, +0, v] */
static struct kad_slice check_field(lua_State *L, const char *name, size_t min,
                                    size_t max) {
  struct kad_slice bytes = {.len = 0};
  if (!kad_lua_field_string(L, 2, name, min, max, &bytes)) {
    luaL_error(L, "field '%s' is missing", name);
  }
  return bytes;
}

/* Opens the table at 2 with the passphrase at 1, to `bytes` of SECRET_MAX.
 * Returns 0, or the number of results that it pushed. [-0, +0|3, v] */
static int open_bytes(lua_State *L, uint8_t *bytes, size_t *len) {
  uint8_t key[crypto_secretbox_KEYBYTES];
  struct derivation derivation = {.passes = 0};
  const struct passphrase *const passphrase = check_passphrase(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  (void)kad_lua_field_integer(L, 2, "passes", LUA_MININTEGER, LUA_MAXINTEGER,
                              &derivation.passes);
  (void)kad_lua_field_integer(L, 2, "memory_kib", LUA_MININTEGER,
                              LUA_MAXINTEGER, &derivation.memory_kib);
  const struct kad_slice salt =
      check_field(L, "salt", sizeof derivation.salt, sizeof derivation.salt);
  const struct kad_slice nonce = check_field(
      L, "nonce", crypto_secretbox_NONCEBYTES, crypto_secretbox_NONCEBYTES);
  const struct kad_slice box =
      check_field(L, "box", crypto_secretbox_MACBYTES,
                  crypto_secretbox_MACBYTES + SECRET_MAX);
  if (!is_bounded(&derivation)) {
    lua_pushfstring(L, "it wants %I passes over %I KiB of memory",
                    (LUAI_UACINT)derivation.passes,
                    (LUAI_UACINT)derivation.memory_kib);
    return kad_lua_push_error_message(L, KAD_EINVAL);
  }
  memcpy(derivation.salt, salt.data, salt.len);
  if (derive(passphrase, &derivation, key) != 0) {
    return push_no_memory(L, &derivation);
  }
  const bool is_right = crypto_secretbox_open_easy(bytes, box.data, box.len,
                                                   nonce.data, key) == 0;
  sodium_memzero(key, sizeof key);
  if (!is_right) {
    lua_pushliteral(L, "wrong passphrase, or a damaged file");
    return kad_lua_push_error_message(L, KAD_EACCESS);
  }
  *len = box.len - crypto_secretbox_MACBYTES;
  return 0;
}

/* passphrase:open(sealed) → the bytes, or nil, message, code:
 *   KAD_EINVAL   passes or memory are out of bounds: no file of ours has these
 *   KAD_EACCESS  it was sealed with another passphrase, or changed since */
static int open_sealed(lua_State *L) {
  uint8_t bytes[SECRET_MAX];
  size_t len = 0;
  const int failed = open_bytes(L, bytes, &len);
  if (failed == 0) {
    lua_pushlstring(L, (const char *)bytes, len);
  }
  sodium_memzero(bytes, sizeof bytes);
  return failed == 0 ? 1 : failed;
}

/* passphrase:open_network_key(sealed) → the key, or nil, message, code: as
 * `open` does, and KAD_EINVAL for something else than a key */
static int open_network_key(lua_State *L) {
  uint8_t bytes[SECRET_MAX];
  size_t len = 0;
  int count = open_bytes(L, bytes, &len);
  if (count == 0 && len == KAD_NETWORK_KEY_SIZE) {
    kad_lua_push_network_key(L, bytes);
    count = 1;
  } else if (count == 0) {
    lua_pushliteral(L, "it is no network key");
    count = kad_lua_push_error_message(L, KAD_EINVAL);
  }
  sodium_memzero(bytes, sizeof bytes);
  return count;
}

/* passphrase:equals(other) → whether both are the same */
static int equals(lua_State *L) {
  const struct passphrase *const one = check_passphrase(L);
  const struct passphrase *const other = luaL_checkudata(L, 2, PASSPHRASE);
  lua_pushboolean(L,
                  one->len == other->len &&
                      sodium_memcmp(one->bytes, other->bytes, one->len) == 0);
  return 1;
}

/* passphrase:close(): wipes it */
static int passphrase_close(lua_State *L) {
  wipe(luaL_checkudata(L, 1, PASSPHRASE));
  return 0;
}

void kad_lua_add_passphrase(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"seal", seal},
      {"open", open_sealed},
      {"open_network_key", open_network_key},
      {"equals", equals},
      {"close", passphrase_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", passphrase_close}, {"__close", passphrase_close}, {NULL, NULL}};
  static const luaL_Reg *const methods[] = {functions, NULL};
  static const luaL_Reg module[] = {
      {"ask_passphrase", ask_passphrase},
      {"new_passphrase", new_passphrase},
      {"read_passphrase", read_passphrase},
      {NULL, NULL},
  };
  if (sodium_init() < 0) { /* also chooses the fastest code */
    luaL_error(L, "libsodium cannot start");
  }
  kad_lua_push_metatable(L, PASSPHRASE, methods, meta);
  lua_pop(L, 1);
  luaL_setfuncs(L, module, 0);
}
