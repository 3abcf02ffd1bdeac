/* The order in which work for other nodes is done, and the bound of what may
 * wait. */
#include "rpc/backlog.h"

#include "counting_allocator.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum {
  ITEMS = 2 * KAD_BACKLOG_MAX
};

static const uint8_t secret[KAD_MAP_SECRET_SIZE] = {9};

struct fixture {
  struct kad_counting_allocator counting;
  struct kad_backlog backlog;
  struct kad_backlog_item items[ITEMS]; /* known by their index */
  size_t used;
};

static struct fixture fixture;

static int begin_with(void **state, bool allow_local) {
  memset(&fixture, 0, sizeof fixture);
  kad_counting_init(&fixture.counting);
  kad_backlog_init(&fixture.backlog, &fixture.counting.allocator, secret,
                   allow_local);
  *state = &fixture;
  return 0;
}

static int begin(void **state) {
  return begin_with(state, false);
}

static int begin_local(void **state) {
  return begin_with(state, true);
}

static int end(void **state) {
  struct fixture *f = *state;
  while (kad_backlog_take(&f->backlog) != NULL) {
  }
  assert_int_equal(f->backlog.count, 0);
  kad_backlog_deinit(&f->backlog);
  kad_counting_deinit(&f->counting);
  return 0;
}

static struct kad_address address_of(const char *text) {
  struct kad_address address;
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

/* Adds the next item, of `from`. Returns the result; `*refused` is the index of
 * the item that leaves for it, or -1. */
static int add_item(struct fixture *f, const char *from,
                    enum kad_backlog_place place, int *refused) {
  struct kad_backlog_item *leaves = NULL;
  const struct kad_address address = address_of(from);
  assert_true(f->used < ITEMS);
  const int error = kad_backlog_add(&f->backlog, &address, &f->items[f->used],
                                    place, &leaves);
  f->used++;
  *refused = leaves == NULL ? -1 : (int)(leaves - f->items);
  return error;
}

static void add(struct fixture *f, const char *from) {
  int refused = 0;
  assert_ok(add_item(f, from, KAD_BACKLOG_NEW, &refused));
  assert_int_equal(refused, -1);
}

static int take(struct fixture *f) {
  const struct kad_backlog_item *item = kad_backlog_take(&f->backlog);
  return item == NULL ? -1 : (int)(item - f->items);
}

static void assert_order(struct fixture *f, const int *order, size_t count) {
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(take(f), order[i]);
  }
  assert_int_equal(take(f), -1);
}

#define ASSERT_ORDER(f, ...)                                  \
  do {                                                        \
    static const int order[] = {__VA_ARGS__};                 \
    assert_order((f), order, sizeof order / sizeof order[0]); \
  } while (0)

static void items_of_one_address_come_in_their_order(void **state) {
  struct fixture *f = *state;
  add(f, "80.0.0.1:1");
  add(f, "80.0.0.1:2");
  add(f, "80.0.0.1:3");
  ASSERT_ORDER(f, 0, 1, 2);
}

static void addresses_take_turns(void **state) {
  struct fixture *f = *state;
  for (unsigned i = 0; i < 4; i++) {
    add(f, "80.0.0.1:1");
  }
  add(f, "81.0.0.1:1");
  add(f, "[2a01::1]:1");
  add(f, "81.0.0.1:1");
  ASSERT_ORDER(f, 0, 4, 5, 1, 6, 2, 3);
}

/* A subnet gets no more turns because it has more addresses. */
static void subnets_take_turns(void **state) {
  struct fixture *f = *state;
  add(f, "80.0.0.1:1");
  add(f, "80.0.0.2:1");
  add(f, "80.0.0.3:1");
  add(f, "80.0.0.1:1");
  add(f, "81.0.0.1:1");
  add(f, "81.0.0.1:1");
  add(f, "81.0.0.1:1");
  ASSERT_ORDER(f, 0, 4, 1, 5, 2, 6, 3);
}

static void addresses_of_a_64_share_its_turns(void **state) {
  struct fixture *f = *state;
  add(f, "[2a01:0:0:1::1]:1");
  add(f, "[2a01:0:0:1::2]:1");
  add(f, "[2a01:0:0:2::1]:1");
  add(f, "[2a01:0:0:2::1]:1");
  ASSERT_ORDER(f, 0, 2, 1, 3);
}

static void local_addresses_share_no_turns(void **state) {
  struct fixture *f = *state;
  add(f, "127.0.0.1:1");
  add(f, "127.0.0.2:1");
  add(f, "127.0.0.2:1");
  add(f, "81.0.0.1:1");
  add(f, "81.0.0.1:1");
  ASSERT_ORDER(f, 0, 1, 3, 2, 4);
}

static void begun_item_comes_before_those_of_its_address(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  add(f, "80.0.0.1:1");
  add(f, "80.0.0.1:1");
  add(f, "81.0.0.1:1");
  assert_ok(add_item(f, "80.0.0.1:1", KAD_BACKLOG_BEGUN, &refused));
  ASSERT_ORDER(f, 3, 2, 0, 1);
}

static void begun_item_of_an_address_without_others_waits(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  assert_ok(add_item(f, "80.0.0.1:1", KAD_BACKLOG_BEGUN, &refused));
  add(f, "80.0.0.1:1");
  ASSERT_ORDER(f, 0, 1);
}

static void flood_of_an_address_is_refused(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  for (size_t i = 0; i < KAD_BACKLOG_MAX; i++) {
    add(f, "80.0.0.1:1");
  }
  assert_int_equal(add_item(f, "80.0.0.1:1", KAD_BACKLOG_NEW, &refused),
                   KAD_EFULL);
  assert_int_equal(f->backlog.count, KAD_BACKLOG_MAX);
  assert_int_equal(take(f), 0);
}

static void flood_takes_no_place_from_others(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  for (size_t i = 0; i < KAD_BACKLOG_MAX; i++) {
    add(f, i == 7 ? "80.0.0.2:1" : "80.0.0.1:1");
  }
  /* The newest of the address that has the most leaves. */
  assert_ok(add_item(f, "81.0.0.1:1", KAD_BACKLOG_NEW, &refused));
  assert_int_equal(refused, KAD_BACKLOG_MAX - 1);
  assert_ok(add_item(f, "80.0.0.3:1", KAD_BACKLOG_NEW, &refused));
  assert_int_equal(refused, KAD_BACKLOG_MAX - 2);
  assert_int_equal(f->backlog.count, KAD_BACKLOG_MAX);
  assert_int_equal(take(f), 0);
  assert_int_equal(take(f), KAD_BACKLOG_MAX);
  assert_int_equal(take(f), 7);
}

/* Addresses of one subnet, each with one item, do not keep another out. */
static void flood_of_a_subnet_takes_no_place_from_others(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  for (size_t i = 0; i < KAD_BACKLOG_MAX; i++) {
    char text[64];
    (void)snprintf(text, sizeof text, "[2a01::%zx]:1", i + 1);
    add(f, text);
  }
  assert_int_equal(add_item(f, "[2a01::ffff]:1", KAD_BACKLOG_NEW, &refused),
                   KAD_EFULL);
  assert_ok(add_item(f, "81.0.0.1:1", KAD_BACKLOG_NEW, &refused));
  assert_true(refused >= 0);
  assert_int_equal(f->backlog.count, KAD_BACKLOG_MAX);
}

static void newcomer_among_equals_is_refused(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  for (size_t i = 0; i < KAD_BACKLOG_MAX; i++) {
    char text[64];
    (void)snprintf(text, sizeof text, "80.%zu.%zu.1:1", i / 256, i % 256);
    add(f, text);
  }
  assert_int_equal(add_item(f, "81.0.0.1:1", KAD_BACKLOG_NEW, &refused),
                   KAD_EFULL);
  for (size_t i = 0; i < KAD_BACKLOG_MAX; i++) {
    assert_int_equal(take(f), i);
  }
  assert_int_equal(take(f), -1);
}

static void nothing_is_left_when_it_is_empty(void **state) {
  struct fixture *f = *state;
  add(f, "80.0.0.1:1");
  add(f, "80.0.0.2:1");
  (void)take(f);
  (void)take(f);
  add(f, "80.0.0.1:1");
  ASSERT_ORDER(f, 2);
}

static void nothing_changes_without_memory(void **state) {
  struct fixture *f = *state;
  int refused = 0;
  int error = KAD_ENOMEM;
  add(f, "81.0.0.1:1");
  for (size_t n = 0; error == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&f->counting, n);
    error = add_item(f, "80.0.0.1:1", KAD_BACKLOG_NEW, &refused);
    assert_int_equal(f->backlog.count, error == 0 ? 2 : 1);
  }
  kad_counting_never_fail(&f->counting);
  assert_ok(error);
  assert_int_equal(take(f), 0);
  assert_int_equal(take(f), f->used - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(items_of_one_address_come_in_their_order),
      TEST(addresses_take_turns),
      TEST(subnets_take_turns),
      TEST(addresses_of_a_64_share_its_turns),
      cmocka_unit_test_setup_teardown(local_addresses_share_no_turns,
                                      begin_local, end),
      TEST(begun_item_comes_before_those_of_its_address),
      TEST(begun_item_of_an_address_without_others_waits),
      TEST(flood_of_an_address_is_refused),
      TEST(flood_takes_no_place_from_others),
      TEST(flood_of_a_subnet_takes_no_place_from_others),
      TEST(newcomer_among_equals_is_refused),
      TEST(nothing_is_left_when_it_is_empty),
      TEST(nothing_changes_without_memory),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
