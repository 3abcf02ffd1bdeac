/* Parses bencode. Iterating over an accepted value must reach its last item,
 * and writing the items must give the same bytes. */
#include "kadenza.h"
#include "target.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A container that is being written. */
struct level {
  struct kad_slice rest;
  bool is_dict;
};

struct stack {
  struct level levels[KAD_BENCODE_MAX_DEPTH];
  unsigned depth;
};

static void check_within(struct kad_slice outer, struct kad_slice inner) {
  assert(inner.data >= outer.data);
  assert(inner.len <= outer.len);
  assert(inner.data + inner.len <= outer.data + outer.len);
}

/* Writes `value`, or the start of a container, whose items the stack writes. */
static void write_value(struct kad_writer *writer, struct stack *stack,
                        const struct kad_bencode *value) {
  bool is_dict = value->type == KAD_BENCODE_DICT;
  switch (value->type) {
  case KAD_BENCODE_INTEGER:
    kad_write_integer(writer, value->integer);
    break;
  case KAD_BENCODE_STRING:
    kad_write_string(writer, value->bytes);
    break;
  case KAD_BENCODE_LIST:
  case KAD_BENCODE_DICT:
    if (is_dict) {
      kad_write_dict(writer);
    } else {
      kad_write_list(writer);
    }
    assert(stack->depth < KAD_BENCODE_MAX_DEPTH);
    stack->levels[stack->depth++] = (struct level){value->bytes, is_dict};
    break;
  }
}

/* Reads the next item of the innermost container. Returns false at its end. */
static bool take_item(struct kad_writer *writer, struct level *level,
                      struct kad_bencode *item) {
  struct kad_slice key;
  if (!level->is_dict) {
    return kad_bencode_next(&level->rest, item);
  }
  if (!kad_bencode_next_pair(&level->rest, &key, item)) {
    return false;
  }
  kad_write_string(writer, key);
  return true;
}

static void write_again(struct kad_writer *writer,
                        const struct kad_bencode *value) {
  struct stack stack = {.depth = 0};
  write_value(writer, &stack, value);
  while (stack.depth > 0) {
    struct level *level = &stack.levels[stack.depth - 1];
    struct kad_bencode item;
    if (take_item(writer, level, &item)) {
      check_within(value->raw, item.raw);
      check_within(item.raw, item.bytes.data != NULL ? item.bytes : item.raw);
      write_value(writer, &stack, &item);
      continue;
    }
    /* An accepted value has no malformed items. */
    assert(level->rest.len == 0);
    kad_write_close(writer);
    stack.depth--;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct kad_slice in = {data, size};
  struct kad_bencode value;
  if (kad_bencode_parse(in, &value) != 0) {
    return 0;
  }
  assert(value.raw.data == data && value.raw.len == size);
  uint8_t *memory = malloc(size);
  assert(memory != NULL);
  struct kad_writer writer = {.data = memory, .cap = size};
  write_again(&writer, &value);
  assert(!writer.overflow);
  assert(writer.len == size);
  assert(memcmp(memory, data, size) == 0);
  free(memory);
  return 0;
}
