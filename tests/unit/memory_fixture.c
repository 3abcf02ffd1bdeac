#include "memory_fixture.h"

#include "unit.h"

#include <string.h>

static const uint8_t secret[KAD_STORE_SECRET_SIZE] = "sixteen bytes...";

void kad_memory_open(struct kad_memory_fixture *fixture) {
  kad_counting_init(&fixture->counting);
  assert_ok(kad_store_memory_new(&fixture->counting.allocator, secret,
                                 &fixture->store));
}

void kad_memory_close(struct kad_memory_fixture *fixture) {
  kad_store_memory_free(fixture->store);
  kad_counting_deinit(&fixture->counting);
}

struct kad_id kad_memory_key(uint32_t number) {
  struct kad_id key = {.bytes = {7}};
  memcpy(key.bytes + 1, &number, sizeof number);
  return key;
}

struct kad_address kad_memory_host(uint32_t number) {
  struct kad_address address = {.port = 6881, .family = 4, .ip = {10}};
  for (size_t i = 1; i < 4; i++) {
    address.ip[i] = (uint8_t)(number >> (24 - 8 * i));
  }
  return address;
}

struct kad_address kad_memory_wide_host(uint32_t number) {
  struct kad_address address = {.port = 1, .family = 6, .ip = {0x20, 1}};
  memcpy(address.ip + 4, &number, sizeof number);
  address.ip[15] = 1;
  return address;
}

struct kad_record kad_memory_record(uint32_t key, const char *value) {
  return (struct kad_record){.key = kad_memory_key(key),
                             .type = kad_slice_of("value"),
                             .value = kad_slice_of(value)};
}

struct kad_holding kad_memory_holding(kad_time_ms stored_at,
                                      struct kad_address origin) {
  return (struct kad_holding){.stored_at = stored_at,
                              .expires_at = stored_at + 1000,
                              .republish_at = KAD_TIME_NEVER,
                              .origin = origin};
}

kad_handle kad_memory_add(const struct kad_memory_fixture *fixture,
                          const struct kad_record *record,
                          const struct kad_holding *holding) {
  kad_handle handle = 0;
  assert_ok(
      fixture->store->add(fixture->store->state, record, holding, &handle));
  assert_true(handle != 0);
  return handle;
}

kad_handle kad_memory_add_value(const struct kad_memory_fixture *fixture,
                                uint32_t key, const char *value,
                                kad_time_ms stored_at) {
  struct kad_record record = kad_memory_record(key, value);
  struct kad_holding holding =
      kad_memory_holding(stored_at, kad_memory_host(1));
  return kad_memory_add(fixture, &record, &holding);
}

bool kad_memory_read(const struct kad_memory_fixture *fixture,
                     kad_handle handle, struct kad_held *held) {
  return fixture->store->read(fixture->store->state, handle, held);
}

bool kad_memory_has(const struct kad_memory_fixture *fixture,
                    kad_handle handle) {
  struct kad_held held;
  return kad_memory_read(fixture, handle, &held);
}

size_t kad_memory_find(const struct kad_memory_fixture *fixture, uint32_t key,
                       const char *type, size_t skip, kad_handle *handles,
                       size_t cap) {
  struct kad_id id = kad_memory_key(key);
  return fixture->store->find(fixture->store->state, &id, kad_slice_of(type),
                              skip, handles, cap);
}

void kad_memory_touch(const struct kad_memory_fixture *fixture,
                      kad_handle handle, const struct kad_holding *holding) {
  fixture->store->touch(fixture->store->state, handle, holding);
}

void kad_memory_remove(const struct kad_memory_fixture *fixture,
                       kad_handle handle) {
  fixture->store->remove(fixture->store->state, handle);
}

size_t kad_memory_count_of(const struct kad_memory_fixture *fixture,
                           struct kad_address origin) {
  return fixture->store->count_of(fixture->store->state, &origin);
}

size_t kad_memory_count(const struct kad_memory_fixture *fixture) {
  return fixture->store->count(fixture->store->state);
}

size_t kad_memory_bytes(const struct kad_memory_fixture *fixture) {
  return fixture->store->bytes(fixture->store->state);
}

static void assert_slices_equal(struct kad_slice a, struct kad_slice b) {
  assert_int_equal(a.len, b.len);
  assert_true(kad_slice_equal(a, b));
}

void kad_memory_assert_reads(const struct kad_memory_fixture *fixture,
                             kad_handle handle, const struct kad_record *record,
                             const struct kad_holding *holding) {
  struct kad_held held;
  assert_true(kad_memory_read(fixture, handle, &held));
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

void kad_memory_add_many(const struct kad_memory_fixture *fixture,
                         struct kad_address host, uint32_t key,
                         uint32_t records) {
  for (uint32_t i = 0; i < records; i++) {
    struct kad_record record = kad_memory_record(key + i, "v");
    struct kad_holding holding = kad_memory_holding(1, host);
    kad_memory_add(fixture, &record, &holding);
  }
}
