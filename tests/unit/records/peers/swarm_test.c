/* The rows of a swarm. Tests core/records/peers/swarm.h. */
#include "records/peers/swarm.h"

#include "base/address.h"
#include "counting_allocator.h"
#include "unit.h"

#include <string.h>

static const struct kad_id key = {.bytes = {1, 2, 3}};
static const uint8_t peer4[KAD_COMPACT_IP4] = {192, 0, 2, 1, 0x1a, 0xe1};
static const uint8_t peer6[KAD_COMPACT_IP6] = {0x20, 1, [15] = 9, 0x1a, 0xe1};

/* A swarm with a counting allocator. */
struct fixture {
  struct kad_counting_allocator counting;
  struct kad_swarm *swarm;
};

static void set_up(struct fixture *fixture) {
  kad_counting_init(&fixture->counting);
  fixture->swarm = kad_swarm_new(&fixture->counting.allocator, &key);
  assert_non_null(fixture->swarm);
}

static void tear_down(struct fixture *fixture) {
  kad_swarm_free(fixture->swarm, &fixture->counting.allocator);
  kad_counting_deinit(&fixture->counting);
}

static struct kad_swarm_row make_row(uint32_t serial, kad_time_ms stored_at) {
  return (struct kad_swarm_row){.serial = serial,
                                .entry = KAD_NO_ITEM,
                                .value = {peer4, sizeof peer4},
                                .stored_at = stored_at,
                                .expires_at = stored_at + 1000,
                                .port = 6881};
}

/* Appends a row and returns the bytes that it takes. */
static size_t append(struct fixture *fixture, const struct kad_swarm_row *row) {
  kad_swarm_prepare(fixture->swarm, row);
  const size_t size = kad_swarm_row_size(fixture->swarm, row);
  assert_in_range(size, 1, KAD_SWARM_ROW_MAX);
  assert_ok(
      kad_swarm_reserve(&fixture->swarm, &fixture->counting.allocator, size));
  kad_swarm_append(fixture->swarm, row);
  return size;
}

static void assert_row(const struct fixture *fixture,
                       const struct kad_swarm_row *expected) {
  struct kad_swarm_row row;
  assert_true(kad_swarm_find(fixture->swarm, expected->serial, &row));
  assert_int_equal(row.entry, expected->entry);
  if (row.entry == KAD_NO_ITEM) {
    assert_true(kad_slice_equal(row.value, expected->value));
    assert_int_equal(row.stored_at, expected->stored_at);
    assert_int_equal(row.expires_at, expected->expires_at);
    assert_int_equal(row.port, expected->port);
    assert_int_equal(row.via, expected->via);
    assert_int_equal(row.is_seed, expected->is_seed);
  }
}

static void usual_peer_takes_12_or_24_bytes(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_swarm_row row = make_row(0, 5000);

  assert_int_equal(append(&fixture, &row), 12);
  row.serial++;
  row.is_seed = true;
  row.stored_at += 3600000;
  row.expires_at = row.stored_at + 1000;
  assert_int_equal(append(&fixture, &row), 12);
  row.serial++;
  row.value = (struct kad_slice){peer6, sizeof peer6};
  assert_int_equal(append(&fixture, &row), 24);
  tear_down(&fixture);
}

/* Each field may need more bytes than usual, with any of the others. */
static void reads_any_combination_of_fields(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_swarm_row rows[128];
  set_up(&fixture);
  struct kad_swarm_row first = make_row(1000, 7);
  append(&fixture, &first);
  for (uint32_t i = 0; i < 128; i++) {
    rows[i] = make_row(i, i % 2 != 0 ? UINT32_MAX : 7 + i);
    rows[i].serial += (i & 2) != 0 ? 1 << 20 : 0;
    rows[i].expires_at = rows[i].stored_at + ((i & 4) != 0 ? i : 1000);
    rows[i].port = (i & 8) != 0 ? 1 : 6881;
    rows[i].via = (i & 16) != 0 ? 255 : 0;
    rows[i].is_seed = (i & 32) != 0;
    rows[i].value =
        (i & 64) != 0 ? (struct kad_slice){peer6, sizeof peer6} : rows[i].value;
    append(&fixture, &rows[i]);
  }

  for (uint32_t i = 0; i < 128; i++) {
    assert_row(&fixture, &rows[i]);
  }
  assert_row(&fixture, &first);
  assert_int_equal(fixture.swarm->count, 129);
  tear_down(&fixture);
}

static void entries_stand_between_peers(void **state) {
  (void)state;
  struct fixture fixture;
  uint32_t serials[3];
  set_up(&fixture);
  struct kad_swarm_row peer = make_row(0, 5);
  struct kad_swarm_row entry = {.serial = 1, .entry = 0x01020304};
  struct kad_swarm_row last = make_row(2, 6);
  append(&fixture, &peer);
  append(&fixture, &entry);
  append(&fixture, &last);

  assert_row(&fixture, &peer);
  assert_row(&fixture, &entry);
  assert_row(&fixture, &last);
  assert_int_equal(fixture.swarm->count, 3);
  assert_int_equal(fixture.swarm->peers, 2);
  assert_int_equal(kad_swarm_list(fixture.swarm, 0, serials, 3), 3);
  assert_int_equal(serials[0], 2);
  assert_int_equal(serials[2], 0);
  uint32_t left = 2;
  assert_true(kad_swarm_find_oldest(fixture.swarm, &left, serials));
  assert_int_equal(left, 0);
  assert_int_equal(serials[0], 2);
  tear_down(&fixture);
}

/* A swarm that lives for months has rows of the usual size. */
static void base_follows_the_oldest_peer(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  kad_time_ms now = 0;
  for (uint32_t i = 0; i < 3000; i++) {
    now += 3600000; /* 125 days in all */
    struct kad_swarm_row row = make_row(i, now);
    assert_int_equal(append(&fixture, &row), 12);
    if (i >= 3) {
      struct kad_swarm_row old;
      assert_true(kad_swarm_find(fixture.swarm, i - 3, &old));
      assert_int_equal(old.stored_at, now - 3 * 3600000);
      kad_swarm_remove(fixture.swarm, &old);
    }
  }
  tear_down(&fixture);
}

/* A peer that is as old as that is one that never expires. */
static void times_of_50_days_apart_do_not_fit(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_swarm_row first = make_row(0, 100);
  struct kad_swarm_row row = make_row(1, 100 + (kad_time_ms)UINT32_MAX);
  append(&fixture, &first);

  assert_int_equal(append(&fixture, &row), 13);
  row.serial++;
  row.stored_at++;
  kad_swarm_prepare(fixture.swarm, &row);
  assert_int_equal(kad_swarm_row_size(fixture.swarm, &row), 0);
  row.stored_at = 99;
  kad_swarm_prepare(fixture.swarm, &row);
  assert_int_equal(kad_swarm_row_size(fixture.swarm, &row), 0);
  assert_row(&fixture, &first);
  tear_down(&fixture);
}

static void due_is_the_first_to_expire(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_swarm_row rows[3];
  for (uint32_t i = 0; i < 3; i++) {
    rows[i] = make_row(i, 10);
    rows[i].expires_at = 100 - 10 * i;
    append(&fixture, &rows[i]);
  }
  assert_int_equal(fixture.swarm->due, 80);
  assert_int_equal(fixture.swarm->due_serial, 2);

  struct kad_swarm_row old;
  assert_true(kad_swarm_find(fixture.swarm, 2, &old));
  kad_swarm_remove(fixture.swarm, &old);
  assert_in_range(fixture.swarm->due, 0, 90); /* at latest */
  kad_swarm_find_due(fixture.swarm);
  assert_int_equal(fixture.swarm->due, 90);
  assert_true(kad_swarm_find(fixture.swarm, 1, &old));
  struct kad_swarm_row later = old;
  later.expires_at = 200;
  assert_ok(kad_swarm_reserve(&fixture.swarm, &fixture.counting.allocator, 4));
  assert_true(kad_swarm_find(fixture.swarm, 1, &old));
  later.value = old.value;
  kad_swarm_replace(fixture.swarm, &old, &later, false);
  kad_swarm_find_due(fixture.swarm);
  assert_int_equal(fixture.swarm->due, 100);
  assert_int_equal(fixture.swarm->due_serial, 0);
  tear_down(&fixture);
}

static void replaced_row_stays_or_becomes_the_newest(void **state) {
  (void)state;
  struct fixture fixture;
  uint32_t serials[3];
  struct kad_swarm_row old;
  set_up(&fixture);
  for (uint32_t i = 0; i < 3; i++) {
    const struct kad_swarm_row row = make_row(i, 10 + i);
    append(&fixture, &row);
  }
  assert_ok(kad_swarm_reserve(&fixture.swarm, &fixture.counting.allocator, 8));

  assert_true(kad_swarm_find(fixture.swarm, 1, &old));
  struct kad_swarm_row longer = old;
  longer.port = 7;
  kad_swarm_replace(fixture.swarm, &old, &longer, false);
  kad_swarm_list(fixture.swarm, 0, serials, 3);
  assert_int_equal(serials[1], 1);
  assert_true(kad_swarm_find(fixture.swarm, 1, &old));
  assert_int_equal(old.port, 7);
  kad_swarm_replace(fixture.swarm, &old, &old, true);
  kad_swarm_list(fixture.swarm, 0, serials, 3);
  assert_int_equal(serials[0], 1);
  assert_int_equal(serials[1], 2);
  tear_down(&fixture);
}

static void gives_back_memory(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_swarm_row old;
  set_up(&fixture);
  for (uint32_t i = 0; i < 500; i++) {
    const struct kad_swarm_row row = make_row(i, i);
    append(&fixture, &row);
  }
  for (uint32_t i = 0; i < 490; i++) {
    assert_true(kad_swarm_find(fixture.swarm, i, &old));
    kad_swarm_remove(fixture.swarm, &old);
    kad_swarm_shrink(&fixture.swarm, &fixture.counting.allocator);
  }

  assert_in_range(fixture.counting.bytes, 0, 320);
  for (uint32_t i = 490; i < 500; i++) {
    const struct kad_swarm_row row = make_row(i, i);
    assert_row(&fixture, &row);
  }
  tear_down(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(usual_peer_takes_12_or_24_bytes),
      cmocka_unit_test(reads_any_combination_of_fields),
      cmocka_unit_test(entries_stand_between_peers),
      cmocka_unit_test(base_follows_the_oldest_peer),
      cmocka_unit_test(times_of_50_days_apart_do_not_fit),
      cmocka_unit_test(due_is_the_first_to_expire),
      cmocka_unit_test(replaced_row_stays_or_becomes_the_newest),
      cmocka_unit_test(gives_back_memory),
  };
  return cmocka_run_group_tests_name("swarm", tests, NULL, NULL);
}
