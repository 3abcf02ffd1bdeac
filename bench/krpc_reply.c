#include "krpc_reply.h"

#include <stdbool.h>
#include <string.h>

enum {
  ID_BYTES = 20,
  NODE_BYTES = 26,
  INTEGER_MAX = 1000000000, /* larger integers are not exact */
};

/* A cursor over bencoded bytes. `bad` stays set after an error, so that callers
 * test it once. */
struct reader {
  const uint8_t *at;
  const uint8_t *end;
  bool bad;
};

struct text {
  const uint8_t *data;
  size_t len;
};

static int peek_byte(const struct reader *reader) {
  return reader->bad || reader->at == reader->end ? -1 : *reader->at;
}

static bool skip_byte(struct reader *reader, char wanted) {
  if (peek_byte(reader) != wanted) {
    return false;
  }
  reader->at++;
  return true;
}

static int64_t read_digits(struct reader *reader) {
  int64_t number = 0;
  const uint8_t *start = reader->at;
  while (peek_byte(reader) >= '0' && peek_byte(reader) <= '9') {
    int digit = *reader->at++ - '0';
    number = number < INTEGER_MAX ? number * 10 + digit : number;
  }
  reader->bad = reader->bad || reader->at == start;
  return number;
}

static struct text read_string(struct reader *reader) {
  int64_t len = read_digits(reader);
  bool colon = skip_byte(reader, ':');
  if (reader->bad || !colon || len > reader->end - reader->at) {
    reader->bad = true;
    return (struct text){0};
  }
  struct text text = {.data = reader->at, .len = (size_t)len};
  reader->at += len;
  return text;
}

static int64_t read_integer(struct reader *reader) {
  bool opened = skip_byte(reader, 'i');
  bool negative = skip_byte(reader, '-');
  int64_t number = read_digits(reader);
  reader->bad = !opened || !skip_byte(reader, 'e') || reader->bad;
  return negative ? -number : number;
}

/* Skips one value. Counts open containers; needs no stack. */
static void skip_value(struct reader *reader) {
  size_t depth = 0;
  do {
    int next = peek_byte(reader);
    if (next == 'd' || next == 'l') {
      reader->at++;
      depth++;
    } else if (next == 'e' && depth > 0) {
      reader->at++;
      depth--;
    } else if (next == 'i') {
      (void)read_integer(reader);
    } else {
      (void)read_string(reader);
    }
  } while (depth > 0 && !reader->bad);
}

static bool is(struct text text, const char *name) {
  return text.len == strlen(name) && memcmp(text.data, name, text.len) == 0;
}

/* Reads the next key of an open dictionary. Returns false at its end. */
static bool next_key(struct reader *reader, struct text *key) {
  if (skip_byte(reader, 'e') || reader->bad) {
    return false;
  }
  *key = read_string(reader);
  return !reader->bad;
}

static size_t count_elements(struct reader *reader) {
  size_t count = 0;
  if (!skip_byte(reader, 'l')) {
    skip_value(reader);
    return 0;
  }
  while (!reader->bad && !skip_byte(reader, 'e')) {
    skip_value(reader);
    count++;
  }
  return count;
}

static void read_body(struct reader *reader, struct krpc_reply *reply) {
  if (!skip_byte(reader, 'd')) {
    skip_value(reader);
    return;
  }
  struct text key;
  while (next_key(reader, &key)) {
    if (is(key, "id")) {
      struct text id = read_string(reader);
      reply->id = id.len == ID_BYTES ? id.data : NULL;
    } else if (is(key, "token")) {
      struct text token = read_string(reader);
      reply->token = token.data;
      reply->token_len = token.len;
    } else if (is(key, "nodes")) {
      reply->nodes = read_string(reader).len / NODE_BYTES;
    } else if (is(key, "values")) {
      reply->values = count_elements(reader);
    } else {
      skip_value(reader);
    }
  }
}

static void read_error(struct reader *reader, struct krpc_reply *reply) {
  reader->bad = !skip_byte(reader, 'l') || reader->bad;
  reply->code = read_integer(reader);
  while (!reader->bad && !skip_byte(reader, 'e')) {
    skip_value(reader);
  }
}

static void read_field(struct reader *reader, struct text key,
                       struct krpc_reply *reply) {
  if (is(key, "r") || is(key, "a")) {
    read_body(reader, reply);
  } else if (is(key, "e")) {
    read_error(reader, reply);
  } else if (is(key, "t")) {
    struct text tid = read_string(reader);
    reply->tid = tid.data;
    reply->tid_len = tid.len;
  } else if (is(key, "y")) {
    struct text sort = read_string(reader);
    reply->sort = sort.len == 1 ? sort.data[0] : 0;
  } else {
    skip_value(reader);
  }
}

int krpc_reply_read(const uint8_t *data, size_t len, struct krpc_reply *reply) {
  struct reader reader = {.at = data, .end = data + len};
  struct krpc_reply found = {0};
  if (!skip_byte(&reader, 'd')) {
    return -1;
  }
  struct text key;
  while (next_key(&reader, &key)) {
    read_field(&reader, key, &found);
  }
  if (reader.bad || reader.at != reader.end || found.tid == NULL) {
    return -1;
  }
  *reply = found;
  return 0;
}
