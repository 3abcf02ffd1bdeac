/* One node among contacts that the test plays: what a lookup asks, whom, and
 * when. Lookups in whole overlays are in overlay_big_test.c. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  WORLD = 64,    /* contacts at most */
  FLYING = 256,  /* answers on their way at most */
  DELAY_MS = 50, /* of an answer */
  MINUTE_MS = 60000
};

/* An answer on its way. */
struct answer {
  kad_time_ms at;
  size_t who;
  uint8_t transaction[KAD_TRANSACTION_MAX];
  size_t transaction_len;
  bool counts; /* its query was one of the lookup */
};

/* The contacts, and what the lookup has asked them. */
struct world {
  struct kad_lone lone;
  struct kad_contact contacts[WORLD];
  size_t count;
  size_t (*teach)(const struct world *world, size_t who,
                  struct kad_contact *out);
  kad_time_ms delay_ms[WORLD]; /* KAD_TIME_NEVER: silent */
  struct answer answers[FLYING];
  size_t answer_count;
  unsigned asked[WORLD]; /* times */
  kad_time_ms asked_at[WORLD];
  size_t in_flight;
  size_t peak; /* of those, up to `last` being asked */
  size_t last;
  /* What came of it. */
  unsigned calls;
  int status;
  size_t closest[KAD_LONE_KEPT]; /* numbers of contacts */
  size_t closest_count;
  struct kad_step path[KAD_LONE_KEPT];
  size_t path_count;
  uint32_t hops;
  uint32_t messages;
  uint32_t took_ms;
};

static struct world world;

static size_t find_contact(const struct kad_address *address) {
  size_t i = 0;
  while (i < world.count &&
         !kad_address_equal(&world.contacts[i].address, address)) {
    i++;
  }
  return i;
}

/* Tells the eight of the world that are closest to the target. */
static size_t teach_closest(const struct world *w, size_t who,
                            struct kad_contact *out) {
  size_t count = 0;
  (void)who;
  for (size_t i = 0; i < w->count; i++) {
    size_t place = count < 8 ? count++ : 8;
    for (; place > 0 && kad_id_compare(&kad_lone_target, &w->contacts[i].id,
                                       &out[place - 1].id) < 0;
         place--) {
      if (place < 8) {
        out[place] = out[place - 1];
      }
    }
    if (place < 8) {
      out[place] = w->contacts[i];
    }
  }
  return count;
}

/* Tells the next one of the chain, which is closer. */
static size_t teach_next(const struct world *w, size_t who,
                         struct kad_contact *out) {
  if (who + 1 == w->count) {
    return 0;
  }
  out[0] = w->contacts[who + 1];
  return 1;
}

/* Opens a node and `count` contacts, of which the first `known` are in its
 * table. */
static void open_world(size_t count, size_t known) {
  struct kad_config config;
  kad_config_default(&config);
  memset(&world, 0, sizeof world);
  world.count = count;
  world.teach = teach_closest;
  world.last = WORLD;
  kad_lone_open(&world.lone, &config);
  for (size_t i = 0; i < count; i++) {
    world.contacts[i] = kad_lone_contact((unsigned)i + 1);
    world.delay_ms[i] = DELAY_MS;
    if (i < known) {
      kad_lone_meet(&world.lone, &world.contacts[i]);
    }
  }
  world.lone.answered = world.lone.sent;
}

/* The same with a chain: each contact is twice as close to the target as the
 * one before it, and knows only the one after it. */
static void open_chain(size_t count, size_t known) {
  open_world(count, 0);
  world.teach = teach_next;
  for (size_t i = 0; i < count; i++) {
    world.contacts[i].id = kad_lone_target;
    world.contacts[i].id.bytes[1 + i / 8] ^= (uint8_t)(0x80 >> i % 8);
    if (i < known) {
      kad_lone_meet(&world.lone, &world.contacts[i]);
    }
  }
  world.lone.answered = world.lone.sent;
}

static void close_world(void) {
  kad_lone_close(&world.lone);
}

/* Notes a query and plans its answer. */
static void hear_query(const struct kad_lone_datagram *datagram,
                       const struct kad_message *query) {
  const size_t who = find_contact(&datagram->to);
  const bool counts = query->method == KAD_METHOD_FIND_NODE &&
                      kad_id_equal(&query->target, &kad_lone_target);
  if (query->kind != KAD_MESSAGE_QUERY || who == world.count) {
    return;
  }
  if (counts) {
    world.asked[who]++;
    world.asked_at[who] = datagram->at;
    world.in_flight++;
    if (world.last == WORLD || world.asked[world.last] == 0) {
      world.peak = world.in_flight > world.peak ? world.in_flight : world.peak;
    }
  }
  if (world.delay_ms[who] != KAD_TIME_NEVER) {
    struct answer *answer = &world.answers[world.answer_count++];
    assert_true(world.answer_count <= FLYING);
    answer->at = datagram->at + world.delay_ms[who];
    answer->who = who;
    answer->counts = counts;
    answer->transaction_len = query->transaction.len;
    memcpy(answer->transaction, query->transaction.data,
           query->transaction.len);
  }
}

static void hear_queries(void) {
  struct kad_message message;
  while (world.lone.answered < world.lone.sent) {
    const size_t back = world.lone.sent - 1 - world.lone.answered;
    const struct kad_lone_datagram *datagram =
        kad_lone_sent(&world.lone, back, &message);
    world.lone.answered++;
    hear_query(datagram, &message);
  }
}

static void send_answer(size_t index) {
  const struct answer answer = world.answers[index];
  const struct kad_contact *from = &world.contacts[answer.who];
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction =
      (struct kad_slice){answer.transaction, answer.transaction_len};
  reply.has_id = true;
  reply.id = from->id;
  reply.has_nodes = true;
  reply.contact_count = world.teach(&world, answer.who, reply.contacts);
  world.answers[index] = world.answers[--world.answer_count];
  world.in_flight -= answer.counts;
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &writer));
  kad_lone_receive(&world.lone, from, (struct kad_slice){bytes, writer.len});
}

/* Returns the answer that comes first, or answer_count. */
static size_t first_answer(void) {
  size_t first = 0;
  for (size_t i = 1; i < world.answer_count; i++) {
    first = world.answers[i].at < world.answers[first].at ? i : first;
  }
  return first;
}

/* Lets `span_ms` pass, or less when the lookup ends. */
static void run(kad_time_ms span_ms) {
  struct kad_lone *lone = &world.lone;
  const kad_time_ms until = lone->now + span_ms;
  while (world.calls == 0) {
    hear_queries();
    const size_t first = first_answer();
    const kad_time_ms answer =
        first < world.answer_count ? world.answers[first].at : KAD_TIME_NEVER;
    const kad_time_ms deadline = kad_node_deadline(lone->node);
    const kad_time_ms next = answer < deadline ? answer : deadline;
    if (next > until) {
      lone->now = until;
      return;
    }
    lone->now = next > lone->now ? next : lone->now;
    if (answer <= deadline) {
      send_answer(first);
    } else {
      kad_node_tick(lone->node);
    }
  }
}

static void take_result(void *data, const struct kad_result *result) {
  (void)data;
  world.calls++;
  world.status = result->status;
  world.hops = result->hops;
  world.messages = result->messages;
  world.took_ms = result->took_ms;
  world.closest_count = result->closest_count;
  for (size_t i = 0; i < result->closest_count; i++) {
    world.closest[i] = find_contact(&result->closest[i].address);
  }
  world.path_count = result->path_count;
  assert_true(result->path_count <= KAD_LONE_KEPT);
  if (result->path_count > 0) {
    memcpy(world.path, result->path, result->path_count * sizeof *result->path);
  }
}

static kad_operation begin(const struct kad_lookup_options *options) {
  kad_operation operation;
  assert_ok(kad_node_find_node(world.lone.node, &kad_lone_target, options,
                               take_result, NULL, &operation));
  assert_int_equal(world.calls, 0);
  return operation;
}

static void look_up(const struct kad_lookup_options *options) {
  (void)begin(options);
  run(MINUTE_MS);
  assert_int_equal(world.calls, 1);
}

static void lookup_has_alpha_queries_in_flight_while_it_comes_closer(
    void **state) {
  (void)state;
  for (uint32_t alpha = 1; alpha <= 6; alpha++) {
    const struct kad_lookup_options options = {.alpha = alpha};
    open_chain(40, 8);
    world.last = 39;

    look_up(&options);

    assert_int_equal(world.status, 0);
    assert_int_equal(world.peak, alpha);
    close_world();
  }
}

static void fruitless_lookup_asks_the_rest_of_k_at_once(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 2, .k = 8};
  open_world(8, 8);

  look_up(&options);

  assert_int_equal(world.closest_count, 8);
  assert_true(world.peak > 2);
  assert_true(world.peak <= 8);
  close_world();
}

static void lookup_finds_the_closest_and_asks_nobody_twice(void **state) {
  (void)state;
  struct kad_contact closest[8];
  open_world(60, 12);
  const size_t count = teach_closest(&world, 0, closest);

  look_up(NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(world.closest[i], find_contact(&closest[i].address));
  }
  size_t asked = 0;
  for (size_t i = 0; i < world.count; i++) {
    assert_true(world.asked[i] <= 1);
    asked += world.asked[i];
  }
  assert_int_equal(world.messages, asked);
  close_world();
}

static void slow_contact_is_passed_by_before_it_has_failed(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  open_chain(3, 3);
  world.teach = teach_closest;
  world.delay_ms[2] = KAD_TIME_NEVER;

  (void)begin(&options);
  run(500);

  const struct kad_stats stats = kad_lone_stats(&world.lone);
  assert_int_equal(world.asked[2], 1);
  assert_int_equal(world.asked[1], 1);
  const kad_time_ms waited = world.asked_at[1] - world.asked_at[2];
  assert_in_range(waited, 200, 400);
  assert_int_equal(stats.timeouts, 0);
  run(MINUTE_MS);
  assert_int_equal(world.calls, 1);
  close_world();
}

static void late_answer_still_counts(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  open_chain(3, 3);
  world.teach = teach_closest;
  world.delay_ms[2] = 400;

  look_up(&options);

  assert_int_equal(world.closest_count, 3);
  assert_int_equal(world.closest[0], 2);
  assert_int_equal(kad_lone_stats(&world.lone).late, 1);
  close_world();
}

static void dead_contacts_do_not_keep_a_lookup_from_its_end(void **state) {
  (void)state;
  struct kad_contact closest[8];
  open_world(60, 20);
  const size_t count = teach_closest(&world, 0, closest);
  for (size_t i = 0; i < count; i += 2) {
    world.delay_ms[find_contact(&closest[i].address)] = KAD_TIME_NEVER;
  }

  look_up(NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, 8);
  assert_int_equal(world.closest[0], find_contact(&closest[1].address));
  assert_int_equal(world.closest[1], find_contact(&closest[3].address));
  close_world();
}

static void silence_after_the_end_still_counts_against_a_contact(void **state) {
  (void)state;
  struct kad_contact_info known[WORLD];
  open_world(20, 12);
  size_t dead = 0;
  for (size_t i = 1; i < 12; i++) {
    dead = kad_id_compare(&kad_lone_target, &world.contacts[i].id,
                          &world.contacts[dead].id) < 0
               ? i
               : dead;
  }
  world.delay_ms[dead] = KAD_TIME_NEVER;
  const uint64_t before = kad_lone_stats(&world.lone).timeouts;

  look_up(NULL);
  const uint64_t at_end = kad_lone_stats(&world.lone).timeouts;
  kad_lone_run(&world.lone, 4000);

  assert_int_equal(at_end, before);
  assert_true(kad_lone_stats(&world.lone).timeouts > before);
  const size_t count = kad_node_contacts(world.lone.node, known, WORLD);
  for (size_t i = 0; i < count; i++) {
    if (kad_id_equal(&known[i].contact.id, &world.contacts[dead].id)) {
      assert_true(known[i].failures > 0);
    }
  }
  close_world();
}

static void lookup_among_the_dead_ends_without_contacts(void **state) {
  (void)state;
  open_world(12, 12);
  for (size_t i = 0; i < world.count; i++) {
    world.delay_ms[i] = KAD_TIME_NEVER;
  }

  look_up(NULL);

  assert_int_equal(world.status, KAD_ENOCONTACTS);
  assert_int_equal(world.closest_count, 0);
  assert_true(world.took_ms <= 20000);
  close_world();
}

static void lookup_without_contacts_ends_at_once(void **state) {
  (void)state;
  open_world(1, 0);

  look_up(NULL);

  assert_int_equal(world.status, KAD_ENOCONTACTS);
  assert_int_equal(world.took_ms, 0);
  assert_int_equal(world.messages, 0);
  close_world();
}

static void deadline_ends_a_lookup_with_what_it_has(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1, .deadline_ms = 275};
  open_chain(40, 3);

  look_up(&options);

  assert_int_equal(world.status, KAD_ETIMEOUT);
  assert_int_equal(world.took_ms, 275);
  assert_int_equal(world.closest_count, 5);
  assert_int_equal(world.closest[0], 6);
  close_world();
}

static void deadline_passes_among_the_silent(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.deadline_ms = 100};
  open_world(10, 10);
  for (size_t i = 0; i < world.count; i++) {
    world.delay_ms[i] = KAD_TIME_NEVER;
  }

  look_up(&options);

  assert_int_equal(world.status, KAD_ETIMEOUT);
  assert_int_equal(world.closest_count, 0);
  assert_int_equal(world.took_ms, 100);
  close_world();
}

static void path_tells_who_was_asked_and_who_named_them(void **state) {
  (void)state;
  const struct kad_lookup_options options = {.alpha = 1};
  open_chain(6, 1);

  look_up(&options);

  assert_int_equal(world.path_count, 6);
  assert_int_equal(world.messages, 6);
  assert_int_equal(world.hops, 6);
  for (size_t i = 0; i < world.path_count; i++) {
    const struct kad_step *step = &world.path[i];
    assert_int_equal(find_contact(&step->contact.address), i);
    assert_int_equal(step->hop, i + 1);
    assert_true(step->answered);
    assert_false(step->had_value);
    assert_int_equal(step->rtt_ms, DELAY_MS);
    if (i == 0) {
      assert_int_equal(step->heard_from.address.family, 0);
    } else {
      assert_int_equal(find_contact(&step->heard_from.address), i - 1);
      assert_true(
          kad_id_equal(&step->heard_from.id, &world.contacts[i - 1].id));
    }
  }
  close_world();
}

static void path_tells_of_those_who_did_not_answer(void **state) {
  (void)state;
  open_chain(4, 2);
  world.delay_ms[1] = KAD_TIME_NEVER;

  look_up(NULL);

  assert_int_equal(world.path_count, 2);
  assert_int_equal(find_contact(&world.path[0].contact.address), 1);
  assert_false(world.path[0].answered);
  assert_true(world.path[1].answered);
  assert_int_equal(world.hops, 1);
  close_world();
}

static void answers_after_a_cancel_change_nothing(void **state) {
  (void)state;
  open_world(30, 10);
  const kad_operation operation = begin(NULL);
  run(DELAY_MS - 1);

  assert_ok(kad_node_cancel(world.lone.node, operation));

  assert_int_equal(world.calls, 0);
  assert_int_equal(kad_node_cancel(world.lone.node, operation), KAD_ENOTFOUND);
  run(MINUTE_MS);
  assert_int_equal(world.calls, 1);
  assert_int_equal(world.status, KAD_ECANCELED);
  const uint32_t messages = world.messages;
  world.calls = 0;
  run(1000);
  assert_int_equal(world.calls, 0);
  size_t asked = 0;
  for (size_t i = 0; i < world.count; i++) {
    asked += world.asked[i];
  }
  assert_int_equal(asked, messages);
  close_world();
}

/* A contact that names itself, us, martians and strangers of other families
 * adds nothing; a long list of lies is bounded. */
static size_t teach_nonsense(const struct world *w, size_t who,
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

static void nonsense_in_answers_is_not_asked(void **state) {
  (void)state;
  open_world(5, 5);
  world.teach = teach_nonsense;

  look_up(NULL);

  assert_int_equal(world.status, 0);
  assert_int_equal(world.closest_count, 5);
  assert_int_equal(world.messages, 5);
  close_world();
}

static size_t teach_liars(const struct world *w, size_t who,
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

static void invented_contacts_are_given_up_by_the_deadline(void **state) {
  (void)state;
  open_world(12, 12);
  world.teach = teach_liars;

  look_up(NULL);

  assert_true(world.took_ms <= 20000);
  assert_true(world.messages <= 512);
  close_world();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          lookup_has_alpha_queries_in_flight_while_it_comes_closer),
      cmocka_unit_test(fruitless_lookup_asks_the_rest_of_k_at_once),
      cmocka_unit_test(lookup_finds_the_closest_and_asks_nobody_twice),
      cmocka_unit_test(slow_contact_is_passed_by_before_it_has_failed),
      cmocka_unit_test(late_answer_still_counts),
      cmocka_unit_test(dead_contacts_do_not_keep_a_lookup_from_its_end),
      cmocka_unit_test(silence_after_the_end_still_counts_against_a_contact),
      cmocka_unit_test(lookup_among_the_dead_ends_without_contacts),
      cmocka_unit_test(lookup_without_contacts_ends_at_once),
      cmocka_unit_test(deadline_ends_a_lookup_with_what_it_has),
      cmocka_unit_test(deadline_passes_among_the_silent),
      cmocka_unit_test(path_tells_who_was_asked_and_who_named_them),
      cmocka_unit_test(path_tells_of_those_who_did_not_answer),
      cmocka_unit_test(answers_after_a_cancel_change_nothing),
      cmocka_unit_test(nonsense_in_answers_is_not_asked),
      cmocka_unit_test(invented_contacts_are_given_up_by_the_deadline),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
