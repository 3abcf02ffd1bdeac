#include "network_fixture.h"

#include "unit.h"

void kad_fixture_open(struct kad_fixture *fixture) {
  *fixture = (struct kad_fixture){.expected = 1};
  kad_counting_init(&fixture->counting);
  assert_ok(
      kad_network_udp_new(fixture->counting.allocator, &fixture->network));
}

void kad_fixture_close(struct kad_fixture *fixture) {
  kad_network_free(fixture->network);
  kad_counting_deinit(&fixture->counting);
}

struct kad_address kad_fixture_address(const char *text) {
  struct kad_address address;
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

int kad_fixture_try_open(struct kad_network *network,
                         const struct kad_address *listen, size_t count,
                         struct kad_node **node) {
  struct kad_config config;
  kad_config_default(&config);
  config.allow_local = true;
  config.limits = false;
  return kad_network_open_node(network, &config, listen, count, node);
}

struct kad_node *kad_fixture_open_node(struct kad_network *network,
                                       const char *listen) {
  const struct kad_address address = kad_fixture_address(listen);
  struct kad_node *node = NULL;
  assert_ok(kad_fixture_try_open(network, &address, 1, &node));
  return node;
}

struct kad_address kad_fixture_bound(struct kad_network *network,
                                     const struct kad_node *node, size_t i) {
  struct kad_address addresses[8];
  assert_true(kad_network_addresses(network, node, addresses, 8) > i);
  return addresses[i];
}

void kad_fixture_count_result(void *data, const struct kad_result *result) {
  struct kad_fixture *fixture = data;
  fixture->status = result->status;
  fixture->failures += result->status != 0;
  if (++fixture->results == fixture->expected) {
    kad_network_stop(fixture->network);
  }
}

void kad_fixture_ping(struct kad_fixture *fixture, struct kad_node *from,
                      const struct kad_address *to) {
  assert_ok(kad_node_ping(from, to, kad_fixture_count_result, fixture, NULL));
}

void kad_fixture_run(struct kad_fixture *fixture) {
  const kad_time_ms begun = kad_network_now(fixture->network);
  kad_network_run(fixture->network, KAD_PATIENCE_MS);
  assert_true(kad_network_now(fixture->network) < begun + KAD_PATIENCE_MS);
}

void kad_fixture_count_fire(void *data) {
  struct kad_fixture *fixture = data;
  fixture->fired++;
}

void kad_fixture_stop(void *data) {
  struct kad_fixture *fixture = data;
  fixture->fired++;
  kad_network_stop(fixture->network);
}
