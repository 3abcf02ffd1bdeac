/* Samples of the info hashes held (BEP 51), as other nodes see them. */
#include "node/sample.h"

#include "base/address.h"
#include "engine/node.h"
#include "lone_node.h"
#include "unit.h"

#include <string.h>

static struct kad_lone lone_node;

static int begin(void **state) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  kad_lone_open(&lone_node, &config);
  *state = &lone_node;
  return 0;
}

static int end(void **state) {
  kad_lone_close(*state);
  return 0;
}

/* Holds `peers` peers under each of `count` info hashes. */
static void hold(struct kad_lone *lone, unsigned count, unsigned peers) {
  for (unsigned i = 0; i < count; i++) {
    for (unsigned j = 0; j < peers; j++) {
      const struct kad_contact peer = kad_lone_contact(i * peers + j + 1);
      uint8_t compact[KAD_COMPACT_IP6];
      struct kad_record record = {.type = kad_slice_of("peers")};
      const struct kad_record_meta meta = {.expires_at = KAD_TIME_NEVER,
                                           .republish_at = KAD_TIME_NEVER};
      kad_record_handle handle;
      record.key.bytes[0] = (uint8_t)(i >> 8);
      record.key.bytes[1] = (uint8_t)i;
      record.key.bytes[2] = 1;
      record.value =
          (struct kad_slice){compact, kad_address_pack(&peer.address, compact)};
      assert_ok(kad_store_add(lone->node->store, &record, &meta, &handle));
    }
  }
}

static void query(struct kad_lone *lone, struct kad_message *reply) {
  const struct kad_contact from = kad_lone_contact(9000);
  kad_lone_add_contact(lone, &from);
  kad_lone_query(lone, &from, KAD_METHOD_SAMPLE_INFOHASHES);
  (void)kad_lone_reply(lone, reply);
  assert_int_equal(reply->kind, KAD_MESSAGE_REPLY);
  assert_true(reply->has_samples);
  assert_true(reply->has_interval && reply->has_num);
  assert_int_equal(reply->samples.len % 20, 0);
}

/* Returns the number of the info hash at `index` of a reply. */
static unsigned number_at(const struct kad_message *reply, size_t index) {
  const uint8_t *id = reply->samples.data + index * 20;
  assert_int_equal(id[2], 1);
  return (unsigned)id[0] << 8 | id[1];
}

/* "should always include the samples field in the response, even when it is
 * zero-length". */
static void bep_51_samples_are_there_without_info_hashes(void **state) {
  struct kad_message reply;
  query(*state, &reply);
  assert_int_equal(reply.samples.len, 0);
  assert_int_equal(reply.num, 0);
  assert_true(reply.has_nodes);
}

static void bep_51_a_small_store_is_sampled_whole(void **state) {
  struct kad_message reply;
  bool seen[7] = {false};
  hold(*state, 7, 3);
  query(*state, &reply);
  assert_int_equal(reply.num, 7);
  assert_int_equal(reply.samples.len, 7 * 20);
  for (size_t i = 0; i < 7; i++) {
    seen[number_at(&reply, i)] = true;
  }
  for (size_t i = 0; i < 7; i++) {
    assert_true(seen[i]);
  }
}

static void other_records_are_no_samples(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_contact from = kad_lone_contact(1);
  const struct kad_record record = {.value = kad_slice_of("v")};
  struct kad_message reply;
  kad_lone_store(lone, &from, &record, 1);
  query(lone, &reply);
  assert_int_equal(reply.num, 0);
}

/* "The target … has no effect on the returned sample value", and nodes close to
 * the target are in the reply. */
static void bep_51_contacts_are_those_closest_to_the_target(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  for (unsigned i = 1; i <= 20; i++) {
    const struct kad_contact contact = kad_lone_contact(i);
    kad_lone_add_contact(lone, &contact);
  }
  hold(lone, 200, 1);
  query(lone, &reply);
  assert_int_equal(reply.contact_count, 8);
  assert_true(reply.samples.len >= 20 * 20);
}

/* "precompute a subset and return that instead of calculating it upon each
 * request". */
static void bep_51_a_large_store_gives_the_same_sample_for_its_interval(
    void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  uint8_t first[KAD_SAMPLE_MAX * 20];
  hold(lone, 500, 1);
  query(lone, &reply);
  assert_int_equal(reply.num, 500);
  assert_in_range(reply.interval, 1, 21600);
  const uint32_t interval = reply.interval;
  const size_t len = reply.samples.len;
  memcpy(first, reply.samples.data, len);

  kad_lone_run(lone, (interval - 2) * 1000);
  query(lone, &reply);
  assert_int_equal(reply.samples.len, len);
  assert_memory_equal(reply.samples.data, first, len);
  assert_true(reply.interval <= 2);

  kad_lone_run(lone, 3000);
  query(lone, &reply);
  assert_memory_not_equal(reply.samples.data, first, len);
}

/* Every info hash has the same chance, however many peers it has and wherever
 * it is in the store. */
static void samples_are_uniform(void **state) {
  struct kad_lone *lone = *state;
  enum {
    HASHES = 100,
    ROUNDS = 200
  };
  unsigned counts[HASHES] = {0};
  unsigned drawn = 0;
  struct kad_message reply;
  hold(lone, HASHES / 2, 5);
  hold(lone, HASHES, 1);
  for (unsigned i = 0; i < ROUNDS; i++) {
    lone->node->sample.stale_at = 0;
    query(lone, &reply);
    assert_int_equal(reply.num, HASHES);
    for (size_t j = 0; j < reply.samples.len / 20; j++) {
      counts[number_at(&reply, j)]++;
      drawn++;
    }
  }
  for (size_t i = 0; i < HASHES; i++) {
    assert_in_range(counts[i], drawn / HASHES / 2, drawn / HASHES * 2);
  }
}

/* A store with more records than a turn looks at is walked in several. */
static void a_large_store_is_walked_in_slices(void **state) {
  struct kad_lone *lone = *state;
  struct kad_message reply;
  hold(lone, 5000, 1);

  query(lone, &reply);
  assert_int_equal(reply.num, KAD_SAMPLE_SLICE);
  assert_true(reply.samples.len > 0);

  kad_lone_run(lone, 5000 / KAD_SAMPLE_SLICE * KAD_SAMPLE_SLICE_MS + 1);
  query(lone, &reply);
  assert_int_equal(reply.num, 5000);
}

/* Records come and go while the store is walked, and the node closes. */
static void a_walk_survives_changes_of_the_store(void **state) {
  struct kad_lone *lone = *state;
  const struct kad_store *store = lone->node->store;
  struct kad_message reply;
  hold(lone, 3000, 1);
  query(lone, &reply);
  uint64_t cursor = 0;
  kad_record_handle handle;
  while ((handle = kad_store_next(store, &cursor)) != 0) {
    kad_store_remove(store, handle);
    cursor = 0;
  }
  kad_lone_run(lone, KAD_SAMPLE_SLICE_MS + 1);
  hold(lone, 3000, 1);
  lone->node->sample.stale_at = 0;
  query(lone, &reply);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
      TEST(bep_51_samples_are_there_without_info_hashes),
      TEST(bep_51_a_small_store_is_sampled_whole),
      TEST(other_records_are_no_samples),
      TEST(bep_51_contacts_are_those_closest_to_the_target),
      TEST(bep_51_a_large_store_gives_the_same_sample_for_its_interval),
      TEST(samples_are_uniform),
      TEST(a_large_store_is_walked_in_slices),
      TEST(a_walk_survives_changes_of_the_store),
  };
  return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
