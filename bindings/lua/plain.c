#include "lua/plain.h"

#include "lua/shown.h"

#include <lauxlib.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum tag {
  TAG_NIL = 'n',
  TAG_TRUE = 't',
  TAG_FALSE = 'f',
  TAG_INTEGER = 'i',
  TAG_FLOAT = 'd',
  TAG_STRING = 's',
  TAG_BEGIN = '{',
  TAG_END = '}'
};

/* ------------------------------------------------------------- packing -- */

/* A walk over a value. The first walk measures, the second writes. The tables
 * that are being walked are on the stack, each with its key above it. */
struct packer {
  lua_State *L;
  const char *root; /* what messages call the value */
  uint8_t *data;    /* NULL: nothing is written */
  size_t len;
  int base;  /* index of the value on the stack */
  int depth; /* number of open tables */
};

/* Adds the key at `index` to the place at the top. [-0, +0, m] */
static void add_key(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    lua_pushliteral(L, ".");
    (void)kad_lua_push_shown(L, index);
    lua_concat(L, 3);
    return;
  }
  if (lua_isinteger(L, index)) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)lua_tointeger(L, index));
  } else {
    lua_pushfstring(L, "[a %s]", luaL_typename(L, index));
  }
  lua_concat(L, 2);
}

/* Raises `problem` with its place, such as "state.names[3]". [-0, +0, v] */
static void raise_problem(const struct packer *packer, const char *problem) {
  lua_State *const L = packer->L;
  lua_settop(L, packer->base + 2 * packer->depth - 1);
  lua_pushstring(L, packer->root);
  for (int i = 0; i < packer->depth; i++) {
    add_key(L, packer->base + 2 * i + 1);
  }
  luaL_error(L, "%s %s", lua_tostring(L, -1), problem);
}

static void write_bytes(struct packer *packer, const void *bytes, size_t len) {
  if (len > KAD_PLAIN_MAX - packer->len) {
    raise_problem(packer, "is too large: over a mebibyte in all");
  }
  if (packer->data != NULL) {
    memcpy(packer->data + packer->len, bytes, len);
  }
  packer->len += len;
}

/* Writes a tag and its `len` bytes. [-0, +0, v] */
static void write_tag(struct packer *packer, char tag, const void *bytes,
                      size_t len) {
  write_bytes(packer, &tag, 1);
  if (len > 0) {
    write_bytes(packer, bytes, len);
  }
}

static void write_string(struct packer *packer, int index) {
  size_t len = 0;
  const char *const bytes = lua_tolstring(packer->L, index, &len);
  const uint32_t size = len < KAD_PLAIN_MAX ? (uint32_t)len : KAD_PLAIN_MAX;
  write_tag(packer, TAG_STRING, &size, sizeof size);
  write_bytes(packer, bytes, len);
}

static void write_number(struct packer *packer, int index) {
  if (lua_isinteger(packer->L, index)) {
    const lua_Integer value = lua_tointeger(packer->L, index);
    write_tag(packer, TAG_INTEGER, &value, sizeof value);
  } else {
    const lua_Number value = lua_tonumber(packer->L, index);
    write_tag(packer, TAG_FLOAT, &value, sizeof value);
  }
}

/* Opens the table at the top. [-0, +1, v] */
static void open_table(struct packer *packer) {
  lua_State *const L = packer->L;
  if (lua_getmetatable(L, -1)) {
    raise_problem(packer, "has a metatable: a plain table is needed");
  }
  if (packer->depth == KAD_PLAIN_DEPTH) {
    raise_problem(packer, "is nested too deep, or contains itself");
  }
  write_tag(packer, TAG_BEGIN, NULL, 0);
  packer->depth++;
  lua_pushnil(L);
}

/* Raises that the value at the top is not plain. [-0, +0, v] */
static void reject_type(const struct packer *packer) {
  char problem[100];
  (void)snprintf(problem, sizeof problem,
                 "is a %s: nil, booleans, numbers, strings and tables of them "
                 "are plain",
                 luaL_typename(packer->L, -1));
  raise_problem(packer, problem);
}

/* Writes the value at `index`, which may be a key. Returns false if it is not a
 * boolean, number or string. [-0, +0, v] */
static bool write_scalar(struct packer *packer, int index) {
  lua_State *const L = packer->L;
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    write_tag(packer, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE, NULL, 0);
    return true;
  case LUA_TNUMBER:
    write_number(packer, index);
    return true;
  case LUA_TSTRING:
    write_string(packer, index);
    return true;
  default:
    return false;
  }
}

/* Writes and pops the value at the top; opens a table. [-0|1, +0|1, v] */
static void write_value(struct packer *packer) {
  lua_State *const L = packer->L;
  if (lua_istable(L, -1)) {
    open_table(packer);
    return;
  }
  if (lua_isnil(L, -1)) {
    write_tag(packer, TAG_NIL, NULL, 0);
  } else if (!write_scalar(packer, -1)) {
    reject_type(packer);
  }
  lua_pop(L, 1);
}

/* Walks over the value at the top, and pops it. [-1, +0, v] */
static void write_root(struct packer *packer) {
  lua_State *const L = packer->L;
  packer->len = 0;
  packer->depth = 0;
  packer->base = lua_gettop(L);
  write_value(packer);
  while (packer->depth > 0) {
    if (lua_next(L, -2) != 0) {
      if (!write_scalar(packer, -2)) {
        raise_problem(packer,
                      "is a key that is not a boolean, number or string");
      }
      write_value(packer);
    } else {
      write_tag(packer, TAG_END, NULL, 0);
      packer->depth--;
      lua_pop(L, 1);
    }
  }
}

/* pack_plain(value, name) → bytes */
static int plain_pack(lua_State *L) {
  struct packer packer = {.L = L, .root = luaL_checkstring(L, 2)};
  luaL_checkstack(L, 2 * KAD_PLAIN_DEPTH + 20, NULL);
  lua_pushvalue(L, 1);
  write_root(&packer);
  /* One byte more, because an empty block may have no address. */
  packer.data = lua_newuserdatauv(L, packer.len + 1, 0);
  lua_pushvalue(L, 1);
  write_root(&packer);
  lua_pushlstring(L, (const char *)packer.data, packer.len);
  return 1;
}

/* ----------------------------------------------------------- unpacking -- */

struct unpacker {
  lua_State *L;
  const char *bytes;
  size_t len;
  size_t done;
  int depth;
  bool has_key[KAD_PLAIN_DEPTH + 1]; /* the key of the next value is pushed */
};

/* Returns the next `len` bytes. [-0, +0, v] */
static const char *next_bytes(struct unpacker *unpacker, size_t len) {
  if (len > unpacker->len - unpacker->done) {
    luaL_error(unpacker->L, "packed values end too soon");
  }
  unpacker->done += len;
  return unpacker->bytes + unpacker->done - len;
}

/* Pushes the scalar of `tag`. [-0, +1, v] */
static void read_scalar(struct unpacker *unpacker, int tag) {
  lua_State *const L = unpacker->L;
  lua_Integer integer = 0;
  lua_Number number = 0;
  uint32_t size = 0;
  switch (tag) {
  case TAG_NIL:
    lua_pushnil(L);
    return;
  case TAG_TRUE:
  case TAG_FALSE:
    lua_pushboolean(L, tag == TAG_TRUE);
    return;
  case TAG_INTEGER:
    memcpy(&integer, next_bytes(unpacker, sizeof integer), sizeof integer);
    lua_pushinteger(L, integer);
    return;
  case TAG_FLOAT:
    memcpy(&number, next_bytes(unpacker, sizeof number), sizeof number);
    lua_pushnumber(L, number);
    return;
  case TAG_STRING:
    memcpy(&size, next_bytes(unpacker, sizeof size), sizeof size);
    lua_pushlstring(L, next_bytes(unpacker, size), size);
    return;
  default:
    luaL_error(L, "packed values have an unknown tag");
  }
}

/* Reads the next tag. Leaves a whole value at the top and returns true, or
 * opens a table and returns false. [-0, +0|1, v] */
static bool read_value(struct unpacker *unpacker) {
  const char tag = *next_bytes(unpacker, 1);
  if (tag == TAG_END && unpacker->depth > 0 &&
      !unpacker->has_key[unpacker->depth]) {
    unpacker->depth--;
    return true;
  }
  if (tag != TAG_BEGIN) {
    read_scalar(unpacker, tag);
    return true;
  }
  if (unpacker->depth == KAD_PLAIN_DEPTH) {
    luaL_error(unpacker->L, "packed values are nested too deep");
  }
  lua_newtable(unpacker->L);
  unpacker->has_key[++unpacker->depth] = false;
  return false;
}

/* unpack_plain(bytes) → value */
static int plain_unpack(lua_State *L) {
  struct unpacker unpacker = {.L = L};
  unpacker.bytes = luaL_checklstring(L, 1, &unpacker.len);
  luaL_checkstack(L, 2 * KAD_PLAIN_DEPTH + 20, NULL);
  for (;;) {
    if (!read_value(&unpacker)) {
      continue;
    }
    if (unpacker.depth == 0) {
      return 1;
    }
    bool *const has_key = &unpacker.has_key[unpacker.depth];
    if (*has_key) {
      lua_rawset(L, -3);
    }
    *has_key = !*has_key;
  }
}

void kad_lua_add_plain(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"pack_plain", plain_pack},
      {"unpack_plain", plain_unpack},
      {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 0);
}
