#include "lua/box.h"

#include "lua/argument.h"
#include "lua/error.h"

#include <lauxlib.h>
#include <sodium.h>

enum {
  TEXT_MAX = 1 << 24 /* bytes */
};

/* Reads a string of exactly `len` bytes. Borrows it. [-0, +0, v] */
static const uint8_t *check_bytes(lua_State *L, int arg, size_t len,
                                  const char *what) {
  const struct kad_slice bytes = kad_lua_check_slice(L, arg);
  if (bytes.len != len) {
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "%s has %d bytes, not %I", what, (int)len,
                                  (LUAI_UACINT)bytes.len));
  }
  return bytes.data;
}

/* box_keypair(seed) → public key, secret key, of 32 bytes each */
static int box_keypair(lua_State *L) {
  uint8_t public_key[crypto_box_PUBLICKEYBYTES];
  uint8_t secret_key[crypto_box_SECRETKEYBYTES];
  const uint8_t *const seed = check_bytes(L, 1, crypto_box_SEEDBYTES, "a seed");
  (void)crypto_box_seed_keypair(public_key, secret_key, seed);
  lua_pushlstring(L, (const char *)public_key, sizeof public_key);
  lua_pushlstring(L, (const char *)secret_key, sizeof secret_key);
  sodium_memzero(secret_key, sizeof secret_key);
  return 2;
}

/* box_public(secret key) → the public key that belongs to it */
static int box_public(lua_State *L) {
  uint8_t public_key[crypto_box_PUBLICKEYBYTES];
  const uint8_t *const secret_key =
      check_bytes(L, 1, crypto_box_SECRETKEYBYTES, "a secret key");
  (void)crypto_scalarmult_base(public_key, secret_key);
  lua_pushlstring(L, (const char *)public_key, sizeof public_key);
  return 1;
}

/* Makes the nonce of crypto_box_seal: the hash of both public keys. */
static void make_nonce(const uint8_t *ephemeral, const uint8_t *public_key,
                       uint8_t nonce[crypto_box_NONCEBYTES]) {
  crypto_generichash_state state;
  (void)crypto_generichash_init(&state, NULL, 0, crypto_box_NONCEBYTES);
  (void)crypto_generichash_update(&state, ephemeral, crypto_box_PUBLICKEYBYTES);
  (void)crypto_generichash_update(&state, public_key,
                                  crypto_box_PUBLICKEYBYTES);
  (void)crypto_generichash_final(&state, nonce, crypto_box_NONCEBYTES);
}

/* Does what crypto_box_seal does, with an ephemeral key of `seed`: a simulation
 * can be repeated then. Returns 0, or -1 for a public key that is none. */
static int seal(uint8_t *out, struct kad_slice text, const uint8_t *public_key,
                const uint8_t *seed) {
  uint8_t secret_key[crypto_box_SECRETKEYBYTES];
  uint8_t nonce[crypto_box_NONCEBYTES];
  (void)crypto_box_seed_keypair(out, secret_key, seed);
  make_nonce(out, public_key, nonce);
  const int failed = crypto_box_easy(out + crypto_box_PUBLICKEYBYTES, text.data,
                                     text.len, nonce, public_key, secret_key);
  sodium_memzero(secret_key, sizeof secret_key);
  return failed;
}

/* box_seal(public key, text, seed) → bytes, or nil, message, code. The seed has
 * 32 random bytes, and is used for nothing else. */
static int box_seal(lua_State *L) {
  luaL_Buffer buffer;
  const uint8_t *const public_key =
      check_bytes(L, 1, crypto_box_PUBLICKEYBYTES, "a public key");
  const struct kad_slice text = kad_lua_check_slice(L, 2);
  const uint8_t *const seed = check_bytes(L, 3, crypto_box_SEEDBYTES, "a seed");
  luaL_argcheck(L, text.len <= TEXT_MAX, 2, "at most 16 MiB");
  const size_t size = crypto_box_SEALBYTES + text.len;
  uint8_t *const out = (uint8_t *)luaL_buffinitsize(L, &buffer, size);
  const int failed = seal(out, text, public_key, seed);
  luaL_pushresultsize(&buffer, failed == 0 ? size : 0);
  if (failed == 0) {
    return 1;
  }
  lua_pushliteral(L, "it is no public key");
  return kad_lua_push_error_message(L, KAD_EINVAL);
}

/* box_open(secret key, bytes) → text, or nil, message, code */
static int box_open(lua_State *L) {
  luaL_Buffer buffer;
  uint8_t public_key[crypto_box_PUBLICKEYBYTES];
  const uint8_t *const secret_key =
      check_bytes(L, 1, crypto_box_SECRETKEYBYTES, "a secret key");
  const struct kad_slice sealed = kad_lua_check_slice(L, 2);
  luaL_argcheck(L, sealed.len <= TEXT_MAX + crypto_box_SEALBYTES, 2,
                "at most 16 MiB");
  const bool fits = sealed.len >= crypto_box_SEALBYTES;
  const size_t size = fits ? sealed.len - crypto_box_SEALBYTES : 0;
  char *const text = luaL_buffinitsize(L, &buffer, size);
  const bool is_open =
      fits && crypto_scalarmult_base(public_key, secret_key) == 0 &&
      crypto_box_seal_open((uint8_t *)text, sealed.data, sealed.len, public_key,
                           secret_key) == 0;
  luaL_pushresultsize(&buffer, is_open ? size : 0);
  if (is_open) {
    return 1;
  }
  lua_pushliteral(L, "it is not for this key, or was changed");
  return kad_lua_push_error_message(L, KAD_EACCESS);
}

void kad_lua_add_box(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"box_keypair", box_keypair},
      {"box_public", box_public},
      {"box_seal", box_seal},
      {"box_open", box_open},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
