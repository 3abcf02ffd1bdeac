/* Nodes behind NATs in virtual time. Source: RFC 4787 §4, §5. */
#include "kadenza.h"
#include "overlay.h"
#include "sim_hub.h"
#include "unit.h"

#include <string.h>

enum {
  INNER = 0, /* nodes behind a NAT, and one that both know */
  SECOND = 1,
  KNOWN = 2,
  STRANGER = 3,
  ALL = 4,
  KINDS = 5,
  IDLE_S = 30
};

/* A hub. Its tracer records the first sender to KNOWN and to STRANGER since the
 * last ping began. */
struct fixture {
  struct kad_hub hub;
  struct kad_address at_known;
  struct kad_address at_stranger;
  struct kad_node *neighbour; /* at the ip of KNOWN, and another port */
  size_t pings;
};

static void note_sender(void *data, const struct kad_sim_event *event) {
  struct fixture *fixture = data;
  const struct kad_address known = kad_overlay_address(KNOWN);
  const struct kad_address stranger = kad_overlay_address(STRANGER);
  struct kad_address *seen =
      kad_address_equal(event->to, &known)      ? &fixture->at_known
      : kad_address_equal(event->to, &stranger) ? &fixture->at_stranger
                                                : NULL;
  if (seen != NULL && seen->family == 0 &&
      event->outcome == KAD_SIM_OUTCOME_DELIVERED) {
    *seen = *event->from;
  }
}

static struct kad_address neighbour_address(void) {
  struct kad_address address = kad_overlay_address(KNOWN);
  address.port++;
  return address;
}

static void set_nat(struct fixture *fixture, size_t i,
                    enum kad_sim_nat_kind kind) {
  const struct kad_sim_nat nat = {.kind = kind, .idle_s = IDLE_S};
  assert_ok(
      kad_sim_set_nat(fixture->hub.network, fixture->hub.others[i], &nat));
}

static void set_up(struct fixture *fixture) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  memset(fixture, 0, sizeof *fixture);
  kad_hub_open(&fixture->hub, &config, ALL);
  const struct kad_address beside = neighbour_address();
  fixture->neighbour = kad_hub_add(&fixture->hub, &beside);
  assert_ok(kad_sim_set_trace(fixture->hub.network, note_sender, fixture));
}

static void tear_down(struct fixture *fixture) {
  kad_hub_close(&fixture->hub);
}

/* Pings. Returns true if a reply arrives within three seconds. */
static bool reaches(struct fixture *fixture, struct kad_node *from,
                    const struct kad_address *to) {
  const size_t i = fixture->pings++; /* the ping before may still run */
  fixture->at_known.family = 0;
  fixture->at_stranger.family = 0;
  kad_hub_ping(&fixture->hub, from, to, i);
  kad_hub_run(&fixture->hub, 3 * KAD_SECOND_MS);
  return fixture->hub.took_ms[i] > 0;
}

/* Pings KNOWN from node `i`. Returns the address that KNOWN saw. */
static struct kad_address outer_of(struct fixture *fixture, size_t i) {
  const struct kad_address known = kad_overlay_address(KNOWN);
  assert_true(reaches(fixture, fixture->hub.others[i], &known));
  return fixture->at_known;
}

static void node_that_never_sent_is_unreachable(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct fixture fixture;
    set_up(&fixture);
    const struct kad_address inner = kad_overlay_address(INNER);
    set_nat(&fixture, INNER, (enum kad_sim_nat_kind)kind);

    assert_int_equal(reaches(&fixture, fixture.hub.hub, &inner),
                     kind == KAD_SIM_NAT_KIND_OPEN);
    tear_down(&fixture);
  }
}

static void each_kind_lets_in_its_senders(void **state) {
  static const struct {
    enum kad_sim_nat_kind kind;
    bool known, neighbour, stranger; /* whose pings get in */
    bool same;                       /* address that others see */
  } cases[] = {
      {KAD_SIM_NAT_KIND_OPEN, true, true, true, true},
      {KAD_SIM_NAT_KIND_FULL_CONE, true, true, true, true},
      {KAD_SIM_NAT_KIND_RESTRICTED, true, true, false, true},
      {KAD_SIM_NAT_KIND_PORT_RESTRICTED, true, false, false, true},
      {KAD_SIM_NAT_KIND_SYMMETRIC, true, false, false, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct fixture fixture;
    set_up(&fixture);
    struct kad_node **others = fixture.hub.others;
    set_nat(&fixture, INNER, cases[i].kind);
    const struct kad_address outer = outer_of(&fixture, INNER);
    const struct kad_address inner = kad_overlay_address(INNER);

    assert_int_equal(kad_address_equal(&outer, &inner),
                     cases[i].kind != KAD_SIM_NAT_KIND_SYMMETRIC);
    assert_int_equal(reaches(&fixture, others[STRANGER], &outer),
                     cases[i].stranger);
    assert_int_equal(reaches(&fixture, fixture.neighbour, &outer),
                     cases[i].neighbour);
    assert_int_equal(reaches(&fixture, others[KNOWN], &outer), cases[i].known);
    const struct kad_address stranger = kad_overlay_address(STRANGER);
    assert_true(reaches(&fixture, others[INNER], &stranger));
    assert_int_equal(kad_address_equal(&fixture.at_stranger, &outer),
                     cases[i].same);
    assert_int_equal(kad_hub_stats(&fixture.hub).filtered > 0,
                     !cases[i].stranger);
    tear_down(&fixture);
  }
}

static void mappings_expire_when_idle(void **state) {
  (void)state;
  for (int kind = KAD_SIM_NAT_KIND_FULL_CONE; kind < KINDS; kind++) {
    struct fixture fixture;
    set_up(&fixture);
    set_nat(&fixture, INNER, (enum kad_sim_nat_kind)kind);
    const struct kad_address outer = outer_of(&fixture, INNER);
    struct kad_node *const known = fixture.hub.others[KNOWN];
    assert_true(reaches(&fixture, known, &outer));

    /* A suspended node does not send queries of its own. */
    struct kad_node *const inner = fixture.hub.others[INNER];
    assert_ok(kad_sim_suspend(fixture.hub.network, inner, true));
    kad_hub_run(&fixture.hub, IDLE_S * KAD_SECOND_MS);
    assert_ok(kad_sim_resume(fixture.hub.network, inner));

    assert_false(reaches(&fixture, known, &outer));
    tear_down(&fixture);
  }
}

/* A ping from the first node to the second opens the NAT of the first. Then the
 * second pings the first. */
static void holes_are_punched_as_the_kinds_allow(void **state) {
  static const struct {
    enum kad_sim_nat_kind first, second;
    bool meet;
  } cases[] = {
      {KAD_SIM_NAT_KIND_FULL_CONE, KAD_SIM_NAT_KIND_SYMMETRIC, true},
      {KAD_SIM_NAT_KIND_RESTRICTED, KAD_SIM_NAT_KIND_RESTRICTED, true},
      {KAD_SIM_NAT_KIND_RESTRICTED, KAD_SIM_NAT_KIND_SYMMETRIC, true},
      {KAD_SIM_NAT_KIND_PORT_RESTRICTED, KAD_SIM_NAT_KIND_PORT_RESTRICTED,
       true},
      {KAD_SIM_NAT_KIND_PORT_RESTRICTED, KAD_SIM_NAT_KIND_SYMMETRIC, false},
      {KAD_SIM_NAT_KIND_SYMMETRIC, KAD_SIM_NAT_KIND_SYMMETRIC, false},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct fixture fixture;
    set_up(&fixture);
    struct kad_node **others = fixture.hub.others;
    set_nat(&fixture, INNER, cases[i].first);
    set_nat(&fixture, SECOND, cases[i].second);
    const struct kad_address first = outer_of(&fixture, INNER);
    const struct kad_address second = outer_of(&fixture, SECOND);

    (void)reaches(&fixture, others[INNER], &second);

    assert_int_equal(reaches(&fixture, others[SECOND], &first), cases[i].meet);
    tear_down(&fixture);
  }
}

static void nodes_may_share_the_ip_of_a_nat_but_not_its_hairpin(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_node **others = fixture.hub.others;
  const struct kad_sim_nat nat = {.kind = KAD_SIM_NAT_KIND_FULL_CONE,
                                  .outer = kad_overlay_address(77)};
  assert_ok(kad_sim_set_nat(fixture.hub.network, others[INNER], &nat));
  assert_ok(kad_sim_set_nat(fixture.hub.network, others[SECOND], &nat));

  const struct kad_address first = outer_of(&fixture, INNER);
  const struct kad_address second = outer_of(&fixture, SECOND);

  assert_memory_equal(first.ip, nat.outer.ip, sizeof first.ip);
  assert_memory_equal(second.ip, nat.outer.ip, sizeof second.ip);
  assert_int_not_equal(first.port, second.port);
  assert_true(reaches(&fixture, fixture.hub.hub, &first));
  assert_true(reaches(&fixture, fixture.hub.hub, &second));
  assert_false(reaches(&fixture, others[INNER], &second));
  assert_false(reaches(&fixture, others[INNER], &first));
  tear_down(&fixture);
}

static void node_leaves_its_nat(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  const struct kad_address inner = kad_overlay_address(INNER);
  set_nat(&fixture, INNER, KAD_SIM_NAT_KIND_SYMMETRIC);
  const struct kad_address outer = outer_of(&fixture, INNER);

  set_nat(&fixture, INNER, KAD_SIM_NAT_KIND_OPEN);

  assert_true(reaches(&fixture, fixture.hub.hub, &inner));
  assert_false(reaches(&fixture, fixture.hub.hub, &outer));
  const struct kad_address seen = outer_of(&fixture, INNER);
  assert_true(kad_address_equal(&seen, &inner));
  tear_down(&fixture);
}

static void node_stays_behind_its_nat_if_its_address_is_taken(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  const struct kad_address inner = kad_overlay_address(INNER);
  const struct kad_sim_nat open = {.kind = KAD_SIM_NAT_KIND_OPEN};
  set_nat(&fixture, INNER, KAD_SIM_NAT_KIND_FULL_CONE);
  struct kad_node *squatter = kad_hub_add(&fixture.hub, &inner);

  assert_int_equal(
      kad_sim_set_nat(fixture.hub.network, fixture.hub.others[INNER], &open),
      KAD_EADDRINUSE);

  const struct kad_address outer = outer_of(&fixture, INNER);
  assert_false(kad_address_equal(&outer, &inner));
  assert_true(reaches(&fixture, fixture.hub.hub, &outer));
  kad_network_close_node(fixture.hub.network, squatter);
  assert_ok(
      kad_sim_set_nat(fixture.hub.network, fixture.hub.others[INNER], &open));
  tear_down(&fixture);
}

static void moved_node_keeps_its_nat(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  set_nat(&fixture, INNER, KAD_SIM_NAT_KIND_PORT_RESTRICTED);
  const struct kad_address before = outer_of(&fixture, INNER);
  const struct kad_address new = kad_overlay_address(50);

  assert_ok(
      kad_sim_move(fixture.hub.network, fixture.hub.others[INNER], &new, 1));

  assert_false(reaches(&fixture, fixture.hub.others[KNOWN], &before));
  assert_false(reaches(&fixture, fixture.hub.hub, &new));
  const struct kad_address after = outer_of(&fixture, INNER);
  assert_true(kad_address_equal(&after, &new));
  tear_down(&fixture);
}

static void nats_out_of_range_are_refused(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  const struct kad_sim_nat wrong[] = {
      {.kind = (enum kad_sim_nat_kind)KINDS},
      {.kind = KAD_SIM_NAT_KIND_SYMMETRIC, .idle_s = 86401},
      {.kind = KAD_SIM_NAT_KIND_SYMMETRIC, .outer = {.family = 5}},
  };

  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(
        kad_sim_set_nat(fixture.hub.network, fixture.hub.hub, &wrong[i]),
        KAD_EINVAL);
  }
  tear_down(&fixture);
}

/* A datagram without memory for its flow is lost; nothing else changes. */
static void nat_survives_out_of_memory(void **state) {
  (void)state;
  for (int kind = KAD_SIM_NAT_KIND_FULL_CONE; kind < KINDS; kind++) {
    const struct kad_sim_nat nat = {.kind = (enum kad_sim_nat_kind)kind};
    struct fixture fixture;
    set_up(&fixture);
    struct kad_node *const inner = fixture.hub.others[INNER];
    for (size_t nth = 0; nth < 3; nth++) {
      kad_counting_fail_at(&fixture.hub.counting, nth);
      assert_int_equal(kad_sim_set_nat(fixture.hub.network, inner, &nat),
                       nth < 2 ? KAD_ENOMEM : 0);
    }
    for (size_t nth = 0; nth < 8; nth++) {
      const struct kad_address to = kad_overlay_address(KNOWN);
      kad_counting_fail_at(&fixture.hub.counting, nth);
      const int error = kad_node_ping(inner, &to, NULL, NULL, NULL);
      assert_true(error == 0 || error == KAD_ENOMEM);
      kad_hub_run(&fixture.hub, KAD_MINUTE_MS);
    }
    kad_counting_never_fail(&fixture.hub.counting);
    (void)outer_of(&fixture, INNER);
    tear_down(&fixture);
  }
}

static uint64_t trace_of(uint64_t seed) {
  struct kad_sim_config config;
  kad_sim_config_default(&config);
  config.seed = seed;
  struct kad_hub hub;
  kad_hub_open(&hub, &config, 20);
  for (size_t i = 0; i < 20; i++) {
    const struct kad_sim_nat nat = {.kind = (enum kad_sim_nat_kind)(i % KINDS)};
    const struct kad_address to = kad_overlay_address(KAD_HUB_OTHERS);
    assert_ok(kad_sim_set_nat(hub.network, hub.others[i], &nat));
    assert_ok(kad_node_bootstrap(hub.others[i], &to, 1, NULL, NULL, NULL));
  }
  kad_hub_run(&hub, 10 * KAD_MINUTE_MS);
  assert_true(kad_hub_stats(&hub).filtered > 0);
  const uint64_t hash = kad_network_trace_hash(hub.network);
  kad_hub_close(&hub);
  return hash;
}

static void nats_follow_the_seed(void **state) {
  (void)state;
  const uint64_t hash = trace_of(1);

  assert_int_equal(trace_of(1), hash);
  assert_int_not_equal(trace_of(2), hash);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(node_that_never_sent_is_unreachable),
      cmocka_unit_test(each_kind_lets_in_its_senders),
      cmocka_unit_test(mappings_expire_when_idle),
      cmocka_unit_test(holes_are_punched_as_the_kinds_allow),
      cmocka_unit_test(nodes_may_share_the_ip_of_a_nat_but_not_its_hairpin),
      cmocka_unit_test(node_leaves_its_nat),
      cmocka_unit_test(node_stays_behind_its_nat_if_its_address_is_taken),
      cmocka_unit_test(moved_node_keeps_its_nat),
      cmocka_unit_test(nats_out_of_range_are_refused),
      cmocka_unit_test(nat_survives_out_of_memory),
      cmocka_unit_test(nats_follow_the_seed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
