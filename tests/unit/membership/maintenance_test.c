/* Maintenance rounds: refreshes, liveness checks, and removal of contacts. */
#include "lone_node.h"
#include "unit.h"

enum {
  CONTACTS = 24,
  SECOND_MS = 1000,
  MINUTE_MS = 60 * SECOND_MS
};

static struct kad_lone lone;
static struct kad_contact contacts[CONTACTS];

static void open_with_contacts(size_t count) {
  kad_lone_open(&lone, NULL);
  for (size_t i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact((unsigned)i + 1);
    if (i < count) {
      kad_lone_add_contact(&lone, &contacts[i]);
    }
  }
  lone.answered = lone.sent;
}

/* Returns a key that shares `bits` bits with the node's id. */
static struct kad_id key_in_bucket(unsigned bits) {
  struct kad_id key = *kad_node_id(lone.node);
  key.bytes[bits / 8] ^= (uint8_t)(0x80 >> bits % 8);
  key.bytes[19] ^= 0x55;
  return key;
}

static void idle_buckets_are_refreshed_after_their_period(void **state) {
  (void)state;
  open_with_contacts(CONTACTS);

  kad_lone_run_answering(&lone, 59 * MINUTE_MS, contacts, CONTACTS);
  assert_int_equal(kad_lone_stats(&lone).refreshes, 0);
  kad_lone_run_answering(&lone, 2 * MINUTE_MS, contacts, CONTACTS);

  const uint64_t refreshes = kad_lone_stats(&lone).refreshes;
  assert_in_range(refreshes, 1, 10);
  kad_lone_run_answering(&lone, 4 * 60 * MINUTE_MS, contacts, CONTACTS);
  const uint64_t later = kad_lone_stats(&lone).refreshes;
  assert_in_range(later, 4 * refreshes, 5 * refreshes + 4);
  kad_lone_close(&lone);
}

static void buckets_in_use_are_not_refreshed(void **state) {
  (void)state;
  open_with_contacts(CONTACTS);

  for (unsigned i = 0; i < 8; i++) {
    for (unsigned bits = 0; bits < 12; bits++) {
      const struct kad_id key = key_in_bucket(bits);
      assert_ok(kad_node_find_node(lone.node, &key, NULL, NULL, NULL, NULL));
    }
    kad_lone_run_answering(&lone, 10 * MINUTE_MS, contacts, CONTACTS);
  }

  assert_int_equal(kad_lone_stats(&lone).refreshes, 0);
  kad_lone_close(&lone);
}

static void period_of_refreshes_is_configured(void **state) {
  (void)state;
  struct kad_config config;
  kad_config_default(&config);
  config.refresh_s = 60;
  kad_lone_open(&lone, &config);
  for (size_t i = 0; i < CONTACTS; i++) {
    contacts[i] = kad_lone_contact((unsigned)i + 1);
    kad_lone_add_contact(&lone, &contacts[i]);
  }
  lone.answered = lone.sent;

  kad_lone_run_answering(&lone, 10 * MINUTE_MS, contacts, CONTACTS);

  assert_true(kad_lone_stats(&lone).refreshes >= 9);
  kad_lone_close(&lone);
}

/* Returns the entry of `contact`. Fails if there is none. */
static struct kad_contact_info info_of(const struct kad_contact *contact) {
  struct kad_contact_info known[CONTACTS];
  const size_t count = kad_node_contacts(lone.node, known, CONTACTS);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&known[i].contact.id, &contact->id)) {
      return known[i];
    }
  }
  fail_msg("the contact is not in the table");
  return known[0];
}

static void contacts_that_answer_stay_good_for_hours(void **state) {
  (void)state;
  open_with_contacts(5);

  kad_lone_run_answering(&lone, 300 * MINUTE_MS, contacts, CONTACTS);

  for (size_t i = 0; i < 5; i++) {
    const struct kad_contact_info info = info_of(&contacts[i]);
    assert_int_equal(info.failures, 0);
    assert_true(lone.now - info.last_seen <= 20 * MINUTE_MS);
  }
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_HEALTHY);
  kad_lone_close(&lone);
}

static void silent_contact_is_checked_and_removed(void **state) {
  (void)state;
  struct kad_message query;
  open_with_contacts(5);

  /* The last contact no longer answers. */
  kad_lone_run_answering(&lone, 30 * MINUTE_MS, contacts, 4);

  assert_true(kad_lone_find_query(&lone, &contacts[4].address, &query));
  assert_false(kad_lone_knows(&lone, &contacts[4]));
  for (size_t i = 0; i < 4; i++) {
    assert_true(kad_lone_knows(&lone, &contacts[i]));
  }
  kad_lone_close(&lone);
}

static void questionable_contact_is_pinged(void **state) {
  (void)state;
  struct kad_message query;
  bool pinged = false;
  open_with_contacts(1);
  /* Own-id lookups query it too: counts pings only. */
  for (unsigned i = 0; i < 200 && !pinged; i++) {
    kad_lone_run(&lone, 10 * SECOND_MS);
    pinged = kad_lone_find_query(&lone, &contacts[0].address, &query) &&
             query.method == KAD_METHOD_PING &&
             lone.now > 1000000 + 10 * MINUTE_MS;
  }

  assert_true(pinged);
  kad_lone_close(&lone);
}

/* An isolated node keeps its contacts, checks them over time more rarely, and
 * recovers as soon as one answers. */
static void isolated_node_keeps_its_contacts(void **state) {
  (void)state;
  open_with_contacts(5);

  kad_lone_run(&lone, 60 * MINUTE_MS);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_ISOLATED);
  const size_t sent = lone.sent;
  kad_lone_run(&lone, 60 * MINUTE_MS);
  const size_t pings = lone.sent - sent;

  for (size_t i = 0; i < 5; i++) {
    assert_true(kad_lone_knows(&lone, &contacts[i]));
  }
  assert_in_range(pings, 5, 5 * 60);
  lone.answered = lone.sent;
  kad_lone_run_answering(&lone, 10 * MINUTE_MS, contacts, 5);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_HEALTHY);
  assert_int_equal(kad_lone_stats(&lone).contacts_good, 5);
  kad_lone_close(&lone);
}

static void node_that_was_not_bootstrapped_is_new(void **state) {
  (void)state;
  open_with_contacts(0);

  kad_lone_run(&lone, 60 * MINUTE_MS);

  assert_int_equal(kad_node_state(lone.node), KAD_STATE_NEW);
  assert_int_equal(lone.sent, 0);
  kad_lone_add_contact(&lone, &contacts[0]);
  assert_int_equal(kad_node_state(lone.node), KAD_STATE_HEALTHY);
  kad_lone_close(&lone);
}

static void first_contact_starts_an_own_id_lookup(void **state) {
  (void)state;
  struct kad_message query;
  open_with_contacts(0);
  kad_lone_run(&lone, 30 * MINUTE_MS);
  kad_lone_add_contact(&lone, &contacts[0]);
  lone.answered = lone.sent;

  kad_lone_run(&lone, 12 * SECOND_MS);

  assert_true(kad_lone_find_query(&lone, &contacts[0].address, &query));
  assert_int_equal(query.method, KAD_METHOD_FIND_NODE);
  kad_lone_close(&lone);
}

static void own_id_is_looked_up_in_both_families(void **state) {
  (void)state;
  struct kad_message query;
  const struct kad_contact v6 = kad_lone_contact_v6(9);
  open_with_contacts(1);
  kad_lone_add_contact(&lone, &v6);
  const struct kad_contact both[] = {contacts[0], v6};
  lone.answered = lone.sent;

  kad_lone_run_answering(&lone, 15 * SECOND_MS, both, 2);

  for (size_t i = 0; i < 2; i++) {
    assert_true(kad_lone_find_query(&lone, &both[i].address, &query));
    assert_int_equal(query.method, KAD_METHOD_FIND_NODE);
    assert_true(kad_id_equal(&query.target, kad_node_id(lone.node)));
  }
  kad_lone_close(&lone);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(idle_buckets_are_refreshed_after_their_period),
      cmocka_unit_test(buckets_in_use_are_not_refreshed),
      cmocka_unit_test(period_of_refreshes_is_configured),
      cmocka_unit_test(contacts_that_answer_stay_good_for_hours),
      cmocka_unit_test(silent_contact_is_checked_and_removed),
      cmocka_unit_test(questionable_contact_is_pinged),
      cmocka_unit_test(isolated_node_keeps_its_contacts),
      cmocka_unit_test(node_that_was_not_bootstrapped_is_new),
      cmocka_unit_test(first_contact_starts_an_own_id_lookup),
      cmocka_unit_test(own_id_is_looked_up_in_both_families),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
