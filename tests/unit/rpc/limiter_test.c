#include "rpc/limiter.h"

#include "base/time.h"
#include "counting_allocator.h"
#include "unit.h"

/* The burst of an address: four seconds of its rate. */
enum {
  ADDRESS = 10,
  SUBNET = 25,
  ALL = 200,
  BURST_S = 4
};

struct limits {
  struct kad_counting_allocator counting;
  struct kad_limiter *limiter;
  kad_time_ms now;
};

static void start(struct limits *it, const struct kad_limiter_config *config,
                  kad_time_ms now) {
  static const uint8_t secret[16] = {1, 2, 3};
  kad_limiter_free(it->limiter);
  it->now = now;
  assert_ok(kad_limiter_new(config, &it->counting.allocator, secret, now,
                            &it->limiter));
}

static int begin(void **state) {
  static struct limits it;
  it = (struct limits){0};
  kad_counting_init(&it.counting);
  start(&it,
        &(struct kad_limiter_config){
            .queries_per_s = ALL,
            .queries_per_s_address = ADDRESS,
            .queries_per_s_subnet = SUBNET,
            .bytes_per_s = 10000,
        },
        1000);
  *state = &it;
  return 0;
}

static int end(void **state) {
  struct limits *it = *state;
  kad_limiter_free(it->limiter);
  kad_counting_deinit(&it->counting);
  return 0;
}

static struct kad_address ip4(uint32_t ip) {
  return (struct kad_address){
      .ip = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
             (uint8_t)ip},
      .port = 6881,
      .family = 4,
  };
}

enum {
  NEAR = 0x50000001,
  FAR = 0x51000001,
  LOCAL = 0x7f000001
};

/* Sends `count` queries at once. Returns how many were allowed. */
static unsigned send_queries(struct limits *it, uint32_t ip, unsigned count) {
  unsigned allowed = 0;
  for (unsigned i = 0; i < count; i++) {
    const struct kad_address from = ip4(ip);
    allowed += kad_limiter_query(it->limiter, &from, it->now) ? 1 : 0;
  }
  return allowed;
}

static void an_address_has_a_burst_and_then_its_rate(void **state) {
  struct limits *it = *state;
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);

  it->now += 99;
  assert_int_equal(send_queries(it, NEAR, 1), 0);
  it->now += 1;
  assert_int_equal(send_queries(it, NEAR, 10), 1);
  it->now += 1000;
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS);
  it->now += 3600 * 1000;
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);
}

static void a_rate_is_exact_at_any_frequency_of_queries(void **state) {
  struct limits *it = *state;
  start(it,
        &(struct kad_limiter_config){.queries_per_s = 0,
                                     .queries_per_s_address = 7},
        0);
  assert_int_equal(send_queries(it, NEAR, 100), 28);
  unsigned allowed = 0;
  for (unsigned i = 0; i < 60000; i++) {
    it->now++;
    allowed += send_queries(it, NEAR, 1);
  }
  assert_int_equal(allowed, 60 * 7);
}

static void ports_share_the_limit_of_their_address(void **state) {
  struct limits *it = *state;
  unsigned allowed = 0;
  for (uint16_t port = 1; port <= 100; port++) {
    struct kad_address from = ip4(NEAR);
    from.port = port;
    allowed += kad_limiter_query(it->limiter, &from, it->now) ? 1 : 0;
  }
  assert_int_equal(allowed, ADDRESS * BURST_S);
}

static void a_flood_of_one_address_leaves_others_served(void **state) {
  struct limits *it = *state;
  unsigned served = 0;
  for (unsigned second = 0; second < 10; second++) {
    for (unsigned i = 0; i < 10; i++) {
      it->now += 100;
      (void)send_queries(it, NEAR, 1000);
      served += send_queries(it, NEAR + 1, 1); /* of the same subnet */
      served += send_queries(it, FAR, 1);
    }
  }
  assert_int_equal(served, 2 * 10 * 10);
}

static void a_flood_of_one_subnet_leaves_others_served(void **state) {
  struct limits *it = *state;
  unsigned of_subnet = 0;
  for (uint32_t host = 1; host < 255; host++) {
    of_subnet += send_queries(it, (NEAR & 0xffffff00) + host, 10);
  }

  assert_int_equal(of_subnet, SUBNET * BURST_S);
  assert_int_equal(send_queries(it, FAR, 100), ADDRESS * BURST_S);
}

static void start_with_defaults(struct limits *it) {
  struct kad_config config;
  kad_config_default(&config);
  start(it,
        &(struct kad_limiter_config){
            .queries_per_s = config.queries_per_s,
            .queries_per_s_address = config.queries_per_s_address,
            .queries_per_s_subnet = config.queries_per_s_subnet,
            .bytes_per_s = config.bytes_per_s,
        },
        1000);
}

/* Queries of many addresses of `count` subnets, faster than all limits, with
 * replies of `bytes`. Returns how many queries of another address, one a tenth
 * of a second, are replied to. */
static unsigned flood_for_ten_seconds(struct limits *it, uint32_t count,
                                      uint32_t hosts, size_t bytes) {
  unsigned served = 0;
  for (unsigned tenth = 0; tenth < 100; tenth++) {
    it->now += 100;
    for (uint32_t i = 0; i < 10000; i++) {
      const struct kad_address from =
          ip4(NEAR + (i % count << 8) + i / count % hosts);
      if (kad_limiter_query(it->limiter, &from, it->now)) {
        (void)kad_limiter_reply(it->limiter, bytes, it->now);
      }
    }
    served += send_queries(it, FAR, 1) == 1 &&
              kad_limiter_reply(it->limiter, bytes, it->now);
  }
  return served;
}

/* A find_value is answered with a value of 1,000 bytes, other queries with the
 * closest nodes. */
static void the_default_limits_leave_others_served(void **state) {
  struct limits *it = *state;
  const struct {
    uint32_t subnets;
    uint32_t hosts;
    size_t bytes;
  } floods[] = {{1, 1, 1200}, {1, 100, 300}, {2, 100, 60}, {3, 100, 60},
                {50, 20, 60}, {300, 10, 60}, {500, 1, 60}};
  for (size_t i = 0; i < sizeof floods / sizeof floods[0]; i++) {
    start_with_defaults(it);
    print_message("%u subnets of %u addresses\n", (unsigned)floods[i].subnets,
                  (unsigned)floods[i].hosts);
    assert_true(flood_for_ten_seconds(it, floods[i].subnets, floods[i].hosts,
                                      floods[i].bytes) >= 80);
  }
}

static void all_addresses_share_a_burst_of_a_second(void **state) {
  struct limits *it = *state;
  unsigned allowed = 0;
  for (uint32_t i = 0; i < 100; i++) {
    allowed += send_queries(it, NEAR + (i << 8), 10);
  }
  assert_int_equal(allowed, ALL);

  it->now += 500;
  allowed = 0;
  for (uint32_t i = 0; i < 100; i++) {
    allowed += send_queries(it, FAR + (i << 8), 10);
  }
  assert_int_equal(allowed, ALL / 2);
}

static void a_limited_query_takes_no_tokens(void **state) {
  struct limits *it = *state;
  for (uint32_t i = 0; i < 5; i++) {
    assert_int_equal(send_queries(it, FAR + (i << 8), 100), ADDRESS * BURST_S);
  }
  assert_int_equal(send_queries(it, NEAR, 1000), 0);
  it->now += 1000;

  assert_int_equal(send_queries(it, NEAR, 1000), ADDRESS * BURST_S);
}

static void ip6_has_subnets_of_64_bits(void **state) {
  struct limits *it = *state;
  unsigned allowed = 0;
  for (unsigned i = 0; i < 2000; i++) {
    const struct kad_address from = {
        .ip = {0x2a, 1, 2, 3, 4, 5, 6,
               7, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i},
        .port = 1,
        .family = 6,
    };
    allowed += kad_limiter_query(it->limiter, &from, it->now) ? 1 : 0;
  }
  assert_int_equal(allowed, SUBNET * BURST_S);
  const struct kad_address other = {
      .ip = {0x2a, 1, 2, 3, 4, 5, 6, 8}, .port = 1, .family = 6};
  assert_true(kad_limiter_query(it->limiter, &other, it->now));
}

static void allowed_local_addresses_have_no_subnet_limit(void **state) {
  struct limits *it = *state;
  struct kad_limiter_config config = {
      .queries_per_s_address = ADDRESS,
      .queries_per_s_subnet = SUBNET,
  };
  start(it, &config, 0);
  unsigned allowed = 0;
  for (uint32_t i = 0; i < 20; i++) {
    allowed += send_queries(it, LOCAL + i, 100);
  }
  assert_int_equal(allowed, SUBNET * BURST_S);

  config.allow_local = true;
  start(it, &config, 0);
  allowed = 0;
  for (uint32_t i = 0; i < 20; i++) {
    allowed += send_queries(it, LOCAL + i, 100);
  }
  assert_int_equal(allowed, 20 * ADDRESS * BURST_S);
}

/* Sends `count` messages of 11 signatures at once. Returns how many were
 * allowed. */
static unsigned send_signatures(struct limits *it, uint32_t ip,
                                unsigned count) {
  unsigned allowed = 0;
  for (unsigned i = 0; i < count; i++) {
    const struct kad_address from = ip4(ip);
    allowed += kad_limiter_signatures(it->limiter, &from, 11, it->now) ? 1 : 0;
  }
  return allowed;
}

static void start_signatures(struct limits *it) {
  start(it,
        &(struct kad_limiter_config){
            .queries_per_s_address = ADDRESS,
            .signatures_per_s = 2500,
            .signatures_per_s_address = 1000,
            .signatures_per_s_subnet = 2000,
        },
        1000);
}

static void signatures_have_a_short_burst_and_then_their_rate(void **state) {
  struct limits *it = *state;
  unsigned allowed = 0;
  start_signatures(it);
  assert_int_equal(send_signatures(it, NEAR, 100), 100 / 11);
  for (unsigned i = 0; i < 10000; i++) {
    it->now++;
    allowed += send_signatures(it, NEAR, 1);
  }
  assert_in_range(allowed, 10000 / 11 - 1, 10000 / 11 + 1);
}

static void signatures_are_limited_by_subnet_and_in_all(void **state) {
  struct limits *it = *state;
  unsigned allowed = 0;
  start_signatures(it);
  for (uint32_t i = 0; i < 10; i++) {
    allowed += send_signatures(it, NEAR + i, 100);
  }
  assert_int_equal(allowed, 200 / 11);
  for (uint32_t i = 1; i < 10; i++) {
    allowed += send_signatures(it, NEAR + (i << 8), 100);
  }
  assert_int_equal(allowed, 250 / 11);
}

static void signatures_and_queries_have_separate_buckets(void **state) {
  struct limits *it = *state;
  start_signatures(it);
  assert_int_equal(send_signatures(it, NEAR, 100), 100 / 11);
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);
}

static void ten_bad_signatures_a_second_are_verified(void **state) {
  struct limits *it = *state;
  const struct kad_address from = ip4(NEAR);
  unsigned allowed = 0;
  start_signatures(it);
  for (unsigned i = 0; i < 10000; i++) {
    it->now++;
    if (kad_limiter_signatures(it->limiter, &from, 1, it->now)) {
      kad_limiter_punish(it->limiter, &from, it->now);
      allowed++;
    }
  }
  assert_in_range(allowed, 100, 112);
  assert_int_equal(send_signatures(it, NEAR + 1, 100), 100 / 11);
}

static void the_lowest_rate_allows_a_message_of_signatures(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.signatures_per_s_address = 1}, 0);

  const struct kad_address from = ip4(NEAR);
  assert_true(kad_limiter_signatures(it->limiter, &from,
                                     KAD_RECORDS_PER_MESSAGE, it->now));
  assert_int_equal(send_signatures(it, NEAR, 1), 0);
  it->now += 11 * 1000;
  assert_int_equal(send_signatures(it, NEAR, 2), 1);
}

static void replies_share_a_limit_of_bytes(void **state) {
  struct limits *it = *state;
  assert_true(kad_limiter_reply(it->limiter, 9000, it->now));
  assert_false(kad_limiter_reply(it->limiter, 1001, it->now));
  assert_true(kad_limiter_reply(it->limiter, 1000, it->now));
  assert_false(kad_limiter_reply(it->limiter, 1, it->now));
  it->now += 50;
  assert_false(kad_limiter_reply(it->limiter, 501, it->now));
  assert_true(kad_limiter_reply(it->limiter, 500, it->now));
}

static void the_lowest_rate_allows_a_datagram(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.bytes_per_s = 1, .max_reply = 1452},
        0);

  assert_true(kad_limiter_reply(it->limiter, 1452, it->now));
  assert_false(kad_limiter_reply(it->limiter, 1452, it->now));
  it->now += 1452 * 1000;
  assert_true(kad_limiter_reply(it->limiter, 1452, it->now));
}

static void a_limit_of_zero_is_no_limit(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){0}, 0);

  assert_int_equal(send_queries(it, NEAR, 100000), 100000);
  for (unsigned i = 0; i < 1000; i++) {
    assert_true(kad_limiter_reply(it->limiter, 1452, it->now));
  }
}

static void the_greatest_rates_do_not_overflow(void **state) {
  struct limits *it = *state;
  start(it,
        &(struct kad_limiter_config){
            .queries_per_s = UINT32_MAX,
            .queries_per_s_address = UINT32_MAX,
            .queries_per_s_subnet = UINT32_MAX,
            .bytes_per_s = UINT64_MAX,
        },
        0);
  const kad_time_ms moments[] = {
      0, 1, 3999, KAD_TIME_NEVER - 2, KAD_TIME_NEVER - 1, KAD_TIME_NEVER};
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    it->now = moments[i];
    assert_int_equal(send_queries(it, NEAR, 1000), 1000);
    assert_true(kad_limiter_reply(it->limiter, 1452, it->now));
  }
}

static void a_clock_that_goes_back_fills_no_bucket(void **state) {
  struct limits *it = *state;
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);
  it->now = KAD_TIME_NEVER;
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);
  assert_int_equal(send_queries(it, NEAR, 100), 0);
  it->now = 5000;
  assert_int_equal(send_queries(it, NEAR, 100), 0);
  it->now = KAD_TIME_NEVER;
  assert_int_equal(send_queries(it, NEAR, 100), 0);
}

static void a_span_whose_product_overflows_fills_the_bucket(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.queries_per_s_address = 2}, 0);
  assert_int_equal(send_queries(it, NEAR, 100), 2 * BURST_S);

  it->now = UINT64_C(1) << 63;

  assert_int_equal(send_queries(it, NEAR, 100), 2 * BURST_S);
}

/* An address and its subnet may be in one set of a table in which all other
 * buckets are emptier. */
static void an_address_and_its_subnet_keep_separate_slots(void **state) {
  struct limits *it = *state;
  start(it,
        &(struct kad_limiter_config){.queries_per_s_address = 5,
                                     .queries_per_s_subnet = 5},
        1000);
  for (uint32_t i = 0; i < 20000; i++) {
    (void)send_queries(it, NEAR + (i << 8), 5 * BURST_S);
  }

  for (uint32_t i = 0; i < 10000; i++) {
    assert_int_equal(send_queries(it, FAR + (i << 8), 5 * BURST_S + 1),
                     5 * BURST_S);
  }
}

/* More addresses than the table can hold do not overwrite the bucket of an
 * address that is over its limit. */
static void a_full_table_keeps_the_emptiest_buckets(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.queries_per_s_address = ADDRESS},
        1000);
  assert_int_equal(send_queries(it, NEAR, 100), ADDRESS * BURST_S);
  for (uint32_t i = 0; i < 100000; i++) {
    assert_int_equal(send_queries(it, FAR + i * 257, 1), 1);
  }

  assert_int_equal(send_queries(it, NEAR, 100), 0);
}

/* The table has 4,096 slots in sets of four, twice as many as this test uses.
 * So few of the empty buckets are overwritten. */
static void half_a_table_of_empty_buckets_is_kept(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.queries_per_s_address = 1}, 1000);
  for (uint32_t i = 0; i < 1024; i++) {
    (void)send_queries(it, FAR + i * 257, BURST_S);
  }

  unsigned allowed = 0;
  for (uint32_t i = 0; i < 1024; i++) {
    allowed += send_queries(it, FAR + i * 257, 1);
  }

  assert_in_range(allowed, 0, 64);
}

/* The buckets of ten thousand addresses are soon full again, so they can be
 * overwritten without loss. */
static void the_table_stays_small_when_buckets_are_full_again(void **state) {
  struct limits *it = *state;
  const size_t requests = it->counting.requests;
  for (uint32_t i = 0; i < 10000; i++) {
    (void)send_queries(it, FAR + i * 257, 1);
    it->now += 1000;
  }
  assert_int_equal(it->counting.requests, requests);
  assert_in_range(kad_limiter_size(it->limiter), 1, 1024);
}

static void the_table_has_a_greatest_size(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.queries_per_s_address = 1}, 1000);
  for (uint32_t i = 0; i < 100000; i++) {
    (void)send_queries(it, FAR + i * 257, 1);
  }
  const size_t size = kad_limiter_size(it->limiter);
  assert_in_range(size, 64 * 1024, 128 * 1024);
  assert_int_equal(size, it->counting.bytes);
}

/* The bucket of an address over its limit is kept while the table grows from
 * its smallest size. */
static void growing_keeps_all_empty_buckets(void **state) {
  struct limits *it = *state;
  start(it, &(struct kad_limiter_config){.queries_per_s_address = 1}, 1000);
  for (uint32_t i = 0; i < 64; i++) {
    assert_int_equal(send_queries(it, FAR + i * 257, BURST_S + 1), BURST_S);
    for (uint32_t j = 0; j <= i; j++) {
      assert_int_equal(send_queries(it, FAR + j * 257, 1), 0);
    }
  }
  assert_in_range(kad_limiter_size(it->limiter), 1, 16 * 1024);
}

static void without_memory_to_grow_buckets_are_overwritten(void **state) {
  struct limits *it = *state;
  start(it,
        &(struct kad_limiter_config){.queries_per_s_address = 1,
                                     .allow_local = true},
        1000);
  const size_t size = kad_limiter_size(it->limiter);
  for (uint32_t i = 0; i < 1000; i++) {
    kad_counting_fail_at(&it->counting, 0);
    assert_int_equal(send_queries(it, LOCAL + i * 257, 1), 1);
  }
  assert_int_equal(kad_limiter_size(it->limiter), size);
  kad_counting_never_fail(&it->counting);
}

static void no_memory_is_an_error(void **state) {
  struct limits *it = *state;
  static const uint8_t secret[16] = {0};
  for (size_t n = 0; n < 2; n++) {
    struct kad_limiter *limiter = NULL;
    kad_counting_fail_at(&it->counting, n);

    assert_int_equal(kad_limiter_new(&(struct kad_limiter_config){0},
                                     &it->counting.allocator, secret, 0,
                                     &limiter),
                     KAD_ENOMEM);
    assert_null(limiter);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(an_address_has_a_burst_and_then_its_rate),
      TEST(a_rate_is_exact_at_any_frequency_of_queries),
      TEST(ports_share_the_limit_of_their_address),
      TEST(a_flood_of_one_address_leaves_others_served),
      TEST(a_flood_of_one_subnet_leaves_others_served),
      TEST(the_default_limits_leave_others_served),
      TEST(all_addresses_share_a_burst_of_a_second),
      TEST(a_limited_query_takes_no_tokens),
      TEST(ip6_has_subnets_of_64_bits),
      TEST(allowed_local_addresses_have_no_subnet_limit),
      TEST(signatures_have_a_short_burst_and_then_their_rate),
      TEST(signatures_are_limited_by_subnet_and_in_all),
      TEST(signatures_and_queries_have_separate_buckets),
      TEST(ten_bad_signatures_a_second_are_verified),
      TEST(the_lowest_rate_allows_a_message_of_signatures),
      TEST(replies_share_a_limit_of_bytes),
      TEST(the_lowest_rate_allows_a_datagram),
      TEST(a_limit_of_zero_is_no_limit),
      TEST(the_greatest_rates_do_not_overflow),
      TEST(a_clock_that_goes_back_fills_no_bucket),
      TEST(a_span_whose_product_overflows_fills_the_bucket),
      TEST(an_address_and_its_subnet_keep_separate_slots),
      TEST(a_full_table_keeps_the_emptiest_buckets),
      TEST(half_a_table_of_empty_buckets_is_kept),
      TEST(the_table_stays_small_when_buckets_are_full_again),
      TEST(the_table_has_a_greatest_size),
      TEST(growing_keeps_all_empty_buckets),
      TEST(without_memory_to_grow_buckets_are_overwritten),
      TEST(no_memory_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
