#include "wire/krpc_fields.h"

#include "wire/bencode.h"

#include <string.h>

static const char key_names[][13] = {
#define KEY_NAME(key, text) [key] = {text},
    KAD_KEY_MAP(KEY_NAME)
#undef KEY_NAME
};

/* Returns which of the keys `first` … `last` is `name`, or KAD_KEY_COUNT. All
 * of them are as long as `name`. */
static enum kad_key find_among(struct kad_slice name, enum kad_key first,
                               enum kad_key last) {
  for (unsigned i = first; i <= last; i++) {
    if (name.data[0] == (uint8_t)key_names[i][0] &&
        memcmp(name.data, key_names[i], name.len) == 0) {
      return (enum kad_key)i;
    }
  }
  return KAD_KEY_COUNT;
}

/* Returns the key `name`, or KAD_KEY_COUNT if it is not known. */
static enum kad_key find_key(struct kad_slice name) {
  switch (name.len) {
  case 1:
    return find_among(name, KAD_KEY_A, KAD_KEY_Y);
  case 2:
    return find_among(name, KAD_KEY_ID, KAD_KEY_RO);
  case 3:
    return find_among(name, KAD_KEY_CAS, KAD_KEY_WHY);
  case 4:
    return find_among(name, KAD_KEY_BFPE, KAD_KEY_WANT);
  case 5:
    return find_among(name, KAD_KEY_NODES, KAD_KEY_TOTAL);
  case 6:
    return find_among(name, KAD_KEY_ERRORS, KAD_KEY_VALUES);
  case 7:
    return find_among(name, KAD_KEY_SAMPLES, KAD_KEY_SAMPLES);
  case 8:
    return find_among(name, KAD_KEY_INTERVAL, KAD_KEY_INTERVAL);
  case 9:
    return find_among(name, KAD_KEY_INFO_HASH, KAD_KEY_INFO_HASH);
  case 12:
    return find_among(name, KAD_KEY_IMPLIED_PORT, KAD_KEY_IMPLIED_PORT);
  default:
    return KAD_KEY_COUNT;
  }
}

/* Reads a key and its value from the front of `rest` into the field of the key.
 * Skips the value of an unknown key and of a repeated one. */
static bool read_field(struct kad_slice *rest, unsigned depth,
                       struct kad_fields *fields, struct kad_slice *name) {
  struct kad_bencode skipped;
  if (!kad_bencode_read_string(rest, name)) {
    return false;
  }
  enum kad_key key = find_key(*name);
  if (key == KAD_KEY_COUNT || (fields->present & KAD_KEY_BIT(key))) {
    return kad_bencode_read(rest, depth, &skipped);
  }
  fields->present |= KAD_KEY_BIT(key);
  return kad_bencode_read(rest, depth, &fields->values[key]);
}

void kad_fields_collect(struct kad_slice items, struct kad_fields *fields) {
  struct kad_slice name;
  fields->present = 0;
  while (read_field(&items, KAD_BENCODE_MAX_DEPTH, fields, &name)) {
  }
}

bool kad_fields_parse(struct kad_slice datagram, struct kad_fields *fields) {
  if (datagram.len < 2 || datagram.data[0] != 'd') {
    return false;
  }
  struct kad_slice rest = {datagram.data + 1, datagram.len - 1};
  struct kad_slice names[2] = {{NULL, 0}, {NULL, 0}};
  fields->present = 0;
  for (unsigned i = 0; rest.len > 0 && rest.data[0] != 'e'; i ^= 1) {
    if (!read_field(&rest, KAD_BENCODE_MAX_DEPTH - 1, fields, &names[i]) ||
        (names[i ^ 1].data != NULL && kad_slice_equal(names[0], names[1]))) {
      return false;
    }
  }
  return rest.len == 1;
}

const struct kad_bencode *kad_fields_find(const struct kad_fields *fields,
                                          enum kad_key key,
                                          enum kad_bencode_type type) {
  const struct kad_bencode *value = &fields->values[key];
  bool found = (fields->present & KAD_KEY_BIT(key)) && value->type == type;
  return found ? value : NULL;
}

bool kad_fields_string(const struct kad_fields *fields, enum kad_key key,
                       size_t min, size_t max, struct kad_slice *bytes) {
  const struct kad_bencode *value =
      kad_fields_find(fields, key, KAD_BENCODE_STRING);
  if (value == NULL || value->bytes.len < min || value->bytes.len > max) {
    return kad_fields_is_absent(fields, key);
  }
  *bytes = value->bytes;
  return true;
}

bool kad_fields_id(const struct kad_fields *fields, enum kad_key key,
                   size_t id_size, bool *has, struct kad_id *id) {
  struct kad_slice bytes = {NULL, 0};
  if (!kad_fields_string(fields, key, id_size, id_size, &bytes)) {
    return false;
  }
  if (bytes.data != NULL) {
    *has = true;
    memcpy(id->bytes, bytes.data, id_size);
  }
  return true;
}

bool kad_fields_integer(const struct kad_fields *fields, enum kad_key key,
                        bool *has, int64_t *integer) {
  const struct kad_bencode *value =
      kad_fields_find(fields, key, KAD_BENCODE_INTEGER);
  if (value == NULL) {
    return kad_fields_is_absent(fields, key);
  }
  *has = true;
  *integer = value->integer;
  return true;
}

bool kad_fields_flag(const struct kad_fields *fields, enum kad_key key,
                     bool *flag) {
  bool has = false;
  int64_t integer = 0;
  if (!kad_fields_integer(fields, key, &has, &integer)) {
    return false;
  }
  *flag = integer == 1;
  return true;
}

bool kad_fields_number(const struct kad_fields *fields, enum kad_key key,
                       bool *has, uint32_t *number) {
  const struct kad_bencode *value =
      kad_fields_find(fields, key, KAD_BENCODE_INTEGER);
  if (value == NULL || value->integer < 0 || value->integer > UINT32_MAX) {
    return kad_fields_is_absent(fields, key);
  }
  *has = true;
  *number = (uint32_t)value->integer;
  return true;
}
