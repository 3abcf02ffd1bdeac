/* The wire of BEP 33 (scrapes) and BEP 51 (samples of infohashes).
 * Tests core/wire/krpc_decode.c, core/wire/krpc_encode.c. */
#include "decoding.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define SCRAPE(args) QUERY("9:get_peers", "9:info_hash" HASH args)
#define SEED(args) \
  QUERY("13:announce_peer", "9:info_hash" HASH "4:porti6881e" args)
#define SAMPLE(args) QUERY("17:sample_infohashes", args)

static struct kad_message message;
static char datagram[1500];
static char filter[KAD_FILTER_SIZE + 2];

static int fill(void **state) {
  (void)state;
  memset(filter, 'f', sizeof filter - 1);
  return 0;
}

/* Reads `text`, and writes the same bytes again. */
static void assert_read_and_written(const char *text) {
  uint8_t again[1500];
  struct kad_writer writer = {.data = again, .cap = sizeof again};
  kad_read_ok(&message, text);
  assert_false(message.malformed);
  message.args.len = 0;
  message.reply.len = 0;
  assert_ok(kad_krpc_encode(NULL, &message, 20, &writer));
  assert_int_equal(writer.len, strlen(text));
  assert_memory_equal(again, text, writer.len);
}

/* -------------------------------------------------------------- BEP 33 -- */

static void bep33_get_peers_may_scrape_and_leave_out_seeds(void **state) {
  (void)state;
  kad_read_ok(&message, SCRAPE(""));
  assert_false(message.scrape || message.noseed);
  assert_read_and_written(SCRAPE("6:scrapei1e"));
  assert_true(message.scrape && !message.noseed);
  assert_read_and_written(SCRAPE("6:noseedi1e6:scrapei1e"));
  assert_true(message.scrape && message.noseed);
  kad_read_ok(&message, SCRAPE("6:noseedi0e6:scrapei2e"));
  assert_false(message.scrape || message.noseed);
  kad_assert_bad_query(SCRAPE("6:scrape1:1"));
  kad_assert_bad_query(SCRAPE("6:noseedle"));
}

static void bep33_announce_peer_may_be_a_seeds(void **state) {
  (void)state;
  assert_read_and_written(SEED("4:seedi1e5:token2:to"));
  assert_true(message.seed);
  kad_read_ok(&message, SEED("4:seedi0e5:token2:to"));
  assert_false(message.seed);
  kad_read_ok(&message, SEED("4:seedi-1e5:token2:to"));
  assert_false(message.seed);
  kad_read_ok(&message, SEED("5:token2:to"));
  assert_false(message.seed);
  kad_assert_bad_query(SEED("4:seed1:15:token2:to"));
}

static void bep33_filters_have_256_bytes(void **state) {
  (void)state;
  (void)snprintf(datagram, sizeof datagram,
                 "d1:rd4:BFpe256:%.256s4:BFsd256:%.256s2:id" ID
                 "5:nodes0:5:token2:toe1:t2:aa1:y1:re",
                 filter, filter);
  assert_read_and_written(datagram);
  assert_int_equal(message.seed_filter.len, KAD_FILTER_SIZE);
  assert_int_equal(message.peer_filter.len, KAD_FILTER_SIZE);
  for (int size = 0; size <= 257; size += size == 0 ? 255 : 2) {
    (void)snprintf(datagram, sizeof datagram,
                   "d1:rd4:BFsd%d:%.*s2:id" ID "e1:t2:aa1:y1:re", size, size,
                   filter);
    kad_assert_malformed_reply(&message, datagram);
    assert_int_equal(message.seed_filter.len, 0);
  }
  kad_assert_malformed_reply(&message, REPLY("4:BFsdi1e"));
  kad_assert_malformed_reply(&message, REPLY("4:BFpele"));
}

/* -------------------------------------------------------------- BEP 51 -- */

static void bep51_sample_infohashes_has_a_target(void **state) {
  (void)state;
  assert_read_and_written(SAMPLE("6:target" HASH));
  assert_int_equal(message.method, KAD_METHOD_SAMPLE_INFOHASHES);
  assert_read_and_written(SAMPLE("6:target" HASH "4:wantl2:n6e"));
  assert_true(message.want6);
  kad_assert_bad_query(SAMPLE(""));
  kad_assert_bad_query(SAMPLE("6:target3:abc"));
}

static void bep51_samples_are_whole_infohashes(void **state) {
  (void)state;
  assert_read_and_written(REPLY("8:intervali21600e5:nodes0:3:numi2e7:samples40:"
                                "mnopqrstuvwxyz1234560123456789abcdefghij"));
  assert_int_equal(message.interval, 21600);
  assert_int_equal(message.num, 2);
  assert_int_equal(message.samples.len, 40);
  kad_assert_malformed_reply(&message, REPLY("7:samples3:abc"));
  kad_assert_malformed_reply(&message, REPLY("7:samplesi1e"));
  assert_false(message.has_samples);
  kad_assert_malformed_reply(&message, REPLY("8:intervali-1e"));
  kad_assert_malformed_reply(&message, REPLY("8:interval1:1"));
  kad_assert_malformed_reply(&message, REPLY("3:numi-1e"));
  kad_assert_malformed_reply(&message, REPLY("3:numi4294967296e"));
}

/* "even when it is zero-length": it tells that the node supports this. */
static void bep51_empty_samples_count_as_present(void **state) {
  (void)state;
  assert_read_and_written(REPLY("5:nodes0:7:samples0:"));
  assert_true(message.has_samples);
  kad_read_ok(&message, REPLY("5:nodes0:"));
  assert_false(message.has_samples);
}

static void samples_have_the_size_of_ids(void **state) {
  (void)state;
  const char *text = "d1:rd2:id32:abcdefghijklmnopqrstuvwxyz0123457:samples32:"
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345e1:t2:aa1:y1:re";
  assert_ok(kad_krpc_decode(NULL, kad_slice_of(text), 32, &message));
  assert_int_equal(message.samples.len, 32);
  assert_false(message.malformed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bep33_get_peers_may_scrape_and_leave_out_seeds),
      cmocka_unit_test(bep33_announce_peer_may_be_a_seeds),
      cmocka_unit_test(bep33_filters_have_256_bytes),
      cmocka_unit_test(bep51_sample_infohashes_has_a_target),
      cmocka_unit_test(bep51_samples_are_whole_infohashes),
      cmocka_unit_test(bep51_empty_samples_count_as_present),
      cmocka_unit_test(samples_have_the_size_of_ids),
  };
  return cmocka_run_group_tests(tests, fill, NULL);
}
