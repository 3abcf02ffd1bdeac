/* Errors of the system when it sends. */
/* uv.h needs more of the system than C11 shows, and so does sendmmsg. */
#define _GNU_SOURCE

#include "kadenza_socket.h"
#include "net/udp/udp.h"
#include "net/udp/udp_message.h"
#include "network_fixture.h"
#include "unit.h"

#include <errno.h>

enum {
  NONE = 0,
  BATCH = 8 /* datagrams of a test */
};

/* Stands for the system, which has no state for a test. */
static struct {
  int error;       /* that it returns */
  size_t at;       /* for the datagram with this number */
  size_t more;     /* and for so many after it */
  size_t calls;    /* of one message or more, that succeeded or not */
  size_t messages; /* seen so far */
  size_t sent;
} fake;

/* Sends message for message, as the system may. */
static int send_fake(int fd, struct mmsghdr *messages, unsigned count) {
  (void)fd;
  (void)messages;
  unsigned sent = 0;
  fake.calls++;
  while (sent < count) {
    const bool fails = fake.error != NONE && fake.messages >= fake.at &&
                       fake.messages <= fake.at + fake.more;
    if (fails && sent > 0) {
      return (int)sent;
    }
    fake.messages++;
    if (fails) {
      errno = fake.error;
      return -1;
    }
    fake.sent++;
    sent++;
  }
  return (int)sent;
}

/* Opens a node whose datagrams go to the fake, and sends BATCH pings, of which
 * number `at` meets `error`. Returns its counters. */
static struct kad_socket_stats send_batch(struct kad_fixture *fixture,
                                          const char *const listen[2],
                                          int error, size_t at) {
  struct kad_address addresses[2];
  struct kad_socket_stats stats;
  struct kad_node *node = NULL;
  kad_fixture_open(fixture);
  for (size_t i = 0; i < 2; i++) {
    addresses[i] = kad_fixture_address(listen[i]);
  }
  assert_ok(kad_fixture_try_open(fixture->network, addresses, 2, &node));
  kad_outgoing_set_send(kad_udp_of(fixture->network)->outgoing, send_fake);
  fake.error = error;
  fake.at = at;
  fake.more = 0;
  fake.calls = 0;
  fake.messages = 0;
  fake.sent = 0;
  for (unsigned i = 0; i < BATCH; i++) {
    const struct kad_address to = kad_fixture_address("127.0.0.1:9");
    kad_fixture_ping(fixture, node, &to);
  }
  kad_network_step(fixture->network);
  assert_ok(kad_network_socket_stats(fixture->network, node, &stats, NULL));
  return stats;
}

static const char *const one[2] = {"127.0.0.1:0", "127.0.0.1:0"};

static uint64_t sum_of(const struct kad_socket_stats *stats) {
  uint64_t sum = 0;
#define ADD(name, text) sum += stats->name;
  KAD_SOCKET_STATS_MAP(ADD)
#undef ADD
  return sum;
}

/* Whatever is wrong with one datagram, the others of its batch leave. */
static void one_error_does_not_stop_the_others(void **state) {
  (void)state;
  static const struct {
    int error;
    size_t offset; /* of the counter */
  } cases[] = {
      {EACCES, offsetof(struct kad_socket_stats, send_eacces)},
      {EAGAIN, offsetof(struct kad_socket_stats, send_eagain)},
      {ECONNREFUSED, offsetof(struct kad_socket_stats, send_econnrefused)},
      {EMSGSIZE, offsetof(struct kad_socket_stats, send_emsgsize)},
      {ENOBUFS, offsetof(struct kad_socket_stats, send_enobufs)},
      {EPERM, offsetof(struct kad_socket_stats, send_eperm)},
      {EIO, offsetof(struct kad_socket_stats, send_other)},
      {ENOMEM, offsetof(struct kad_socket_stats, send_other)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t at = 0; at < BATCH; at++) {
      struct kad_fixture fixture;
      const struct kad_socket_stats stats =
          send_batch(&fixture, one, cases[i].error, at);

      assert_int_equal(fake.sent, BATCH - 1);
      assert_int_equal(*(const uint64_t *)(const void *)((const char *)&stats +
                                                         cases[i].offset),
                       1);
      assert_int_equal(sum_of(&stats), 1);
      kad_fixture_close(&fixture);
    }
  }
}

static void interrupted_call_is_repeated(void **state) {
  (void)state;
  struct kad_fixture fixture;

  const struct kad_socket_stats stats = send_batch(&fixture, one, EINTR, 3);

  assert_int_equal(fake.sent, BATCH);
  assert_int_equal(sum_of(&stats), 0);
  kad_fixture_close(&fixture);
}

static void datagram_without_a_route_leaves_from_another_socket(void **state) {
  (void)state;
  static const int errors[] = {EADDRNOTAVAIL, EHOSTUNREACH, EINVAL,
                               ENETDOWN,      ENETUNREACH,  ENODEV};
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    struct kad_fixture fixture;
    const struct kad_socket_stats stats =
        send_batch(&fixture, one, errors[i], 2);

    assert_int_equal(fake.sent, BATCH);
    assert_int_equal(stats.send_rerouted, 1);
    assert_int_equal(sum_of(&stats), 1);
    kad_fixture_close(&fixture);
  }
}

static void latest_failure_is_reported(void **state) {
  (void)state;
  struct kad_fixture fixture;
  struct kad_socket_stats stats;
  struct kad_send_failure failure;
  char text[KAD_ADDRESS_TEXT_SIZE];
  kad_fixture_open(&fixture);
  struct kad_node *node = kad_fixture_open_node(fixture.network, "127.0.0.1:0");
  kad_outgoing_set_send(kad_udp_of(fixture.network)->outgoing, send_fake);
  assert_ok(kad_network_socket_stats(fixture.network, node, &stats, &failure));
  assert_int_equal(failure.count, 0);

  fake.error = EPERM;
  fake.messages = 0;
  fake.at = 0;
  fake.more = BATCH;
  for (uint16_t port = 1; port <= 3; port++) {
    struct kad_address to = kad_fixture_address("127.0.0.1:1");
    to.port = port;
    kad_fixture_ping(&fixture, node, &to);
  }
  kad_network_step(fixture.network);

  assert_ok(kad_network_socket_stats(fixture.network, node, &stats, &failure));
  assert_int_equal(stats.send_eperm, 3);
  assert_int_equal(failure.count, 3);
  assert_int_equal(failure.error, EPERM);
  assert_string_equal(failure.error_name, "EPERM");
  assert_string_equal(failure.error_text, "operation not permitted");
  assert_string_equal(kad_address_format(&failure.to, text), "127.0.0.1:3");
  kad_fixture_close(&fixture);
}

static void node_of_another_network_has_no_counters(void **state) {
  (void)state;
  struct kad_fixture fixture;
  struct kad_fixture other;
  struct kad_socket_stats stats;
  kad_fixture_open(&fixture);
  kad_fixture_open(&other);
  const struct kad_node *node =
      kad_fixture_open_node(fixture.network, "127.0.0.1:0");

  assert_int_equal(kad_network_socket_stats(other.network, node, &stats, NULL),
                   KAD_EINVAL);

  kad_fixture_close(&other);
  kad_fixture_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_error_does_not_stop_the_others),
      cmocka_unit_test(interrupted_call_is_repeated),
      cmocka_unit_test(datagram_without_a_route_leaves_from_another_socket),
      cmocka_unit_test(latest_failure_is_reported),
      cmocka_unit_test(node_of_another_network_has_no_counters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
