/* A node whose environment resolves names as the test says. */
#include "base/address.h"
#include "base/time.h"
#include "engine/node.h"
#include "kadenza_names.h"
#include "lone_node.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  SECOND = 1000,
  MINUTE = 60 * SECOND,
  HOUR = 60 * MINUTE,
  ASKED_MAX = 256
};

static struct kad_lone lone;

/* What the node has asked its environment. */
static struct {
  size_t count;
  size_t names[ASKED_MAX];
  kad_time_ms at[ASKED_MAX];
  int error; /* that `resolve` returns */
} asked;

/* The address that is the node's own; family 0: none is. */
static struct kad_address own;

/* How the latest operation ended, and how often a name changed. */
static unsigned endings;
static int status;
static unsigned changes;

static int resolve(void *state, size_t name, struct kad_slice text) {
  (void)state;
  assert_true(text.len > 0);
  if (asked.count < ASKED_MAX) {
    asked.names[asked.count] = name;
    asked.at[asked.count++] = lone.now;
  }
  return asked.error;
}

static bool is_own(void *state, const struct kad_address *address) {
  (void)state;
  return kad_address_equal(address, &own);
}

static void on_end(void *data, const struct kad_result *result) {
  (void)data;
  endings++;
  status = result->status;
}

static void on_change(void *data, size_t index) {
  (void)data;
  (void)index;
  changes++;
}

static int open_node(void **state) {
  (void)state;
  struct kad_config config;
  kad_config_default(&config);
  struct kad_env env = kad_lone_env(&lone, 1);
  memset(&asked, 0, sizeof asked);
  own = (struct kad_address){0};
  endings = 0;
  changes = 0;
  env.resolve = resolve;
  env.is_own = is_own;
  assert_ok(kad_node_new(&config, &env, &lone.node));
  assert_ok(kad_node_add_family(lone.node, 4));
  lone.id_size = 20;
  kad_node_watch_names(lone.node, on_change, NULL);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

static void join_by_name(const char *name) {
  assert_ok(kad_node_add_name(lone.node, kad_slice_of(name)));
  assert_ok(kad_node_bootstrap(lone.node, NULL, 0, on_end, NULL, NULL));
  kad_lone_run(&lone, 10);
}

static void answer(size_t name, const struct kad_contact *contacts,
                   size_t count) {
  struct kad_address addresses[64];
  for (size_t i = 0; i < count; i++) {
    addresses[i] = contacts[i].address;
  }
  kad_node_name_resolved(lone.node, name, 0, addresses, count);
}

/* Returns true if the node has sent a query to `contact`. */
static bool has_asked(const struct kad_contact *contact) {
  struct kad_message message;
  return kad_lone_find_query(&lone, &contact->address, &message);
}

static struct kad_name_info info_of(size_t index) {
  struct kad_name_info info;
  assert_true(kad_node_name(lone.node, index, &info));
  return info;
}

static void a_join_resolves_and_pings_every_address(void **state) {
  (void)state;
  const struct kad_contact contacts[] = {kad_lone_contact(1),
                                         kad_lone_contact(2)};
  join_by_name("dht.example:6881");
  assert_int_equal(asked.count, 1);
  assert_int_equal(endings, 0);
  assert_int_equal(info_of(0).status, KAD_EBUSY);

  answer(0, contacts, 2);

  assert_true(has_asked(&contacts[0]));
  assert_true(has_asked(&contacts[1]));
  kad_lone_run_answering(&lone, 5 * SECOND, contacts, 2);
  assert_int_equal(endings, 1);
  assert_int_equal(status, 0);
  assert_int_equal(info_of(0).count, 2);
  assert_int_equal(changes, 1);
}

static void a_name_that_hangs_delays_nothing(void **state) {
  (void)state;
  const struct kad_contact near = kad_lone_contact(1);
  assert_ok(kad_node_add_name(lone.node, kad_slice_of("dead.example:1")));
  assert_ok(kad_node_add_name(lone.node, kad_slice_of("dht.example:1")));
  assert_ok(kad_node_bootstrap(lone.node, NULL, 0, on_end, NULL, NULL));
  kad_lone_run(&lone, 10);
  assert_int_equal(asked.count, 2);

  answer(1, &near, 1);
  kad_lone_run_answering(&lone, 300, &near, 1);

  assert_int_equal(endings, 1);
  assert_int_equal(status, 0);
}

static void addresses_that_come_after_the_join_are_used(void **state) {
  (void)state;
  const struct kad_contact near = kad_lone_contact(1);
  const struct kad_contact late = kad_lone_contact(2);
  assert_ok(kad_node_add_name(lone.node, kad_slice_of("slow.example:1")));
  assert_ok(
      kad_node_bootstrap(lone.node, &near.address, 1, on_end, NULL, NULL));
  kad_lone_run_answering(&lone, SECOND, &near, 1);
  assert_int_equal(endings, 1);

  answer(0, &late, 1);

  assert_true(has_asked(&late));
  kad_lone_run_answering(&lone, SECOND, &late, 1);
  assert_true(kad_lone_knows(&lone, &late));
}

static void a_join_fails_when_no_name_resolves(void **state) {
  (void)state;
  join_by_name("nowhere.example:6881");

  kad_node_name_resolved(lone.node, 0, KAD_ERESOLVE, NULL, 0);
  kad_lone_run(&lone, 10);

  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ERESOLVE);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_JOINING);
  assert_int_equal(kad_lone_stats(&lone).names_failed, 1);
}

static void an_environment_that_cannot_resolve_fails_the_join(void **state) {
  (void)state;
  asked.error = KAD_ENOMEM;

  join_by_name("dht.example:6881");
  kad_lone_run(&lone, 10);

  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ERESOLVE);
}

/* Answers every question of the node with a failure for `span_ms`. */
static void run_without_server(kad_time_ms span_ms) {
  for (kad_time_ms end = lone.now + span_ms; lone.now < end;) {
    kad_lone_run(&lone, 100);
    if (kad_names_pending(lone.node) > 0) {
      kad_node_name_resolved(lone.node, 0, KAD_ETIMEOUT, NULL, 0);
    }
  }
}

static void a_name_is_resolved_again_with_back_off(void **state) {
  (void)state;
  join_by_name("dht.example:6881");

  run_without_server(2 * HOUR);

  assert_in_range(asked.count, 100, 160);
  const size_t last = asked.count - 1;
  assert_true(asked.at[last] - asked.at[last - 1] >= 30 * SECOND);
  assert_true(asked.at[last] - asked.at[last - 1] <= 90 * SECOND);
  assert_true(asked.at[1] - asked.at[0] <= 15 * SECOND);
  assert_int_equal(changes, 1);
}

static void a_name_that_fails_late_is_resolved_again_at_once(void **state) {
  (void)state;
  join_by_name("dht.example:6881");

  kad_lone_run(&lone, 10 * SECOND);
  kad_node_name_resolved(lone.node, 0, KAD_ETIMEOUT, NULL, 0);
  kad_lone_run(&lone, 5 * SECOND);

  assert_int_equal(asked.count, 2);
}

static void a_name_whose_address_is_dead_is_resolved_more_rarely(void **state) {
  (void)state;
  const struct kad_contact dead = kad_lone_contact(1);
  join_by_name("dht.example:6881");

  for (kad_time_ms end = lone.now + 2 * HOUR; lone.now < end;) {
    kad_lone_run(&lone, 100);
    if (kad_names_pending(lone.node) > 0) {
      answer(0, &dead, 1);
    }
  }

  assert_in_range(asked.count, 12, 25);
}

static void a_node_joins_when_the_name_server_is_back(void **state) {
  (void)state;
  const struct kad_contact near = kad_lone_contact(1);
  join_by_name("dht.example:6881");
  run_without_server(10 * MINUTE);
  const size_t before = asked.count;

  while (asked.count == before) {
    kad_lone_run(&lone, SECOND);
  }
  answer(0, &near, 1);
  kad_lone_run_answering(&lone, 5 * SECOND, &near, 1);

  assert_int_equal(kad_node_state(lone.node), KAD_STATE_HEALTHY);
  assert_int_equal(kad_lone_stats(&lone).names_failed, 0);
  assert_int_equal(changes, 2);
}

static void an_isolated_node_follows_the_name_to_another_address(void **state) {
  (void)state;
  const struct kad_contact first = kad_lone_contact(1);
  const struct kad_contact second = kad_lone_contact(2);
  join_by_name("dht.example:6881");
  answer(0, &first, 1);
  kad_lone_run_answering(&lone, 5 * SECOND, &first, 1);
  const size_t before = asked.count;

  for (int i = 0; i < 60 && asked.count == before; i++) {
    kad_lone_run(&lone, MINUTE);
  }
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_ISOLATED);
  answer(0, &second, 1);
  kad_lone_run_answering(&lone, 5 * SECOND, &second, 1);

  assert_true(kad_lone_knows(&lone, &second));
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_HEALTHY);
  assert_int_equal(info_of(0).count, 1);
}

static void a_huge_answer_is_bounded(void **state) {
  (void)state;
  struct kad_address many[100];
  for (unsigned i = 0; i < 100; i++) {
    many[i] = kad_lone_contact(i + 1).address;
  }
  join_by_name("dht.example:6881");

  kad_node_name_resolved(lone.node, 0, 0, many, 100);

  assert_int_equal(info_of(0).count, KAD_NAME_ADDRESSES_MAX);
}

static void own_addresses_of_a_name_are_left_out(void **state) {
  (void)state;
  const struct kad_contact self = kad_lone_contact(1);
  own = self.address;
  join_by_name("dht.example:6881");

  answer(0, &self, 1);
  kad_lone_run(&lone, 10 * SECOND);

  assert_false(has_asked(&self));
  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ENOCONTACTS);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_NEW);
}

static void an_own_name_may_have_addresses_of_no_use(void **state) {
  (void)state;
  const struct kad_contact addresses[] = {
      {.address = {.family = 6, .ip = {0x20, 1, 0xd, 0xb9}, .port = 1}},
      kad_lone_contact(1)};
  own = addresses[1].address;
  join_by_name("dht.example:6881");

  answer(0, addresses, 2);
  kad_lone_run(&lone, 10 * SECOND);

  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ENOCONTACTS);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_NEW);
}

static void a_name_with_an_address_of_no_use_is_not_our_own(void **state) {
  (void)state;
  const struct kad_contact other = {
      .address = {.family = 6, .ip = {0x20, 1, 0xd, 0xb9}, .port = 1}};
  join_by_name("dht.example:6881");

  answer(0, &other, 1);
  kad_lone_run(&lone, 10 * SECOND);

  assert_int_equal(status, KAD_EFAMILY);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_JOINING);
}

static void an_own_literal_is_no_reason_to_join(void **state) {
  (void)state;
  const struct kad_contact self = kad_lone_contact(1);
  own = self.address;

  assert_ok(
      kad_node_bootstrap(lone.node, &self.address, 1, on_end, NULL, NULL));
  kad_lone_run(&lone, HOUR);

  assert_int_equal(endings, 1);
  assert_int_equal(lone.sent, 0);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_NEW);
}

static void an_address_that_answers_with_our_id_is_our_own(void **state) {
  (void)state;
  struct kad_contact self = kad_lone_contact(1);
  self.id = *kad_node_id(lone.node);

  assert_ok(
      kad_node_bootstrap(lone.node, &self.address, 1, on_end, NULL, NULL));
  kad_lone_run_answering(&lone, 10 * SECOND, &self, 1);
  const size_t sent = lone.sent;
  kad_lone_run_answering(&lone, HOUR, &self, 1);

  assert_int_equal(endings, 1);
  assert_int_equal(status, KAD_ENOCONTACTS);
  assert_int_equal(lone.sent, sent);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_NEW);
}

static int end_of_join(const char *address) {
  const struct kad_slice text = kad_slice_of(address);
  struct kad_address known;
  assert_ok(kad_address_parse(text, &known));
  assert_ok(kad_node_bootstrap(lone.node, &known, 1, on_end, NULL, NULL));
  kad_lone_run(&lone, SECOND);
  return status;
}

static void a_join_that_sends_nothing_says_why(void **state) {
  (void)state;

  assert_int_equal(end_of_join("127.0.0.1:7001"), KAD_EMARTIAN);
  assert_int_equal(endings, 1);
  assert_int_equal(end_of_join("[2001:db8::1]:7001"), KAD_EFAMILY);
  assert_int_equal(endings, 2);
  assert_int_equal(lone.sent, 0);
}

static void a_usable_address_hides_one_that_is_not(void **state) {
  (void)state;
  const struct kad_contact near = kad_lone_contact(1);
  struct kad_address local;
  assert_ok(kad_address_parse(kad_slice_of("10.0.0.1:1"), &local));
  join_by_name("dht.example:6881");

  const struct kad_address both[] = {local, near.address};
  kad_node_name_resolved(lone.node, 0, 0, both, 2);
  kad_lone_run_answering(&lone, 5 * SECOND, &near, 1);

  assert_int_equal(endings, 1);
  assert_int_equal(status, 0);
}

static void names_are_bounded_and_kept_once(void **state) {
  (void)state;
  char text[32];
  for (unsigned i = 0; i < 2 * KAD_NAMES_MAX; i++) {
    (void)snprintf(text, sizeof text, "host%u.example:1", i);
    assert_ok(kad_node_add_name(lone.node, kad_slice_of(text)));
    assert_ok(kad_node_add_name(lone.node, kad_slice_of(text)));
  }
  assert_int_equal(kad_lone_stats(&lone).names, KAD_NAMES_MAX);

  char large[KAD_NAME_TEXT_MAX + 1];
  memset(large, 'a', sizeof large);
  const struct kad_slice slice = {(const uint8_t *)large, sizeof large};
  assert_int_equal(kad_node_add_name(lone.node, slice), KAD_EINVAL);
  assert_int_equal(kad_node_add_name(lone.node, kad_slice_of("")), KAD_EINVAL);
}

static void names_that_are_pending_are_not_replaced(void **state) {
  (void)state;
  char text[32];
  for (unsigned i = 0; i < KAD_NAMES_MAX; i++) {
    (void)snprintf(text, sizeof text, "host%u.example:1", i);
    assert_ok(kad_node_add_name(lone.node, kad_slice_of(text)));
  }
  assert_ok(kad_node_bootstrap(lone.node, NULL, 0, on_end, NULL, NULL));
  kad_lone_run(&lone, 10);

  assert_int_equal(kad_node_add_name(lone.node, kad_slice_of("b:1")),
                   KAD_EBUSY);
  kad_node_name_resolved(lone.node, 5, KAD_ERESOLVE, NULL, 0);
  assert_ok(kad_node_add_name(lone.node, kad_slice_of("b:1")));
  assert_true(kad_slice_equal(info_of(5).text, kad_slice_of("b:1")));
}

static void answers_that_were_not_asked_for_are_ignored(void **state) {
  (void)state;
  const struct kad_contact near = kad_lone_contact(1);

  answer(0, &near, 1);
  answer(1000, &near, 1);
  assert_ok(kad_node_add_name(lone.node, kad_slice_of("dht.example:1")));
  answer(0, &near, 1);

  assert_int_equal(info_of(0).status, KAD_EBUSY);
  assert_int_equal(lone.sent, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_node, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_join_resolves_and_pings_every_address),
      TEST(a_name_that_hangs_delays_nothing),
      TEST(addresses_that_come_after_the_join_are_used),
      TEST(a_join_fails_when_no_name_resolves),
      TEST(an_environment_that_cannot_resolve_fails_the_join),
      TEST(a_name_is_resolved_again_with_back_off),
      TEST(a_name_that_fails_late_is_resolved_again_at_once),
      TEST(a_name_whose_address_is_dead_is_resolved_more_rarely),
      TEST(a_node_joins_when_the_name_server_is_back),
      TEST(an_isolated_node_follows_the_name_to_another_address),
      TEST(a_huge_answer_is_bounded),
      TEST(own_addresses_of_a_name_are_left_out),
      TEST(an_own_name_may_have_addresses_of_no_use),
      TEST(a_name_with_an_address_of_no_use_is_not_our_own),
      TEST(an_own_literal_is_no_reason_to_join),
      TEST(an_address_that_answers_with_our_id_is_our_own),
      TEST(a_join_that_sends_nothing_says_why),
      TEST(a_usable_address_hides_one_that_is_not),
      TEST(names_are_bounded_and_kept_once),
      TEST(names_that_are_pending_are_not_replaced),
      TEST(answers_that_were_not_asked_for_are_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
