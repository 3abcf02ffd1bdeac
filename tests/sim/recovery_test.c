/* Recovery of a node after a suspend, a change of its address, or isolation.
 * The node reports its state and sends few queries. Tests core/membership,
 * core/engine/clock.c. */
#include "overlay.h"
#include "unit.h"

enum {
  SIZE = 80,
  SLEEPER = 5,
  SLEEP_MS = 8 * KAD_HOUR_MS
};

static struct kad_overlay overlay;

static struct kad_stats stats(void) {
  return kad_overlay_stats(&overlay, SLEEPER);
}

static enum kad_state state_of(size_t i) {
  return kad_node_state(overlay.nodes[i]);
}

/* Opens an overlay with some records, and runs it until it is quiet. */
static void open_quiet(uint64_t seed) {
  kad_overlay_open(&overlay, seed);
  kad_overlay_grow(&overlay, SIZE);
  for (unsigned i = 0; i < 40; i++) {
    const struct kad_id key = kad_overlay_key(i);
    struct kad_record record = kad_overlay_record(&key, "v");
    record.ttl = 4 * 3600;
    assert_ok(kad_node_put(overlay.nodes[i], &record, NULL, NULL, NULL, NULL));
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);
}

static void suspend_and_resume(bool clock_stands) {
  struct kad_node *node = overlay.nodes[SLEEPER];
  assert_ok(kad_sim_suspend(overlay.network, node, clock_stands));
  kad_overlay_run(&overlay, SLEEP_MS);
  assert_ok(kad_sim_resume(overlay.network, node));
}

/* A suspend of eight hours expires no records, although they live four hours.
 */
static void suspend_expires_no_records(void **state) {
  (void)state;
  for (uint64_t stands = 0; stands < 2; stands++) {
    open_quiet(1 + stands);
    const struct kad_stats before = stats();
    assert_true(before.records >= 3);
    suspend_and_resume(stands == 1);
    kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
    assert_true(stats().records >= before.records);
    assert_int_equal(stats().expired, before.expired);
    kad_overlay_close(&overlay);
  }
}

/* Contacts are not removed because they were silent during a suspend. */
static void suspend_removes_no_contacts(void **state) {
  (void)state;
  for (uint64_t stands = 0; stands < 2; stands++) {
    open_quiet(3 + stands);
    const uint64_t before = stats().contacts;
    suspend_and_resume(stands == 1);
    assert_true(stats().contacts == before);
    assert_int_equal(state_of(SLEEPER), KAD_STATE_HEALTHY);
    kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
    assert_true(stats().contacts * 10 >= before * 9);
    assert_true(stats().contacts_good * 2 >= before);
    kad_overlay_close(&overlay);
  }
}

/* A jump of either clock starts a refresh, and no flood. */
static void resume_refreshes_the_table(void **state) {
  (void)state;
  for (uint64_t stands = 0; stands < 2; stands++) {
    open_quiet(5 + stands);
    kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
    const struct kad_stats before = stats();
    suspend_and_resume(stands == 1);
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
    const struct kad_stats after = stats();
    assert_in_range(after.refreshes - before.refreshes, 2, 12);
    assert_in_range(after.liveness_checks - before.liveness_checks, 1, 20);
    assert_in_range(after.queries - before.queries, 20, 200);
    kad_overlay_close(&overlay);
  }
}

/* A program that was blocked for most of a minute was not suspended. */
static void late_timer_is_not_a_suspend(void **state) {
  (void)state;
  open_quiet(7);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  const uint64_t before = stats().refreshes;
  struct kad_node *node = overlay.nodes[SLEEPER];
  assert_ok(kad_sim_suspend(overlay.network, node, false));
  kad_overlay_run(&overlay, 55 * KAD_SECOND_MS);
  assert_ok(kad_sim_resume(overlay.network, node));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  assert_in_range(stats().refreshes - before, 0, 1);
  kad_overlay_close(&overlay);
}

/* Returns how many of the 8 nodes closest to the node know it at `address`. */
static size_t count_knowing(const struct kad_address *address) {
  struct kad_contact_info info;
  size_t closest[8];
  size_t knowing = 0;
  (void)kad_overlay_closest(&overlay, &overlay.ids[SLEEPER],
                            overlay.nodes[SLEEPER], closest, 8);
  for (size_t i = 0; i < 8; i++) {
    knowing += kad_overlay_knows(&overlay, closest[i], SLEEPER, &info) &&
               kad_address_equal(&info.contact.address, address);
  }
  return knowing;
}

/* BEP 42, `ip`: replies report the changed address. The node refreshes its
 * table, so that its neighbours know its new address minutes later. */
static void neighbours_learn_a_changed_address(void **state) {
  struct kad_address seen;
  (void)state;
  kad_overlay_open(&overlay, 8);
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  struct kad_node *node = overlay.nodes[SLEEPER];
  const struct kad_address old = kad_overlay_address(SLEEPER);
  const struct kad_address moved = kad_overlay_address(1000);
  assert_true(kad_node_observed(node, 4, &seen));
  assert_true(kad_address_equal(&seen, &old));
  assert_int_equal(count_knowing(&old), 8);
  const uint64_t refreshes = stats().refreshes;
  assert_ok(kad_sim_move(overlay.network, node, &moved, 1));
  kad_overlay_run(&overlay, 5 * KAD_MINUTE_MS);
  assert_true(kad_node_observed(node, 4, &seen));
  assert_true(kad_address_equal(&seen, &moved));
  assert_in_range(stats().refreshes - refreshes, 2, 24);
  overlay.ids[SLEEPER] = *kad_node_id(node); /* it fits the address (BEP 42) */
  assert_true(count_knowing(&moved) >= 7);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_HEALTHY);
  kad_overlay_close(&overlay);
}

/* A contact that reports a false address alone has no effect. */
static void one_report_does_not_change_the_address(void **state) {
  struct kad_address seen;
  (void)state;
  kad_overlay_open(&overlay, 9);
  kad_overlay_grow(&overlay, 4);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_false(kad_node_observed(overlay.nodes[0], 4, &seen));
  kad_overlay_grow(&overlay, 4);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_true(kad_node_observed(overlay.nodes[0], 4, &seen));
  kad_overlay_close(&overlay);
}

/* The bootstrap contact is silent for an hour. The node is in the state
 * joining, tries over time more rarely, and joins soon after the contact
 * answers. */
static void node_joins_when_a_silent_bootstrap_contact_answers(void **state) {
  (void)state;
  const struct kad_address known = kad_overlay_address(1);
  kad_overlay_open(&overlay, 10);
  (void)kad_overlay_add(&overlay);
  assert_int_equal(state_of(0), KAD_STATE_NEW);
  assert_ok(kad_node_bootstrap(overlay.nodes[0], &known, 1, NULL, NULL, NULL));
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  assert_int_equal(state_of(0), KAD_STATE_JOINING);
  const uint64_t early = kad_overlay_stats(&overlay, 0).queries;
  kad_overlay_run(&overlay, 50 * KAD_MINUTE_MS);
  assert_int_equal(state_of(0), KAD_STATE_JOINING);
  const uint64_t hour = kad_overlay_stats(&overlay, 0).queries;
  assert_in_range(hour, 15, 60);
  assert_true(hour - early < early);
  kad_overlay_grow(&overlay, 1);
  kad_overlay_run(&overlay, 12 * KAD_MINUTE_MS);
  assert_int_equal(state_of(0), KAD_STATE_HEALTHY);
  kad_overlay_close(&overlay);
}

/* The connection of the node is cut. It is in the state isolated within two
 * minutes, sends few queries, keeps its contacts, and recovers within two
 * minutes of the connection. */
static void isolated_node_reports_it_and_recovers(void **state) {
  (void)state;
  open_quiet(11);
  struct kad_node *node = overlay.nodes[SLEEPER];
  const uint64_t contacts = stats().contacts;
  assert_ok(kad_sim_set_group(overlay.network, node, 1));
  kad_overlay_run(&overlay, 3 * KAD_MINUTE_MS);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_ISOLATED);
  const uint64_t before = stats().queries;
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_ISOLATED);
  assert_in_range(stats().queries - before, 60, 10 * 60);
  assert_int_equal(stats().contacts, contacts);
  assert_ok(kad_sim_heal(overlay.network));
  kad_overlay_run(&overlay, 3 * KAD_MINUTE_MS);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_HEALTHY);
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
  assert_true(stats().contacts_good * 2 >= contacts);
  kad_overlay_close(&overlay);
}

/* All contacts are dead. The node joins other nodes through the bootstrap
 * address, which answers again. */
static void node_with_only_dead_contacts_joins_again(void **state) {
  (void)state;
  open_quiet(12);
  for (size_t i = 0; i < SIZE; i++) {
    if (i != SLEEPER) {
      kad_overlay_kill(&overlay, i);
    }
  }
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_ISOLATED);
  overlay.ids[0].bytes[0] ^= 0x80; /* another node at that address */
  kad_overlay_revive(&overlay, 0);
  kad_overlay_run(&overlay, 12 * KAD_MINUTE_MS);
  /* Degraded or healthy, whether dead contacts are in the table or not. */
  assert_int_not_equal(state_of(SLEEPER), KAD_STATE_ISOLATED);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_int_equal(state_of(SLEEPER), KAD_STATE_HEALTHY);
  assert_int_equal(stats().contacts, 1);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(suspend_expires_no_records),
      cmocka_unit_test(suspend_removes_no_contacts),
      cmocka_unit_test(resume_refreshes_the_table),
      cmocka_unit_test(late_timer_is_not_a_suspend),
      cmocka_unit_test(neighbours_learn_a_changed_address),
      cmocka_unit_test(one_report_does_not_change_the_address),
      cmocka_unit_test(node_joins_when_a_silent_bootstrap_contact_answers),
      cmocka_unit_test(isolated_node_reports_it_and_recovers),
      cmocka_unit_test(node_with_only_dead_contacts_joins_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
