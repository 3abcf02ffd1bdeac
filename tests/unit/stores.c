#include "stores.h"

#include "unit.h"

#include <string.h>

void kad_stores_put(struct kad_lone *lone, unsigned who, uint8_t value) {
  const struct kad_contact from = kad_lone_contact(who);
  const struct kad_record record = {.value = {&value, 1}};
  kad_lone_store(lone, &from, &record, 1);
}

int kad_stores_code(struct kad_lone *lone, unsigned who, uint8_t value) {
  kad_stores_put(lone, who, value);
  return kad_lone_error(lone);
}

size_t kad_stores_held(struct kad_lone *lone, uint8_t *out) {
  const struct kad_contact reader = kad_lone_contact(999);
  size_t count = 0;
  struct kad_message reply;
  for (;;) {
    struct kad_message query;
    kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
    query.has_target = true;
    query.target = kad_lone_target;
    query.type = kad_slice_of("value");
    query.skip = (uint32_t)count;
    kad_lone_send(lone, &reader, &query);
    (void)kad_lone_reply(lone, &reply);
    if (reply.record_count == 0) {
      return count;
    }
    for (size_t i = 0; i < reply.record_count; i++) {
      out[count++] = reply.records[i].value.data[0];
    }
  }
}

void kad_stores_assert(struct kad_lone *lone, const char *expected) {
  uint8_t values[256];
  char text[257];
  const size_t count = kad_stores_held(lone, values);
  memcpy(text, values, count);
  text[count] = '\0';
  assert_string_equal(text, expected);
}

void kad_stores_assert_set(struct kad_lone *lone, const uint8_t *expected,
                           size_t size) {
  uint8_t values[256];
  const size_t count = kad_stores_held(lone, values);
  assert_int_equal(count, size);
  for (size_t i = 0; i < size; i++) {
    assert_non_null(memchr(values, expected[i], count));
  }
}
