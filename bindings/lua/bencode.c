#include "lua/bencode.h"

#include "lua/shown.h"
#include "lua/value.h"

#include <lauxlib.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct key {
  const char *bytes;
  size_t len;
};

/* A table that is being encoded. */
struct frame {
  int table;              /* its index on the Lua stack */
  int top;                /* top of the stack once it has ended */
  const struct key *keys; /* sorted, kept on the Lua stack; NULL for a list */
  size_t count;           /* of items, or of keys */
  size_t done;            /* of these, with the one being encoded */
};

/* The bytes are in a userdata on the Lua stack: an error leaks nothing. */
struct encoder {
  lua_State *L;
  int buffer; /* index of the userdata */
  uint8_t *data;
  size_t len;
  size_t cap;
  const char *root; /* what messages call the outermost value */
  size_t depth;
  size_t max_depth;
  struct frame frames[KAD_BENCODE_MAX_DEPTH];
};

/* ------------------------------------------------------------- encoding -- */

/* Pushes the place of the encoded value, like `args.list[3]`. [-0, +1, m] */
static const char *push_place(const struct encoder *encoder) {
  lua_State *const L = encoder->L;
  lua_pushstring(L, encoder->root);
  for (size_t i = 0; i < encoder->depth; i++) {
    const struct frame *const frame = &encoder->frames[i];
    if (frame->keys != NULL) {
      const struct key *const key = &frame->keys[frame->done - 1];
      lua_pushliteral(L, ".");
      lua_pushlstring(L, key->bytes, key->len);
      (void)kad_lua_push_shown(L, -1);
      lua_remove(L, -2);
      lua_concat(L, 2);
    } else {
      lua_pushfstring(L, "[%I]", (LUAI_UACINT)frame->done);
    }
    lua_concat(L, 2);
  }
  return lua_tostring(L, -1);
}

/* Raises a problem with its place. [-0, +0, v] */
static void raise_problem(const struct encoder *encoder, const char *problem) {
  luaL_error(encoder->L, "%s: %s", push_place(encoder), problem);
}

/* Appends bytes. [-0, +0, m] */
static void append_bytes(struct encoder *encoder, const void *bytes,
                         size_t len) {
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
  append_bytes(encoder, head, (size_t)head_len);
  append_bytes(encoder, bytes, len);
}

static void encode_number(struct encoder *encoder, int index) {
  char text[32];
  if (!lua_isinteger(encoder->L, index)) {
    raise_problem(encoder,
                  "bencode has no fractions; use an integer or a string");
  }
  const int64_t value = lua_tointeger(encoder->L, index);
  const int len = snprintf(text, sizeof text, "i%" PRId64 "e", value);
  append_bytes(encoder, text, (size_t)len);
}

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

/* Pushes a list that keeps the string keys of the table at `index`, and a block
 * with the same keys, sorted. Sets `*count` to their number. To allocate may
 * run the collector, which removes entries of weak tables: the table may have
 * fewer keys than before, and does not keep those that it had. [-0, +2, m] */
static const struct key *push_keys(lua_State *L, int index, size_t *count) {
  const size_t room = *count;
  lua_createtable(L, (int)room, 0);
  const int kept = lua_gettop(L);
  struct key *const keys = lua_newuserdatauv(L, room * sizeof *keys + 1, 0);
  size_t i = 0;
  lua_pushnil(L);
  while (lua_next(L, index) != 0) {
    lua_pop(L, 1);
    if (i < room && lua_type(L, -1) == LUA_TSTRING) {
      keys[i].bytes = lua_tolstring(L, -1, &keys[i].len);
      i++;
      lua_pushvalue(L, -1);
      lua_rawseti(L, kept, (lua_Integer)i);
    }
  }
  qsort(keys, i, sizeof *keys, compare_keys);
  *count = i;
  return keys;
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

/* Returns the keys of the table at the top, or raises. [-0, +0, v] */
static struct keys check_table(const struct encoder *encoder, bool dictionary) {
  if (encoder->depth >= encoder->max_depth) {
    raise_problem(encoder, "nested too deep, or contains itself");
  }
  const struct keys keys = count_keys(encoder->L, lua_gettop(encoder->L));
  if (keys.strings > 0 && keys.others > 0) {
    raise_problem(encoder, "a table has either string keys or is a list");
  }
  if (keys.others > 0 && dictionary) {
    raise_problem(encoder, "must have string keys");
  }
  if (!keys.is_list) {
    raise_problem(encoder, "a list has the keys 1 to n, without a gap");
  }
  return keys;
}

/* Begins the table at the top, which stays until it ends. [-0, +0|2, v] */
static void begin_table(struct encoder *encoder, bool dictionary) {
  const struct keys keys = check_table(encoder, dictionary);
  const int table = lua_gettop(encoder->L);
  struct frame frame = {.table = table, .top = table - 1, .count = keys.others};
  if (keys.strings > 0 || dictionary) {
    frame.count = keys.strings;
    frame.keys = push_keys(encoder->L, table, &frame.count);
  }
  append_bytes(encoder, frame.keys != NULL ? "d" : "l", 1);
  encoder->frames[encoder->depth++] = frame;
}

/* Encodes the value at the top and pops it, or begins it. [-1, +0, v] */
static void encode_top(struct encoder *encoder, bool dictionary) {
  lua_State *const L = encoder->L;
  const int type = lua_type(L, -1);
  size_t len = 0;
  if (dictionary && type != LUA_TTABLE) {
    raise_problem(encoder, "must be a table with string keys");
  }
  switch (type) {
  case LUA_TNUMBER:
    encode_number(encoder, -1);
    break;
  case LUA_TSTRING: {
    const char *const bytes = lua_tolstring(L, -1, &len);
    encode_string(encoder, bytes, len);
    break;
  }
  case LUA_TTABLE:
    begin_table(encoder, dictionary);
    return;
  case LUA_TBOOLEAN:
    raise_problem(encoder, "bencode has no booleans; use 0 and 1");
    break;
  default:
    raise_problem(encoder, lua_pushfstring(L, "bencode cannot carry a %s",
                                           lua_typename(L, type)));
  }
  lua_pop(L, 1);
}

/* Encodes the next item of the innermost table, or ends it. */
static void encode_next(struct encoder *encoder) {
  lua_State *const L = encoder->L;
  struct frame *const frame = &encoder->frames[encoder->depth - 1];
  if (frame->done == frame->count) {
    append_bytes(encoder, "e", 1);
    lua_settop(L, frame->top);
    encoder->depth--;
    return;
  }
  frame->done++;
  if (frame->keys != NULL) {
    const struct key *const key = &frame->keys[frame->done - 1];
    lua_pushlstring(L, key->bytes, key->len);
    if (lua_rawget(L, frame->table) == LUA_TNIL) {
      lua_pop(L, 1); /* the collector removed it from a weak table */
      return;
    }
    encode_string(encoder, key->bytes, key->len);
  } else {
    lua_rawgeti(L, frame->table, (lua_Integer)frame->done);
  }
  encode_top(encoder, false);
}

void kad_lua_bencode_encode(lua_State *L, int index, const char *root,
                            bool dictionary) {
  enum {
    FIRST_SIZE = 256,
    LEVEL_SLOTS = 3,
    OWN_SLOTS = 10
  };
  index = lua_absindex(L, index);
  luaL_checkstack(L, KAD_BENCODE_MAX_DEPTH * LEVEL_SLOTS + OWN_SLOTS, NULL);
  struct encoder encoder = {
      .L = L,
      .data = lua_newuserdatauv(L, FIRST_SIZE, 0),
      .cap = FIRST_SIZE,
      .root = root,
      .max_depth = KAD_BENCODE_MAX_DEPTH - (dictionary ? 1 : 0),
  };
  encoder.buffer = lua_gettop(L);
  lua_pushvalue(L, index);
  encode_top(&encoder, dictionary);
  while (encoder.depth > 0) {
    encode_next(&encoder);
  }
  lua_pushlstring(L, (const char *)encoder.data, encoder.len);
  lua_replace(L, encoder.buffer);
}

/* ------------------------------------------------------------- decoding -- */

/* A container whose items are being pushed. Its table is on the Lua stack; in a
 * dictionary the key of the item is above it. */
struct walk {
  struct kad_slice rest;
  bool is_dict;
  lua_Integer count; /* of a list's items so far */
};

/* Pushes an integer or string; or an empty table for a container, which becomes
 * the innermost one. Returns the new depth. [-0, +1, m] */
static size_t push_item(lua_State *L, const struct kad_bencode *item,
                        struct walk *walks, size_t depth) {
  switch (item->type) {
  case KAD_BENCODE_INTEGER:
    lua_pushinteger(L, item->integer);
    return depth;
  case KAD_BENCODE_STRING:
    kad_lua_push_slice(L, item->bytes);
    return depth;
  case KAD_BENCODE_LIST:
  case KAD_BENCODE_DICT:
    break;
  }
  /* The value was parsed whole, so it is no deeper than this. */
  assert(depth < KAD_BENCODE_MAX_DEPTH);
  lua_newtable(L);
  walks[depth] = (struct walk){
      .rest = item->bytes,
      .is_dict = item->type == KAD_BENCODE_DICT,
  };
  return depth + 1;
}

/* Parses the next item of a container, and pushes its key if that is a
 * dictionary. Returns false at the end. [-0, +0|1, m] */
static bool next_item(lua_State *L, struct walk *walk,
                      struct kad_bencode *item) {
  struct kad_slice key;
  if (!walk->is_dict) {
    return kad_bencode_next(&walk->rest, item);
  }
  if (!kad_bencode_next_pair(&walk->rest, &key, item)) {
    return false;
  }
  kad_lua_push_slice(L, key);
  return true;
}

/* Pops a finished item, and its key, into its container. [-1|2, +0, m] */
static void set_item(lua_State *L, struct walk *walk) {
  if (walk->is_dict) {
    lua_rawset(L, -3);
  } else {
    lua_rawseti(L, -2, ++walk->count);
  }
}

/* Pushes a parsed value. [-0, +1, m] */
static void push_value(lua_State *L, const struct kad_bencode *value) {
  struct walk walks[KAD_BENCODE_MAX_DEPTH];
  struct kad_bencode item;
  luaL_checkstack(L, KAD_BENCODE_MAX_DEPTH * 2 + 4, NULL);
  size_t depth = push_item(L, value, walks, 0);
  while (depth > 0) {
    const size_t before = depth;
    if (next_item(L, &walks[depth - 1], &item)) {
      depth = push_item(L, &item, walks, depth);
    } else {
      depth--;
    }
    if (depth <= before && depth > 0) {
      set_item(L, &walks[depth - 1]);
    }
  }
}

size_t kad_lua_bencode_tables(struct kad_slice in) {
  struct walk walks[KAD_BENCODE_MAX_DEPTH];
  struct kad_bencode item;
  struct kad_slice key;
  size_t depth = 0;
  size_t tables = 0;
  bool found = kad_bencode_parse(in, &item) == 0;
  while (found || depth > 0) {
    if (found &&
        (item.type == KAD_BENCODE_LIST || item.type == KAD_BENCODE_DICT)) {
      assert(depth < KAD_BENCODE_MAX_DEPTH);
      walks[depth++] = (struct walk){.rest = item.bytes,
                                     .is_dict = item.type == KAD_BENCODE_DICT};
      tables++;
    } else if (!found) {
      depth--;
    }
    struct walk *const walk = depth > 0 ? &walks[depth - 1] : NULL;
    found = walk != NULL &&
            (walk->is_dict ? kad_bencode_next_pair(&walk->rest, &key, &item)
                           : kad_bencode_next(&walk->rest, &item));
  }
  return tables;
}

int kad_lua_bencode_decode(lua_State *L, struct kad_slice in) {
  struct kad_bencode value;
  const int status = kad_bencode_parse(in, &value);
  if (status == 0) {
    push_value(L, &value);
  }
  return status;
}
