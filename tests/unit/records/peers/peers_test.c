/* Peers in a memory store, as its users see them. Tests
 * core/records/peers/swarms.h, too. */
#include "records/peers/peers.h"

#include "memory_fixture.h"
#include "unit.h"

#include <string.h>

static const struct kad_address own_user = {0};

/* Returns the record of the peer at `host`. Its value is in `compact`. */
static struct kad_record make_peer(uint32_t key, const struct kad_address *host,
                                   uint8_t compact[KAD_COMPACT_IP6]) {
  struct kad_record record = kad_memory_record(key, "");
  record.type = kad_slice_of("peers");
  record.value = (struct kad_slice){compact, kad_address_pack(host, compact)};
  return record;
}

/* Adds the peer at `host`, which stored itself. */
static kad_record_handle add(const struct kad_memory_fixture *fixture,
                             uint32_t key, struct kad_address host,
                             kad_time_ms stored_at) {
  uint8_t compact[KAD_COMPACT_IP6];
  const struct kad_record record = make_peer(key, &host, compact);
  const struct kad_record_meta meta = kad_memory_meta(stored_at, host);
  return kad_memory_add(fixture, &record, &meta);
}

static void assert_found(const struct kad_memory_fixture *fixture,
                         const kad_record_handle *expected, size_t count) {
  kad_record_handle found[64] = {0};
  assert_int_equal(kad_memory_find(fixture, 1, "peers", 0, found, 64), count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(found[i], expected[i]);
  }
}

/* -------------------------------------------------------------- rows -- */

static void reads_every_field_of_a_peer(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < 32; i++) {
    uint8_t compact[KAD_COMPACT_IP6];
    struct kad_address host =
        (i & 1) != 0 ? kad_memory_wide_host(i) : kad_memory_host(i);
    host.via = (i & 2) != 0 ? 9 : 0;
    const struct kad_record record = make_peer(1, &host, compact);
    struct kad_record_meta meta = kad_memory_meta(i, host);
    meta.origin.port = (i & 4) != 0 ? 7 : host.port;
    meta.is_seed = (i & 8) != 0;
    meta.expires_at += (i & 16) != 0 ? 1 : 0;
    const kad_record_handle handle = kad_memory_add(&fixture, &record, &meta);
    kad_memory_assert_reads(&fixture, handle, &record, &meta);
  }
  assert_int_equal(kad_store_count(fixture.store), 32);
  kad_memory_close(&fixture);
}

/* The peers that fit in rows and those that do not are in one order. */
static void finds_the_newest_of_all_kinds_first(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  uint8_t compact[KAD_COMPACT_IP6];
  kad_memory_open(&fixture);
  const struct kad_address host = kad_memory_host(1);
  const struct kad_record foreign = make_peer(1, &host, compact);
  struct kad_record odd = foreign;
  odd.value = kad_slice_of("of a merge hook");
  odd.seq = 3;
  odd.has_seq = true;
  struct kad_record_meta meta = kad_memory_meta(2, kad_memory_host(2));
  struct kad_record_meta own = kad_memory_meta(3, own_user);

  const kad_record_handle first = add(&fixture, 1, host, 1);
  const kad_record_handle second = kad_memory_add(&fixture, &foreign, &meta);
  const kad_record_handle third = kad_memory_add(&fixture, &odd, &own);
  const kad_record_handle fourth = add(&fixture, 1, kad_memory_wide_host(1), 4);

  assert_found(&fixture, (kad_record_handle[]){fourth, third, second, first},
               4);
  kad_memory_assert_reads(&fixture, second, &foreign, &meta);
  kad_memory_assert_reads(&fixture, third, &odd, &own);
  meta.stored_at = 5;
  kad_store_set_meta(fixture.store, second, &meta);
  assert_found(&fixture, (kad_record_handle[]){second, fourth, third, first},
               4);
  kad_store_remove(fixture.store, third);
  assert_found(&fixture, (kad_record_handle[]){second, fourth, first}, 3);
  assert_int_equal(kad_store_count(fixture.store), 3);
  kad_memory_close(&fixture);
}

static void adds_a_peer_that_is_read_from_the_store(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_held held;
  kad_memory_open(&fixture);
  const struct kad_address host = kad_memory_wide_host(7);
  kad_record_handle handle = add(&fixture, 1, host, 1);

  for (size_t i = 0; i < 50; i++) {
    assert_true(kad_store_read(fixture.store, handle, &held));
    handle = kad_memory_add(&fixture, &held.record, &held.meta);
  }

  uint8_t compact[KAD_COMPACT_IP6];
  const struct kad_record record = make_peer(1, &host, compact);
  const struct kad_record_meta meta = kad_memory_meta(1, host);
  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  assert_int_equal(kad_memory_count_of(&fixture, host), 51);
  kad_memory_close(&fixture);
}

/* A row becomes an ordinary record when its meta is not that of most peers. */
static void meta_that_does_not_fit_keeps_the_handle(void **state) {
  (void)state;
  const struct kad_record_meta metas[] = {
      {.stored_at = 2, .expires_at = 9000, .republish_at = 40},
      {.stored_at = 1, .expires_at = KAD_TIME_NEVER, .republish_at = 40},
      {.stored_at = 1, .expires_at = 0, .republish_at = KAD_TIME_NEVER},
      {.stored_at = UINT64_C(1) << 50,
       .expires_at = (UINT64_C(1) << 50) + 1,
       .republish_at = KAD_TIME_NEVER},
      {.stored_at = 0, .expires_at = 5, .republish_at = KAD_TIME_NEVER},
  };
  for (size_t i = 0; i < 2 * sizeof metas / sizeof *metas; i++) {
    struct kad_memory_fixture fixture;
    uint8_t compact[KAD_COMPACT_IP6];
    kad_memory_open(&fixture);
    const struct kad_address host = kad_memory_host(1);
    const struct kad_record record = make_peer(1, &host, compact);
    const kad_record_handle handle = add(&fixture, 1, host, 1);
    const kad_record_handle other = add(&fixture, 1, kad_memory_host(2), 1);
    struct kad_record_meta meta = metas[i / 2];
    meta.origin = i % 2 == 0 ? host : kad_memory_wide_host(4);

    kad_store_set_meta(fixture.store, handle, &meta);

    kad_memory_assert_reads(&fixture, handle, &record, &meta);
    const bool renews = meta.stored_at != 1;
    assert_found(
        &fixture,
        (kad_record_handle[]){renews ? handle : other, renews ? other : handle},
        2);
    assert_int_equal(kad_memory_count_of(&fixture, meta.origin), 1);
    assert_int_equal(kad_memory_count_of(&fixture, kad_memory_host(2)), 1);
    kad_time_ms at = 0;
    const kad_record_handle due = kad_store_due_republish(fixture.store, &at);
    assert_int_equal(at, meta.republish_at);
    assert_int_equal(due, at == KAD_TIME_NEVER ? 0 : handle);
    kad_store_remove(fixture.store, handle);
    assert_found(&fixture, &other, 1);
    kad_memory_close(&fixture);
  }
}

/* ------------------------------------------------------------ handles -- */

static void recognises_stale_handles(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  kad_record_handle gone[40];
  for (size_t round = 0; round < 4; round++) {
    for (uint32_t i = 0; i < 10; i++) {
      gone[10 * round + i] = add(&fixture, i % 3, kad_memory_host(1), i);
    }
    for (size_t i = 0; i < 10 * (round + 1); i++) {
      assert_int_equal(kad_memory_has(&fixture, gone[i]), i >= 10 * round);
      kad_store_remove(fixture.store, gone[i]); /* ignored when stale */
    }
    assert_int_equal(kad_store_count(fixture.store), 0);
    assert_int_equal(kad_store_bytes(fixture.store), 0);
  }
  for (size_t i = 0; i < 40; i++) {
    const struct kad_record_meta meta = kad_memory_meta(1, kad_memory_host(1));
    assert_false(kad_memory_has(&fixture, gone[i]));
    kad_store_set_meta(fixture.store, gone[i], &meta);
    for (size_t j = 0; j < i; j++) {
      assert_true(gone[i] != gone[j]);
    }
  }
  kad_memory_close(&fixture);
}

static void next_returns_every_peer_once(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  bool seen[100] = {false};
  struct kad_held held;
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < 100; i++) {
    if (i % 10 == 7) {
      kad_memory_add_value(&fixture, i % 3, "v", i);
    } else {
      add(&fixture, i % 7, kad_memory_host(i), i);
    }
  }

  uint64_t cursor = 0;
  size_t visited = 0;
  kad_record_handle handle = kad_store_next(fixture.store, &cursor);
  while (handle != 0) {
    assert_true(kad_store_read(fixture.store, handle, &held));
    assert_false(seen[held.meta.stored_at]);
    seen[held.meta.stored_at] = true;
    visited++;
    if (visited % 2 == 0) {
      kad_store_remove(fixture.store, handle); /* must not end the iteration */
    }
    handle = kad_store_next(fixture.store, &cursor);
  }

  assert_int_equal(visited, 100);
  assert_int_equal(kad_store_next(fixture.store, &cursor), 0);
  kad_memory_close(&fixture);
}

/* ------------------------------------------------------- hosts, victims -- */

/* Returns the origin of the victim. */
static struct kad_address victim_origin(
    const struct kad_memory_fixture *fixture) {
  struct kad_id self = kad_memory_key(0);
  struct kad_held held;
  assert_true(kad_store_read(fixture->store,
                             kad_store_victim(fixture->store, &self), &held));
  return held.meta.origin;
}

static void assert_victim(const struct kad_memory_fixture *fixture,
                          struct kad_address expected) {
  const struct kad_address origin = victim_origin(fixture);
  assert_true(kad_address_same_host(&origin, &expected));
}

static void victim_is_of_the_host_with_most(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < 300; i++) {
    add(&fixture, i % 30, kad_memory_host(i), 1);
  }
  for (uint32_t i = 0; i < 20; i++) {
    add(&fixture, i, kad_memory_host(500), 1);
  }
  assert_victim(&fixture, kad_memory_host(500));
  for (uint32_t i = 0; i < 15; i++) { /* of a /64, in one swarm */
    struct kad_address host = kad_memory_wide_host(5);
    host.ip[15] = (uint8_t)i;
    add(&fixture, 3, host, 1);
  }
  assert_victim(&fixture, kad_memory_wide_host(5));
  kad_memory_add_many(&fixture, kad_memory_host(600), 0, 10);
  assert_victim(&fixture, kad_memory_host(600));
  kad_memory_add_many(&fixture, own_user, 0, 50);
  assert_victim(&fixture, kad_memory_host(600));
  kad_memory_close(&fixture);
}

static void evicts_down_to_our_own(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = kad_memory_key(0);
  uint8_t compact[KAD_COMPACT_IP6];
  kad_memory_open(&fixture);
  const struct kad_address host = kad_memory_host(1);
  const struct kad_record record = make_peer(1, &host, compact);
  const struct kad_record_meta meta = kad_memory_meta(1, own_user);
  kad_record_handle own = kad_memory_add(&fixture, &record, &meta);
  for (uint32_t i = 0; i < 200; i++) {
    add(&fixture, i % 5, kad_memory_host(i % 90), i);
    kad_memory_add_many(&fixture, kad_memory_host(i % 7), i, 1);
  }

  for (size_t left = 401; left > 1; left--) {
    assert_int_equal(kad_store_count(fixture.store), left);
    assert_int_not_equal(victim_origin(&fixture).family, 0);
    kad_store_remove(fixture.store, kad_store_victim(fixture.store, &self));
  }

  assert_int_equal(kad_store_victim(fixture.store, &self), own);
  kad_memory_close(&fixture);
}

static void victim_is_the_farthest_then_the_first_to_expire(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  struct kad_id self = {.bytes = {0x80}};
  uint8_t compact[KAD_COMPACT_IP6];
  static const struct {
    uint8_t first; /* byte of the key */
    kad_time_ms expires_at;
  } expected[] = {{0x01, 100}, {0x01, 150}, {0x7f, 200}, {0x02, 300},
                  {0xc0, 10},  {0xff, 20},  {0x81, 5}};
  const struct kad_address host = kad_memory_host(1);
  kad_memory_open(&fixture);
  for (size_t i = 0; i < 7; i++) {
    struct kad_record record = make_peer(0, &host, compact);
    record.key = (struct kad_id){.bytes = {expected[i * 5 % 7].first}};
    struct kad_record_meta meta = kad_memory_meta(0, host);
    meta.expires_at = expected[i * 5 % 7].expires_at;
    kad_memory_add(&fixture, &record, &meta);
  }

  for (size_t i = 0; i < 7; i++) {
    struct kad_held held;
    kad_record_handle victim = kad_store_victim(fixture.store, &self);
    assert_true(kad_store_read(fixture.store, victim, &held));
    assert_int_equal(held.record.key.bytes[0], expected[i].first);
    assert_int_equal(held.meta.expires_at, expected[i].expires_at);
    kad_store_remove(fixture.store, victim);
  }
  kad_memory_close(&fixture);
}

/* ------------------------------------------------------------- expiry -- */

/* Peers of many swarms are confirmed and expire in the order of their times. */
static void peers_expire_in_order(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle handles[200];
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < 200; i++) {
    handles[i] = add(&fixture, i % 9, kad_memory_host(i), i);
  }
  for (uint32_t i = 0; i < 200; i += 3) {
    struct kad_record_meta meta = kad_memory_meta(300 + i, kad_memory_host(i));
    meta.expires_at -= i % 2 == 0 ? 500 : 0;
    kad_store_set_meta(fixture.store, handles[i], &meta);
  }

  kad_time_ms before = 0;
  for (size_t left = 200; left > 0; left--) {
    kad_time_ms at = 0;
    struct kad_held held;
    const kad_record_handle due = kad_store_due_expire(fixture.store, &at);
    assert_true(kad_store_read(fixture.store, due, &held));
    assert_int_equal(held.meta.expires_at, at);
    assert_in_range(at, before, 2000);
    before = at;
    kad_store_remove(fixture.store, due);
  }
  kad_time_ms at = 0;
  assert_int_equal(kad_store_due_expire(fixture.store, &at), 0);
  kad_memory_close(&fixture);
}

/* ------------------------------------------------------ out of memory -- */

/* Adds a peer to a store that has `held` in its swarm. Fails each allocation in
 * turn. Returns the number of failures. */
static size_t add_with_failures(uint32_t held, bool is_foreign) {
  struct kad_memory_fixture fixture;
  kad_record_handle handle = 0;
  uint8_t compact[KAD_COMPACT_IP6];
  int status = KAD_ENOMEM;
  size_t failures = 0;
  kad_memory_open(&fixture);
  for (uint32_t i = 0; i < held; i++) {
    add(&fixture, 1, kad_memory_host(i), 1);
  }
  const struct kad_address host = kad_memory_wide_host(1);
  const struct kad_record record = make_peer(1, &host, compact);
  const struct kad_record_meta meta =
      kad_memory_meta(5, is_foreign ? kad_memory_host(900) : host);
  const size_t before = kad_store_bytes(fixture.store);
  for (size_t n = 0; status == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    status = kad_store_add(fixture.store, &record, &meta, &handle);
    if (status != 0) {
      failures++;
      assert_int_equal(status, KAD_ENOMEM);
      assert_int_equal(kad_store_count(fixture.store), held);
      assert_int_equal(kad_store_bytes(fixture.store), before);
      assert_int_equal(kad_memory_find(&fixture, 1, "peers", 0, NULL, 0), held);
      assert_int_equal(kad_memory_count_of(&fixture, meta.origin), 0);
    }
  }
  assert_ok(status);
  kad_memory_assert_reads(&fixture, handle, &record, &meta);
  kad_memory_close(&fixture);
  return failures;
}

static void failed_allocation_adds_nothing(void **state) {
  (void)state;

  /* A slot, the heap, the map, the swarm, its rows; three of the host. */
  assert_int_equal(add_with_failures(0, false), 8);
  assert_true(add_with_failures(0, true) > 8);
  assert_true(add_with_failures(40, false) >= 3);
  assert_true(add_with_failures(40, true) > 3);
}

static void failed_allocation_leaves_the_meta(void **state) {
  (void)state;
  for (unsigned change = 0; change < 3; change++) {
    size_t failures = 0;
    bool has_failed = true;
    for (size_t n = 0; has_failed; n++) {
      struct kad_memory_fixture fixture;
      uint8_t compact[KAD_COMPACT_IP6];
      kad_memory_open(&fixture);
      const struct kad_address host = kad_memory_host(1);
      const struct kad_record record = make_peer(1, &host, compact);
      const struct kad_record_meta before = kad_memory_meta(1, host);
      struct kad_record_meta after = kad_memory_meta(2, host);
      kad_record_handle handle = 0;
      do { /* until there is no room for a longer row */
        handle = add(&fixture, 1, host, 1);
      } while (kad_store_count(fixture.store) < 3);
      after.expires_at += change == 0 ? 1 : 0;
      after.origin.port = change == 0 ? 7 : host.port;
      after.origin = change == 1 ? kad_memory_wide_host(3) : after.origin;
      after.republish_at = change == 2 ? 50 : KAD_TIME_NEVER;
      kad_counting_fail_at(&fixture.counting, n);

      kad_store_set_meta(fixture.store, handle, &after);

      has_failed = fixture.counting.has_failed;
      failures += has_failed;
      kad_memory_assert_reads(&fixture, handle, &record,
                              has_failed ? &before : &after);
      assert_int_equal(kad_store_count(fixture.store), 3);
      kad_memory_close(&fixture);
    }
    assert_true(failures > 0 || change == 0);
  }
}

static void removing_the_last_peer_frees_all_memory(void **state) {
  (void)state;
  struct kad_memory_fixture fixture;
  kad_record_handle handles[300];
  kad_memory_open(&fixture);
  const size_t empty = fixture.counting.bytes;
  for (uint32_t i = 0; i < 300; i++) {
    handles[i] =
        add(&fixture, i % 20,
            i % 2 == 0 ? kad_memory_host(i) : kad_memory_wide_host(i), i);
  }

  size_t before = kad_store_bytes(fixture.store);
  assert_in_range(fixture.counting.bytes, 0, before + 2048);
  for (size_t i = 0; i < 300; i++) {
    kad_store_remove(fixture.store, handles[(i * 7) % 300]);
    assert_true(kad_store_bytes(fixture.store) < before);
    before = kad_store_bytes(fixture.store);
  }

  assert_int_equal(before, 0);
  assert_int_equal(fixture.counting.bytes, empty);
  assert_int_equal(fixture.counting.blocks, 1);
  kad_memory_close(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_every_field_of_a_peer),
      cmocka_unit_test(finds_the_newest_of_all_kinds_first),
      cmocka_unit_test(adds_a_peer_that_is_read_from_the_store),
      cmocka_unit_test(meta_that_does_not_fit_keeps_the_handle),
      cmocka_unit_test(recognises_stale_handles),
      cmocka_unit_test(next_returns_every_peer_once),
      cmocka_unit_test(victim_is_of_the_host_with_most),
      cmocka_unit_test(evicts_down_to_our_own),
      cmocka_unit_test(victim_is_the_farthest_then_the_first_to_expire),
      cmocka_unit_test(peers_expire_in_order),
      cmocka_unit_test(failed_allocation_adds_nothing),
      cmocka_unit_test(failed_allocation_leaves_the_meta),
      cmocka_unit_test(removing_the_last_peer_frees_all_memory),
  };
  return cmocka_run_group_tests_name("peers", tests, NULL, NULL);
}
