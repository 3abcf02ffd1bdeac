/* A node republishes its publications each period, whichever nodes hold them,
 * until they expire. Source: Kademlia §2.5, "the original publisher". */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  K = 8,
  SIZE = 40,
  OWNER = 5,
  MANY = 200,
  STORES_PER_S = 40
};

static struct kad_overlay overlay;
static struct kad_id key;

static int begin(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 43);
  overlay.config.stores_per_s = STORES_PER_S;
  kad_overlay_grow(&overlay, SIZE);
  key = kad_overlay_key(1);
  return 0;
}

static int end(void **state) {
  (void)state;
  kad_overlay_close(&overlay);
  return 0;
}

/* Puts and publishes "v" under `key` at the owner. */
static int put_own(uint32_t ttl) {
  struct kad_ending ending;
  struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_lookup_options options = {.publish = true};
  record.ttl = ttl;
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_put(overlay.nodes[OWNER], &record, &options,
                         kad_ending_done, &ending, NULL));
  const int status = kad_ending_await(&ending);
  kad_ending_deinit(&ending);
  return status;
}

/* Returns how many of the k closest live nodes hold a record under `at`. */
static size_t count_holders(const struct kad_id *at) {
  size_t closest[K];
  struct kad_record found;
  size_t count = 0;
  const size_t there = kad_overlay_closest(&overlay, at, NULL, closest, K);
  for (size_t i = 0; i < there; i++) {
    count += kad_node_held(overlay.nodes[closest[i]], at, kad_slice_of("value"),
                           &found, 1) > 0;
  }
  return count;
}

static uint64_t count_republishes(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    sum += overlay.nodes[i] != NULL ? kad_overlay_stats(&overlay, i).republishes
                                    : 0;
  }
  return sum;
}

static size_t count_own(size_t i) {
  return kad_overlay_stats(&overlay, i).publications;
}

/* Kills the holders of `key`, except the owner. */
static void kill_holders(void) {
  struct kad_record found;
  for (size_t i = 0; i < overlay.count; i++) {
    if (i != OWNER && overlay.nodes[i] != NULL &&
        kad_node_held(overlay.nodes[i], &key, kad_slice_of("value"), &found,
                      1) > 0) {
      kad_overlay_kill(&overlay, i);
    }
  }
}

/* The owner republishes before the record is due at its holders. */
static void only_the_owner_republishes(void **state) {
  (void)state;
  assert_ok(put_own(0));
  kad_overlay_run(&overlay, 5 * KAD_HOUR_MS);

  assert_in_range(count_republishes(), 5, 8);
  assert_int_equal(kad_overlay_stats(&overlay, OWNER).republishes,
                   count_republishes());
  assert_int_equal(count_holders(&key), K);
}

static void a_publication_outlives_its_holders(void **state) {
  (void)state;
  assert_ok(put_own(0));
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  kill_holders();
  assert_true(count_holders(&key) <= 1);

  kad_overlay_run(&overlay, KAD_HOUR_MS);

  assert_int_equal(count_holders(&key), K);
}

/* Kademlia §2.5, tExpire: a value lives for a day after its last store. */
static void a_publication_outlives_the_ttl_of_its_type(void **state) {
  (void)state;
  assert_ok(put_own(0));
  kad_overlay_run(&overlay, 30 * KAD_HOUR_MS);

  assert_int_equal(count_holders(&key), K);
}

static void a_publication_ends_with_its_ttl(void **state) {
  (void)state;
  assert_ok(put_own(3 * 3600));
  kad_overlay_run(&overlay, 3 * KAD_HOUR_MS - 5 * KAD_MINUTE_MS);
  assert_int_equal(count_holders(&key), K);
  assert_int_equal(count_own(OWNER), 1);

  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);

  assert_int_equal(count_holders(&key), 0);
  assert_int_equal(count_own(OWNER), 0);
}

/* Returns true if the owner is one of the k nodes that hold what is put. */
static bool owner_is_holder(void) {
  size_t closest[K];
  const size_t count = kad_overlay_closest(&overlay, &key, NULL, closest, K);
  for (size_t i = 0; i < count; i++) {
    if (closest[i] == OWNER) {
      return true;
    }
  }
  return false;
}

/* A holder republishes, too, so the owner must not be one. */
static void an_unpublished_record_is_not_republished(void **state) {
  (void)state;
  for (unsigned n = 2; owner_is_holder(); n++) {
    key = kad_overlay_key(n);
  }
  const struct kad_slice other = kad_slice_of("w");
  assert_ok(put_own(0));
  assert_int_equal(kad_node_unpublish(overlay.nodes[OWNER], &key,
                                      kad_slice_of("value"), &other),
                   KAD_ENOTFOUND);
  assert_int_equal(count_own(OWNER), 1);

  assert_ok(kad_node_unpublish(overlay.nodes[OWNER], &key,
                               kad_slice_of("value"), NULL));
  assert_int_equal(count_own(OWNER), 0);
  kad_overlay_run(&overlay, 25 * KAD_HOUR_MS);

  assert_int_equal(kad_overlay_stats(&overlay, OWNER).republishes, 0);
  assert_int_equal(count_holders(&key), 0);
}

static void a_newer_record_replaces_the_older(void **state) {
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const uint8_t seed[32] = {1};
  struct kad_record record = kad_overlay_record(&key, "old");
  (void)state;
  kad_keypair(seed, publisher, secret);
  record.publisher = publisher;
  record.signature = signature;
  record.has_seq = true;
  record.seq = 1;
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  assert_ok(kad_node_publish(overlay.nodes[OWNER], &record, 0));
  struct kad_record older = record;
  uint8_t older_signature[KAD_SIGNATURE_SIZE];
  memcpy(older_signature, signature, sizeof signature);
  older.signature = older_signature;

  record.seq = 2;
  record.value = kad_slice_of("new");
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  assert_ok(kad_node_publish(overlay.nodes[OWNER], &record, 0));

  uint64_t cursor = 0;
  struct kad_record kept;
  assert_true(kad_node_next_publication(overlay.nodes[OWNER], &cursor, &kept));
  assert_slice_is(kept.value, "new");
  assert_false(kad_node_next_publication(overlay.nodes[OWNER], &cursor, &kept));
  assert_int_equal(kad_node_publish(overlay.nodes[OWNER], &older, 0),
                   KAD_EREFUSED);
  record.signature = NULL;
  assert_int_equal(kad_node_publish(overlay.nodes[OWNER], &record, 0),
                   KAD_EREFUSED);
}

static void the_number_of_publications_is_bounded(void **state) {
  overlay.config.max_publications = 3;
  struct kad_node *node = kad_overlay_add(&overlay);
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    const struct kad_id other = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&other, "v");
    assert_ok(kad_node_publish(node, &record, 0));
    assert_ok(kad_node_publish(node, &record, 0));
  }
  const struct kad_record record = kad_overlay_record(&key, "w");

  assert_int_equal(kad_node_publish(node, &record, 0), KAD_EFULL);
}

/* A record that is published without contacts is stored when there are some. */
static void a_publication_waits_for_contacts(void **state) {
  const struct kad_record record = kad_overlay_record(&key, "v");
  struct kad_node *node = kad_overlay_add(&overlay);
  (void)state;
  assert_ok(kad_node_publish(node, &record, 0));
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  assert_int_equal(count_holders(&key), 0);

  kad_overlay_join(&overlay, overlay.count - 1, 0);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_int_equal(count_holders(&key), K);
}

/* stores_per_s: the publications of a node that starts are stored within
 * minutes, and in no second are there more stores than the budget allows. */
static void a_start_keeps_the_store_budget(void **state) {
  uint64_t most = 0;
  uint64_t before = 0;
  struct kad_node *node = kad_overlay_add(&overlay);
  (void)state;
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id other = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&other, "v");
    assert_ok(kad_node_publish(node, &record, 30));
  }
  kad_overlay_join(&overlay, overlay.count - 1, 0);
  for (unsigned step = 0; step < 1200; step++) {
    kad_overlay_run(&overlay, KAD_SECOND_MS / 10);
    uint64_t now = 0;
    for (size_t i = 0; i < overlay.count; i++) {
      now += kad_overlay_stats(&overlay, i).served_store;
    }
    most = now - before > most ? now - before : most;
    before = now;
  }

  /* A tenth of a second has a tenth of them, and those that the latency of 10
   * to 100 ms brings together. */
  print_message("# at most %u stores in 0.1 s\n", (unsigned)most);
  assert_true(most <= STORES_PER_S / 10 * 2 + 2);
  assert_true(before >= MANY * (K - 1));
  for (unsigned i = 0; i < MANY; i++) {
    const struct kad_id other = kad_overlay_key(i);
    assert_int_equal(count_holders(&other), K);
  }
}

/* A node crashes while it republishes. The overlay fails on a leak when it is
 * closed. */
static void a_crash_while_republishing_leaks_nothing(void **state) {
  struct kad_node *node = overlay.nodes[OWNER];
  const struct kad_record record = kad_overlay_record(&key, "v");
  (void)state;
  assert_ok(kad_node_publish(node, &record, 0));
  kad_overlay_run(&overlay, KAD_SECOND_MS / 10);
  assert_int_equal(kad_overlay_stats(&overlay, OWNER).republishes, 0);
  assert_ok(kad_sim_kill(overlay.network, node));
  overlay.nodes[OWNER] = NULL;
}

#define IN_OVERLAY(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(only_the_owner_republishes),
      IN_OVERLAY(a_publication_outlives_its_holders),
      IN_OVERLAY(a_publication_outlives_the_ttl_of_its_type),
      IN_OVERLAY(a_publication_ends_with_its_ttl),
      IN_OVERLAY(an_unpublished_record_is_not_republished),
      IN_OVERLAY(a_newer_record_replaces_the_older),
      IN_OVERLAY(the_number_of_publications_is_bounded),
      IN_OVERLAY(a_publication_waits_for_contacts),
      IN_OVERLAY(a_start_keeps_the_store_budget),
      IN_OVERLAY(a_crash_while_republishing_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
