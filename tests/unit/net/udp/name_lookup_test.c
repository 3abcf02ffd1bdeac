/* For what uv.h needs. */
#define _DEFAULT_SOURCE

#include "net/udp/name_lookup.h"

#include "base/address.h"
#include "net/udp/udp.h"
#include "unit.h"

#include <netdb.h>
#include <string.h>

enum {
  MANY = 100
};

/* An answer of the resolver with addresses of these families. */
struct answer {
  struct addrinfo infos[MANY];
  union kad_socket_address addresses[MANY];
};

static void make_answer(struct answer *answer, const char *families) {
  size_t i = 0;
  for (; families[i] != '\0'; i++) {
    const struct kad_address address = {
        .family = families[i] == '6' ? 6 : 4,
        .ip = {[3] = (uint8_t)(i + 1)},
    };
    kad_udp_address_to_system(&address, &answer->addresses[i]);
    answer->infos[i] = (struct addrinfo){
        .ai_addr = &answer->addresses[i].any,
        .ai_next = families[i + 1] != '\0' ? &answer->infos[i + 1] : NULL,
    };
  }
}

static void addresses_keep_their_order(void **state) {
  (void)state;
  struct answer answer;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  make_answer(&answer, "64464");

  assert_int_equal(kad_name_addresses(answer.infos, addresses), 5);

  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(addresses[i].ip[3], i + 1);
    assert_int_equal(addresses[i].family, "64464"[i] - '0');
    assert_int_equal(addresses[i].port, 0);
  }
}

static void an_address_counts_once(void **state) {
  (void)state;
  struct answer answer;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  make_answer(&answer, "444");
  answer.infos[2].ai_addr = answer.infos[0].ai_addr;

  assert_int_equal(kad_name_addresses(answer.infos, addresses), 2);
}

/* Returns the number of addresses of `family`. */
static size_t count_family(const struct kad_address *addresses, size_t count,
                           unsigned family) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    found += addresses[i].family == family;
  }
  return found;
}

static void a_huge_answer_is_bounded_and_keeps_both_families(void **state) {
  (void)state;
  char families[MANY + 1] = {0};
  memset(families, '6', MANY);
  families[MANY - 1] = '4';
  families[MANY - 2] = '4';
  struct answer answer;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  make_answer(&answer, families);

  const size_t count = kad_name_addresses(answer.infos, addresses);

  assert_int_equal(count, KAD_RESOLVE_MAX);
  assert_int_equal(count_family(addresses, count, 4), 2);
  assert_int_equal(count_family(addresses, count, 6), KAD_RESOLVE_MAX - 2);
}

static void each_family_has_half_of_a_huge_answer(void **state) {
  (void)state;
  char families[MANY + 1] = {0};
  memset(families, '4', MANY);
  memset(families + MANY / 2, '6', MANY / 2);
  struct answer answer;
  struct kad_address addresses[KAD_RESOLVE_MAX];
  make_answer(&answer, families);

  const size_t count = kad_name_addresses(answer.infos, addresses);

  assert_int_equal(count, KAD_RESOLVE_MAX);
  assert_int_equal(count_family(addresses, count, 6), KAD_RESOLVE_MAX / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses_keep_their_order),
      cmocka_unit_test(an_address_counts_once),
      cmocka_unit_test(a_huge_answer_is_bounded_and_keeps_both_families),
      cmocka_unit_test(each_family_has_half_of_a_huge_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
