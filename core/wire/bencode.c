#include "wire/bencode.h"

#include <string.h>

/* A place in a buffer. Two pointers are cheaper to move on than a slice. */
struct cursor {
  const uint8_t *at;
  const uint8_t *end;
};

/* A container that has begun and not yet ended. */
struct level {
  bool is_dict;
  struct kad_slice key; /* the last key; `data` is NULL before the first */
};

static size_t remaining(const struct cursor *cursor) {
  return (size_t)(cursor->end - cursor->at);
}

/* ------------------------------------------------------------- reading -- */

static bool scan_string(struct cursor *cursor, struct kad_slice *bytes) {
  struct cursor at = *cursor;
  if (at.at == at.end || *at.at < '0' || *at.at > '9') {
    return false;
  }
  size_t len = (size_t)(*at.at++ - '0');
  while (at.at != at.end && *at.at != ':') {
    unsigned digit = (unsigned)*at.at - '0';
    /* A digit after a zero would be a second form of the same length; a length
     * past what is left is refused before it can overflow. */
    if (digit > 9 || len == 0 || len > remaining(&at)) {
      return false;
    }
    len = len * 10 + digit;
    at.at++;
  }
  if (at.at == at.end || len > remaining(&at) - 1) {
    return false;
  }
  bytes->data = at.at + 1;
  bytes->len = len;
  cursor->at = at.at + 1 + len;
  return true;
}

/* Reads the digits of a magnitude up to `limit`, in their one form. */
static bool scan_magnitude(struct cursor *cursor, uint64_t limit,
                           uint64_t *magnitude) {
  const uint8_t *start = cursor->at;
  uint64_t sum = 0;
  while (cursor->at != cursor->end && *cursor->at != 'e') {
    unsigned digit = (unsigned)*cursor->at - '0';
    if (digit > 9 || (sum == 0 && cursor->at != start) ||
        sum > (limit - digit) / 10) {
      return false;
    }
    sum = sum * 10 + digit;
    cursor->at++;
  }
  *magnitude = sum;
  return cursor->at != start && cursor->at != cursor->end;
}

static bool scan_integer(struct cursor *cursor, int64_t *integer) {
  struct cursor at = {cursor->at + 1, cursor->end};
  bool negative = at.at != at.end && *at.at == '-';
  uint64_t limit = INT64_MAX;
  if (negative) {
    at.at++;
    limit++;
  }
  uint64_t magnitude = 0;
  if (!scan_magnitude(&at, limit, &magnitude) || (negative && magnitude == 0)) {
    return false;
  }
  /* The magnitude of the smallest integer does not fit its own type. */
  *integer = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
  cursor->at = at.at + 1;
  return true;
}

/* Reads the next key of a dictionary, which may not be the one before it. */
static bool scan_key(struct cursor *cursor, struct kad_slice *last) {
  struct kad_slice key;
  if (!scan_string(cursor, &key) ||
      (last->data != NULL && kad_slice_equal(key, *last))) {
    return false;
  }
  *last = key;
  return true;
}

static bool scan_scalar(struct cursor *cursor) {
  int64_t integer;
  struct kad_slice bytes;
  if (cursor->at != cursor->end && *cursor->at == 'i') {
    return scan_integer(cursor, &integer);
  }
  return scan_string(cursor, &bytes);
}

static bool at_container(const struct cursor *cursor) {
  return cursor->at != cursor->end &&
         (*cursor->at == 'l' || *cursor->at == 'd');
}

/* The containers that are open at a place, the outermost first. */
struct nesting {
  struct level levels[KAD_BENCODE_MAX_DEPTH];
  unsigned open;
};

/* Passes over a scalar, or the begin or end of a container. */
static bool scan_step(struct cursor *cursor, unsigned depth,
                      struct nesting *nesting) {
  if (nesting->open > 0) {
    struct level *level = &nesting->levels[nesting->open - 1];
    if (cursor->at != cursor->end && *cursor->at == 'e') {
      cursor->at++;
      nesting->open--;
      return true;
    }
    if (level->is_dict && !scan_key(cursor, &level->key)) {
      return false;
    }
  }
  if (!at_container(cursor)) {
    return scan_scalar(cursor);
  }
  if (nesting->open == depth) {
    return false;
  }
  struct level *level = &nesting->levels[nesting->open++];
  level->is_dict = *cursor->at == 'd';
  level->key.data = NULL;
  cursor->at++;
  return true;
}

/* Passes over a list or dictionary that nests at most `depth` deep. */
static bool scan_container(struct cursor *cursor, unsigned depth) {
  struct nesting nesting;
  nesting.open = 0;
  do {
    if (!scan_step(cursor, depth, &nesting)) {
      return false;
    }
  } while (nesting.open > 0);
  return true;
}

bool kad_bencode_take(struct kad_slice *rest, unsigned depth,
                      struct kad_bencode *value) {
  if (rest->len == 0) {
    return false;
  }
  struct cursor cursor = {rest->data, rest->data + rest->len};
  struct kad_bencode found = {.type = KAD_BENCODE_STRING};
  if (at_container(&cursor)) {
    found.type = *cursor.at == 'd' ? KAD_BENCODE_DICT : KAD_BENCODE_LIST;
    if (!scan_container(&cursor, depth)) {
      return false;
    }
    found.bytes.data = rest->data + 1;
    found.bytes.len = (size_t)(cursor.at - rest->data) - 2;
  } else if (*cursor.at == 'i') {
    found.type = KAD_BENCODE_INTEGER;
    if (!scan_integer(&cursor, &found.integer)) {
      return false;
    }
  } else if (!scan_string(&cursor, &found.bytes)) {
    return false;
  }
  found.raw.data = rest->data;
  found.raw.len = (size_t)(cursor.at - rest->data);
  rest->data = cursor.at;
  rest->len -= found.raw.len;
  *value = found;
  return true;
}

bool kad_bencode_take_string(struct kad_slice *rest, struct kad_slice *bytes) {
  if (rest->len == 0) {
    return false;
  }
  struct cursor cursor = {rest->data, rest->data + rest->len};
  if (!scan_string(&cursor, bytes)) {
    return false;
  }
  rest->len = remaining(&cursor);
  rest->data = cursor.at;
  return true;
}

int kad_bencode_parse(struct kad_slice in, struct kad_bencode *value) {
  struct kad_bencode found;
  if (!kad_bencode_take(&in, KAD_BENCODE_MAX_DEPTH, &found) || in.len != 0) {
    return KAD_EMALFORMED;
  }
  *value = found;
  return 0;
}

bool kad_bencode_next(struct kad_slice *rest, struct kad_bencode *value) {
  return kad_bencode_take(rest, KAD_BENCODE_MAX_DEPTH, value);
}

bool kad_bencode_next_pair(struct kad_slice *rest, struct kad_slice *key,
                           struct kad_bencode *value) {
  return kad_bencode_take_string(rest, key) &&
         kad_bencode_take(rest, KAD_BENCODE_MAX_DEPTH, value);
}

bool kad_bencode_find(const struct kad_bencode *dict, const char *key,
                      struct kad_bencode *value) {
  if (dict->type != KAD_BENCODE_DICT) {
    return false;
  }
  struct kad_slice wanted = kad_slice_of(key);
  struct kad_slice rest = dict->bytes;
  struct kad_slice name;
  struct kad_bencode item;
  while (kad_bencode_next_pair(&rest, &name, &item)) {
    if (kad_slice_equal(name, wanted)) {
      *value = item;
      return true;
    }
  }
  return false;
}

/* ------------------------------------------------------------- writing -- */

size_t kad_decimal_size(uint64_t value) {
  size_t size = 1;
  while (value >= 10) {
    value /= 10;
    size++;
  }
  return size;
}

/* Writes the digits of `value` so that they end before `end`. */
static void put_decimal(uint8_t *end, uint64_t value) {
  do {
    *--end = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value > 0);
}

static uint8_t *reserve(struct kad_writer *writer, size_t size) {
  if (writer->overflow || size > writer->cap - writer->len) {
    writer->overflow = true;
    return NULL;
  }
  uint8_t *place = writer->data + writer->len;
  writer->len += size;
  return place;
}

static void write_byte(struct kad_writer *writer, char byte) {
  uint8_t *place = reserve(writer, 1);
  if (place != NULL) {
    *place = (uint8_t)byte;
  }
}

void kad_write_integer(struct kad_writer *writer, int64_t value) {
  bool negative = value < 0;
  /* Negated without a sign, as the smallest integer has no opposite. */
  uint64_t magnitude = negative ? 0 - (uint64_t)value : (uint64_t)value;
  size_t size = kad_decimal_size(magnitude) + (negative ? 3 : 2);
  uint8_t *place = reserve(writer, size);
  if (place == NULL) {
    return;
  }
  place[0] = 'i';
  place[1] = '-'; /* the first digit takes its place if there is no sign */
  put_decimal(place + size - 1, magnitude);
  place[size - 1] = 'e';
}

uint8_t *kad_writer_reserve_string(struct kad_writer *writer, size_t len) {
  size_t digits = kad_decimal_size(len);
  uint8_t *place = reserve(writer, digits + 1 + len);
  if (place == NULL) {
    return NULL;
  }
  put_decimal(place + digits, len);
  place[digits] = ':';
  return place + digits + 1;
}

void kad_write_string(struct kad_writer *writer, struct kad_slice bytes) {
  uint8_t *place = kad_writer_reserve_string(writer, bytes.len);
  if (place != NULL && bytes.len > 0) {
    memcpy(place, bytes.data, bytes.len);
  }
}

void kad_write_key(struct kad_writer *writer, const char *key) {
  kad_write_string(writer, kad_slice_of(key));
}

void kad_write_dict(struct kad_writer *writer) {
  write_byte(writer, 'd');
}

void kad_write_list(struct kad_writer *writer) {
  write_byte(writer, 'l');
}

void kad_write_close(struct kad_writer *writer) {
  write_byte(writer, 'e');
}

void kad_write_raw(struct kad_writer *writer, struct kad_slice bytes) {
  uint8_t *place = reserve(writer, bytes.len);
  if (place != NULL && bytes.len > 0) {
    memcpy(place, bytes.data, bytes.len);
  }
}
