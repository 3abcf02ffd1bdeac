/* BEP 42 "Bootstrapping" in an overlay: nodes learn their address, and move to
 * ids that fit it. Tests core/membership/own_id.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  SIZE = 60,
  RECORDS = 30,
  OLD = 7 /* the node whose address changes */
};

static struct kad_overlay overlay;

/* Gets the value under `wanted` from node `i`. Returns the status. */
static int get(size_t i, const struct kad_id *wanted) {
  struct kad_ending ending;
  kad_ending_init(&ending, &overlay);
  const int status =
      kad_overlay_get(&overlay, i, wanted, "value", NULL, &ending);
  kad_ending_deinit(&ending);
  return status;
}

static bool fits(size_t i, const struct kad_address *address) {
  return kad_secure_id_check(kad_node_id(overlay.nodes[i]), 160, address);
}

static struct kad_secure_id_info info_of(size_t i) {
  struct kad_secure_id_info info;
  assert_true(kad_node_secure_id(overlay.nodes[i], &info));
  return info;
}

/* Returns how many of the records are found. Each is got by another node. */
static size_t count_found(void) {
  size_t found = 0;
  for (unsigned i = 0; i < RECORDS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    found += get((i * 7 + 3) % SIZE, &key) == 0;
  }
  return found;
}

static void put_records(void) {
  for (unsigned i = 0; i < RECORDS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    assert_ok(kad_overlay_put(&overlay, i % SIZE, &record, NULL));
  }
}

/* A node that is opened at a global address has an id that fits it at once. */
static void nodes_at_global_addresses_begin_with_ids_that_fit(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 1);
  overlay.dual = true;
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  for (size_t i = 0; i < SIZE; i++) {
    const struct kad_address address = kad_overlay_address(i);
    assert_true(fits(i, &address));
    assert_int_equal(info_of(i).moves, 0);
    assert_true(kad_id_equal(kad_node_id(overlay.nodes[i]), &overlay.ids[i]));
  }
  kad_overlay_close(&overlay);
}

/* The machine moves to another network: the id follows, once, and soon. The
 * node keeps its contacts, and its neighbours know it by its new id. */
static void a_node_that_moves_gets_an_id_that_fits(void **state) {
  const struct kad_address address = kad_overlay_address(1000);
  struct kad_contact_info info;
  size_t closest[8];
  size_t knowing = 0;
  (void)state;
  kad_overlay_open(&overlay, 2);
  kad_overlay_grow(&overlay, SIZE);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  const uint64_t contacts = kad_overlay_stats(&overlay, OLD).contacts;

  assert_ok(kad_sim_move(overlay.network, overlay.nodes[OLD], &address, 1));
  kad_overlay_run(&overlay, 30 * KAD_MINUTE_MS);

  assert_true(fits(OLD, &address));
  const struct kad_secure_id_info own = info_of(OLD);
  assert_int_equal(own.moves, 1);
  assert_true(kad_id_equal(&own.previous, &overlay.ids[OLD]));
  assert_memory_equal(own.address.ip, address.ip, sizeof address.ip);
  overlay.ids[OLD] = *kad_node_id(overlay.nodes[OLD]);
  (void)kad_overlay_closest(&overlay, &overlay.ids[OLD], overlay.nodes[OLD],
                            closest, 8);
  for (size_t i = 0; i < 8; i++) {
    knowing += kad_overlay_knows(&overlay, closest[i], OLD, &info) &&
               kad_address_equal(&info.contact.address, &address);
  }
  assert_true(knowing >= 7);
  assert_true(kad_overlay_stats(&overlay, OLD).contacts * 10 >= contacts * 8);
  assert_int_equal(kad_node_state(overlay.nodes[OLD]), KAD_STATE_HEALTHY);
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS);
  assert_int_equal(info_of(OLD).moves, 1);
  kad_overlay_close(&overlay);
}

/* Puts every node but the first behind a NAT of its own. Inside, addresses are
 * local, so that ids are random at first. */
static void grow_behind_nats(void) {
  (void)kad_overlay_add(&overlay);
  for (size_t i = 1; i < SIZE; i++) {
    const struct kad_address inner = {
        .ip = {10, 0, 0, (uint8_t)i}, .port = 6881, .family = 4};
    struct kad_sim_nat nat = {.kind = KAD_SIM_NAT_KIND_FULL_CONE,
                              .idle_s = 3600,
                              .outer = kad_overlay_address(i)};
    assert_ok(kad_network_open_node(overlay.network, &overlay.config, &inner, 1,
                                    &overlay.nodes[i]));
    assert_ok(kad_sim_set_nat(overlay.network, overlay.nodes[i], &nat));
    overlay.ids[i] = *kad_node_id(overlay.nodes[i]);
    overlay.count++;
    kad_overlay_join(&overlay, i, 0);
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
}

/* All nodes learn their outer addresses at about the same time, after records
 * were stored round their first ids. Each moves once, and no record is lost. */
static void all_nodes_move_and_no_record_is_lost(void **state) {
  size_t moved = 0;
  (void)state;
  kad_overlay_open(&overlay, 3);
  overlay.config.secure_ids = KAD_SECURE_IDS_PREFER;
  grow_behind_nats();
  put_records();
  assert_int_equal(count_found(), RECORDS);

  kad_overlay_run(&overlay, 20 * KAD_MINUTE_MS);

  for (size_t i = 1; i < SIZE; i++) {
    const struct kad_address outer = kad_overlay_address(i);
    assert_true(fits(i, &outer));
    assert_int_equal(info_of(i).moves, 1);
    assert_false(kad_id_equal(kad_node_id(overlay.nodes[i]), &overlay.ids[i]));
    moved++;
  }
  assert_int_equal(moved, SIZE - 1);
  assert_int_equal(count_found(), RECORDS);
  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS);
  assert_int_equal(count_found(), RECORDS);
  for (size_t i = 1; i < SIZE; i++) {
    assert_int_equal(info_of(i).moves, 1);
  }
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nodes_at_global_addresses_begin_with_ids_that_fit),
      cmocka_unit_test(a_node_that_moves_gets_an_id_that_fits),
      cmocka_unit_test(all_nodes_move_and_no_record_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
