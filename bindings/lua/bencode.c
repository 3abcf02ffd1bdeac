#include "kadenza_lua.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What bencode holds: integers, strings, lists and dictionaries. Source: BEP 3
 * "bencoding". An encoder writes into a userdata on the Lua stack, so that an
 * error leaves nothing behind. */
struct encoder {
  lua_State *L;
  int buffer; /* index of the userdata */
  uint8_t *data;
  size_t len;
  size_t cap;
  int depth;
  const char *root;
  /* Where we are, for messages: a key (NULL for an item) and an index. */
  struct {
    const char *key;
    lua_Integer item;
  } path[KAD_BENCODE_MAX_DEPTH];
};

/* ------------------------------------------------------------- encoding -- */

/* Pushes the place that is being encoded, like `args.list[3]`. [-0, +1, m] */
static const char *push_place(const struct encoder *encoder) {
  lua_State *const L = encoder->L;
  luaL_checkstack(L, 4, NULL);
  lua_pushstring(L, encoder->root);
  for (int i = 0; i < encoder->depth; i++) {
    if (encoder->path[i].key != NULL) {
      lua_pushfstring(L, ".%s", encoder->path[i].key);
    } else {
      lua_pushfstring(L, "[%I]", (LUAI_UACINT)encoder->path[i].item);
    }
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

static void fail(const struct encoder *encoder, const char *problem) {
  luaL_error(encoder->L, "%s: %s", push_place(encoder), problem);
}

/* Appends bytes. [-0, +0, m] */
static void append(struct encoder *encoder, const void *bytes, size_t len) {
  if (len > encoder->cap - encoder->len) {
    const size_t cap = (encoder->len + len) * 2;
    uint8_t *const data = lua_newuserdatauv(encoder->L, cap, 0);
    memcpy(data, encoder->data, encoder->len);
    lua_replace(encoder->L, encoder->buffer);
    encoder->data = data;
    encoder->cap = cap;
  }
  memcpy(encoder->data + encoder->len, bytes, len);
  encoder->len += len;
}

static void encode_string(struct encoder *encoder, const char *bytes,
                          size_t len) {
  char head[24];
  const int head_len = snprintf(head, sizeof head, "%zu:", len);
  append(encoder, head, (size_t)head_len);
  append(encoder, bytes, len);
}

static void encode_number(struct encoder *encoder, int index) {
  char text[32];
  if (!lua_isinteger(encoder->L, index)) {
    fail(encoder, "bencode has no fractions; use an integer or a string");
  }
  const int64_t value = lua_tointeger(encoder->L, index);
  const int len = snprintf(text, sizeof text, "i%" PRId64 "e", value);
  append(encoder, text, (size_t)len);
}

static void encode_value(struct encoder *encoder, int index, bool dictionary);

/* Goes one deeper; encodes the value at the top and pops it. [-1, +0, v] */
static void encode_child(struct encoder *encoder, const char *key,
                         lua_Integer item) {
  encoder->path[encoder->depth].key = key;
  encoder->path[encoder->depth].item = item;
  encoder->depth++;
  encode_value(encoder, lua_gettop(encoder->L), false);
  encoder->depth--;
  lua_pop(encoder->L, 1);
}

static void encode_list(struct encoder *encoder, int index, lua_Integer count) {
  append(encoder, "l", 1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(encoder->L, index, i);
    encode_child(encoder, NULL, i);
  }
  append(encoder, "e", 1);
}

struct key {
  const char *bytes;
  size_t len;
};

static int compare_keys(const void *left, const void *right) {
  const struct key *const a = left;
  const struct key *const b = right;
  const int order =
      memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);
  if (order != 0) {
    return order;
  }
  return (a->len > b->len) - (a->len < b->len);
}

/* Pushes a block with the keys of the table at `index`, sorted. They are
 * borrowed from the table. [-0, +1, m] */
static const struct key *push_keys(lua_State *L, int index, size_t count) {
  struct key *const keys = lua_newuserdatauv(L, count * sizeof *keys + 1, 0);
  size_t i = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    keys[i].bytes = lua_tolstring(L, -1, &keys[i].len);
    i++;
  }
  qsort(keys, count, sizeof *keys, compare_keys);
  return keys;
}

static void encode_dictionary(struct encoder *encoder, int index,
                              size_t count) {
  lua_State *const L = encoder->L;
  const struct key *const keys = push_keys(L, index, count);
  append(encoder, "d", 1);
  for (size_t i = 0; i < count; i++) {
    encode_string(encoder, keys[i].bytes, keys[i].len);
    lua_pushlstring(L, keys[i].bytes, keys[i].len);
    lua_rawget(L, index);
    encode_child(encoder, keys[i].bytes, 0);
  }
  append(encoder, "e", 1);
  lua_pop(L, 1);
}

/* The keys of a table. */
struct keys {
  size_t strings;
  size_t others;
  bool is_list; /* the others are 1 to n */
};

static struct keys count_keys(lua_State *L, int index) {
  struct keys keys = {.is_list = true};
  lua_Integer last = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
      keys.strings++;
      continue;
    }
    keys.others++;
    const lua_Integer item = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    keys.is_list = keys.is_list && item > 0;
    last = item > last ? item : last;
  }
  keys.is_list = keys.is_list && (size_t)last == keys.others;
  return keys;
}

static void encode_table(struct encoder *encoder, int index, bool dictionary) {
  if (encoder->depth >= KAD_BENCODE_MAX_DEPTH) {
    fail(encoder, "nested too deep, or in a circle");
  }
  luaL_checkstack(encoder->L, 8, NULL);
  const struct keys keys = count_keys(encoder->L, index);
  if (keys.strings > 0 && keys.others > 0) {
    fail(encoder, "a table has either string keys or is a list");
  }
  if (keys.others > 0 && dictionary) {
    fail(encoder, "must have string keys");
  }
  if (!keys.is_list) {
    fail(encoder, "a list has the keys 1 to n, without a gap");
  }
  if (keys.strings > 0 || dictionary) {
    encode_dictionary(encoder, index, keys.strings);
  } else {
    encode_list(encoder, index, (lua_Integer)keys.others);
  }
}

/* [-0, +0, v] */
static void encode_value(struct encoder *encoder, int index, bool dictionary) {
  size_t len = 0;
  const int type = lua_type(encoder->L, index);
  if (dictionary && type != LUA_TTABLE) {
    fail(encoder, "must be a table with string keys");
  }
  switch (type) {
  case LUA_TNUMBER:
    encode_number(encoder, index);
    break;
  case LUA_TSTRING: {
    const char *const bytes = lua_tolstring(encoder->L, index, &len);
    encode_string(encoder, bytes, len);
    break;
  }
  case LUA_TTABLE:
    encode_table(encoder, index, dictionary);
    break;
  case LUA_TBOOLEAN:
    fail(encoder, "bencode has no booleans; use 0 and 1");
    break;
  default:
    fail(encoder, lua_pushfstring(encoder->L, "bencode cannot carry a %s",
                                  lua_typename(encoder->L, type)));
  }
}

void kad_lua_bencode_encode(lua_State *L, int index, const char *root,
                            bool dictionary) {
  enum {
    FIRST_SIZE = 256
  };
  index = lua_absindex(L, index);
  luaL_checkstack(L, 8, NULL);
  struct encoder encoder = {
      .L = L,
      .data = lua_newuserdatauv(L, FIRST_SIZE, 0),
      .cap = FIRST_SIZE,
      .root = root,
  };
  encoder.buffer = lua_gettop(L);
  encode_value(&encoder, index, dictionary);
  lua_pushlstring(L, (const char *)encoder.data, encoder.len);
  lua_replace(L, encoder.buffer);
}

/* ------------------------------------------------------------- decoding -- */

/* The value was parsed whole, so it nests at most KAD_BENCODE_MAX_DEPTH deep:
 * that bounds the recursion. */

static void push_list(lua_State *L, const struct kad_bencode *list) {
  struct kad_slice rest = list->bytes;
  struct kad_bencode item;
  lua_newtable(L);
  for (lua_Integer i = 1; kad_bencode_next(&rest, &item); i++) {
    kad_lua_push_bencode(L, &item);
    lua_rawseti(L, -2, i);
  }
}

static void push_dictionary(lua_State *L, const struct kad_bencode *dict) {
  struct kad_slice rest = dict->bytes;
  struct kad_slice key;
  struct kad_bencode value;
  lua_newtable(L);
  while (kad_bencode_next_pair(&rest, &key, &value)) {
    kad_lua_push_slice(L, key);
    kad_lua_push_bencode(L, &value);
    lua_rawset(L, -3);
  }
}

void kad_lua_push_bencode(lua_State *L, const struct kad_bencode *value) {
  luaL_checkstack(L, 4, NULL);
  switch (value->type) {
  case KAD_BENCODE_INTEGER:
    lua_pushinteger(L, value->integer);
    break;
  case KAD_BENCODE_STRING:
    kad_lua_push_slice(L, value->bytes);
    break;
  case KAD_BENCODE_LIST:
    push_list(L, value);
    break;
  case KAD_BENCODE_DICT:
    push_dictionary(L, value);
    break;
  }
}

int kad_lua_bencode_decode(lua_State *L, struct kad_slice in) {
  struct kad_bencode value;
  const int status = kad_bencode_parse(in, &value);
  if (status == 0) {
    kad_lua_push_bencode(L, &value);
  }
  return status;
}
