/* What tests of the memory store share: a store, and short ways to use it. */
#ifndef KAD_MEMORY_FIXTURE_H
#define KAD_MEMORY_FIXTURE_H

#include "counting_allocator.h"
#include "records/store.h"

/* A store of the counting allocator's memory. */
struct kad_memory_fixture {
  struct kad_counting_allocator counting;
  struct kad_store *store;
};

/* Makes an empty store. */
void kad_memory_open(struct kad_memory_fixture *fixture);

/* Frees the store, and fails the test if memory is left. */
void kad_memory_close(struct kad_memory_fixture *fixture);

/* Returns a key of 160 bits, another one for each number. */
struct kad_id kad_memory_key(uint32_t number);

/* Returns an IPv4 address, another one for each number. */
struct kad_address kad_memory_host(uint32_t number);

/* Returns an IPv6 address, in another /64 for each number. */
struct kad_address kad_memory_wide_host(uint32_t number);

/* Returns a plain record under a numbered key. Borrows: `value`. */
struct kad_record kad_memory_record(uint32_t key, const char *value);

/* Returns a holding that expires a second after `stored_at` and is never
 * republished. */
struct kad_holding kad_memory_holding(kad_time_ms stored_at,
                                      struct kad_address origin);

/* Adds a record and returns its handle. */
kad_handle kad_memory_add(const struct kad_memory_fixture *fixture,
                          const struct kad_record *record,
                          const struct kad_holding *holding);

/* Adds a plain value of host 1. */
kad_handle kad_memory_add_value(const struct kad_memory_fixture *fixture,
                                uint32_t key, const char *value,
                                kad_time_ms stored_at);

/* Adds `records` values of `host` under keys from `key` on. */
void kad_memory_add_many(const struct kad_memory_fixture *fixture,
                         struct kad_address host, uint32_t key,
                         uint32_t records);

/* The functions of the store, with its state. */
bool kad_memory_read(const struct kad_memory_fixture *fixture,
                     kad_handle handle, struct kad_held *held);
size_t kad_memory_find(const struct kad_memory_fixture *fixture, uint32_t key,
                       const char *type, size_t skip, kad_handle *handles,
                       size_t cap);
void kad_memory_touch(const struct kad_memory_fixture *fixture,
                      kad_handle handle, const struct kad_holding *holding);
void kad_memory_remove(const struct kad_memory_fixture *fixture,
                       kad_handle handle);
size_t kad_memory_count(const struct kad_memory_fixture *fixture);
size_t kad_memory_count_of(const struct kad_memory_fixture *fixture,
                           struct kad_address origin);
size_t kad_memory_bytes(const struct kad_memory_fixture *fixture);

/* Returns true if the handle names a held record. */
bool kad_memory_has(const struct kad_memory_fixture *fixture,
                    kad_handle handle);

/* Fails unless `handle` gives back what was added. */
void kad_memory_assert_reads(const struct kad_memory_fixture *fixture,
                             kad_handle handle, const struct kad_record *record,
                             const struct kad_holding *holding);

#endif
