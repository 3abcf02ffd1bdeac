#include "wire/bencode.h"

#include <string.h>

/* An open container. */
struct level {
  bool is_dict;
  struct kad_slice key; /* the last key; `data` is NULL before the first */
};

/* The open containers, the outermost first. */
struct nesting {
  struct level levels[KAD_BENCODE_MAX_DEPTH];
  unsigned open;
  bool sorted; /* keys of dictionaries must ascend */
};

/* Each scan_ function reads one item between `at` and `end`. It returns the
 * position after the item, or NULL when the item is malformed. */

static inline const uint8_t *scan_string(const uint8_t *at, const uint8_t *end,
                                         struct kad_slice *bytes) {
  if (at == end || *at < '0' || *at > '9') {
    return NULL;
  }
  size_t len = (size_t)(*at++ - '0');
  while (at != end && *at != ':') {
    unsigned digit = (unsigned)*at - '0';
    /* No leading zeros: a length has one form. A length above the rest is
     * refused before it can overflow. */
    if (digit > 9 || len == 0 || len > (size_t)(end - at)) {
      return NULL;
    }
    len = len * 10 + digit;
    at++;
  }
  if (at == end || len > (size_t)(end - at) - 1) {
    return NULL;
  }
  bytes->data = at + 1;
  bytes->len = len;
  return at + 1 + len;
}

/* Reads the digits of a magnitude up to `limit`, without leading zeros. */
static const uint8_t *scan_magnitude(const uint8_t *at, const uint8_t *end,
                                     uint64_t limit, uint64_t *magnitude) {
  const uint8_t *start = at;
  uint64_t sum = 0;
  while (at != end && *at != 'e') {
    unsigned digit = (unsigned)*at - '0';
    if (digit > 9 || (sum == 0 && at != start) || sum > (limit - digit) / 10) {
      return NULL;
    }
    sum = sum * 10 + digit;
    at++;
  }
  *magnitude = sum;
  return at == start || at == end ? NULL : at + 1;
}

/* Reads an integer. `at` is at its `i`. */
static const uint8_t *scan_integer(const uint8_t *at, const uint8_t *end,
                                   int64_t *integer) {
  bool negative = end - at > 1 && at[1] == '-';
  uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
  uint64_t magnitude = 0;
  at = scan_magnitude(negative ? at + 2 : at + 1, end, limit, &magnitude);
  if (at == NULL || (negative && magnitude == 0)) {
    return NULL;
  }
  /* The magnitude of INT64_MIN does not fit int64_t. */
  *integer = negative ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
  return at;
}

/* Returns true if the bytes of `a` come before those of `b`. */
static bool precedes(struct kad_slice a, struct kad_slice b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
  return order < 0 || (order == 0 && a.len < b.len);
}

/* Reads the next key of a dictionary. It must differ from the previous one, and
 * come behind it if keys are `sorted`. */
static const uint8_t *scan_key(const uint8_t *at, const uint8_t *end,
                               bool sorted, struct kad_slice *last) {
  struct kad_slice key;
  at = scan_string(at, end, &key);
  if (at == NULL ||
      (last->data != NULL &&
       (sorted ? !precedes(*last, key) : kad_slice_equal(key, *last)))) {
    return NULL;
  }
  last->data = key.data;
  last->len = key.len;
  return at;
}

static const uint8_t *scan_scalar(const uint8_t *at, const uint8_t *end) {
  int64_t integer;
  struct kad_slice bytes;
  if (at != end && *at == 'i') {
    return scan_integer(at, end, &integer);
  }
  return scan_string(at, end, &bytes);
}

static bool is_container(uint8_t byte) {
  return byte == 'l' || byte == 'd';
}

/* Reads a scalar, or the start or the end of a container. */
static const uint8_t *scan_step(const uint8_t *at, const uint8_t *end,
                                unsigned depth, struct nesting *nesting) {
  if (nesting->open > 0) {
    struct level *level = &nesting->levels[nesting->open - 1];
    if (at != end && *at == 'e') {
      nesting->open--;
      return at + 1;
    }
    at = level->is_dict ? scan_key(at, end, nesting->sorted, &level->key) : at;
    if (at == NULL) {
      return NULL;
    }
  }
  if (at == end || !is_container(*at)) {
    return scan_scalar(at, end);
  }
  if (nesting->open == depth) {
    return NULL;
  }
  struct level *level = &nesting->levels[nesting->open++];
  level->is_dict = *at == 'd';
  level->key.data = NULL;
  return at + 1;
}

/* Reads a list or dictionary that nests up to `depth`. */
static const uint8_t *scan_container(const uint8_t *at, const uint8_t *end,
                                     unsigned depth, bool sorted) {
  struct nesting nesting;
  nesting.open = 0;
  nesting.sorted = sorted;
  do {
    at = scan_step(at, end, depth, &nesting);
  } while (at != NULL && nesting.open > 0);
  return at;
}

/* Sets the fields of `value` one by one: copying a struct right after setting
 * its fields would stall until they reach memory. */
bool kad_bencode_read(struct kad_slice *rest, unsigned depth,
                      struct kad_bencode *value) {
  if (rest->len == 0) {
    return false;
  }
  const uint8_t *start = rest->data;
  const uint8_t *end = start + rest->len;
  const uint8_t *at;
  value->integer = 0;
  if (is_container(*start)) {
    value->type = *start == 'd' ? KAD_BENCODE_DICT : KAD_BENCODE_LIST;
    at = scan_container(start, end, depth, false);
    value->bytes.data = start + 1;
    value->bytes.len = at != NULL ? (size_t)(at - start) - 2 : 0;
  } else if (*start == 'i') {
    value->type = KAD_BENCODE_INTEGER;
    value->bytes.data = NULL;
    value->bytes.len = 0;
    at = scan_integer(start, end, &value->integer);
  } else {
    value->type = KAD_BENCODE_STRING;
    at = scan_string(start, end, &value->bytes);
  }
  if (at == NULL) {
    return false;
  }
  value->raw.data = start;
  value->raw.len = (size_t)(at - start);
  rest->data = at;
  rest->len = (size_t)(end - at);
  return true;
}

bool kad_bencode_is_canonical(struct kad_slice in, unsigned depth) {
  struct kad_bencode value;
  struct kad_slice rest = in;
  if (!kad_bencode_read(&rest, depth, &value) || rest.len != 0) {
    return false;
  }
  return !is_container(*in.data) ||
         scan_container(in.data, in.data + in.len, depth, true) != NULL;
}

bool kad_bencode_read_string(struct kad_slice *rest, struct kad_slice *bytes) {
  if (rest->len == 0) {
    return false;
  }
  const uint8_t *end = rest->data + rest->len;
  const uint8_t *at = scan_string(rest->data, end, bytes);
  if (at == NULL) {
    return false;
  }
  rest->data = at;
  rest->len = (size_t)(end - at);
  return true;
}

int kad_bencode_parse(struct kad_slice in, struct kad_bencode *value) {
  if (value == NULL) {
    return KAD_EINVAL;
  }
  struct kad_bencode found;
  if (!kad_bencode_read(&in, KAD_BENCODE_MAX_DEPTH, &found) || in.len != 0) {
    return KAD_EMALFORMED;
  }
  *value = found;
  return 0;
}

bool kad_bencode_next(struct kad_slice *rest, struct kad_bencode *value) {
  if (rest == NULL || value == NULL) {
    return false;
  }
  return kad_bencode_read(rest, KAD_BENCODE_MAX_DEPTH, value);
}

bool kad_bencode_next_pair(struct kad_slice *rest, struct kad_slice *key,
                           struct kad_bencode *value) {
  if (rest == NULL || key == NULL || value == NULL) {
    return false;
  }
  return kad_bencode_read_string(rest, key) &&
         kad_bencode_read(rest, KAD_BENCODE_MAX_DEPTH, value);
}

bool kad_bencode_find(const struct kad_bencode *dict, const char *key,
                      struct kad_bencode *value) {
  if (dict == NULL || key == NULL || value == NULL) {
    return false;
  }
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

size_t kad_decimal_size(uint64_t value) {
  size_t size = 1;
  while (value >= 10) {
    value /= 10;
    size++;
  }
  return size;
}

/* Writes the digits of `value` before `end`. */
static void write_decimal(uint8_t *end, uint64_t value) {
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
  if (writer == NULL) {
    return;
  }
  bool negative = value < 0;
  /* Negates without a sign, because INT64_MIN has no opposite. */
  uint64_t magnitude = negative ? 0 - (uint64_t)value : (uint64_t)value;
  size_t size = kad_decimal_size(magnitude) + (negative ? 3 : 2);
  uint8_t *place = reserve(writer, size);
  if (place == NULL) {
    return;
  }
  place[0] = 'i';
  place[1] = '-'; /* the first digit overwrites it if there is no sign */
  write_decimal(place + size - 1, magnitude);
  place[size - 1] = 'e';
}

uint8_t *kad_writer_reserve_string(struct kad_writer *writer, size_t len) {
  size_t digits = kad_decimal_size(len);
  uint8_t *place = reserve(writer, digits + 1 + len);
  if (place == NULL) {
    return NULL;
  }
  write_decimal(place + digits, len);
  place[digits] = ':';
  return place + digits + 1;
}

void kad_write_string(struct kad_writer *writer, struct kad_slice bytes) {
  if (writer == NULL) {
    return;
  }
  uint8_t *place = kad_writer_reserve_string(writer, bytes.len);
  if (place != NULL && bytes.len > 0) {
    memcpy(place, bytes.data, bytes.len);
  }
}

void kad_write_key(struct kad_writer *writer, const char *key) {
  if (writer == NULL || key == NULL) {
    return;
  }
  kad_write_string(writer, kad_slice_of(key));
}

void kad_write_dict(struct kad_writer *writer) {
  if (writer == NULL) {
    return;
  }
  write_byte(writer, 'd');
}

void kad_write_list(struct kad_writer *writer) {
  if (writer == NULL) {
    return;
  }
  write_byte(writer, 'l');
}

void kad_write_close(struct kad_writer *writer) {
  if (writer == NULL) {
    return;
  }
  write_byte(writer, 'e');
}

void kad_write_raw(struct kad_writer *writer, struct kad_slice bytes) {
  if (writer == NULL) {
    return;
  }
  uint8_t *place = reserve(writer, bytes.len);
  if (place != NULL && bytes.len > 0) {
    memcpy(place, bytes.data, bytes.len);
  }
}
