/* Bloom filters of addresses (BEP 33). Tests core/records/filter.c. */
#include "kadenza_scrape.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct kad_address address_of(const char *text) {
  struct kad_address address;
  assert_ok(kad_address_parse(kad_slice_of(text), &address));
  return address;
}

/* BEP 33 "Test Vectors". */
static const char vector[] =
    "F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAE"
    "FE5EEDB1FBFAFF67F6ABFF5E43DDBCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B"
    "7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE148246C2BC5DBFF7E7EFDCF24F"
    "D8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3"
    "FA1FC77BFE07FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5"
    "BFAF2E9EBFFFFEECD67ADBF7C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB57"
    "62ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE76B6"
    "FD8F72EF";

/* Adds 192.0.2.0 … 192.0.2.255 and 2001:db8:: … 2001:db8::3e7. */
static void fill(uint8_t filter[KAD_FILTER_SIZE]) {
  struct kad_address four = address_of("192.0.2.0:1");
  struct kad_address six = address_of("[2001:db8::]:1");
  memset(filter, 0, KAD_FILTER_SIZE);
  for (unsigned i = 0; i < 256; i++) {
    four.ip[3] = (uint8_t)i;
    kad_filter_add(filter, &four);
  }
  for (unsigned i = 0; i < 1000; i++) {
    six.ip[14] = (uint8_t)(i >> 8);
    six.ip[15] = (uint8_t)i;
    kad_filter_add(filter, &six);
  }
}

static void bep_33_test_vectors_filter(void **state) {
  (void)state;
  uint8_t filter[KAD_FILTER_SIZE];
  char hex[2 * KAD_FILTER_SIZE + 1];
  fill(filter);
  for (size_t i = 0; i < KAD_FILTER_SIZE; i++) {
    (void)snprintf(hex + 2 * i, 3, "%02X", filter[i]);
  }
  assert_string_equal(hex, vector);
}

static void bep_33_test_vectors_estimate(void **state) {
  (void)state;
  uint8_t filter[KAD_FILTER_SIZE];
  fill(filter);
  assert_true(fabs(kad_filter_count(filter) - 1224.9308) < 0.0001);
}

static void an_empty_filter_counts_0_and_a_full_one_the_most(void **state) {
  (void)state;
  uint8_t filter[KAD_FILTER_SIZE] = {0};
  assert_true(kad_filter_count(filter) == 0);
  memset(filter, 0xff, sizeof filter);
  const double full = kad_filter_count(filter);
  assert_true(isfinite(full) && full > KAD_FILTER_COUNT_MAX);
  filter[7] = 0xfe;
  assert_true(kad_filter_count(filter) == full);
  filter[7] = 0xfc;
  assert_true(kad_filter_count(filter) < full);
}

static void an_address_is_in_a_filter_whatever_its_port(void **state) {
  (void)state;
  uint8_t filter[KAD_FILTER_SIZE] = {0};
  const struct kad_address peer = address_of("192.0.2.1:1");
  const struct kad_address port = address_of("192.0.2.1:2");
  const struct kad_address other = address_of("192.0.2.2:1");
  assert_false(kad_filter_has(filter, &peer));
  kad_filter_add(filter, &peer);
  assert_true(kad_filter_has(filter, &peer));
  assert_true(kad_filter_has(filter, &port));
  assert_false(kad_filter_has(filter, &other));
  const double one = kad_filter_count(filter);
  kad_filter_add(filter, &port);
  assert_true(kad_filter_count(filter) == one);
  assert_int_equal(lround(one), 1);
}

/* BEP 33 "Calculating the estimate": a union counts each address once. */
static void a_merged_filter_counts_the_union(void **state) {
  (void)state;
  uint8_t left[KAD_FILTER_SIZE] = {0};
  uint8_t right[KAD_FILTER_SIZE] = {0};
  struct kad_address peer = address_of("198.51.100.0:1");
  for (unsigned i = 0; i < 200; i++) {
    peer.ip[3] = (uint8_t)i;
    if (i < 120) {
      kad_filter_add(left, &peer);
    }
    if (i >= 80) {
      kad_filter_add(right, &peer);
    }
  }
  kad_filter_merge(left, right);
  assert_in_range(lround(kad_filter_count(left)), 190, 210);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep_33_test_vectors_filter),
      cmocka_unit_test(bep_33_test_vectors_estimate),
      cmocka_unit_test(an_empty_filter_counts_0_and_a_full_one_the_most),
      cmocka_unit_test(an_address_is_in_a_filter_whatever_its_port),
      cmocka_unit_test(a_merged_filter_counts_the_union),
  };
  return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
