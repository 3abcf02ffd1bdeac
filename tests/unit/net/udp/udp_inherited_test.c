#define _DEFAULT_SOURCE

#include "kadenza_inherited.h"
#include "kadenza_sim.h"
#include "net/udp/udp.h"
#include "network_fixture.h"
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Returns a socket of `type`, bound to `text` unless NULL. */
static int make_socket(int type, const char *text) {
  const struct kad_address address =
      kad_fixture_address(text != NULL ? text : "127.0.0.1:0");
  const bool is_ip6 = address.family == 6;
  union kad_socket_address system;
  const int fd = socket(is_ip6 ? AF_INET6 : AF_INET, type, 0);
  if (fd >= 0 && text != NULL) {
    kad_udp_address_to_system(&address, &system);
    const socklen_t len = is_ip6 ? sizeof system.ip6 : sizeof system.ip4;
    assert_ok(bind(fd, &system.any, len));
  }
  return fd;
}

static int make_udp_socket(const char *text) {
  const int fd = make_socket(SOCK_DGRAM, text);
  assert_true(fd >= 0);
  return fd;
}

static bool is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

/* Opens a node without limits on `sockets`, with local addresses allowed. */
static int try_open(struct kad_network *network, const int *sockets,
                    size_t count, struct kad_node **node) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  config.limits = false;
  return kad_network_open_on_sockets(network, &config, sockets, count, node);
}

static void node_serves_on_sockets_that_were_bound_before(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const int sockets[2] = {make_udp_socket("127.0.0.1:0"),
                          make_udp_socket("0.0.0.0:0")};
  struct kad_address bound[2];
  struct kad_node *asked = NULL;
  struct kad_node *asker =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  for (size_t i = 0; i < 2; i++) {
    assert_null(kad_inherited_socket_problem(sockets[i], &bound[i]));
  }

  assert_ok(try_open(fixture.network, sockets, 2, &asked));
  fixture.expected = 2;
  for (size_t i = 0; i < 2; i++) {
    struct kad_address to = kad_fixture_bound(fixture.network, asked, i);
    assert_int_equal(to.port, bound[i].port);
    to.ip[0] = 127;
    to.ip[3] = 1;
    kad_fixture_ping(&fixture, asker, &to);
  }
  kad_fixture_run(&fixture);

  assert_int_equal(fixture.failures, 0);
  kad_fixture_close(&fixture);
}

static void descriptors_are_closed_with_the_node(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const int fd = make_udp_socket("127.0.0.1:0");
  struct kad_node *node = NULL;

  assert_ok(try_open(fixture.network, &fd, 1, &node));
  assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  kad_network_close_node(fixture.network, node);

  assert_false(is_open(fd));
  kad_fixture_close(&fixture);
}

static void descriptors_stay_open_if_the_node_does_not_open(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const int sockets[2] = {make_udp_socket("127.0.0.1:0"),
                          make_socket(SOCK_STREAM, "127.0.0.1:0")};
  const int twice[2] = {sockets[0], sockets[0]};
  struct kad_config config;
  struct kad_node *node = NULL;
  kad_config_default(&config);
  config.k = 0; /* an engine refuses that */

  assert_int_equal(try_open(fixture.network, sockets, 2, &node), KAD_EINVAL);
  assert_int_equal(try_open(fixture.network, twice, 2, &node), KAD_EINVAL);
  assert_int_equal(try_open(fixture.network, sockets, 0, &node), KAD_EINVAL);
  assert_int_equal(
      kad_network_open_on_sockets(fixture.network, &config, sockets, 1, &node),
      KAD_EINVAL);
  assert_null(node);

  assert_ok(try_open(fixture.network, sockets, 1, &node));
  (void)close(sockets[1]);
  kad_fixture_close(&fixture);
}

static void failed_allocation_leaves_descriptors_open(void **state) {
  (void)state;
  struct kad_fixture fixture;
  kad_fixture_open(&fixture);
  const int fd = make_udp_socket("127.0.0.1:0");
  struct kad_node *node = NULL;
  int result = KAD_ENOMEM;

  for (size_t n = 0; result == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    result = try_open(fixture.network, &fd, 1, &node);
    assert_true(is_open(fd));
  }
  kad_counting_never_fail(&fixture.counting);

  assert_ok(result);
  kad_fixture_close(&fixture);
}

/* Closes `fd` and fails unless its problem contains `text`. */
static void assert_problem(int fd, const char *text) {
  struct kad_address address = {.port = 7};
  const char *problem = kad_inherited_socket_problem(fd, &address);
  assert_non_null(problem);
  assert_non_null(strstr(problem, text));
  assert_int_equal(address.port, 7);
  (void)close(fd);
}

static void other_descriptors_are_refused_with_the_reason(void **state) {
  (void)state;
  const int closed = make_udp_socket(NULL);
  const int connected = make_udp_socket("127.0.0.1:0");
  const struct sockaddr_in peer = {.sin_family = AF_INET,
                                   .sin_port = htons(9),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
  (void)close(closed);
  assert_ok(connect(connected, (const struct sockaddr *)&peer, sizeof peer));

  assert_problem(closed, "is not open");
  assert_problem(-1, "is not open");
  assert_problem(open("/dev/null", O_RDWR), "is not a socket");
  assert_problem(make_socket(SOCK_STREAM, "127.0.0.1:0"), "not a UDP socket");
  assert_problem(socket(AF_UNIX, SOCK_DGRAM, 0), "not a UDP socket");
  assert_problem(make_udp_socket(NULL), "is not bound");
  assert_problem(connected, "is connected");
}

static void socket_of_both_families_is_refused(void **state) {
  (void)state;
  const int probe = socket(AF_INET6, SOCK_DGRAM, 0);
  if (probe < 0) {
    skip(); /* a machine without IPv6 */
  }
  (void)close(probe);
  const int off = 0;
  const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
  struct sockaddr_in6 any = {.sin6_family = AF_INET6};
  assert_ok(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
  assert_ok(bind(fd, (struct sockaddr *)&any, sizeof any));

  assert_problem(fd, "IPv4 and IPv6");
}

static void simulated_network_takes_no_sockets(void **state) {
  (void)state;
  struct kad_sim_config sim;
  struct kad_network *network = NULL;
  struct kad_node *node = NULL;
  const int fd = make_udp_socket("127.0.0.1:0");
  kad_sim_config_default(&sim);
  assert_ok(kad_network_sim_new(&sim, kad_allocator_default(), &network));

  assert_int_equal(try_open(network, &fd, 1, &node), KAD_EINVAL);

  kad_network_free(network);
  (void)close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(node_serves_on_sockets_that_were_bound_before),
      cmocka_unit_test(descriptors_are_closed_with_the_node),
      cmocka_unit_test(descriptors_stay_open_if_the_node_does_not_open),
      cmocka_unit_test(failed_allocation_leaves_descriptors_open),
      cmocka_unit_test(other_descriptors_are_refused_with_the_reason),
      cmocka_unit_test(socket_of_both_families_is_refused),
      cmocka_unit_test(simulated_network_takes_no_sockets),
  };
  return cmocka_run_group_tests_name("udp_inherited", tests, NULL, NULL);
}
