/* Lookups of one node among simulated contacts. Lookups in whole overlays are
 * in overlay_big_test.c. */
#include "played.h"
#include "rpc/pacer.h"
#include "unit.h"

#include <string.h>

static struct kad_played world;

static void a_late_answer_still_counts(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  kad_played_open_chain(&world, 3, 3);
  world.teach = kad_played_teach_closest;
  world.delay_ms[2] = 400;

  kad_played_look_up(&world, &options);

  assert_int_equal(world.closest_count, 3);
  assert_int_equal(world.closest[0], 2);
  assert_int_equal(kad_lone_stats(&world.lone).late, 1);
  kad_played_close(&world);
}

static void a_timeout_after_the_end_still_counts(void **state) {
  (void)state;
  struct kad_contact_info known[KAD_PLAYED_MAX];
  kad_played_open(&world, 20, 12);
  size_t dead = 0;
  for (size_t i = 1; i < 12; i++) {
    dead = kad_id_compare(&kad_lone_target, &world.contacts[i].id,
                          &world.contacts[dead].id) < 0
               ? i
               : dead;
  }
  world.delay_ms[dead] = KAD_TIME_NEVER;
  /* A contact that has just answered another query is not dead. */
  kad_lone_run(&world.lone, KAD_PACER_ALIVE_MS);
  const uint64_t before = kad_lone_stats(&world.lone).timeouts;

  kad_played_look_up(&world, NULL);
  const uint64_t at_end = kad_lone_stats(&world.lone).timeouts;
  kad_lone_run(&world.lone, 4000);

  assert_int_equal(at_end, before);
  assert_true(kad_lone_stats(&world.lone).timeouts > before);
  const size_t count =
      kad_node_contacts(world.lone.node, known, KAD_PLAYED_MAX);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&known[i].contact.id, &world.contacts[dead].id)) {
      assert_true(known[i].failures > 0);
    }
  }
  kad_played_close(&world);
}

static void a_lookup_among_dead_contacts_ends_without_contacts(void **state) {
  (void)state;
  kad_played_open(&world, 12, 12);
  for (size_t i = 0; i < world.count; i++) {
    world.delay_ms[i] = KAD_TIME_NEVER;
  }

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.status, KAD_ETIMEOUT);
  assert_int_equal(world.closest_count, 0);
  assert_true(world.took_ms <= 20000);
  kad_played_close(&world);
}

static void a_lookup_without_contacts_ends_at_once(void **state) {
  (void)state;
  kad_played_open(&world, 1, 0);

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.status, KAD_ENOCONTACTS);
  assert_int_equal(world.took_ms, 0);
  assert_int_equal(world.messages, 0);
  kad_played_close(&world);
}

static void a_deadline_ends_a_lookup_among_dead_contacts(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.deadline_ms = 100};
  kad_played_open(&world, 10, 10);
  for (size_t i = 0; i < world.count; i++) {
    world.delay_ms[i] = KAD_TIME_NEVER;
  }

  kad_played_look_up(&world, &options);

  assert_int_equal(world.status, KAD_ETIMEOUT);
  assert_int_equal(world.closest_count, 0);
  assert_int_equal(world.took_ms, 100);
  kad_played_close(&world);
}

static void the_path_has_each_contact_and_the_one_that_named_it(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  kad_played_open_chain(&world, 6, 1);

  kad_played_look_up(&world, &options);

  assert_int_equal(world.path_count, 6);
  assert_int_equal(world.messages, 6);
  assert_int_equal(world.hops, 6);
  for (size_t i = 0; i < world.path_count; i++) {
    const struct kad_step *step = &world.path[i];
    assert_int_equal(kad_played_find(&world, &step->contact.address), i);
    assert_int_equal(step->hop, i + 1);
    assert_true(step->answered);
    assert_false(step->had_value);
    assert_int_equal(step->rtt_ms, KAD_PLAYED_DELAY_MS);
    assert_int_equal(step->asked_ms, i * KAD_PLAYED_DELAY_MS);
    if (i == 0) {
      assert_int_equal(step->heard_from.address.family, 0);
    } else {
      assert_int_equal(kad_played_find(&world, &step->heard_from.address),
                       i - 1);
      assert_true(
          kad_id_equal(&step->heard_from.id, &world.contacts[i - 1].id));
    }
  }
  kad_played_close(&world);
}

static void the_path_has_contacts_that_did_not_answer(void **state) {
  (void)state;
  kad_played_open_chain(&world, 4, 2);
  world.delay_ms[1] = KAD_TIME_NEVER;

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.path_count, 2);
  assert_int_equal(kad_played_find(&world, &world.path[0].contact.address), 1);
  assert_false(world.path[0].answered);
  assert_true(world.path[1].answered);
  assert_int_equal(world.hops, 1);
  kad_played_close(&world);
}

/* A contact that names itself, us, martians and contacts of another family adds
 * no candidates. The number of contacts used of a reply is limited. */
static size_t teach_nonsense(const struct kad_played *w, size_t who,
                             struct kad_contact *out) {
  out[0] = w->contacts[who];
  out[1] = w->contacts[who];
  out[1].id = *kad_node_id(w->lone.node);
  out[2] = w->contacts[who];
  out[2].id.bytes[19] ^= 1;
  out[3] = kad_lone_contact(500);
  out[3].address.ip[0] = 127;
  out[4] = kad_lone_contact(501);
  out[4].address.ip[0] = 224;
  return 5;
}

static void invalid_contacts_of_replies_are_not_queried(void **state) {
  (void)state;
  kad_played_open(&world, 5, 5);
  world.teach = teach_nonsense;

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, 5);
  assert_int_equal(world.messages, 5);
  kad_played_close(&world);
}

static size_t teach_liars(const struct kad_played *w, size_t who,
                          struct kad_contact *out) {
  for (size_t i = 0; i < 40; i++) {
    out[i] = kad_lone_contact((unsigned)(1000 + 40 * who + i));
    out[i].id = kad_lone_target;
    out[i].id.bytes[18] = (uint8_t)(who + 1);
    out[i].id.bytes[19] = (uint8_t)i;
  }
  (void)w;
  return 40;
}

static void a_lookup_of_invented_contacts_ends_at_the_deadline(void **state) {
  (void)state;
  kad_played_open(&world, 12, 12);
  world.teach = teach_liars;

  kad_played_look_up(&world, NULL);

  assert_true(world.took_ms <= 20000);
  assert_true(world.messages <= 512);
  kad_played_close(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_late_answer_still_counts),
      cmocka_unit_test(a_timeout_after_the_end_still_counts),
      cmocka_unit_test(a_lookup_among_dead_contacts_ends_without_contacts),
      cmocka_unit_test(a_lookup_without_contacts_ends_at_once),
      cmocka_unit_test(a_deadline_ends_a_lookup_among_dead_contacts),
      cmocka_unit_test(the_path_has_each_contact_and_the_one_that_named_it),
      cmocka_unit_test(the_path_has_contacts_that_did_not_answer),
      cmocka_unit_test(invalid_contacts_of_replies_are_not_queried),
      cmocka_unit_test(a_lookup_of_invented_contacts_ends_at_the_deadline),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
