/* Nodes on a transport of the test, which passes what one node sends to
 * another. */

#include "kadenza_sim.h"
#include "net/network.h"
#include "network_fixture.h"
#include "unit.h"

#include <string.h>

enum {
  PEOPLE = 12,
  QUEUE_MAX = 256 /* see kad_network_receive */
};

/* A node, and the network that carries what it sends to the others. */
struct person {
  struct kad_address address;
  struct kad_node *node;
  unsigned sent;
  unsigned released;
  bool closes; /* itself, when it sends */
};

static struct kad_counting_allocator counting;
static struct kad_network *network;
static struct person people[PEOPLE];
static struct kad_fixture fixture; /* what came of operations */

static void carry(void *state, const struct kad_address *to,
                  struct kad_slice datagram) {
  struct person *from = state;
  from->sent++;
  if (from->closes) {
    struct kad_node *node = from->node;
    from->node = NULL;
    from->closes = false;
    kad_network_close_node(network, node);
    return;
  }
  for (size_t i = 0; i < PEOPLE; i++) {
    if (kad_address_equal(&people[i].address, to) && people[i].node != NULL) {
      (void)kad_network_receive(network, people[i].node, &from->address,
                                datagram);
    }
  }
}

static void note_release(void *state) {
  struct person *person = state;
  person->released++;
}

static int open_person(size_t i) {
  struct kad_config config;
  const struct kad_transport transport = {
      .state = &people[i], .send = carry, .release = note_release};
  kad_config_default(&config);
  config.allow_local = true;
  config.limits = false;
  people[i].address = (struct kad_address){
      .ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 1, .family = 4};
  return kad_network_open_on_transport(network, &config, &people[i].address, 1,
                                       &transport, &people[i].node);
}

static int open_people(void **state) {
  const bool simulated = *state != NULL;
  struct kad_sim_config config;
  memset(people, 0, sizeof people);
  memset(&fixture, 0, sizeof fixture);
  kad_counting_init(&counting);
  kad_sim_config_default(&config);
  assert_ok(simulated
                ? kad_network_sim_new(&config, counting.allocator, &network)
                : kad_network_udp_new(counting.allocator, &network));
  fixture.network = network;
  fixture.expected = 1;
  for (size_t i = 0; i < PEOPLE; i++) {
    assert_ok(open_person(i));
  }
  return 0;
}

static int close_people(void **state) {
  (void)state;
  kad_network_free(network);
  for (size_t i = 0; i < PEOPLE; i++) {
    assert_int_equal(people[i].released, 1);
  }
  kad_counting_deinit(&counting);
  return 0;
}

static void join(size_t i, size_t by) {
  fixture.results = 0;
  assert_ok(kad_node_bootstrap(people[i].node, &people[by].address, 1,
                               kad_fixture_count_result, &fixture, NULL));
  kad_network_run(network, KAD_PATIENCE_MS);
  assert_int_equal(fixture.results, 1);
  assert_ok(fixture.status);
}

static void they_find_each_other(void **state) {
  (void)state;
  for (size_t i = 1; i < PEOPLE; i++) {
    join(i, i - 1);
  }
  fixture.results = 0;
  assert_ok(kad_node_find_node(people[0].node,
                               kad_node_id(people[PEOPLE - 1].node), NULL,
                               kad_fixture_count_result, &fixture, NULL));
  kad_network_run(network, KAD_PATIENCE_MS);
  assert_int_equal(fixture.results, 1);
  assert_ok(fixture.status);

  struct kad_address bound;
  assert_int_equal(kad_network_addresses(network, people[3].node, &bound, 1),
                   1);
  assert_true(kad_address_equal(&bound, &people[3].address));
  struct kad_stats stats;
  kad_node_stats(people[0].node, &stats);
  assert_true(stats.contacts > 3);
  assert_int_equal(stats.datagrams_out, people[0].sent);
}

static void what_comes_between_turns_is_received_at_once(void **state) {
  const char ping[] =
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
  struct kad_stats stats;
  (void)state;

  assert_ok(kad_network_receive(network, people[0].node, &people[1].address,
                                kad_slice_of(ping)));

  kad_node_stats(people[0].node, &stats);
  assert_int_equal(stats.served_ping, 1);
  assert_true(people[0].sent > 0);
}

static void flood(void *data) {
  unsigned *refused = data;
  for (unsigned i = 0; i < QUEUE_MAX + 10; i++) {
    int error = kad_network_receive(network, people[0].node, &people[1].address,
                                    kad_slice_of("x"));
    assert_true(error == 0 || error == KAD_EFULL);
    *refused += error == KAD_EFULL;
  }
}

static void a_bounded_number_waits_amid_callbacks(void **state) {
  unsigned refused = 0;
  struct kad_stats stats;
  kad_timer_id timer;
  (void)state;
  assert_ok(kad_network_start_timer(network, 0, flood, &refused, &timer));

  kad_network_run(network, 50);

  assert_int_equal(refused, 10);
  kad_node_stats(people[0].node, &stats);
  assert_int_equal(stats.datagrams_in, QUEUE_MAX);
}

static void flood_and_close(void *data) {
  flood(data);
  kad_network_close_node(network, people[0].node);
  people[0].node = NULL;
}

static void what_waits_for_a_closed_node_is_dropped(void **state) {
  unsigned refused = 0;
  kad_timer_id timer;
  (void)state;
  assert_ok(
      kad_network_start_timer(network, 0, flood_and_close, &refused, &timer));
  kad_network_run(network, 50);
  assert_int_equal(people[0].released, 1);
}

static void a_node_may_be_closed_by_its_own_send(void **state) {
  (void)state;
  people[2].closes = true;
  fixture.expected = 2;
  assert_ok(kad_node_ping(people[2].node, &people[1].address,
                          kad_fixture_count_result, &fixture, NULL));
  kad_network_run(network, 200);
  assert_int_equal(fixture.results, 1);
  assert_int_equal(fixture.status, KAD_ECLOSED);
  assert_int_equal(people[2].released, 1);
}

/* Between turns a reply is sent at once, and the node must survive it. */
static void even_between_turns(void **state) {
  const char ping[] =
      "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
  (void)state;
  people[0].closes = true;
  assert_ok(kad_network_receive(network, people[0].node, &people[1].address,
                                kad_slice_of(ping)));
  assert_int_equal(people[0].released, 1);
}

static void mistakes_are_refused(void **state) {
  static const uint8_t long_one[KAD_DATAGRAM_MAX + 1];
  const struct kad_address nowhere = {.family = 0};
  const struct kad_address portless = {.family = 4, .ip = {10, 0, 0, 99}};
  const struct kad_transport mute = {.state = NULL};
  const struct kad_transport transport = {.state = &people[0], .send = carry};
  struct kad_config config;
  struct kad_node *node;
  (void)state;
  kad_config_default(&config);

  assert_int_equal(kad_network_open_on_transport(network, &config, &portless, 1,
                                                 &transport, &node),
                   KAD_EINVAL);
  assert_int_equal(kad_network_open_on_transport(
                       network, &config, &people[0].address, 1, &mute, &node),
                   KAD_EINVAL);
  assert_int_equal(kad_network_open_on_transport(
                       network, &config, &people[0].address, 1, NULL, &node),
                   KAD_EINVAL);
  assert_int_equal(kad_network_open_on_transport(network, &config,
                                                 &people[0].address, 0,
                                                 &transport, &node),
                   KAD_EINVAL);
  config.k = 0;
  assert_int_equal(kad_network_open_on_transport(network, &config,
                                                 &people[0].address, 1,
                                                 &transport, &node),
                   KAD_EINVAL);
  assert_int_equal(
      kad_network_receive(network, people[0].node, &nowhere, kad_slice_of("x")),
      KAD_EINVAL);
  assert_int_equal(
      kad_network_receive(network, people[0].node, &people[1].address,
                          (struct kad_slice){long_one, sizeof long_one}),
      KAD_ETOOBIG);
}

static void a_node_with_sockets_takes_none(void **state) {
  struct kad_address listen = {.ip = {127, 0, 0, 1}, .port = 0, .family = 4};
  struct kad_node *node;
  listen.port = *state != NULL ? 7 : 0; /* simulated ones need one */
  assert_ok(kad_fixture_try_open(network, &listen, 1, &node));
  assert_int_equal(
      kad_network_receive(network, node, &people[0].address, kad_slice_of("x")),
      KAD_EINVAL);
}

static void memory_may_end_at_any_time(void **state) {
  (void)state;
  for (size_t n = 0;; n++) {
    struct kad_network *made = NULL;
    struct kad_counting_allocator failing;
    struct kad_node *node = NULL;
    struct kad_config config;
    struct person lonely = {
        .address = {.ip = {10, 0, 1, 1}, .port = 1, .family = 4}};
    const struct kad_transport transport = {
        .state = &lonely, .send = carry, .release = note_release};
    kad_config_default(&config);
    kad_counting_init(&failing);
    assert_ok(kad_network_udp_new(failing.allocator, &made));
    kad_counting_fail_at(&failing, n);
    int error = kad_network_open_on_transport(made, &config, &lonely.address, 1,
                                              &transport, &node);
    bool failed = failing.has_failed;
    kad_counting_never_fail(&failing);
    assert_int_equal(error, failed ? KAD_ENOMEM : 0);
    kad_network_free(made);
    assert_int_equal(lonely.released, failed ? 0 : 1);
    kad_counting_deinit(&failing);
    if (!failed) {
      assert_true(n > 3);
      return;
    }
  }
}

int main(void) {
  static int simulated;
  const struct CMUnitTest tests[] = {
#define REAL(test) \
  cmocka_unit_test_setup_teardown(test, open_people, close_people)
#define BOTH(test)                                      \
  REAL(test), cmocka_unit_test_prestate_setup_teardown( \
                  test, open_people, close_people, &simulated)
      BOTH(they_find_each_other),
      BOTH(what_comes_between_turns_is_received_at_once),
      BOTH(a_bounded_number_waits_amid_callbacks),
      BOTH(what_waits_for_a_closed_node_is_dropped),
      BOTH(a_node_may_be_closed_by_its_own_send),
      BOTH(even_between_turns),
      BOTH(mistakes_are_refused),
      BOTH(a_node_with_sockets_takes_none),
      REAL(memory_may_end_at_any_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
