#include "records/token.h"

#include "unit.h"

#include <string.h>

enum {
  SLOT_MS = 300000
};

static const struct kad_token_maker maker = {
    .secret = "sixteen unknown.",
    .slot_ms = SLOT_MS,
};
static const struct kad_id target = {.bytes = {1, 2, 3}};
static const struct kad_address address = {
    .ip = {192, 0, 2, 1}, .port = 6881, .family = 4};

/* Makes a token for `address` and `target` at `made` and checks it at
 * `checked`.
 */
static bool holds(kad_time_ms made, kad_time_ms checked) {
  uint8_t token[KAD_TOKEN_SIZE];
  kad_token_make(&maker, &address, &target, made, token);
  return kad_token_check(&maker, &address, &target, checked,
                         (struct kad_slice){token, sizeof token});
}

/* Checks a token that was made for `address` and `target` for another pair. */
static bool holds_for(const struct kad_address *other_address,
                      const struct kad_id *other_target) {
  uint8_t token[KAD_TOKEN_SIZE];
  kad_token_make(&maker, &address, &target, SLOT_MS, token);
  return kad_token_check(&maker, other_address, other_target, SLOT_MS,
                         (struct kad_slice){token, sizeof token});
}

static void accepts_a_token_in_its_slot_and_the_next(void **state) {
  (void)state;

  assert_true(holds(0, 0));
  assert_true(holds(0, SLOT_MS - 1));
  assert_true(holds(0, SLOT_MS));
  assert_true(holds(7 * SLOT_MS, 9 * SLOT_MS - 1));
}

static void rejects_a_token_after_two_slots(void **state) {
  (void)state;

  assert_false(holds(0, 2 * SLOT_MS));
  assert_false(holds(SLOT_MS - 1, 2 * SLOT_MS));
  assert_false(holds(7 * SLOT_MS, 9 * SLOT_MS));
}

static void rejects_a_token_from_the_future(void **state) {
  (void)state;

  assert_false(holds(SLOT_MS, 0));
  assert_false(holds(9 * SLOT_MS, 8 * SLOT_MS));
}

static void token_depends_on_the_ip_not_on_the_port(void **state) {
  (void)state;
  struct kad_address moved = address;
  moved.port = 1;
  moved.via = 3;
  struct kad_address other = address;
  other.ip[3]++;
  struct kad_address six = address;
  six.family = 6;

  assert_true(holds_for(&moved, &target));
  assert_false(holds_for(&other, &target));
  assert_false(holds_for(&six, &target));
}

static void token_depends_on_every_byte_of_an_ipv6_address(void **state) {
  (void)state;
  struct kad_address six = {.family = 6, .port = 1, .ip = {0x20, 1, 0xd, 0xb8}};
  struct kad_address other = six;
  other.ip[15] = 1;
  uint8_t token[KAD_TOKEN_SIZE];

  kad_token_make(&maker, &six, &target, 0, token);

  struct kad_slice slice = {token, sizeof token};
  assert_true(kad_token_check(&maker, &six, &target, 0, slice));
  assert_false(kad_token_check(&maker, &other, &target, 0, slice));
}

static void token_depends_on_every_byte_of_the_target(void **state) {
  (void)state;
  struct kad_id first = target;
  first.bytes[0]++;
  struct kad_id last = target;
  last.bytes[KAD_ID_SIZE - 1]++;

  assert_true(holds_for(&address, &target));
  assert_false(holds_for(&address, &first));
  assert_false(holds_for(&address, &last));
}

static void token_depends_on_the_secret(void **state) {
  (void)state;
  struct kad_token_maker other = maker;
  other.secret[15] ^= 1;
  uint8_t token[KAD_TOKEN_SIZE];

  kad_token_make(&other, &address, &target, 0, token);

  assert_false(kad_token_check(&maker, &address, &target, 0,
                               (struct kad_slice){token, sizeof token}));
}

static void rejects_a_token_with_any_bit_changed(void **state) {
  (void)state;
  uint8_t token[KAD_TOKEN_SIZE];
  kad_token_make(&maker, &address, &target, 0, token);

  for (size_t bit = 0; bit < sizeof token * 8; bit++) {
    uint8_t changed[KAD_TOKEN_SIZE];
    memcpy(changed, token, sizeof token);
    changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
    assert_false(kad_token_check(&maker, &address, &target, 0,
                                 (struct kad_slice){changed, sizeof changed}));
  }
}

static void rejects_a_token_of_any_other_length(void **state) {
  (void)state;
  uint8_t token[64] = {0};
  kad_token_make(&maker, &address, &target, 0, token);

  for (size_t len = 0; len <= sizeof token; len++) {
    struct kad_slice slice = {len == 0 ? NULL : token, len};
    assert_int_equal(kad_token_check(&maker, &address, &target, 0, slice),
                     len == KAD_TOKEN_SIZE);
  }
}

static void handles_the_largest_time(void **state) {
  (void)state;

  assert_true(holds(KAD_TIME_NEVER, KAD_TIME_NEVER));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(accepts_a_token_in_its_slot_and_the_next),
      cmocka_unit_test(rejects_a_token_after_two_slots),
      cmocka_unit_test(rejects_a_token_from_the_future),
      cmocka_unit_test(token_depends_on_the_ip_not_on_the_port),
      cmocka_unit_test(token_depends_on_every_byte_of_an_ipv6_address),
      cmocka_unit_test(token_depends_on_every_byte_of_the_target),
      cmocka_unit_test(token_depends_on_the_secret),
      cmocka_unit_test(rejects_a_token_with_any_bit_changed),
      cmocka_unit_test(rejects_a_token_of_any_other_length),
      cmocka_unit_test(handles_the_largest_time),
  };
  return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
