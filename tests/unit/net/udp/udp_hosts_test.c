/* Nodes on hosts with several addresses and links: tests
 * core/net/udp/udp_route.c, core/net/udp/udp_interface.c and
 * core/net/udp/udp_incoming.c. */
#include "hosts.h"
#include "kadenza_socket.h"
#include "network_fixture.h"
#include "unit.h"

#include <stdio.h>

enum {
  TRIES = 5,    /* of a ping that is to be answered */
  LOOK_UPS = 10 /* until a contact is queried another way */
};

/* Nodes of one network with sockets on both hosts. */
struct world {
  struct kad_hosts hosts;
  struct kad_fixture fixture;
};

static void open_world(struct world *world) {
  kad_hosts_open(&world->hosts);
  kad_fixture_open(&world->fixture);
}

static void close_world(struct world *world) {
  kad_fixture_close(&world->fixture);
  kad_hosts_close(&world->hosts);
}

/* Opens a node here on the addresses in `listen`, which NULL ends. */
static struct kad_node *open_here(struct world *world,
                                  const char *const *listen) {
  struct kad_address addresses[8];
  struct kad_node *node = NULL;
  size_t count = 0;
  while (listen[count] != NULL) {
    addresses[count] = kad_fixture_address(listen[count]);
    count++;
  }
  assert_ok(
      kad_fixture_try_open(world->fixture.network, addresses, count, &node));
  return node;
}

static struct kad_node *open_there(struct world *world, const char *listen) {
  kad_hosts_enter(&world->hosts, true);
  struct kad_node *node = kad_fixture_open_node(world->fixture.network, listen);
  kad_hosts_enter(&world->hosts, false);
  return node;
}

/* Pings `to` and returns how that ended. Tries again after a timeout: a system
 * under load is slow to use a new address, and loses datagrams meanwhile. */
static int ping_address(struct world *world, struct kad_node *from,
                        const struct kad_address *to) {
  struct kad_fixture *fixture = &world->fixture;
  fixture->status = KAD_ETIMEOUT;
  for (int i = 0; i < TRIES && fixture->status == KAD_ETIMEOUT; i++) {
    fixture->expected = fixture->results + 1;
    kad_fixture_ping(fixture, from, to);
    kad_fixture_run(fixture);
  }
  return fixture->status;
}

static int ping(struct world *world, struct kad_node *from, const char *to) {
  const struct kad_address address = kad_fixture_address(to);
  return ping_address(world, from, &address);
}

static struct kad_socket_stats stats_of(struct world *world,
                                        const struct kad_node *node) {
  struct kad_socket_stats stats;
  assert_ok(
      kad_network_socket_stats(world->fixture.network, node, &stats, NULL));
  return stats;
}

static void reply_leaves_from_the_address_that_was_asked(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  (void)open_here(&world, (const char *[]){"0.0.0.0:7101", "[::]:7101", NULL});
  struct kad_node *here =
      open_here(&world, (const char *[]){"0.0.0.0:0", "[::]:0", NULL});
  struct kad_node *there = open_there(&world, "0.0.0.0:0");
  struct kad_node *there6 = open_there(&world, "[::]:0");

  assert_ok(ping(&world, here, "127.0.0.1:7101"));
  assert_ok(ping(&world, here, "127.0.0.2:7101"));
  assert_ok(ping(&world, here, "10.77.0.1:7101"));
  assert_ok(ping(&world, here, "10.9.0.1:7101"));
  assert_ok(ping(&world, here, "[::1]:7101"));
  assert_ok(ping(&world, here, "[fd77::1]:7101"));
  assert_ok(ping(&world, here, "[fd09::1]:7101"));
  assert_ok(ping(&world, there, "10.77.0.1:7101"));
  assert_ok(ping(&world, there, "10.78.0.1:7101"));
  assert_ok(ping(&world, there6, "[fd78::1]:7101"));

  close_world(&world);
}

/* The other host has a route to 10.9.0.1, an address of lo here. */
static void reply_leaves_from_an_address_of_another_interface(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  (void)open_here(&world, (const char *[]){"0.0.0.0:7101", "[::]:7101", NULL});
  kad_hosts_enter(&world.hosts, true);
  kad_hosts_ip("route add 10.9.0.1 via 10.77.0.1\n"
               "route add fd09::1 via fd77::1\n");
  kad_hosts_enter(&world.hosts, false);
  struct kad_node *there = open_there(&world, "0.0.0.0:0");
  struct kad_node *there6 = open_there(&world, "[::]:0");

  assert_ok(ping(&world, there, "10.9.0.1:7101"));
  assert_ok(ping(&world, there6, "[fd09::1]:7101"));

  close_world(&world);
}

/* More than `via` has numbers for. */
static void every_address_of_many_is_answered(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  (void)open_here(&world, (const char *[]){"0.0.0.0:7101", NULL});
  struct kad_node *asker =
      open_here(&world, (const char *[]){"0.0.0.0:0", NULL});

  for (unsigned i = 0; i < 600; i++) {
    char to[32];
    (void)snprintf(to, sizeof to, "127.0.%u.%u:7101", i / 250, i % 250 + 1);
    assert_ok(ping(&world, asker, to));
  }

  close_world(&world);
}

static void query_leaves_from_a_socket_with_a_route(void **state) {
  (void)state;
  static const char *const listens[][5] = {
      {"127.0.0.1:0", "10.77.0.1:0", "[::1]:0", "[fd77::1]:0", NULL},
      {"10.77.0.1:0", "127.0.0.1:0", "[fd77::1]:0", "[::1]:0", NULL},
      {"10.78.0.1:0", "10.77.0.1:0", "[fd78::1]:0", "[fd77::1]:0", NULL},
      {"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0", NULL},
  };
  struct world world;
  open_world(&world);
  (void)open_there(&world, "0.0.0.0:7110");
  (void)open_there(&world, "[::]:7110");

  for (size_t i = 0; i < sizeof listens / sizeof *listens; i++) {
    struct kad_node *node = open_here(&world, listens[i]);
    assert_ok(ping(&world, node, "10.77.0.2:7110"));
    assert_ok(ping(&world, node, "[fd77::2]:7110"));
    assert_int_equal(stats_of(&world, node).send_einval, 0);
  }

  close_world(&world);
}

static void address_without_a_route_is_told(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  (void)open_there(&world, "0.0.0.0:7110");
  (void)open_here(&world,
                  (const char *[]){"10.77.0.1:7110", "[fd77::1]:7110", NULL});
  struct kad_node *loopback =
      open_here(&world, (const char *[]){"127.0.0.1:0", "[::1]:0", NULL});
  struct kad_node *link =
      open_here(&world, (const char *[]){"10.77.0.1:0", NULL});

  assert_int_equal(ping(&world, loopback, "10.77.0.2:7110"), KAD_ENOROUTE);
  assert_int_equal(ping(&world, loopback, "[fd77::2]:7110"), KAD_ENOROUTE);
  assert_int_equal(ping(&world, link, "172.16.0.1:7110"), KAD_ENOROUTE);
  assert_int_equal(ping(&world, link, "[fd77::2]:7110"), KAD_EFAMILY);
  assert_ok(ping(&world, loopback, "10.77.0.1:7110"));
  assert_ok(ping(&world, loopback, "[fd77::1]:7110"));

  close_world(&world);
}

/* Notes from where the node was asked. */
static void note_sender(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  struct kad_fixture *fixture = state;
  (void)answer;
  fixture->addresses[0] = call->from.address;
}

/* Returns the address of a contact that was heard at an address of `node`. */
static struct kad_address heard_at(struct world *world, struct kad_node *node,
                                   struct kad_node *contact,
                                   const char *asked) {
  const struct kad_policy policy = {
      .state = &world->fixture,
      .on_request = note_sender,
  };
  assert_ok(kad_node_set_policy(node, &policy));
  assert_ok(ping(world, contact, asked));
  assert_int_not_equal(world->fixture.addresses[0].via, 0);
  return world->fixture.addresses[0];
}

static void local_address_may_go_and_come(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  kad_hosts_ip("addr add 10.77.0.5/24 dev west\n"
               "addr add fd77::5/64 dev west nodad\n");
  struct kad_node *node =
      open_here(&world, (const char *[]){"0.0.0.0:7101", "[::]:7101", NULL});
  struct kad_node *there = open_there(&world, "0.0.0.0:7110");
  struct kad_node *there6 = open_there(&world, "[::]:7110");
  const struct kad_address contact =
      heard_at(&world, node, there, "10.77.0.5:7101");
  const struct kad_address contact6 =
      heard_at(&world, node, there6, "[fd77::5]:7101");

  kad_hosts_ip("addr del 10.77.0.5/24 dev west\n"
               "addr del fd77::5/64 dev west\n"
               "addr add 10.77.0.6/24 dev west\n"
               "addr add fd77::6/64 dev west nodad\n");
  for (int i = 0; i < 3; i++) {
    assert_ok(ping_address(&world, node, &contact));
    assert_ok(ping_address(&world, node, &contact6));
  }
  assert_ok(ping(&world, there, "10.77.0.6:7101"));
  assert_ok(ping(&world, there6, "[fd77::6]:7101"));
  assert_true(stats_of(&world, node).send_rerouted >= 2);

  kad_hosts_ip("addr add 10.77.0.5/24 dev west\n"
               "addr add fd77::5/64 dev west nodad\n");
  assert_ok(ping(&world, there, "10.77.0.5:7101"));
  assert_ok(ping(&world, there6, "[fd77::5]:7101"));

  close_world(&world);
}

/* The address that a socket is bound to goes: the other socket takes over. */
static void another_socket_takes_over(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  struct kad_node *node = open_here(
      &world, (const char *[]){"10.77.0.1:7101", "10.78.0.1:7101", NULL});
  struct kad_node *there = open_there(&world, "0.0.0.0:7110");
  const struct kad_address contact =
      heard_at(&world, node, there, "10.77.0.1:7101");
  kad_hosts_enter(&world.hosts, true);
  kad_hosts_ip("addr add 10.79.0.2/32 dev lo\n");
  kad_hosts_enter(&world.hosts, false);

  kad_hosts_ip("addr del 10.77.0.1/24 dev west\n"
               "route add 10.77.0.2 via 10.78.0.2\n"
               "route add 10.79.0.2 via 10.78.0.2\n");
  assert_ok(ping_address(&world, node, &contact));
  assert_ok(ping(&world, node, "10.79.0.2:7110"));

  kad_hosts_ip("addr add 10.77.0.1/24 dev west\n");
  assert_ok(ping(&world, there, "10.77.0.1:7101"));

  close_world(&world);
}

static int look_up(struct world *world, struct kad_node *node) {
  struct kad_fixture *fixture = &world->fixture;
  fixture->expected = fixture->results + 1;
  assert_ok(kad_node_find_node(node, kad_node_id(node), NULL,
                               kad_fixture_count_result, fixture, NULL));
  kad_fixture_run(fixture);
  return fixture->status;
}

/* The local address at which a contact was heard stays when its link goes down:
 * the system still takes it for a source, but no reply arrives there. */
static void contact_is_queried_by_another_link(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  struct kad_node *node =
      open_here(&world, (const char *[]){"0.0.0.0:7101", NULL});
  struct kad_node *there = open_there(&world, "0.0.0.0:7110");
  (void)heard_at(&world, node, there, "10.77.0.1:7101");
  assert_ok(look_up(&world, node));

  kad_hosts_ip("link set west down\n"
               "route add 10.77.0.2 via 10.78.0.2\n");
  int status = KAD_ETIMEOUT;
  for (int i = 0; i < LOOK_UPS && status != 0; i++) {
    status = look_up(&world, node);
  }

  assert_ok(status);
  close_world(&world);
}

/* Ports without a program, hosts that do not exist, routes that reject: ICMP
 * errors arrive, or the system refuses. */
static void errors_do_not_stop_a_socket(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  kad_hosts_ip("route add prohibit 10.80.0.0/16\n"
               "route add unreachable 10.81.0.0/16\n"
               "route add blackhole 10.82.0.0/16\n");
  struct kad_node *node =
      open_here(&world, (const char *[]){"0.0.0.0:7101", NULL});
  struct kad_node *there = open_there(&world, "0.0.0.0:7110");
  static const char *const dead[] = {"127.0.0.1:9",  "10.77.0.2:9",
                                     "10.77.0.99:9", "10.80.0.1:9",
                                     "10.81.0.1:9",  "10.82.0.1:9"};
  world.fixture.expected = sizeof dead / sizeof *dead;
  for (size_t i = 0; i < sizeof dead / sizeof *dead; i++) {
    const struct kad_address to = kad_fixture_address(dead[i]);
    kad_fixture_ping(&world.fixture, node, &to);
  }
  kad_fixture_run(&world.fixture);
  assert_int_equal(world.fixture.failures, sizeof dead / sizeof *dead);

  assert_ok(ping(&world, node, "10.77.0.2:7110"));
  assert_ok(ping(&world, there, "10.77.0.1:7101"));

  close_world(&world);
}

static void link_local_addresses_work_on_each_link(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  struct kad_node *any = open_here(&world, (const char *[]){"[::]:7101", NULL});
  (void)open_here(&world, (const char *[]){"[fe80::78:1]:7102", NULL});
  struct kad_node *there = open_there(&world, "[::]:7110");

  assert_ok(ping(&world, any, "[fe80::77:2]:7110"));
  assert_ok(ping(&world, any, "[fe80::78:2]:7110"));
  const struct kad_address contact =
      heard_at(&world, any, there, "[fd77::1]:7101");
  assert_ok(ping_address(&world, any, &contact));

  close_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reply_leaves_from_the_address_that_was_asked),
      cmocka_unit_test(reply_leaves_from_an_address_of_another_interface),
      cmocka_unit_test(every_address_of_many_is_answered),
      cmocka_unit_test(query_leaves_from_a_socket_with_a_route),
      cmocka_unit_test(address_without_a_route_is_told),
      cmocka_unit_test(local_address_may_go_and_come),
      cmocka_unit_test(another_socket_takes_over),
      cmocka_unit_test(contact_is_queried_by_another_link),
      cmocka_unit_test(errors_do_not_stop_a_socket),
      cmocka_unit_test(link_local_addresses_work_on_each_link),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
