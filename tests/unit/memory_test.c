#include "counting_allocator.h"
#include "records/store.h"
#include "unit.h"

#include <string.h>

/* A store of the counting allocator's memory, and short ways to use it. */
struct fixture {
  struct kad_counting_allocator counting;
  struct kad_store *store;
};

static const uint8_t secret[KAD_STORE_SECRET_SIZE] = "sixteen bytes...";
static const uint8_t bytes[KAD_VALUE_MAX] = {1, 2, 3};
static const struct kad_address nobody = {0};

static void set_up(struct fixture *fixture) {
  kad_counting_init(&fixture->counting);
  assert_ok(kad_store_memory_new(&fixture->counting.allocator, secret,
                                 &fixture->store));
}

static void tear_down(struct fixture *fixture) {
  kad_store_memory_free(fixture->store);
  kad_counting_deinit(&fixture->counting);
}

static struct kad_id numbered_key(uint32_t number) {
  struct kad_id key = {.bytes = {7}};
  memcpy(key.bytes + 1, &number, sizeof number);
  return key;
}

static struct kad_address numbered_host(uint32_t number) {
  struct kad_address address = {.port = 6881, .family = 4, .ip = {10}};
  for (size_t i = 1; i < 4; i++) {
    address.ip[i] = (uint8_t)(number >> (24 - 8 * i));
  }
  return address;
}

static struct kad_address wide_host(uint32_t number) {
  struct kad_address address = {.port = 1, .family = 6, .ip = {0x20, 1}};
  memcpy(address.ip + 4, &number, sizeof number);
  address.ip[15] = 1;
  return address;
}

static struct kad_record record_of(uint32_t key, const char *value) {
  return (struct kad_record){.key = numbered_key(key),
                             .type = kad_slice_of("value"),
                             .value = kad_slice_of(value)};
}

static struct kad_holding holding_of(kad_time_ms stored_at,
                                     struct kad_address origin) {
  return (struct kad_holding){.stored_at = stored_at,
                              .expires_at = stored_at + 1000,
                              .republish_at = KAD_TIME_NEVER,
                              .origin = origin};
}

static kad_handle add(const struct fixture *fixture,
                      const struct kad_record *record,
                      const struct kad_holding *holding) {
  kad_handle handle = 0;
  assert_ok(
      fixture->store->add(fixture->store->state, record, holding, &handle));
  assert_true(handle != 0);
  return handle;
}

/* Adds a plain value of host 1. */
static kad_handle add_value(const struct fixture *fixture, uint32_t key,
                            const char *value, kad_time_ms stored_at) {
  struct kad_record record = record_of(key, value);
  struct kad_holding holding = holding_of(stored_at, numbered_host(1));
  return add(fixture, &record, &holding);
}

static bool read(const struct fixture *fixture, kad_handle handle,
                 struct kad_held *held) {
  return fixture->store->read(fixture->store->state, handle, held);
}

static bool is_held(const struct fixture *fixture, kad_handle handle) {
  struct kad_held held;
  return read(fixture, handle, &held);
}

static size_t find(const struct fixture *fixture, uint32_t key,
                   const char *type, size_t skip, kad_handle *handles,
                   size_t cap) {
  struct kad_id id = numbered_key(key);
  return fixture->store->find(fixture->store->state, &id, kad_slice_of(type),
                              skip, handles, cap);
}

static void touch(const struct fixture *fixture, kad_handle handle,
                  const struct kad_holding *holding) {
  fixture->store->touch(fixture->store->state, handle, holding);
}

static void remove_one(const struct fixture *fixture, kad_handle handle) {
  fixture->store->remove(fixture->store->state, handle);
}

static size_t count_of(const struct fixture *fixture,
                       struct kad_address origin) {
  return fixture->store->count_of(fixture->store->state, &origin);
}

static size_t count(const struct fixture *fixture) {
  return fixture->store->count(fixture->store->state);
}

static size_t bytes_of(const struct fixture *fixture) {
  return fixture->store->bytes(fixture->store->state);
}

static void assert_slices_equal(struct kad_slice a, struct kad_slice b) {
  assert_int_equal(a.len, b.len);
  assert_true(kad_slice_equal(a, b));
}

/* Fails unless `handle` gives back what was added. */
static void assert_reads(const struct fixture *fixture, kad_handle handle,
                         const struct kad_record *record,
                         const struct kad_holding *holding) {
  struct kad_held held;
  assert_true(read(fixture, handle, &held));
  assert_int_equal(held.handle, handle);
  assert_memory_equal(&held.record.key, &record->key, sizeof record->key);
  assert_slices_equal(held.record.type, record->type);
  assert_slices_equal(held.record.value, record->value);
  assert_slices_equal(held.record.salt, record->salt);
  assert_int_equal(held.record.has_seq, record->has_seq);
  assert_int_equal(held.record.seq, record->seq);
  assert_int_equal(held.record.publisher == NULL, record->publisher == NULL);
  assert_int_equal(held.record.signature == NULL, record->signature == NULL);
  if (record->publisher != NULL) {
    assert_memory_equal(held.record.publisher, record->publisher,
                        KAD_PUBLISHER_SIZE);
  }
  if (record->signature != NULL) {
    assert_memory_equal(held.record.signature, record->signature,
                        KAD_SIGNATURE_SIZE);
  }
  assert_int_equal(held.holding.stored_at, holding->stored_at);
  assert_int_equal(held.holding.expires_at, holding->expires_at);
  assert_int_equal(held.holding.republish_at, holding->republish_at);
  assert_memory_equal(&held.holding.origin, &holding->origin,
                      sizeof holding->origin);
}

/* ------------------------------------------------ holding and reading -- */

static void is_empty_when_new(void **state) {
  (void)state;
  struct fixture fixture;
  kad_time_ms at = 0;
  uint64_t cursor = 0;
  set_up(&fixture);
  struct kad_store *store = fixture.store;

  assert_int_equal(count(&fixture), 0);
  assert_int_equal(bytes_of(&fixture), 0);
  assert_int_equal(count_of(&fixture, nobody), 0);
  assert_int_equal(find(&fixture, 1, "value", 0, NULL, 0), 0);
  assert_int_equal(store->due_expire(store->state, &at), 0);
  assert_int_equal(at, KAD_TIME_NEVER);
  assert_int_equal(store->due_republish(store->state, &at), 0);
  assert_int_equal(store->next(store->state, &cursor), 0);
  struct kad_id self = numbered_key(0);
  assert_int_equal(store->victim(store->state, &self), 0);

  tear_down(&fixture);
}

static void gives_back_every_part_of_a_record(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_record record = {
      .type = kad_slice_of("value"),
      .value = {bytes, KAD_VALUE_MAX},
      .salt = {bytes, KAD_SALT_MAX},
      .publisher = bytes + 1,
      .signature = bytes + 2,
      .seq = INT64_MIN,
      .has_seq = true,
  };
  memset(record.key.bytes, 0xee, sizeof record.key.bytes);
  struct kad_holding holding = {
      .stored_at = 1, .expires_at = KAD_TIME_NEVER - 1, .republish_at = 0};
  holding.origin = wide_host(0x12345678);
  holding.origin.via = 3;
  set_up(&fixture);

  kad_handle handle = add(&fixture, &record, &holding);

  assert_reads(&fixture, handle, &record, &holding);
  tear_down(&fixture);
}

/* Every part may be there or not: none of them shifts another. */
static void gives_back_any_choice_of_parts(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);

  for (unsigned parts = 0; parts < 128; parts++) {
    struct kad_record record = record_of(parts, parts & 1 ? "some value" : "");
    record.key.bytes[KAD_ID_SIZE - 1] = parts & 2 ? 5 : 0;
    record.publisher = parts & 4 ? bytes + 3 : NULL;
    record.signature = parts & 8 ? bytes + 4 : NULL;
    record.salt = (struct kad_slice){bytes, parts & 16 ? 9 : 0};
    record.has_seq = parts & 32;
    record.seq = parts & 32 ? -7 : 0;
    struct kad_address hosts[] = {nobody, numbered_host(5), wide_host(5)};
    struct kad_holding holding = holding_of(parts, hosts[parts % 3]);
    holding.origin.via = parts & 64 ? 2 : 0;
    kad_handle handle = add(&fixture, &record, &holding);
    assert_reads(&fixture, handle, &record, &holding);
  }

  assert_int_equal(count(&fixture), 128);
  tear_down(&fixture);
}

/* What a record points to may be gone, and a held one may be added again. */
static void copies_what_it_holds(void **state) {
  (void)state;
  struct fixture fixture;
  char value[] = "precious";
  char type[] = "rare";
  struct kad_held held;
  set_up(&fixture);
  struct kad_record record = record_of(1, value);
  record.type = kad_slice_of(type);
  struct kad_holding holding = holding_of(1, numbered_host(1));

  kad_handle handle = add(&fixture, &record, &holding);
  memset(value, 'x', sizeof value);
  memset(type, 'x', sizeof type);

  assert_true(read(&fixture, handle, &held));
  assert_slice_is(held.record.value, "precious");
  assert_slice_is(held.record.type, "rare");
  kad_handle again = add(&fixture, &held.record, &held.holding);
  assert_true(read(&fixture, again, &held));
  assert_slice_is(held.record.value, "precious");
  tear_down(&fixture);
}

static void keeps_types_under_one_key_apart(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle found[4];
  set_up(&fixture);
  struct kad_record record = record_of(1, "same");
  struct kad_holding holding = holding_of(1, numbered_host(1));
  kad_handle value = add(&fixture, &record, &holding);
  record.type = kad_slice_of("other");
  kad_handle other = add(&fixture, &record, &holding);

  assert_int_equal(find(&fixture, 1, "value", 0, found, 4), 1);
  assert_int_equal(found[0], value);
  assert_int_equal(find(&fixture, 1, "other", 0, found, 4), 1);
  assert_int_equal(found[0], other);
  assert_int_equal(find(&fixture, 1, "othe", 0, found, 4), 0);
  remove_one(&fixture, value);
  assert_int_equal(find(&fixture, 1, "value", 0, found, 4), 0);
  assert_int_equal(find(&fixture, 1, "other", 0, found, 4), 1);
  tear_down(&fixture);
}

static void keeps_short_and_long_keys_apart(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_record record = record_of(1, "long");
  record.key.bytes[KAD_ID_SIZE - 1] = 1;
  struct kad_holding holding = holding_of(1, numbered_host(1));
  add(&fixture, &record, &holding);

  assert_int_equal(find(&fixture, 1, "value", 0, NULL, 0), 0);
  add_value(&fixture, 1, "short", 1);
  assert_int_equal(find(&fixture, 1, "value", 0, NULL, 0), 1);
  tear_down(&fixture);
}

static void holds_255_types_at_once(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle handles[255];
  kad_handle handle = 0;
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  struct kad_holding holding = holding_of(1, numbered_host(1));
  for (size_t i = 0; i < 255; i++) {
    record.type = (struct kad_slice){(const uint8_t[]){1, (uint8_t)i}, 2};
    handles[i] = add(&fixture, &record, &holding);
  }
  record.type = kad_slice_of("one too many");
  struct kad_store *store = fixture.store;

  assert_int_equal(store->add(store->state, &record, &holding, &handle),
                   KAD_EFULL);
  assert_int_equal(count(&fixture), 255);
  remove_one(&fixture, handles[100]);
  handle = add(&fixture, &record, &holding);
  assert_reads(&fixture, handle, &record, &holding);
  tear_down(&fixture);
}

/* ------------------------------------------------------------ finding -- */

static void finds_the_newest_first(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle found[4] = {0};
  set_up(&fixture);
  kad_handle first = add_value(&fixture, 1, "a", 1);
  kad_handle second = add_value(&fixture, 1, "b", 2);
  kad_handle third = add_value(&fixture, 1, "c", 2);
  add_value(&fixture, 2, "d", 3);

  assert_int_equal(find(&fixture, 1, "value", 0, found, 4), 3);
  assert_int_equal(found[0], third);
  assert_int_equal(found[1], second);
  assert_int_equal(found[2], first);
  assert_int_equal(found[3], 0);
  tear_down(&fixture);
}

static void finds_a_page(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle all[10];
  kad_handle page[5] = {0};
  set_up(&fixture);
  for (kad_time_ms i = 0; i < 10; i++) {
    add_value(&fixture, 1, "v", i);
  }
  find(&fixture, 1, "value", 0, all, 10);

  assert_int_equal(find(&fixture, 1, "value", 0, NULL, 0), 10);
  assert_int_equal(find(&fixture, 1, "value", 3, page, 4), 10);
  assert_memory_equal(page, all + 3, 4 * sizeof *page);
  assert_int_equal(page[4], 0);
  page[2] = 0;
  assert_int_equal(find(&fixture, 1, "value", 8, page, 5), 10);
  assert_memory_equal(page, all + 8, 2 * sizeof *page);
  assert_int_equal(page[2], 0);
  assert_int_equal(find(&fixture, 1, "value", 10, page, 5), 10);
  assert_int_equal(find(&fixture, 1, "value", SIZE_MAX, page, 5), 10);
  tear_down(&fixture);
}

static void finds_what_is_left_after_any_removal(void **state) {
  (void)state;
  for (size_t gone = 0; gone < 3; gone++) {
    struct fixture fixture;
    kad_handle found[3] = {0};
    set_up(&fixture);
    kad_handle handles[] = {add_value(&fixture, 1, "a", 1),
                            add_value(&fixture, 1, "b", 2),
                            add_value(&fixture, 1, "c", 3)};

    remove_one(&fixture, handles[gone]);

    assert_int_equal(find(&fixture, 1, "value", 0, found, 3), 2);
    assert_int_equal(found[0], handles[gone == 2 ? 1 : 2]);
    assert_int_equal(found[1], handles[gone == 0 ? 1 : 0]);
    tear_down(&fixture);
  }
}

/* ----------------------------------------------------------- touching -- */

static void is_the_newest_again_when_confirmed(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle found[3];
  set_up(&fixture);
  kad_handle first = add_value(&fixture, 1, "a", 1);
  kad_handle second = add_value(&fixture, 1, "b", 2);
  struct kad_holding later = holding_of(3, numbered_host(1));

  touch(&fixture, first, &later);

  assert_int_equal(find(&fixture, 1, "value", 0, found, 3), 2);
  assert_int_equal(found[0], first);
  assert_int_equal(found[1], second);
  tear_down(&fixture);
}

static void keeps_its_place_when_only_other_times_change(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle found[3];
  set_up(&fixture);
  kad_handle first = add_value(&fixture, 1, "a", 1);
  kad_handle second = add_value(&fixture, 1, "b", 2);
  struct kad_holding holding = holding_of(1, numbered_host(1));
  holding.republish_at = 500;
  holding.expires_at = 50000;
  struct kad_record record = record_of(1, "a");

  touch(&fixture, first, &holding);

  assert_reads(&fixture, first, &record, &holding);
  find(&fixture, 1, "value", 0, found, 3);
  assert_int_equal(found[0], second);
  assert_int_equal(found[1], first);
  tear_down(&fixture);
}

static void changes_who_stored_it(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_address hosts[] = {wide_host(9), numbered_host(2), nobody,
                                wide_host(9), numbered_host(1)};
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  kad_handle handle = add_value(&fixture, 1, "v", 0);
  kad_handle other = add_value(&fixture, 1, "other", 0);

  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    struct kad_holding holding = holding_of(i, hosts[i]);
    holding.origin.port = (uint16_t)(i + 1);
    touch(&fixture, handle, &holding);
    assert_reads(&fixture, handle, &record, &holding);
    assert_int_equal(count_of(&fixture, hosts[i]), i == 4 ? 2 : 1);
  }

  assert_true(is_held(&fixture, other));
  assert_int_equal(count_of(&fixture, nobody), 0);
  assert_int_equal(count_of(&fixture, wide_host(9)), 0);
  tear_down(&fixture);
}

static void keeps_who_stored_it_when_memory_is_short(void **state) {
  (void)state;
  for (size_t n = 0; n < 2; n++) {
    struct fixture fixture;
    set_up(&fixture);
    struct kad_record record = record_of(1, "v");
    struct kad_holding before = holding_of(0, numbered_host(1));
    kad_handle handle = add(&fixture, &record, &before);
    struct kad_holding after = holding_of(7, wide_host(1));
    struct kad_holding expected = holding_of(7, numbered_host(1));

    kad_counting_fail_at(&fixture.counting, n);
    touch(&fixture, handle, &after);

    if (fixture.counting.has_failed) {
      assert_reads(&fixture, handle, &record, &expected);
      assert_int_equal(count_of(&fixture, numbered_host(1)), 1);
    } else {
      assert_int_equal(n, 1);
      assert_reads(&fixture, handle, &record, &after);
    }
    tear_down(&fixture);
  }
}

/* ------------------------------------------------------------ handles -- */

static void knows_a_stale_handle(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  kad_handle kept = add_value(&fixture, 2, "kept", 1);
  kad_handle handle = add_value(&fixture, 1, "old", 1);
  struct kad_holding holding = holding_of(9, numbered_host(2));

  remove_one(&fixture, handle);
  assert_false(is_held(&fixture, handle));
  kad_handle next = add_value(&fixture, 1, "new", 2);
  assert_true(next != handle);
  assert_false(is_held(&fixture, handle));

  remove_one(&fixture, handle);
  touch(&fixture, handle, &holding);
  struct kad_held held;
  assert_true(read(&fixture, next, &held));
  assert_int_equal(held.holding.stored_at, 2);
  assert_true(is_held(&fixture, kept));
  assert_false(is_held(&fixture, 0));
  assert_false(is_held(&fixture, UINT64_MAX));
  tear_down(&fixture);
}

static void knows_a_stale_handle_after_it_was_empty(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);

  kad_handle handle = add_value(&fixture, 1, "old", 1);
  remove_one(&fixture, handle);
  assert_false(is_held(&fixture, handle));
  add_value(&fixture, 1, "new", 2);

  assert_false(is_held(&fixture, handle));
  tear_down(&fixture);
}

static void gives_every_record_once(void **state) {
  (void)state;
  enum {
    RECORDS = 100
  };
  struct fixture fixture;
  bool seen[RECORDS] = {false};
  kad_handle handles[RECORDS];
  set_up(&fixture);
  for (uint32_t i = 0; i < RECORDS; i++) {
    handles[i] = add_value(&fixture, i, "v", i);
  }
  for (size_t i = 0; i < RECORDS; i += 3) {
    remove_one(&fixture, handles[i]);
  }

  uint64_t cursor = 0;
  size_t visited = 0;
  struct kad_held held;
  struct kad_store *store = fixture.store;
  for (kad_handle at = store->next(store->state, &cursor); at != 0;
       at = store->next(store->state, &cursor)) {
    assert_true(read(&fixture, at, &held));
    assert_false(seen[held.holding.stored_at]);
    seen[held.holding.stored_at] = true;
    visited++;
    remove_one(&fixture, at); /* which the walk survives */
  }

  assert_int_equal(visited, RECORDS - 34);
  assert_int_equal(count(&fixture), 0);
  tear_down(&fixture);
}

/* ------------------------------------------------------------- timing -- */

static void names_what_expires_first(void **state) {
  (void)state;
  static const kad_time_ms moments[] = {50, 20, 90, 20, 70, 10};
  static const kad_time_ms sorted[] = {10, 20, 20, 50, 70, 90};
  struct fixture fixture;
  kad_time_ms at = 0;
  struct kad_held held;
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  for (size_t i = 0; i < 6; i++) {
    struct kad_holding holding = holding_of(0, numbered_host(1));
    holding.expires_at = moments[i];
    add(&fixture, &record, &holding);
  }

  for (size_t i = 0; i < 6; i++) {
    kad_handle due = fixture.store->due_expire(fixture.store->state, &at);
    assert_int_equal(at, sorted[i]);
    assert_true(read(&fixture, due, &held));
    assert_int_equal(held.holding.expires_at, sorted[i]);
    remove_one(&fixture, due);
  }

  assert_int_equal(fixture.store->due_expire(fixture.store->state, &at), 0);
  tear_down(&fixture);
}

static void names_what_is_republished_first(void **state) {
  (void)state;
  struct fixture fixture;
  kad_time_ms at = 0;
  set_up(&fixture);
  struct kad_store *store = fixture.store;
  struct kad_record record = record_of(1, "v");
  struct kad_holding holding = holding_of(0, numbered_host(1));
  kad_handle never = add(&fixture, &record, &holding);

  assert_int_equal(store->due_republish(store->state, &at), 0);
  assert_int_equal(at, KAD_TIME_NEVER);
  holding.republish_at = 40;
  kad_handle second = add(&fixture, &record, &holding);
  holding.republish_at = 30;
  kad_handle first = add(&fixture, &record, &holding);
  assert_int_equal(store->due_republish(store->state, &at), first);
  assert_int_equal(at, 30);
  holding.republish_at = 50;
  touch(&fixture, first, &holding);
  assert_int_equal(store->due_republish(store->state, &at), second);
  assert_int_equal(at, 40);
  holding.republish_at = 7;
  touch(&fixture, never, &holding);
  assert_int_equal(store->due_republish(store->state, &at), never);
  tear_down(&fixture);
}

/* ------------------------------------------------------------ origins -- */

static void counts_the_records_of_an_address(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  struct kad_holding holding = holding_of(0, numbered_host(1));
  kad_handle first = add(&fixture, &record, &holding);
  holding.origin.port = 1;
  holding.origin.via = 1;
  add(&fixture, &record, &holding);
  holding.origin = numbered_host(2);
  add(&fixture, &record, &holding);
  holding.origin = nobody;
  add(&fixture, &record, &holding);

  assert_int_equal(count_of(&fixture, numbered_host(1)), 2);
  assert_int_equal(count_of(&fixture, numbered_host(2)), 1);
  assert_int_equal(count_of(&fixture, numbered_host(3)), 0);
  assert_int_equal(count_of(&fixture, nobody), 1);
  remove_one(&fixture, first);
  assert_int_equal(count_of(&fixture, numbered_host(1)), 1);
  tear_down(&fixture);
}

static void counts_a_64_of_ipv6_as_one_address(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_address neighbour = wide_host(1);
  neighbour.ip[8] = 0xff;
  struct kad_address stranger = wide_host(1);
  stranger.ip[7] = 0xff;
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  struct kad_holding holding = holding_of(0, wide_host(1));
  add(&fixture, &record, &holding);
  holding.origin = neighbour;
  kad_handle handle = add(&fixture, &record, &holding);

  assert_reads(&fixture, handle, &record, &holding);
  assert_int_equal(count_of(&fixture, wide_host(1)), 2);
  assert_int_equal(count_of(&fixture, neighbour), 2);
  assert_int_equal(count_of(&fixture, stranger), 0);
  tear_down(&fixture);
}

/* The first bytes of an IPv6 address may be those of an IPv4 one. */
static void counts_families_apart(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_address four = {.family = 4, .port = 1, .ip = {32, 1, 13, 184}};
  struct kad_address six = four;
  six.family = 6;
  set_up(&fixture);
  struct kad_record record = record_of(1, "v");
  struct kad_holding holding = holding_of(0, four);
  add(&fixture, &record, &holding);

  assert_int_equal(count_of(&fixture, four), 1);
  assert_int_equal(count_of(&fixture, six), 0);
  tear_down(&fixture);
}

/* Adds `records` values of `host` under keys from `key` on. */
static void add_many(const struct fixture *fixture, struct kad_address host,
                     uint32_t key, uint32_t records) {
  for (uint32_t i = 0; i < records; i++) {
    struct kad_record record = record_of(key + i, "v");
    struct kad_holding holding = holding_of(1, host);
    add(fixture, &record, &holding);
  }
}

/* Returns who would lose a record. */
static struct kad_address victims_host(const struct fixture *fixture) {
  struct kad_id self = numbered_key(0);
  struct kad_held held;
  kad_handle victim = fixture->store->victim(fixture->store->state, &self);
  assert_true(read(fixture, victim, &held));
  return held.holding.origin;
}

static void takes_from_the_address_with_most_bytes(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  add_many(&fixture, numbered_host(1), 0, 3);
  add_many(&fixture, numbered_host(2), 10, 5);
  add_many(&fixture, numbered_host(3), 20, 4);
  struct kad_address two = numbered_host(2);
  struct kad_address one = numbered_host(1);

  struct kad_address host = victims_host(&fixture);
  assert_memory_equal(&host, &two, sizeof host);
  struct kad_record large = record_of(30, "");
  large.value = (struct kad_slice){bytes, KAD_VALUE_MAX};
  struct kad_holding holding = holding_of(1, one);
  add(&fixture, &large, &holding);
  host = victims_host(&fixture);
  assert_memory_equal(&host, &one, sizeof host);
  tear_down(&fixture);
}

static void takes_from_our_own_user_last(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_id self = numbered_key(0);
  set_up(&fixture);
  add_many(&fixture, nobody, 0, 20);
  add_many(&fixture, numbered_host(1), 30, 1);
  add_many(&fixture, wide_host(1), 40, 1);
  struct kad_store *store = fixture.store;

  assert_int_not_equal(victims_host(&fixture).family, 0);
  remove_one(&fixture, store->victim(store->state, &self));
  assert_int_not_equal(victims_host(&fixture).family, 0);
  remove_one(&fixture, store->victim(store->state, &self));
  assert_int_equal(victims_host(&fixture).family, 0);
  tear_down(&fixture);
}

static void takes_the_farthest_then_the_soonest_to_expire(void **state) {
  (void)state;
  struct fixture fixture;
  struct kad_id self = {.bytes = {0x80}};
  static const struct {
    uint8_t first; /* byte of the key */
    kad_time_ms expires_at;
  } expected[] = {{0x01, 100}, {0x7f, 200}, {0x02, 300},
                  {0xc0, 10},  {0xff, 20},  {0x81, 5}};
  set_up(&fixture);
  for (size_t i = 0; i < 6; i++) {
    struct kad_record record = {.type = kad_slice_of("value")};
    record.key.bytes[0] = expected[(i * 5 + 2) % 6].first;
    struct kad_holding holding = holding_of(0, numbered_host(1));
    holding.expires_at = expected[(i * 5 + 2) % 6].expires_at;
    add(&fixture, &record, &holding);
  }

  for (size_t i = 0; i < 6; i++) {
    struct kad_held held;
    kad_handle victim = fixture.store->victim(fixture.store->state, &self);
    assert_true(read(&fixture, victim, &held));
    assert_int_equal(held.record.key.bytes[0], expected[i].first);
    remove_one(&fixture, victim);
  }
  tear_down(&fixture);
}

/* Returns true if the next to go is under the farthest key. */
static bool takes_the_far_one(const struct fixture *fixture) {
  struct kad_id self = numbered_key(0);
  struct kad_held held;
  kad_handle victim = fixture->store->victim(fixture->store->state, &self);
  assert_true(read(fixture, victim, &held));
  return held.record.key.bytes[0] == 0xff;
}

static void weighs_the_128_earliest_of_an_address(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);
  kad_handle first = add_value(&fixture, 0, "v", 1);
  add_many(&fixture, numbered_host(1), 1, 127);
  struct kad_record far = record_of(0, "v");
  far.key.bytes[0] = 0xff;
  struct kad_holding holding = holding_of(1, numbered_host(1));

  add(&fixture, &far, &holding);
  assert_false(takes_the_far_one(&fixture));
  holding.stored_at = 2;
  touch(&fixture, first, &holding);
  assert_true(takes_the_far_one(&fixture));
  tear_down(&fixture);
}

/* -------------------------------------------------------------- memory -- */

static void is_made_whole_or_not_at_all(void **state) {
  (void)state;
  struct kad_counting_allocator counting;
  struct kad_store *store = NULL;
  kad_counting_init(&counting);

  kad_counting_fail_at(&counting, 0);
  assert_int_equal(kad_store_memory_new(&counting.allocator, secret, &store),
                   KAD_ENOMEM);
  assert_null(store);
  kad_store_memory_free(NULL);
  kad_counting_deinit(&counting);
}

/* Adds a record to a store of `held` others, failing one request after the
 * other, and returns how many there were. */
static size_t add_with_failures(uint32_t held) {
  struct fixture fixture;
  kad_handle handle = 0;
  int status = KAD_ENOMEM;
  size_t failures = 0;
  set_up(&fixture);
  add_many(&fixture, numbered_host(1), 0, held);
  struct kad_record record = record_of(held, "new");
  record.type = kad_slice_of("rare");
  struct kad_holding holding = holding_of(5, wide_host(1));
  size_t before = bytes_of(&fixture);

  for (size_t n = 0; status == KAD_ENOMEM; n++) {
    kad_counting_fail_at(&fixture.counting, n);
    status =
        fixture.store->add(fixture.store->state, &record, &holding, &handle);
    if (status != 0) {
      failures++;
      assert_int_equal(status, KAD_ENOMEM);
      assert_int_equal(handle, 0);
      assert_int_equal(count(&fixture), held);
      assert_int_equal(bytes_of(&fixture), before);
      assert_int_equal(find(&fixture, held, "rare", 0, NULL, 0), 0);
      assert_int_equal(count_of(&fixture, wide_host(1)), 0);
    }
  }

  assert_ok(status);
  assert_reads(&fixture, handle, &record, &holding);
  assert_int_equal(count(&fixture), held + 1);
  tear_down(&fixture);
  return failures;
}

static void stays_as_it_was_when_an_allocation_fails(void **state) {
  (void)state;

  size_t of_an_empty_store = add_with_failures(0);
  size_t of_a_full_array = add_with_failures(8);
  size_t of_room_enough = add_with_failures(12);

  /* Names, slots, two rankings, keys, three parts of origins, the entry. */
  assert_int_equal(of_an_empty_store, 9);
  /* Where buckets cannot grow, adding goes on without. */
  assert_int_equal(of_a_full_array, 2);
  assert_int_equal(of_room_enough, 1);
}

static void frees_everything_with_its_last_record(void **state) {
  (void)state;
  struct fixture fixture;
  kad_handle handles[50];
  set_up(&fixture);
  size_t empty = fixture.counting.bytes;
  for (uint32_t i = 0; i < 50; i++) {
    struct kad_record record = record_of(i % 20, "v");
    struct kad_holding holding = holding_of(i, numbered_host(i % 7));
    handles[i] = add(&fixture, &record, &holding);
  }

  size_t before = bytes_of(&fixture);
  for (size_t i = 0; i < 50; i++) {
    remove_one(&fixture, handles[(i * 7) % 50]);
    assert_true(bytes_of(&fixture) < before);
    before = bytes_of(&fixture);
  }

  assert_int_equal(before, 0);
  assert_int_equal(count(&fixture), 0);
  assert_int_equal(fixture.counting.bytes, empty);
  assert_int_equal(fixture.counting.blocks, 1);
  tear_down(&fixture);
}

static void frees_what_it_still_holds_at_its_end(void **state) {
  (void)state;
  struct fixture fixture;
  set_up(&fixture);

  add_many(&fixture, numbered_host(1), 0, 30);

  tear_down(&fixture);
}

/* ---------------------------------------------------------------- size -- */

enum {
  KEYS_APART = 1,
  HOSTS_APART = 2,
  WIDE_HOSTS = 4,
  LONG_KEYS = 8
};

/* Checks what a record with a value of `len` bytes takes, in stores of many
 * sizes, since arrays grow by steps: `limit` bytes at most, by the store's own
 * account and the allocator's. */
static void assert_takes(unsigned choice, size_t len, size_t limit) {
  enum {
    RECORDS = 9000
  };
  struct fixture fixture;
  set_up(&fixture);
  size_t empty = fixture.counting.bytes;
  for (uint32_t i = 0; i < RECORDS; i++) {
    uint32_t host = (choice & HOSTS_APART) != 0 ? i : i / 64;
    struct kad_record record =
        record_of((choice & KEYS_APART) != 0 ? i : 0, "");
    record.key.bytes[KAD_ID_SIZE - 1] = (choice & LONG_KEYS) != 0;
    record.type = kad_slice_of("peers");
    record.value = (struct kad_slice){bytes, len};
    struct kad_holding holding = holding_of(
        i, (choice & WIDE_HOSTS) != 0 ? wide_host(host) : numbered_host(host));
    add(&fixture, &record, &holding);
    if (i >= 1000) {
      size_t taken = fixture.counting.bytes - empty;
      assert_in_range(taken / (i + 1), 0, limit);
      assert_in_range(bytes_of(&fixture) / (i + 1), 0, limit);
      assert_in_range(taken, 0, bytes_of(&fixture) + 1024);
    }
  }
  tear_down(&fixture);
}

static void takes_at_most_200_bytes_a_peer(void **state) {
  (void)state;

  assert_takes(KEYS_APART, 6, 150);
  assert_takes(HOSTS_APART, 6, 200);
  assert_takes(KEYS_APART | HOSTS_APART, 6, 200);
  assert_takes(KEYS_APART | HOSTS_APART | LONG_KEYS, 6, 200);
  assert_takes(KEYS_APART | WIDE_HOSTS, 18, 200);
  assert_takes(KEYS_APART | HOSTS_APART | WIDE_HOSTS, 18, 200);
}

static void takes_at_most_350_bytes_a_value_of_100(void **state) {
  (void)state;

  assert_takes(KEYS_APART, 100, 250);
  assert_takes(KEYS_APART | HOSTS_APART | WIDE_HOSTS | LONG_KEYS, 100, 350);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_empty_when_new),
      cmocka_unit_test(gives_back_every_part_of_a_record),
      cmocka_unit_test(gives_back_any_choice_of_parts),
      cmocka_unit_test(copies_what_it_holds),
      cmocka_unit_test(keeps_types_under_one_key_apart),
      cmocka_unit_test(keeps_short_and_long_keys_apart),
      cmocka_unit_test(holds_255_types_at_once),
      cmocka_unit_test(finds_the_newest_first),
      cmocka_unit_test(finds_a_page),
      cmocka_unit_test(finds_what_is_left_after_any_removal),
      cmocka_unit_test(is_the_newest_again_when_confirmed),
      cmocka_unit_test(keeps_its_place_when_only_other_times_change),
      cmocka_unit_test(changes_who_stored_it),
      cmocka_unit_test(keeps_who_stored_it_when_memory_is_short),
      cmocka_unit_test(knows_a_stale_handle),
      cmocka_unit_test(knows_a_stale_handle_after_it_was_empty),
      cmocka_unit_test(gives_every_record_once),
      cmocka_unit_test(names_what_expires_first),
      cmocka_unit_test(names_what_is_republished_first),
      cmocka_unit_test(counts_the_records_of_an_address),
      cmocka_unit_test(counts_a_64_of_ipv6_as_one_address),
      cmocka_unit_test(counts_families_apart),
      cmocka_unit_test(takes_from_the_address_with_most_bytes),
      cmocka_unit_test(takes_from_our_own_user_last),
      cmocka_unit_test(takes_the_farthest_then_the_soonest_to_expire),
      cmocka_unit_test(weighs_the_128_earliest_of_an_address),
      cmocka_unit_test(is_made_whole_or_not_at_all),
      cmocka_unit_test(stays_as_it_was_when_an_allocation_fails),
      cmocka_unit_test(frees_everything_with_its_last_record),
      cmocka_unit_test(frees_what_it_still_holds_at_its_end),
      cmocka_unit_test(takes_at_most_200_bytes_a_peer),
      cmocka_unit_test(takes_at_most_350_bytes_a_value_of_100),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
