/* Which contacts a node names to others: not those that may be hidden behind a
 * NAT, once one turned out to be. Tests core/membership/liveness.c,
 * core/membership/contact_admission.c. */
#include "lone_node.h"
#include "routing/hidden_contacts.h"
#include "unit.h"

enum {
  MINUTE_MS = 60000,
  PING_MS = 600000, /* the default of ping_s */
  OPEN = 0,         /* answers always */
  NEWCOMER = 1,     /* answers too, when it has come */
  HIDDEN = 2,       /* answers only when it has just asked */
  ASKER = 3,
  CONTACTS = 4
};

static struct kad_lone lone;
static struct kad_contact contacts[CONTACTS];

static void run(kad_time_ms span_ms) {
  kad_lone_run_answering(&lone, span_ms, contacts, HIDDEN);
}

/* Opens a node that knows an open contact and a hidden one, which has fallen
 * silent and left its pings unanswered. */
static int begin(void **state) {
  (void)state;
  kad_lone_open(&lone, NULL);
  for (unsigned i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact(i + 1);
  }
  kad_lone_add_contact(&lone, &contacts[OPEN]);
  kad_lone_add_contact(&lone, &contacts[HIDDEN]);
  lone.answered = lone.sent;
  run(PING_MS + 3 * MINUTE_MS);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* Returns true if the node names `contact` when it is asked. */
static bool names(const struct kad_contact *contact) {
  struct kad_message reply;
  kad_lone_query(&lone, &contacts[ASKER], KAD_METHOD_FIND_NODE);
  (void)kad_lone_reply(&lone, &reply);
  return kad_lone_message_has(&reply, contact);
}

static void show_that_it_is_hidden(void) {
  kad_lone_query(&lone, &contacts[HIDDEN], KAD_METHOD_PING);
  lone.answered = lone.sent;
  run(MINUTE_MS);
}

static void contacts_are_named_while_none_is_hidden(void **state) {
  (void)state;
  kad_lone_add_contact(&lone, &contacts[NEWCOMER]);
  run(MINUTE_MS);
  assert_true(names(&contacts[NEWCOMER]));
  assert_true(names(&contacts[OPEN]));
}

static void contacts_that_only_ask_are_withheld_once_one_is_hidden(
    void **state) {
  (void)state;
  show_that_it_is_hidden();
  kad_lone_add_contact(&lone, &contacts[NEWCOMER]);
  run(MINUTE_MS);
  assert_true(kad_lone_knows(&lone, &contacts[NEWCOMER]));
  assert_false(names(&contacts[NEWCOMER]));
  assert_true(names(&contacts[OPEN]));
}

static void a_contact_that_answers_from_cold_is_named(void **state) {
  (void)state;
  show_that_it_is_hidden();
  kad_lone_add_contact(&lone, &contacts[NEWCOMER]);
  lone.answered = lone.sent;
  run(PING_MS + 3 * MINUTE_MS);
  assert_true(names(&contacts[NEWCOMER]));
}

/* Each query of a contact opens its NAT to our ping. */
static void answers_after_queries_prove_nothing(void **state) {
  (void)state;
  show_that_it_is_hidden();
  for (unsigned i = 0; i < 20; i++) {
    kad_lone_add_contact(&lone, &contacts[NEWCOMER]);
    lone.answered = lone.sent;
    run(MINUTE_MS);
  }
  assert_true(kad_lone_knows(&lone, &contacts[NEWCOMER]));
  assert_false(names(&contacts[NEWCOMER]));
}

static void contacts_are_named_again_when_none_was_hidden_lately(void **state) {
  (void)state;
  show_that_it_is_hidden();
  run(KAD_HIDDEN_ABOUT_MS);
  kad_lone_add_contact(&lone, &contacts[NEWCOMER]);
  run(MINUTE_MS);
  assert_true(names(&contacts[NEWCOMER]));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
  const struct CMUnitTest tests[] = {
      TEST(contacts_are_named_while_none_is_hidden),
      TEST(contacts_that_only_ask_are_withheld_once_one_is_hidden),
      TEST(a_contact_that_answers_from_cold_is_named),
      TEST(answers_after_queries_prove_nothing),
      TEST(contacts_are_named_again_when_none_was_hidden_lately),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
