#include "sim/trace.h"

#include "unit.h"

#include <string.h>

enum {
  SIZE = 29
};

/* The parts of a datagram in a trace. */
struct event {
  kad_time_ms now;
  struct kad_address from;
  struct kad_address to;
  uint8_t bytes[SIZE];
  size_t len;
};

static struct event plain(void) {
  struct event event = {
      .now = 1000,
      .from = {.ip = {80, 1, 2, 3}, .port = 6881, .family = 4},
      .to = {.ip = {81, 1, 2, 3}, .port = 6881, .family = 4},
      .len = SIZE,
  };
  memset(event.bytes, 'a', sizeof event.bytes);
  return event;
}

static uint64_t hash_of(const struct event *first, const struct event *second) {
  struct kad_trace trace = {0};
  kad_trace_add(&trace, first->now, &first->from, &first->to,
                (struct kad_slice){first->bytes, first->len});
  kad_trace_add(&trace, second->now, &second->from, &second->to,
                (struct kad_slice){second->bytes, second->len});
  return trace.hash;
}

static void assert_matters(const struct event *changed) {
  const struct event event = plain();
  const uint64_t expected = hash_of(&event, &event);
  assert_true(hash_of(changed, &event) != expected);
  assert_true(hash_of(&event, changed) != expected);
}

static void the_same_events_have_the_same_hash(void **state) {
  (void)state;
  const struct event a = plain();
  struct event b = plain();
  b.from.via = 1; /* the receiving socket is not part of the hash */
  assert_true(hash_of(&a, &a) == hash_of(&b, &b));
}

static void times_and_addresses_matter(void **state) {
  (void)state;
  struct event event = plain();
  event.now++;
  assert_matters(&event);
  event = plain();
  event.from.port++;
  assert_matters(&event);
  event = plain();
  event.to.ip[3]++;
  assert_matters(&event);
  event = plain();
  event.from = plain().to;
  event.to = plain().from;
  assert_matters(&event);
}

static void all_of_an_ip6_address_matters(void **state) {
  (void)state;
  struct event a = plain();
  a.to = (struct kad_address){.ip = {0x20}, .port = 1, .family = 6};
  struct event b = a;
  b.to.ip[15] = 1;
  assert_true(hash_of(&a, &a) != hash_of(&b, &a));
}

static void every_byte_and_the_length_matter(void **state) {
  (void)state;
  for (size_t i = 0; i < SIZE; i++) {
    struct event event = plain();
    event.bytes[i] ^= 0x80;
    assert_matters(&event);
  }
  for (size_t len = 0; len < SIZE; len++) {
    struct event event = plain();
    event.len = len;
    assert_matters(&event);
  }
}

static void the_order_matters(void **state) {
  (void)state;
  const struct event a = plain();
  struct event b = plain();
  b.bytes[0] = 'b';
  assert_true(hash_of(&a, &b) != hash_of(&b, &a));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_same_events_have_the_same_hash),
      cmocka_unit_test(times_and_addresses_matter),
      cmocka_unit_test(all_of_an_ip6_address_matters),
      cmocka_unit_test(every_byte_and_the_length_matter),
      cmocka_unit_test(the_order_matters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
