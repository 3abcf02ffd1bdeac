/* BEP 43 "Read-Only State" in overlays: nodes behind NATs become read-only and
 * return, and no other node ever does. Tests core/membership/reachability.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  LARGE = 100,
  SMALL = 20,
  UNSTABLE = 50,
  RECORDS = 20,
  K = 8
};

static struct kad_overlay overlay;
static enum kad_sim_nat_kind kinds[LARGE];
static uint64_t random_state;

static size_t draw(size_t below) {
  random_state = random_state * 6364136223846793005U + 1442695040888963407U;
  return (size_t)(random_state >> 33) % below;
}

static struct kad_reachability_info info_of(size_t i) {
  struct kad_reachability_info info;
  assert_true(kad_node_reachability(overlay.nodes[i], 4, &info));
  return info;
}

static bool is_unreachable(size_t i) {
  return info_of(i).reachability == KAD_REACHABILITY_UNREACHABLE;
}

static void set_nat(size_t i, enum kad_sim_nat_kind kind) {
  const struct kad_sim_nat nat = {.kind = kind};
  assert_ok(kad_sim_set_nat(overlay.network, overlay.nodes[i], &nat));
  kinds[i] = kind;
}

static bool hides(enum kad_sim_nat_kind kind) {
  return kind == KAD_SIM_NAT_KIND_RESTRICTED ||
         kind == KAD_SIM_NAT_KIND_PORT_RESTRICTED ||
         kind == KAD_SIM_NAT_KIND_SYMMETRIC;
}

/* Opens an overlay of `size` nodes that loses one datagram of a hundred. */
static void open_overlay(uint64_t seed, size_t size) {
  memset(kinds, 0, sizeof kinds);
  random_state = seed;
  kad_overlay_open_lossy(&overlay, seed, 0.01);
  kad_overlay_grow(&overlay, size);
}

/* Puts three nodes of ten behind NATs that hide them, and one behind one that
 * does not. Node 0 is open. */
static void draw_nats(void) {
  static const enum kad_sim_nat_kind drawn[] = {
      KAD_SIM_NAT_KIND_PORT_RESTRICTED, KAD_SIM_NAT_KIND_SYMMETRIC,
      KAD_SIM_NAT_KIND_RESTRICTED, KAD_SIM_NAT_KIND_FULL_CONE};
  for (size_t i = 1; i < overlay.count; i++) {
    const size_t dice = draw(10);
    if (dice < sizeof drawn / sizeof *drawn) {
      set_nat(i, drawn[dice]);
    }
  }
}

static size_t count_unreachable(void) {
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    count += is_unreachable(i);
  }
  return count;
}

static int get(size_t i, unsigned key) {
  const struct kad_id wanted = kad_overlay_key(key);
  struct kad_ending ending;
  kad_ending_init(&ending, &overlay);
  const int status =
      kad_overlay_get(&overlay, i, &wanted, "value", NULL, &ending);
  kad_ending_deinit(&ending);
  return status;
}

static void put(size_t i, unsigned number) {
  const struct kad_id key = kad_overlay_key(number);
  const struct kad_record record = kad_overlay_record(&key, "v");
  assert_ok(kad_overlay_put(&overlay, i, &record, NULL));
}

/* ------------------------------------------------------------- behind NATs */

/* Runs for an hour. Nodes that can be reached never become read-only. */
static void run_until_all_know(void) {
  for (unsigned minute = 0; minute < 60; minute++) {
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
    for (size_t i = 0; i < overlay.count; i++) {
      assert_true(hides(kinds[i]) || !is_unreachable(i));
    }
  }
}

static void nodes_behind_nats_become_read_only_within_an_hour(void **state) {
  size_t hidden = 0;
  (void)state;
  open_overlay(1, LARGE);
  draw_nats();
  run_until_all_know();
  for (size_t i = 0; i < overlay.count; i++) {
    assert_int_equal(is_unreachable(i), hides(kinds[i]));
    assert_int_equal(info_of(i).is_symmetric,
                     kinds[i] == KAD_SIM_NAT_KIND_SYMMETRIC);
    hidden += is_unreachable(i);
  }
  assert_true(hidden >= LARGE / 5);
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  for (size_t i = 0; i < overlay.count; i++) {
    assert_int_equal(is_unreachable(i), hides(kinds[i]));
  }
  kad_overlay_close(&overlay);
}

/* Others remove them from their tables. */
static void read_only_nodes_leave_the_tables(void **state) {
  size_t known = 0;
  size_t hidden = 0;
  (void)state;
  open_overlay(2, LARGE);
  draw_nats();
  run_until_all_know();
  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);
  for (size_t i = 0; i < overlay.count; i++) {
    hidden += info_of(i).read_only;
    for (size_t j = 0; info_of(i).read_only && j < overlay.count; j++) {
      struct kad_contact_info info;
      known += kad_overlay_knows(&overlay, j, i, &info) && info.good;
    }
  }
  assert_true(hidden >= LARGE / 5);
  assert_true(known <= hidden); /* of about 30 for an open node */
  kad_overlay_close(&overlay);
}

/* They use the overlay as before. */
static void read_only_nodes_put_and_get(void **state) {
  unsigned number = 0;
  (void)state;
  open_overlay(3, LARGE);
  draw_nats();
  run_until_all_know();
  for (size_t i = 0; i < overlay.count; i++) {
    if (is_unreachable(i)) {
      put(i, number++);
    }
  }
  for (unsigned i = 0; i < number; i++) {
    size_t reader = draw(overlay.count);
    while (!is_unreachable(reader)) {
      reader = draw(overlay.count);
    }
    assert_ok(get(reader, i));
    assert_ok(get(0, i));
  }
  kad_overlay_close(&overlay);
}

static void nodes_whose_nat_goes_return_within_40_minutes(void **state) {
  kad_time_ms longest = 0;
  unsigned freed = 0;
  (void)state;
  open_overlay(4, LARGE);
  draw_nats();
  run_until_all_know();
  for (size_t i = 1; i < overlay.count; i++) {
    if (!is_unreachable(i) || freed == 10) {
      continue;
    }
    kad_overlay_run(&overlay,
                    draw(10 * KAD_MINUTE_MS)); /* any time of a rest */
    set_nat(i, KAD_SIM_NAT_KIND_OPEN);
    kad_time_ms took = 0;
    for (; is_unreachable(i) && took <= 40 * KAD_MINUTE_MS;
         took += KAD_SECOND_MS) {
      kad_overlay_run(&overlay, KAD_SECOND_MS);
    }
    longest = took > longest ? took : longest;
    freed++;
  }
  print_message("# %u nodes, the last after %u s\n", freed,
                (unsigned)(longest / KAD_SECOND_MS));
  assert_int_equal(freed, 10);
  assert_true(longest <= 40 * KAD_MINUTE_MS);
  kad_overlay_close(&overlay);
}

/* Returns how many nodes without a NAT hold the record. */
static size_t count_open_holders(const struct kad_id *key) {
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    count += kinds[i] == KAD_SIM_NAT_KIND_OPEN &&
             kad_node_held(overlay.nodes[i], key, kad_slice_of("value"), NULL,
                           0) > 0;
  }
  return count;
}

/* All holders of a record get behind NATs: it moves to others. */
static void records_of_nodes_that_become_read_only_are_kept(void **state) {
  const struct kad_id key = kad_overlay_key(0);
  (void)state;
  open_overlay(5, LARGE);
  put(0, 0);
  for (size_t i = 1; i < overlay.count; i++) {
    if (kad_node_held(overlay.nodes[i], &key, kad_slice_of("value"), NULL, 0) >
        0) {
      set_nat(i, KAD_SIM_NAT_KIND_PORT_RESTRICTED);
    }
  }
  while (count_unreachable() == 0) {
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
  }
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  assert_true(count_open_holders(&key) >= K / 2);
  assert_ok(get(0, 0));
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  assert_true(count_open_holders(&key) >= K - 1);
  assert_ok(get(0, 0));
  kad_overlay_close(&overlay);
}

/* A laptop that wakes up may be in another network. */
static void a_node_that_slept_asks_at_once(void **state) {
  size_t i = 1;
  (void)state;
  open_overlay(6, LARGE);
  draw_nats();
  run_until_all_know();
  while (!is_unreachable(i) || !info_of(i).read_only) {
    i++;
  }
  assert_ok(kad_sim_suspend(overlay.network, overlay.nodes[i], true));
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  assert_ok(kad_sim_resume(overlay.network, overlay.nodes[i]));
  set_nat(i, KAD_SIM_NAT_KIND_OPEN);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  assert_false(is_unreachable(i));
  kad_overlay_close(&overlay);
}

/* ------------------------------------------------------------ without NATs */

/* Starts a get of a random key at each node that reads. */
static void read_all(bool (*reads)(size_t i)) {
  const struct kad_slice value = kad_slice_of("value");
  for (size_t i = 0; i < overlay.count; i++) {
    const struct kad_id key = kad_overlay_key((unsigned)draw(1000));
    if (reads(i)) {
      assert_ok(
          kad_node_get(overlay.nodes[i], &key, value, NULL, NULL, NULL, NULL));
    }
  }
}

/* Runs for a day, in which each node that reads gets so many values an hour. */
static void run_a_day(unsigned gets_per_hour, bool (*reads)(size_t i)) {
  unsigned due = 0;
  for (unsigned minute = 0; minute < 24 * 60; minute++) {
    for (due += gets_per_hour; due >= 60; due -= 60) {
      read_all(reads);
    }
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
    assert_int_equal(count_unreachable(), 0);
  }
}

static bool is_any(size_t i) {
  (void)i;
  return true;
}

static bool is_one(size_t i) {
  return i == 7;
}

/* Overlays in which no node reads, all read now and then, all read so much that
 * each talks to each, and one reads. */
static void no_node_without_a_nat_becomes_read_only(void **state) {
  static const struct {
    size_t size;
    unsigned gets_per_hour;
    bool (*reads)(size_t i);
  } overlays[] = {
      {50, 0, is_any},    {50, 10, is_any},    {SMALL, 0, is_any},
      {SMALL, 2, is_any}, {SMALL, 60, is_any}, {SMALL, 6, is_one},
      {50, 60, is_one},   {12, 0, is_any},     {12, 10, is_any},
      {3, 0, is_any},
  };
  (void)state;
  for (size_t i = 0; i < sizeof overlays / sizeof *overlays; i++) {
    open_overlay(10 + i, overlays[i].size);
    run_a_day(overlays[i].gets_per_hour, overlays[i].reads);
    kad_overlay_close(&overlay);
  }
}

/* Neighbours check each other when records are held. */
static void nor_does_one_that_holds_records(void **state) {
  (void)state;
  open_overlay(30, SMALL);
  for (unsigned i = 0; i < RECORDS; i++) {
    put(i % SMALL, i);
  }
  run_a_day(1, is_one);
  kad_overlay_close(&overlay);
}

/* Closes a node now and then, and opens others again. `opens_at` has the
 * minutes at which they do. */
static void change_nodes(unsigned minute, unsigned *opens_at) {
  const size_t gone = 1 + draw(UNSTABLE - 1);
  if (overlay.nodes[gone] != NULL && draw(3) == 0) {
    kad_overlay_kill(&overlay, gone);
    opens_at[gone] = minute + 5 + (unsigned)draw(60);
  }
  for (size_t i = 1; i < overlay.count; i++) {
    if (overlay.nodes[i] == NULL && opens_at[i] <= minute) {
      kad_overlay_revive(&overlay, i);
      kad_overlay_join(&overlay, i, 0);
    }
  }
}

/* Cuts two halves off from each other for 90 minutes of each 4 hours. */
static void change_halves(unsigned minute) {
  if (minute % 240 == 150) {
    assert_ok(kad_sim_heal(overlay.network));
  }
  for (size_t i = 0; minute % 240 == 60 && i < overlay.count; i++) {
    if (overlay.nodes[i] != NULL) {
      assert_ok(kad_sim_set_group(overlay.network, overlay.nodes[i],
                                  (uint32_t)draw(2)));
    }
  }
}

/* Nodes come and go, and the overlay splits. */
static void nor_does_one_of_an_unstable_overlay(void **state) {
  unsigned opens_at[UNSTABLE] = {0};
  (void)state;
  open_overlay(31, UNSTABLE);
  for (unsigned minute = 0; minute < 12 * 60; minute++) {
    change_nodes(minute, opens_at);
    change_halves(minute);
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
    for (size_t i = 0; i < overlay.count; i++) {
      assert_true(overlay.nodes[i] == NULL || !is_unreachable(i));
    }
  }
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_behind_nats_become_read_only_within_an_hour),
      cmocka_unit_test(read_only_nodes_leave_the_tables),
      cmocka_unit_test(read_only_nodes_put_and_get),
      cmocka_unit_test(nodes_whose_nat_goes_return_within_40_minutes),
      cmocka_unit_test(records_of_nodes_that_become_read_only_are_kept),
      cmocka_unit_test(a_node_that_slept_asks_at_once),
      cmocka_unit_test(no_node_without_a_nat_becomes_read_only),
      cmocka_unit_test(nor_does_one_that_holds_records),
      cmocka_unit_test(nor_does_one_of_an_unstable_overlay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
