/* Read repair and cached copies. Source: Kademlia §2.3. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  K = 8,
  SIZE = 80,
  DAY_S = 86400,
  GETS = 30,
  LATE_S = 12, /* from a get until a test checks the repairs */
  PAUSE_MS = 10 * KAD_SECOND_MS
};

static struct kad_overlay overlay;
static struct kad_ending ending;

/* The last store that node `i` admitted. */
struct admitted {
  unsigned calls;
  unsigned caches;
  enum kad_reason reason;
};

static struct admitted admitted[SIZE];

static void keep_store(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer) {
  struct admitted *one = state;
  (void)answer;
  one->calls++;
  one->caches += call->reason == KAD_REASON_CACHE;
  one->reason = call->reason;
}

/* Sets the type of plain values at node `i`. */
static void set_rules(size_t i, struct kad_type type) {
  type.name = "value";
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
}

static void begin_with(uint64_t seed, const struct kad_config *config) {
  memset(admitted, 0, sizeof admitted);
  kad_overlay_open(&overlay, seed);
  if (config != NULL) {
    overlay.config = *config;
  }
  kad_overlay_grow(&overlay, SIZE);
  for (size_t i = 0; i < SIZE; i++) {
    set_rules(i,
              (struct kad_type){.state = &admitted[i], .stored = keep_store});
  }
  kad_ending_init(&ending, &overlay);
}

static void begin(uint64_t seed) {
  begin_with(seed, NULL);
}

static int end(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

/* Reads what node `i` holds under `key`, up to 8 records. */
static size_t held(size_t i, const struct kad_id *key,
                   struct kad_record *records) {
  return overlay.nodes[i] == NULL
             ? 0
             : kad_node_held(overlay.nodes[i], key, kad_slice_of("value"),
                             records, 8);
}

static size_t count_holders(const struct kad_id *key) {
  struct kad_record records[8] = {{.ttl = 0}};
  size_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    count += held(i, key, records) > 0;
  }
  return count;
}

static void put_as(size_t i, const struct kad_record *record, uint32_t k) {
  const struct kad_lookup_options options = {.k = k};
  struct kad_ending own;
  kad_ending_init(&own, &overlay);
  assert_ok(kad_node_put(overlay.nodes[i], record, &options, kad_ending_done,
                         &own, NULL));
  assert_ok(kad_ending_await(&own));
  kad_ending_deinit(&own);
}

static void put(size_t i, const struct kad_id *key, const char *value) {
  const struct kad_record record = kad_overlay_record(key, value);
  put_as(i, &record, K);
}

/* Puts a value of a publisher with a sequence number, at the `k` closest. */
static void put_signed(size_t i, const struct kad_id *key, const char *value,
                       int64_t seq, uint32_t k) {
  const uint8_t seed[32] = {7};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  struct kad_record record = kad_overlay_record(key, value);
  kad_keypair(seed, publisher, secret);
  record.publisher = publisher;
  record.signature = signature;
  record.has_seq = true;
  record.seq = seq;
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  put_as(i, &record, k);
}

static void get(size_t i, const struct kad_id *key) {
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_overlay_get(&overlay, i, key, "value", NULL, &ending));
}

/* Returns how many open nodes are closer to `key` than node `i`. */
static size_t rank_of(size_t i, const struct kad_id *key) {
  size_t rank = 0;
  for (size_t j = 0; j < overlay.count; j++) {
    rank += overlay.nodes[j] != NULL &&
            kad_id_compare(key, &overlay.ids[j], &overlay.ids[i]) < 0;
  }
  return rank;
}

/* Returns the node that got a cached copy, SIZE if there is none, and forgets
 * it. Fails the test if there are several. */
static size_t pop_cache(void) {
  size_t found = SIZE;
  for (size_t i = 0; i < SIZE; i++) {
    if (admitted[i].caches > 0) {
      assert_int_equal(found, SIZE);
      assert_int_equal(admitted[i].caches, 1);
      assert_int_equal(admitted[i].reason, KAD_REASON_CACHE);
      found = i;
    }
    admitted[i] = (struct admitted){.calls = 0};
  }
  return found;
}

/* Returns how often DAY_S was halved to get `ttl`, from which some seconds have
 * passed. */
static unsigned halvings(uint32_t ttl) {
  unsigned count = 0;
  const uint32_t day = DAY_S;
  while (day >> count > ttl + ttl / 64 + LATE_S) {
    count++;
  }
  assert_true(ttl <= day >> count);
  return count;
}

/* Returns true if `contact` answered a query of the last get without a value.
 */
static bool answered_without(const struct kad_id *contact) {
  for (size_t i = 0; i < ending.result.path_count; i++) {
    const struct kad_step *step = &ending.result.path[i];
    if (kad_id_equal(&step->contact.id, contact)) {
      return step->answered && !step->had_value;
    }
  }
  return false;
}

/* Fails the test unless `cache` is the closest contact that answered the last
 * get without a value. */
static void check_is_closest(size_t cache, const struct kad_id *key) {
  assert_true(answered_without(&overlay.ids[cache]));
  for (size_t i = 0; i < ending.result.path_count; i++) {
    const struct kad_step *step = &ending.result.path[i];
    if (step->answered && !step->had_value) {
      assert_true(kad_id_compare(key, &overlay.ids[cache], &step->contact.id) <=
                  0);
    }
  }
}

/* Puts `value`, and `second` if it is not NULL, under one key after the other,
 * and gets them at node `reader`, until there is a cached copy. Returns its
 * node. */
static size_t find_cache(size_t reader, const char *value, const char *second,
                         struct kad_id *key) {
  for (unsigned i = 40; i < 40 + GETS; i++) {
    *key = kad_overlay_key(i);
    put(3, key, value);
    if (second != NULL) {
      put(4, key, second);
    }
    memset(admitted, 0, sizeof admitted);
    get(reader, key);
    for (size_t j = 0; j < SIZE; j++) {
      if (admitted[j].caches > 0) {
        return j;
      }
    }
  }
  fail_msg("no get left a cache");
  return SIZE;
}

/* Kademlia §2.3: "the requesting node stores the pair at the closest node it
 * observed to the key that did not return the value", whose copy expires
 * "exponentially inversely proportional to the number of nodes between". */
static void a_cached_copy_lives_shorter_farther_from_the_key(void **state) {
  unsigned caches = 0;
  unsigned farther = 0;
  (void)state;
  begin(31);
  for (unsigned i = 0; i < GETS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    struct kad_record records[8] = {{.ttl = 0}};
    put(i, &key, "v");
    (void)pop_cache();
    get(SIZE - 1 - i, &key);
    const size_t cache = pop_cache();
    if (cache == SIZE) {
      continue;
    }
    assert_int_equal(held(cache, &key, records), 1);
    const size_t rank = rank_of(cache, &key);
    const unsigned halved = halvings(records[0].ttl);
    check_is_closest(cache, &key);
    assert_true(rank >= K);
    assert_true(halved >= 1 && halved <= rank - K + 1);
    assert_true(rank - K < 3 || halved > 1);
    assert_int_equal(count_holders(&key), K + 1);
    caches++;
    farther += halved > 1;
  }
  print_message("%u caches, %u farther\n", caches, farther);
  assert_true(caches >= GETS / 3);
  assert_true(farther > 0);
}

/* A cached copy is not republished, and expires. */
static void a_cached_copy_is_not_republished(void **state) {
  struct kad_record records[8] = {{.ttl = 0}};
  struct kad_id key;
  size_t closest[K] = {0};
  (void)state;
  begin(32);
  const size_t cache = find_cache(50, "v", NULL, &key);
  (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
  assert_int_equal(held(cache, &key, records), 1);
  const uint32_t life = records[0].ttl;
  for (size_t i = 0; i < K; i++) {
    kad_overlay_kill(&overlay, closest[i]);
  }
  assert_int_equal(count_holders(&key), 1);

  kad_overlay_run(&overlay, 2 * (kad_time_ms)KAD_HOUR_MS);
  assert_int_equal(count_holders(&key),
                   life > 2 * KAD_HOUR_MS / KAD_SECOND_MS ? 1 : 0);

  kad_overlay_run(&overlay, (kad_time_ms)life * KAD_SECOND_MS);
  assert_int_equal(count_holders(&key), 0);
}

static void live_long(void *state, const struct kad_hook_call *call,
                      struct kad_hook_result *answer) {
  (void)state;
  (void)call;
  answer->seconds = 10 * DAY_S;
}

/* An expire hook may lengthen the life of a record, but not of a cached copy.
 */
static void an_expire_hook_does_not_lengthen_a_cached_copy(void **state) {
  struct kad_record records[8] = {{.ttl = 0}};
  struct kad_id key;
  size_t closest[K] = {0};
  (void)state;
  begin(33);
  for (size_t i = 0; i < SIZE; i++) {
    set_rules(i, (struct kad_type){.state = &admitted[i],
                                   .stored = keep_store,
                                   .expire = live_long});
  }

  const size_t cache = find_cache(50, "v", NULL, &key);

  (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
  assert_int_equal(held(closest[0], &key, records), 1);
  assert_true(records[0].ttl > 9 * DAY_S);
  assert_int_equal(held(cache, &key, records), 1);
  assert_true(records[0].ttl <= 10 * DAY_S / 2);
}

static void pick_first(void *state, const struct kad_hook_call *call,
                       struct kad_hook_result *answer) {
  (void)state;
  answer->records = call->held;
  answer->record_count = 1;
}

/* Cached are the merged records, and not those that the reader selects. */
static void select_does_not_reduce_cached_copies(void **state) {
  struct kad_record records[8] = {{.ttl = 0}};
  struct kad_id key;
  (void)state;
  begin(34);
  set_rules(50, (struct kad_type){.state = &admitted[50],
                                  .stored = keep_store,
                                  .select = pick_first});

  const size_t cache = find_cache(50, "one", "two", &key);

  assert_int_equal(ending.result.record_count, 1);
  assert_int_equal(held(cache, &key, records), 2);
}

/* Those of the k closest that hold an older record, or none, get the merged
 * records. */
static void a_get_repairs_stale_holders(void **state) {
  const struct kad_id key = kad_overlay_key(43);
  struct kad_record records[8] = {{.ttl = 0}};
  size_t closest[K] = {0};
  (void)state;
  begin(35);
  (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
  put_signed(3, &key, "old", 1, K);
  put_signed(3, &key, "new", 2, K / 2);
  kad_overlay_kill(&overlay, closest[1]);
  kad_overlay_revive(&overlay, closest[1]);
  kad_overlay_join(&overlay, closest[1], 60 == closest[1] ? 61 : 60);
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  memset(admitted, 0, sizeof admitted);

  get(70, &key);

  for (size_t i = 0; i < K; i++) {
    assert_int_equal(held(closest[i], &key, records), 1);
    assert_int_equal(records[0].seq, 2);
  }
  assert_int_equal(admitted[closest[K - 1]].reason, KAD_REASON_REPUBLISH);
  assert_int_equal(admitted[closest[0]].calls, 0);
  assert_true(kad_overlay_stats(&overlay, 70).repairs >= K / 2);
}

/* The same with several values: each holder has all of them in the end. */
static void a_get_sends_missing_values_to_holders(void **state) {
  const struct kad_id key = kad_overlay_key(44);
  const struct kad_record few = kad_overlay_record(&key, "two");
  struct kad_record records[8] = {{.ttl = 0}};
  size_t closest[K] = {0};
  (void)state;
  begin(36);
  (void)kad_overlay_closest(&overlay, &key, NULL, closest, K);
  put(3, &key, "one");
  put_as(4, &few, 2);

  get(70, &key);

  for (size_t i = 0; i < K; i++) {
    assert_int_equal(held(closest[i], &key, records), 2);
  }
}

/* The callback is called while the repairs are under way. */
static void a_get_does_not_wait_for_repairs(void **state) {
  uint64_t cached = 0;
  (void)state;
  begin(37);
  for (unsigned i = 0; i < GETS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    put(3, &key, "v");
    kad_ending_deinit(&ending);
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_get(overlay.nodes[50], &key, kad_slice_of("value"), NULL,
                           kad_ending_done, &ending, NULL));
    assert_ok(kad_ending_reach(&ending));
    assert_int_equal(kad_overlay_stats(&overlay, 50).cached_copies, cached);
    kad_overlay_run(&overlay, PAUSE_MS);
    cached = kad_overlay_stats(&overlay, 50).cached_copies;
  }
  assert_true(cached > 0);
}

/* Both are options of the configuration. */
static void cached_copies_and_repairs_can_be_turned_off(void **state) {
  const struct kad_id key = kad_overlay_key(46);
  const struct kad_record record = kad_overlay_record(&key, "v");
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.cache = false;
  config.repair = false;
  begin_with(38, &config);
  put_as(3, &record, 3);
  const size_t holders = count_holders(&key);

  get(50, &key);

  assert_int_equal(count_holders(&key), holders);
}

/* Both are stores within the store budget. */
static void cached_copies_and_repairs_keep_the_store_budget(void **state) {
  struct kad_config config;
  (void)state;
  kad_config_default(&config);
  config.stores_per_s = 1;
  begin_with(39, &config);
  for (unsigned i = 0; i < GETS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    const struct kad_record record = kad_overlay_record(&key, "v");
    put_as(3, &record, 3);
  }
  const kad_time_ms before = kad_network_now(overlay.network);
  for (unsigned i = 0; i < GETS; i++) {
    const struct kad_id key = kad_overlay_key(i);
    kad_ending_deinit(&ending);
    kad_ending_init(&ending, &overlay);
    assert_ok(kad_node_get(overlay.nodes[50], &key, kad_slice_of("value"), NULL,
                           kad_ending_done, &ending, NULL));
    assert_ok(kad_ending_reach(&ending));
  }
  kad_overlay_run(&overlay, KAD_SECOND_MS);
  const kad_time_ms span = kad_network_now(overlay.network) - before;
  const struct kad_stats stats = kad_overlay_stats(&overlay, 50);
  assert_true(stats.repairs + stats.cached_copies > 0);
  assert_true(stats.repairs + stats.cached_copies <= span / KAD_SECOND_MS + 2);
}

#define RULE(test) cmocka_unit_test_teardown(test, end)

int main(void) {
  const struct CMUnitTest tests[] = {
      RULE(a_cached_copy_lives_shorter_farther_from_the_key),
      RULE(a_cached_copy_is_not_republished),
      RULE(an_expire_hook_does_not_lengthen_a_cached_copy),
      RULE(select_does_not_reduce_cached_copies),
      RULE(a_get_repairs_stale_holders),
      RULE(a_get_sends_missing_values_to_holders),
      RULE(a_get_does_not_wait_for_repairs),
      RULE(cached_copies_and_repairs_can_be_turned_off),
      RULE(cached_copies_and_repairs_keep_the_store_budget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
