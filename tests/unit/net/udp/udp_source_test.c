#include "net/udp/udp_source.h"

#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

struct world {
  struct kad_counting_allocator counting;
  struct kad_udp_sources sources;
};

static int set_up(void **state) {
  static struct world world;
  memset(&world, 0, sizeof world);
  kad_counting_init(&world.counting);
  *state = &world;
  return 0;
}

static int tear_down(void **state) {
  struct world *world = *state;
  kad_udp_sources_deinit(&world->sources, &world->counting.allocator);
  kad_counting_deinit(&world->counting);
  return 0;
}

static struct kad_udp_source source_of(unsigned number) {
  struct kad_udp_source source = {.socket = 1, .has_ip = true};
  source.ip[0] = (uint8_t)(number / 256);
  source.ip[1] = (uint8_t)(number % 256);
  return source;
}

static int find(struct world *world, const struct kad_udp_source *wanted) {
  return kad_udp_sources_find(&world->sources, &world->counting.allocator,
                              wanted);
}

static void address_keeps_its_number(void **state) {
  struct world *world = *state;
  int first[50];
  for (unsigned i = 0; i < 50; i++) {
    const struct kad_udp_source wanted = source_of(i);
    first[i] = find(world, &wanted);
    assert_true(first[i] >= 0);
  }
  for (unsigned i = 0; i < 50; i++) {
    const struct kad_udp_source wanted = source_of(i);
    assert_int_equal(find(world, &wanted), first[i]);
    const struct kad_udp_source_entry *entry =
        kad_udp_sources_at(&world->sources, (size_t)first[i]);
    assert_memory_equal(entry->source.ip, wanted.ip, sizeof wanted.ip);
  }
}

static void socket_and_interface_are_part_of_an_address(void **state) {
  struct world *world = *state;
  const struct kad_udp_source source = source_of(1);
  struct kad_udp_source other_socket = source;
  struct kad_udp_source other_interface = source;
  other_socket.socket = 2;
  other_interface.interface = 3;

  assert_int_equal(find(world, &source), 0);
  assert_int_equal(find(world, &other_socket), 1);
  assert_int_equal(find(world, &other_interface), 2);
}

static void full_table_reuses_the_oldest(void **state) {
  struct world *world = *state;
  struct kad_udp_source wanted;
  for (unsigned i = 0; i < KAD_UDP_SOURCES_MAX; i++) {
    wanted = source_of(i);
    assert_int_equal(find(world, &wanted), i);
  }
  (void)kad_udp_sources_at(&world->sources, 0); /* a datagram leaves from it */
  wanted = source_of(1000);

  assert_int_equal(find(world, &wanted), 1);

  assert_int_equal(world->sources.count, KAD_UDP_SOURCES_MAX);
  wanted = source_of(0);
  assert_int_equal(find(world, &wanted), 0);
}

static void number_of_no_address_is_refused(void **state) {
  struct world *world = *state;
  const struct kad_udp_source wanted = source_of(1);
  assert_null(kad_udp_sources_at(&world->sources, 0));
  assert_int_equal(find(world, &wanted), 0);
  assert_null(kad_udp_sources_at(&world->sources, 1));
}

static void arrival_mends_a_broken_address(void **state) {
  struct world *world = *state;
  const struct kad_udp_source wanted = source_of(1);
  assert_int_equal(find(world, &wanted), 0);
  kad_udp_sources_at(&world->sources, 0)->broken_to = 1000;

  assert_int_equal(find(world, &wanted), 0);

  assert_int_equal(kad_udp_sources_at(&world->sources, 0)->broken_to, 0);
}

static void without_memory_entries_are_reused(void **state) {
  struct world *world = *state;
  kad_counting_fail_at(&world->counting, 0);
  struct kad_udp_source wanted = source_of(0);
  assert_int_equal(find(world, &wanted), -1);

  kad_counting_never_fail(&world->counting);
  assert_int_equal(find(world, &wanted), 0);
  kad_counting_fail_at(&world->counting, 0);
  for (unsigned i = 1; i < 100; i++) {
    wanted = source_of(i);
    assert_true(find(world, &wanted) >= 0);
    assert_int_equal(world->sources.entries[world->sources.latest].source.ip[1],
                     i);
  }
  kad_counting_never_fail(&world->counting);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(address_keeps_its_number),
      TEST(socket_and_interface_are_part_of_an_address),
      TEST(full_table_reuses_the_oldest),
      TEST(number_of_no_address_is_refused),
      TEST(arrival_mends_a_broken_address),
      TEST(without_memory_entries_are_reused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
