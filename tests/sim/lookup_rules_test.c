/* Kademlia §2.3: lookups on one path. Which contacts they query, how many at a
 * time, and when they end. */
#include "kadenza.h"
#include "overlay.h"
#include "played.h"
#include "unit.h"

static struct kad_played world;

/* Writes the numbers of the `count` contacts closest to the target that the
 * node knows to `out`, closest first. */
static void find_closest(size_t count, size_t *out) {
  size_t found = 0;
  for (size_t i = 0; i < world.count; i++) {
    if (!kad_lone_knows(&world.lone, &world.contacts[i])) {
      continue;
    }
    size_t place = found < count ? found++ : count;
    for (; place > 0 && kad_id_compare(&kad_lone_target, &world.contacts[i].id,
                                       &world.contacts[out[place - 1]].id) < 0;
         place--) {
      if (place < count) {
        out[place] = out[place - 1];
      }
    }
    if (place < count) {
      out[place] = i;
    }
  }
}

/* Kademlia §2.3: "the lookup initiator starts by picking α nodes from its
 * closest non-empty k-bucket". */
static void a_lookup_queries_the_alpha_closest_first(void **state) {
  const struct kad_lookup_options options = {.alpha = 3, .beta = 1};
  size_t closest[8] = {0};
  (void)state;
  kad_played_open(&world, 20, 20);
  find_closest(8, closest);

  (void)kad_played_begin(&world, &options);
  kad_played_run(&world, KAD_PLAYED_DELAY_MS - 1);

  for (size_t i = 0; i < 8; i++) {
    assert_int_equal(world.asked[closest[i]], i < 3);
  }
  kad_played_run(&world, KAD_PLAYED_PATIENCE_MS);
  kad_played_close(&world);
}

/* Kademlia §2.3: "parallel, asynchronous FIND_NODE RPCs to the α nodes". */
static void a_lookup_has_alpha_queries_in_flight(void **state) {
  (void)state;
  for (uint32_t alpha = 1; alpha <= 6; alpha++) {
    const struct kad_lookup_options options = {.alpha = alpha, .beta = 1};
    kad_played_open_chain(&world, 40, 8);
    world.last = 39;

    kad_played_look_up(&world, &options);

    assert_int_equal(world.status, 0);
    assert_int_equal(world.peak, alpha);
    kad_played_close(&world);
  }
}

/* Kademlia §2.3: "if a round fails to return a node any closer, the initiator
 * resends to all of the k closest nodes it has not already queried". */
static void a_round_without_closer_contacts_widens_to_k(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 2, .k = 8};
  kad_played_open(&world, 8, 8);

  kad_played_look_up(&world, &options);

  assert_int_equal(world.closest_count, 8);
  assert_true(world.peak > 2);
  assert_true(world.peak <= 8);
  kad_played_close(&world);
}

/* Kademlia §2.3: "nodes that fail to respond quickly are removed from
 * consideration until and unless they do respond". */
static void another_contact_is_queried_after_a_soft_timeout(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  kad_played_open_chain(&world, 3, 3);
  world.teach = kad_played_teach_closest;
  world.delay_ms[2] = KAD_TIME_NEVER;

  (void)kad_played_begin(&world, &options);
  kad_played_run(&world, 500);

  const struct kad_stats stats = kad_lone_stats(&world.lone);
  assert_int_equal(world.asked[2], 1);
  assert_int_equal(world.asked[1], 1);
  const kad_time_ms waited = world.asked_at[1] - world.asked_at[2];
  assert_in_range(waited, 200, 400);
  assert_int_equal(stats.timeouts, 0);
  kad_played_run(&world, KAD_PLAYED_PATIENCE_MS);
  assert_int_equal(world.calls, 1);
  kad_played_close(&world);
}

/* Kademlia §2.3: "terminates when the initiator has queried and gotten
 * responses from the k closest nodes it has seen". */
static void a_search_finds_the_k_closest_and_asks_nobody_twice(void **state) {
  (void)state;
  struct kad_contact closest[8];
  kad_played_open(&world, 60, 12);
  const size_t count = kad_played_teach_closest(&world, 0, closest);

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(world.closest[i],
                     kad_played_find(&world, &closest[i].address));
  }
  size_t asked = 0;
  for (size_t i = 0; i < world.count; i++) {
    assert_true(world.asked[i] <= 1);
    asked += world.asked[i];
  }
  assert_int_equal(world.messages, asked);
  kad_played_close(&world);
}

/* Kademlia §2.3: dead contacts are not among the k closest. */
static void a_lookup_ends_with_the_k_closest_live_contacts(void **state) {
  (void)state;
  struct kad_contact closest[8];
  kad_played_open(&world, 60, 20);
  const size_t count = kad_played_teach_closest(&world, 0, closest);
  for (size_t i = 0; i < count; i += 2) {
    world.delay_ms[kad_played_find(&world, &closest[i].address)] =
        KAD_TIME_NEVER;
  }

  kad_played_look_up(&world, NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, 8);
  assert_int_equal(world.closest[0],
                   kad_played_find(&world, &closest[1].address));
  assert_int_equal(world.closest[1],
                   kad_played_find(&world, &closest[3].address));
  kad_played_close(&world);
}

/* Design: a get ends once `quorum` contacts had a value. */
static void a_quorum_ends_a_lookup(void **state) {
  const struct kad_lookup_options two = {.beta = 1, .quorum = 2};
  const struct kad_lookup_options full = {.beta = 1};
  const struct kad_id key = kad_overlay_key(1);
  const struct kad_record record = kad_overlay_record(&key, "kept by many");
  struct kad_overlay overlay;
  struct kad_ending some;
  struct kad_ending all;
  (void)state;
  kad_overlay_open(&overlay, 21);
  kad_overlay_grow(&overlay, 40);
  kad_ending_init(&some, &overlay);
  kad_ending_init(&all, &overlay);
  assert_ok(kad_overlay_put(&overlay, 1, &record, NULL));

  assert_ok(kad_overlay_get(&overlay, 2, &key, "value", &two, &some));
  assert_ok(kad_overlay_get(&overlay, 2, &key, "value", &full, &all));

  assert_int_equal(some.result.holders, 2);
  assert_true(all.result.holders >= 7);
  assert_true(some.result.messages < all.result.messages);
  kad_ending_deinit(&some);
  kad_ending_deinit(&all);
  kad_overlay_close(&overlay);
}

/* Design: every operation ends. */
static void a_deadline_ends_a_lookup_with_its_result_so_far(void **state) {
  (void)state;
  const struct kad_lookup_options options = {
      .alpha = 1, .beta = 1, .deadline_ms = 275};
  kad_played_open_chain(&world, 40, 3);

  kad_played_look_up(&world, &options);

  assert_int_equal(world.status, KAD_ETIMEOUT);
  assert_int_equal(world.took_ms, 275);
  assert_int_equal(world.closest_count, 5);
  assert_int_equal(world.closest[0], 6);
  kad_played_close(&world);
}

/* Design: a cancelled operation ends at once, and later replies change nothing.
 */
static void a_cancelled_lookup_sends_no_more_queries(void **state) {
  (void)state;
  kad_played_open(&world, 30, 10);
  const kad_operation_id operation = kad_played_begin(&world, NULL);
  kad_played_run(&world, KAD_PLAYED_DELAY_MS - 1);

  assert_ok(kad_node_cancel(world.lone.node, operation));

  assert_int_equal(world.calls, 0);
  assert_int_equal(kad_node_cancel(world.lone.node, operation), KAD_ENOTFOUND);
  kad_played_run(&world, KAD_PLAYED_PATIENCE_MS);
  assert_int_equal(world.calls, 1);
  assert_int_equal(world.status, KAD_ECANCELED);
  const uint32_t messages = world.messages;
  world.calls = 0;
  kad_played_run(&world, 1000);
  assert_int_equal(world.calls, 0);
  size_t asked = 0;
  for (size_t i = 0; i < world.count; i++) {
    asked += world.asked[i];
  }
  assert_int_equal(asked, messages);
  kad_played_close(&world);
}

/* BEP 5 "ping": the reply is the id. */
static void a_ping_is_answered_with_the_id(void **state) {
  struct kad_message reply;
  (void)state;
  kad_played_open(&world, 3, 3);

  kad_lone_query(&world.lone, &world.contacts[0], KAD_METHOD_PING);

  (void)kad_lone_reply(&world.lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_true(kad_id_equal(&reply.id, kad_node_id(world.lone.node)));
  assert_int_equal(reply.contact_count, 0);
  kad_played_close(&world);
}

/* Kademlia §2.3, BEP 5 "find_node": the k closest of the table. */
static void find_node_is_answered_with_the_k_closest(void **state) {
  struct kad_message reply;
  size_t closest[8] = {0};
  (void)state;
  kad_played_open(&world, 20, 20);
  find_closest(8, closest);

  kad_lone_query(&world.lone, &world.contacts[19], KAD_METHOD_FIND_NODE);

  (void)kad_lone_reply(&world.lone, &reply);
  assert_int_equal(reply.contact_count, 8);
  for (size_t i = 0; i < 8; i++) {
    assert_true(kad_lone_message_has(&reply, &world.contacts[closest[i]]));
  }
  kad_played_close(&world);
}

/* The first contact names eight closer ones, which name none. */
static size_t teach_eight_closer(const struct kad_played *w, size_t who,
                                 struct kad_contact *out) {
  size_t count = 0;
  for (size_t i = 8; who == 0 && i < 16; i++) {
    out[count++] = w->contacts[i];
  }
  return count;
}

/* Design: a reply that names a closer contact lets β queries be sent, whatever
 * is in flight. */
static void an_answer_that_comes_closer_lets_beta_queries_go(void **state) {
  (void)state;
  for (uint32_t beta = 1; beta <= 4; beta++) {
    const struct kad_lookup_options options = {.alpha = 1, .beta = beta};
    size_t asked = 0;
    kad_played_open_chain(&world, 16, 0);
    world.teach = teach_eight_closer;
    kad_lone_add_contact(&world.lone, &world.contacts[0]);
    world.lone.answered = world.lone.sent;

    (void)kad_played_begin(&world, &options);
    kad_played_run(&world, KAD_PLAYED_DELAY_MS + 1);

    for (size_t i = 8; i < 16; i++) {
      asked += world.asked[i];
    }
    assert_int_equal(asked, beta);
    kad_played_run(&world, KAD_PLAYED_PATIENCE_MS);
    kad_played_close(&world);
  }
}

/* Makes contact 0 a little closer to the target than contact 1, but slow.
 * Returns which of them a lookup with `beta` queries first. */
static size_t ask_first(uint32_t beta, uint8_t farther) {
  const struct kad_lookup_options options = {.alpha = 1, .beta = beta};
  kad_played_open(&world, 2, 0);
  for (size_t i = 0; i < 2; i++) {
    world.contacts[i].id = kad_lone_target;
    world.contacts[i].id.bytes[2] ^= i == 0 ? 4 : farther;
    kad_lone_add_contact(&world.lone, &world.contacts[i]);
  }
  world.lone.answered = world.lone.sent;
  world.delay_ms[0] = 150;
  world.delay_ms[1] = 10;
  for (int times = 0; times < 20;
       times++) { /* to measure the round-trip times */
    world.calls = 0;
    kad_played_look_up(&world, &options);
  }
  world.asked[0] = 0;
  world.asked[1] = 0;
  world.calls = 0;
  (void)kad_played_begin(&world, &options);
  kad_played_run(&world, 1);
  assert_int_equal(world.asked[0] + world.asked[1], 1);
  const size_t first = world.asked[1];
  kad_played_run(&world, KAD_PLAYED_PATIENCE_MS);
  kad_played_close(&world);
  return first;
}

/* Design: among contacts at about the same distance the fast one is queried
 * first; with β = 1 it is always the closest. */
static void of_contacts_about_as_close_the_quick_one_is_first(void **state) {
  (void)state;
  assert_int_equal(ask_first(3, 5), 1);
  assert_int_equal(ask_first(1, 5), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_lookup_queries_the_alpha_closest_first),
      cmocka_unit_test(a_lookup_has_alpha_queries_in_flight),
      cmocka_unit_test(a_round_without_closer_contacts_widens_to_k),
      cmocka_unit_test(another_contact_is_queried_after_a_soft_timeout),
      cmocka_unit_test(a_search_finds_the_k_closest_and_asks_nobody_twice),
      cmocka_unit_test(a_lookup_ends_with_the_k_closest_live_contacts),
      cmocka_unit_test(a_quorum_ends_a_lookup),
      cmocka_unit_test(a_deadline_ends_a_lookup_with_its_result_so_far),
      cmocka_unit_test(a_cancelled_lookup_sends_no_more_queries),
      cmocka_unit_test(an_answer_that_comes_closer_lets_beta_queries_go),
      cmocka_unit_test(of_contacts_about_as_close_the_quick_one_is_first),
      cmocka_unit_test(a_ping_is_answered_with_the_id),
      cmocka_unit_test(find_node_is_answered_with_the_k_closest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
