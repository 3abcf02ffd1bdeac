/* An overlay in which some nodes are behind NATs that let in only what they ask
 * for. Tests core/routing/hidden_contacts.c. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 40,
  HIDDEN = 12, /* the last ones: behind port-restricted NATs */
  IDLE_S = 60
};

static struct kad_overlay overlay;

static bool is_hidden(size_t i) {
  return i >= NODES - HIDDEN;
}

/* Opens an overlay. The last nodes get NATs before they join, if `nats`. */
static void open_overlay(uint64_t seed, bool nats) {
  const struct kad_address known = kad_overlay_address(0);
  const struct kad_sim_nat nat = {.kind = KAD_SIM_NAT_KIND_PORT_RESTRICTED,
                                  .idle_s = IDLE_S};
  kad_overlay_open(&overlay, seed);
  for (size_t i = 0; i < NODES; i++) {
    (void)kad_overlay_add(&overlay);
    if (nats && is_hidden(i)) {
      assert_ok(kad_sim_set_nat(overlay.network, overlay.nodes[i], &nat));
    }
    if (i > 0) {
      assert_ok(
          kad_node_bootstrap(overlay.nodes[i], &known, 1, NULL, NULL, NULL));
    }
    kad_overlay_run(&overlay, KAD_SECOND_MS);
  }
}

/* What contacts a reply of an open node named, in all. */
static struct {
  size_t hidden;
  size_t open;
} named;

static void count_named(void *data, const struct kad_result *result) {
  (void)data;
  for (size_t i = 0; i < result->path_count; i++) {
    const struct kad_step *step = &result->path[i];
    for (size_t j = 0; j < NODES && step->hop > 1; j++) {
      if (kad_id_equal(&overlay.ids[j], &step->contact.id)) {
        named.hidden += is_hidden(j);
        named.open += !is_hidden(j);
      }
    }
  }
}

/* Has every open node look up the id of every fourth node. */
static void look_up_all(void) {
  named.hidden = 0;
  named.open = 0;
  for (size_t i = 0; i < NODES - HIDDEN; i++) {
    for (size_t j = i % 4; j < NODES; j += 4) {
      assert_ok(kad_node_find_node(overlay.nodes[i], &overlay.ids[j], NULL,
                                   count_named, NULL, NULL));
    }
    kad_overlay_run(&overlay, KAD_MINUTE_MS);
  }
}

/* They are three in ten; without NATs they are named as often as others. */
static void contacts_that_only_ask_are_seldom_handed_out(void **state) {
  (void)state;
  open_overlay(21, true);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  look_up_all();
  assert_true(named.open > 100);
  assert_true(2 * named.hidden * (NODES - HIDDEN) < named.open * HIDDEN);
  kad_overlay_close(&overlay);
}

static void contacts_without_nats_are_handed_out(void **state) {
  (void)state;
  open_overlay(22, false);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  look_up_all();
  assert_true(named.hidden * 8 > named.open);
  kad_overlay_close(&overlay);
}

static void a_new_overlay_forms_although_no_contact_is_proven(void **state) {
  (void)state;
  open_overlay(23, false);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  for (size_t i = 0; i < NODES; i++) {
    assert_true(kad_node_contacts(overlay.nodes[i], NULL, 0) >= 8);
  }
  kad_overlay_close(&overlay);
}

static void a_node_that_loses_its_nat_is_handed_out_again(void **state) {
  (void)state;
  const struct kad_sim_nat open = {.kind = KAD_SIM_NAT_KIND_OPEN};
  open_overlay(24, true);
  kad_overlay_run(&overlay, KAD_HOUR_MS);
  for (size_t i = NODES - HIDDEN; i < NODES; i++) {
    assert_ok(kad_sim_set_nat(overlay.network, overlay.nodes[i], &open));
  }
  kad_overlay_run(&overlay, 2 * KAD_HOUR_MS);
  look_up_all();
  assert_true(named.hidden * 8 > named.open);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contacts_that_only_ask_are_seldom_handed_out),
      cmocka_unit_test(contacts_without_nats_are_handed_out),
      cmocka_unit_test(a_new_overlay_forms_although_no_contact_is_proven),
      cmocka_unit_test(a_node_that_loses_its_nat_is_handed_out_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
