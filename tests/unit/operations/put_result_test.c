/* What a put says of its holders: how many there are, and how long the record
 * lives there.
 *
 * Tests core/operations/put.c. */
#include "overlay.h"
#include "unit.h"

enum {
  NODES = 40,
  K = 8
};

static struct kad_overlay overlay;
static struct kad_ending ending;

static int open_forty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 3, NODES);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static void put_among_silent_contacts_is_stored_here(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  for (size_t i = 1; i < overlay.count; i++) {
    kad_overlay_kill(&overlay, i);
  }

  assert_ok(kad_overlay_put(&overlay, 0, &record, &ending));

  assert_int_equal(ending.result.stored, 1);
  assert_int_equal(kad_overlay_held(&overlay, 0), 1);
}

/* Puts a record with these options. Returns the status. */
static int put_with(size_t i, const struct kad_record *record,
                    const struct kad_lookup_options *options) {
  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_put(overlay.nodes[i], record, options, kad_ending_done,
                         &ending, NULL));
  return kad_ending_await(&ending);
}

static void fewer_holders_than_wanted_are_an_error(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_lookup_options all = {.min_stored = K};
  const struct kad_lookup_options more = {.min_stored = K + 1};
  const struct kad_lookup_options two = {.min_stored = 2};
  const struct kad_lookup_options wrong = {.min_stored = KAD_K_MAX + 1};
  (void)kad_overlay_add(&overlay);

  assert_ok(put_with(0, &record, &all));
  assert_int_equal(put_with(0, &record, &more), KAD_EFEWER);
  assert_int_equal(ending.result.stored, K);
  assert_int_equal(put_with(lone, &record, &two), KAD_EFEWER);
  assert_int_equal(ending.result.stored, 1);
  assert_int_equal(
      kad_node_put(overlay.nodes[0], &record, &wrong, NULL, NULL, NULL),
      KAD_EINVAL);
}

static void announces_may_ask_for_holders_too(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_lookup_options more = {.min_stored = K + 1};
  (void)kad_overlay_add(&overlay);

  assert_ok(kad_node_announce(overlay.nodes[0], &key, 7000, &more,
                              kad_ending_done, &ending, NULL));
  assert_int_equal(kad_ending_await(&ending), KAD_EFEWER);
  assert_int_equal(ending.result.stored, K);
  assert_int_equal(ending.result.ttl, 2700);

  kad_ending_deinit(&ending);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_announce(overlay.nodes[lone], &key, 7000, NULL,
                              kad_ending_done, &ending, NULL));
  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
  assert_int_equal(ending.result.stored, 0);
}

static void the_result_has_the_life_that_the_type_allows(void **state) {
  (void)state;
  const struct kad_id key = kad_overlay_key(1);
  struct kad_record record = kad_overlay_record(&key, "v");
  const uint32_t asked[] = {0, 60, 86400, 604800};
  const uint32_t given[] = {86400, 60, 86400, 86400};
  for (size_t i = 0; i < 4; i++) {
    record.ttl = asked[i];
    assert_ok(put_with(0, &record, NULL));
    assert_int_equal(ending.result.ttl, given[i]);
  }
}

static void live_for_ten_days(void *state, const struct kad_hook_call *call,
                              struct kad_hook_result *result) {
  (void)state;
  (void)call;
  result->seconds = 864000;
}

static void a_life_that_a_hook_decides_is_that_of_the_store_here(void **state) {
  (void)state;
  const size_t lone = overlay.count;
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "v");
  const struct kad_type type = {.name = "value", .expire = live_for_ten_days};
  const struct kad_policy policy = {.types = &type, .type_count = 1};
  struct kad_node *node = kad_overlay_add(&overlay);
  assert_ok(kad_node_set_policy(node, &policy));

  assert_ok(put_with(lone, &record, NULL));

  assert_int_equal(ending.result.ttl, 864000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) \
  cmocka_unit_test_setup_teardown(name, open_forty, close_overlay)
      TEST(put_among_silent_contacts_is_stored_here),
      TEST(fewer_holders_than_wanted_are_an_error),
      TEST(announces_may_ask_for_holders_too),
      TEST(the_result_has_the_life_that_the_type_allows),
      TEST(a_life_that_a_hook_decides_is_that_of_the_store_here),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
