#include "routing/hidden_contacts.h"

#include "unit.h"

static struct kad_hidden_contacts hidden;

static int begin(void **state) {
  (void)state;
  hidden = (struct kad_hidden_contacts){0};
  return 0;
}

static struct kad_address address(unsigned number) {
  return (struct kad_address){
      .ip = {20, 0, (uint8_t)(number >> 8), (uint8_t)number},
      .port = 6881,
      .family = 4,
  };
}

static void suspect(unsigned number, kad_time_ms now) {
  const struct kad_address silent = address(number);
  kad_hidden_contacts_suspect(&hidden, &silent, now);
}

static void query(unsigned number, kad_time_ms now) {
  const struct kad_address asking = address(number);
  kad_hidden_contacts_queried(&hidden, &asking, now);
}

static bool are_about(kad_time_ms now) {
  return kad_hidden_contacts_are_about(&hidden, now);
}

static void none_are_about_at_first(void **state) {
  (void)state;
  assert_false(are_about(0));
  query(1, 0);
  assert_false(are_about(0));
}

static void the_silent_may_be_dead(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2 * KAD_HIDDEN_SUSPECTS; i++) {
    suspect(i, i);
  }
  assert_false(are_about(100));
}

static void a_suspect_that_asks_is_hidden(void **state) {
  (void)state;
  suspect(1, 0);
  query(2, 5);
  assert_false(are_about(5));
  query(1, 10);
  assert_true(are_about(10));
}

/* It was dead meanwhile. */
static void a_suspect_that_asks_much_later_is_not(void **state) {
  (void)state;
  suspect(1, 0);
  query(1, KAD_HIDDEN_SUSPECT_MS);
  assert_false(are_about(KAD_HIDDEN_SUSPECT_MS));
}

static void a_hidden_contact_counts_for_a_while(void **state) {
  (void)state;
  suspect(1, 0);
  query(1, 10);
  assert_true(are_about(10 + KAD_HIDDEN_ABOUT_MS - 1));
  assert_false(are_about(10 + KAD_HIDDEN_ABOUT_MS));
}

static void a_suspect_counts_once(void **state) {
  (void)state;
  suspect(1, 0);
  query(1, 10);
  query(1, 20);
  assert_false(are_about(10 + KAD_HIDDEN_ABOUT_MS));
}

static void the_latest_suspects_are_remembered(void **state) {
  (void)state;
  for (unsigned i = 0; i <= KAD_HIDDEN_SUSPECTS; i++) {
    suspect(i, i);
  }
  query(0, 20);
  assert_false(are_about(20));
  query(1, 30);
  assert_true(are_about(30));
}

static void a_suspect_has_one_place(void **state) {
  (void)state;
  suspect(1, 0);
  for (unsigned i = 0; i < 2 * KAD_HIDDEN_SUSPECTS; i++) {
    suspect(2, i);
  }
  query(1, 20);
  assert_true(are_about(20));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, begin)
  const struct CMUnitTest tests[] = {
      TEST(none_are_about_at_first),
      TEST(the_silent_may_be_dead),
      TEST(a_suspect_that_asks_is_hidden),
      TEST(a_suspect_that_asks_much_later_is_not),
      TEST(a_hidden_contact_counts_for_a_while),
      TEST(a_suspect_counts_once),
      TEST(the_latest_suspects_are_remembered),
      TEST(a_suspect_has_one_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
