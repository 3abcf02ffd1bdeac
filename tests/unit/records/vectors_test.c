/* The vectors of ids, keys, items, records and filters in docs/vectors. Tests
 * core/records/item.c, core/records/record_sign.c, core/records/filter.c,
 * core/base/secure_id.c and core/base/id.c. */
#include "vectors.h"

#include "kadenza_item.h"
#include "kadenza_scrape.h"
#include "kadenza_secure_id.h"
#include "records/record.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct kad_vectors vectors;

static struct kad_id id_of(const char *hex) {
  struct kad_id id;
  unsigned bits = 0;
  assert_ok(kad_id_parse(kad_slice_of(hex), &id, &bits));
  return id;
}

/* Reads an address without a port. */
static struct kad_address host_of(const char *ip) {
  struct kad_address address;
  char text[KAD_ADDRESS_TEXT_SIZE];
  (void)snprintf(text, sizeof text, strchr(ip, ':') != NULL ? "[%s]:1" : "%s:1",
                 ip);
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

static void ids_fit_their_address(void **state) {
  (void)state;
  kad_vectors_open(&vectors, "ids.tsv", 4);
  while (kad_vectors_next(&vectors)) {
    const struct kad_address address = host_of(vectors.columns[0]);
    const struct kad_id id = id_of(vectors.columns[1]);
    assert_int_equal(kad_secure_id_check(&id, 160, &address),
                     strcmp(vectors.columns[2], "yes") == 0);
  }
  kad_vectors_close(&vectors, 70);
}

static void keys_are_hashes_of_names(void **state) {
  uint8_t bytes[1024];
  (void)state;
  kad_vectors_open(&vectors, "keys.tsv", 3);
  while (kad_vectors_next(&vectors)) {
    const unsigned bits = (unsigned)strtoul(vectors.columns[1], NULL, 10);
    const struct kad_id expected = id_of(vectors.columns[2]);
    struct kad_id key;
    kad_id_hash(kad_vectors_bytes(vectors.columns[0], bytes, sizeof bytes),
                bits, &key);
    assert_true(kad_id_equal(&key, &expected));
  }
  kad_vectors_close(&vectors, 12);
}

/* The secret and public keys of a row. */
struct keys {
  bool has_secret;
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
};

/* Reads seed, publisher and signature, which are three columns. */
static struct keys keys_at(size_t column) {
  struct keys keys;
  uint8_t seed[32];
  uint8_t made[KAD_PUBLISHER_SIZE];
  (void)kad_vectors_bytes(vectors.columns[column + 1], keys.publisher,
                          sizeof keys.publisher);
  (void)kad_vectors_bytes(vectors.columns[column + 2], keys.signature,
                          sizeof keys.signature);
  keys.has_secret =
      kad_vectors_bytes(vectors.columns[column], seed, sizeof seed).len > 0;
  if (keys.has_secret) {
    kad_keypair(seed, made, keys.secret);
    assert_memory_equal(made, keys.publisher, sizeof made);
  }
  return keys;
}

static void check_mutable(struct kad_slice value, struct kad_slice salt,
                          const struct kad_id *expected) {
  const struct keys keys = keys_at(4);
  const int64_t seq = strtoll(vectors.columns[3], NULL, 10);
  struct kad_id target;
  uint8_t signature[KAD_SIGNATURE_SIZE];
  assert_ok(kad_item_target_mutable(keys.publisher, salt, &target));
  assert_true(kad_id_equal(&target, expected));
  assert_true(
      kad_item_verify(value, salt, seq, keys.publisher, keys.signature));
  if (keys.has_secret) {
    assert_ok(kad_item_sign(value, salt, seq, keys.secret, signature));
    assert_memory_equal(signature, keys.signature, sizeof signature);
  }
}

static void items_have_their_targets_and_signatures(void **state) {
  uint8_t value_bytes[KAD_ITEM_VALUE_MAX];
  uint8_t salt_bytes[KAD_SALT_MAX];
  (void)state;
  kad_vectors_open(&vectors, "items.tsv", 8);
  while (kad_vectors_next(&vectors)) {
    const struct kad_slice value =
        kad_vectors_bytes(vectors.columns[1], value_bytes, sizeof value_bytes);
    const struct kad_slice salt =
        kad_vectors_bytes(vectors.columns[2], salt_bytes, sizeof salt_bytes);
    const struct kad_id expected = id_of(vectors.columns[7]);
    struct kad_id target;
    assert_ok(kad_item_check_value(value));
    if (strcmp(vectors.columns[0], "mutable") == 0) {
      check_mutable(value, salt, &expected);
      continue;
    }
    assert_ok(kad_item_target_immutable(value, &target));
    assert_true(kad_id_equal(&target, &expected));
  }
  kad_vectors_close(&vectors, 40);
}

static void records_have_their_signatures(void **state) {
  uint8_t value[KAD_ITEM_VALUE_MAX];
  uint8_t salt[KAD_SALT_MAX];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  (void)state;
  kad_vectors_open(&vectors, "records.tsv", 8);
  while (kad_vectors_next(&vectors)) {
    const struct keys keys = keys_at(5);
    const unsigned bits = strlen(vectors.columns[0]) == 40 ? 160 : 256;
    const bool has_seq = strcmp(vectors.columns[4], "-") != 0;
    const struct kad_record record = {
        .key = id_of(vectors.columns[0]),
        .type = kad_slice_of(vectors.columns[1]),
        .value = kad_vectors_bytes(vectors.columns[2], value, sizeof value),
        .salt = kad_vectors_bytes(vectors.columns[3], salt, sizeof salt),
        .has_seq = has_seq,
        .seq = has_seq ? strtoll(vectors.columns[4], NULL, 10) : 0,
        .publisher = keys.publisher,
        .signature = keys.signature,
    };
    assert_ok(kad_record_sign(&record, bits, keys.secret, signature));
    assert_memory_equal(signature, keys.signature, sizeof signature);
  }
  kad_vectors_close(&vectors, 64);
}

/* Adds the addresses of a range, such as "192.0.2.0-192.0.2.255". */
static void add_range(uint8_t *filter, char *range) {
  char *dash = strchr(range, '-');
  assert_non_null(dash);
  *dash = '\0';
  struct kad_address address = host_of(range);
  const struct kad_address last = host_of(dash + 1);
  const size_t size = address.family == 4 ? 4 : 16;
  kad_filter_add(filter, &address);
  while (memcmp(address.ip, last.ip, size) != 0) {
    size_t i = size - 1;
    while (++address.ip[i] == 0) {
      i--;
    }
    kad_filter_add(filter, &address);
  }
}

static void filters_have_their_bits_and_counts(void **state) {
  (void)state;
  kad_vectors_open(&vectors, "filters.tsv", 3);
  while (kad_vectors_next(&vectors)) {
    uint8_t filter[KAD_FILTER_SIZE] = {0};
    uint8_t expected[KAD_FILTER_SIZE];
    char *range = strtok(vectors.columns[0], ",");
    for (; range != NULL; range = strtok(NULL, ",")) {
      add_range(filter, range);
    }
    (void)kad_vectors_bytes(vectors.columns[1], expected, sizeof expected);
    assert_memory_equal(filter, expected, sizeof filter);
    assert_true(fabs(kad_filter_count(filter) -
                     strtod(vectors.columns[2], NULL)) < 0.001);
  }
  kad_vectors_close(&vectors, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ids_fit_their_address),
      cmocka_unit_test(keys_are_hashes_of_names),
      cmocka_unit_test(items_have_their_targets_and_signatures),
      cmocka_unit_test(records_have_their_signatures),
      cmocka_unit_test(filters_have_their_bits_and_counts),
  };
  return cmocka_run_group_tests_name("vectors", tests, NULL, NULL);
}
