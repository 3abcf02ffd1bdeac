/* Hostile nodes in virtual time. */
#include "kadenza.h"
#include "overlay.h"
#include "unit.h"
#include "wire/codec.h"

#include <string.h>

enum {
  HONEST = 24,
  HOSTILE = 8,
  ASKED_MAX = 1024, /* queries about a target that a test can watch */
  SIZE = HONEST + HOSTILE
};

struct spy;

/* Judges a contact that `from` has named under the id `as`. */
typedef void judge_fn(struct spy *spy, const struct kad_id *as,
                      const struct kad_contact *contact);

/* Datagrams of the hostile nodes, which are the last of the overlay. */
struct spy {
  judge_fn *judge;
  bool has_target; /* only replies to queries about `target` are judged */
  struct kad_id target;
  uint8_t transactions[ASKED_MAX][4]; /* of these queries */
  size_t asked;
  struct kad_overlay *overlay;
  unsigned replies;  /* of hostile nodes to other queries than ping */
  unsigned invented; /* contacts in these replies that do not exist */
  unsigned accomplices;
  unsigned others;  /* honest nodes */
  unsigned renamed; /* replies under another id than their sender's own */
};

static bool is_hostile(const struct kad_address *address) {
  for (size_t i = HONEST; i < SIZE; i++) {
    const struct kad_address other = kad_overlay_address(i);
    if (kad_address_equal(address, &other)) {
      return true;
    }
  }
  return false;
}

/* Returns the node at `address`, or SIZE. */
static size_t node_at(const struct kad_address *address) {
  size_t i = 0;
  for (; i < SIZE; i++) {
    const struct kad_address other = kad_overlay_address(i);
    if (kad_address_equal(address, &other)) {
      break;
    }
  }
  return i;
}

/* Returns the node with `id`, or SIZE. */
static size_t node_with(const struct kad_overlay *overlay,
                        const struct kad_id *id) {
  size_t i = 0;
  while (i < SIZE && !kad_id_equal(&overlay->ids[i], id)) {
    i++;
  }
  return i;
}

/* Counts a contact at an address without a node as invented. */
static void count_contact(struct spy *spy, const struct kad_contact *contact) {
  const size_t at = node_at(&contact->address);
  spy->accomplices += at >= HONEST && at < SIZE;
  spy->others += at < HONEST;
  spy->invented += at == SIZE;
}

static void judge_true_ids(struct spy *spy, const struct kad_id *as,
                           const struct kad_contact *contact) {
  const size_t at = node_at(&contact->address);
  (void)as;
  assert_true(at == SIZE || kad_id_equal(&contact->id, &spy->overlay->ids[at]));
  count_contact(spy, contact);
}

/* Notes a query about the target. */
static void note_query(struct spy *spy, const struct kad_message *query) {
  if (query->has_target && kad_id_equal(&query->target, &spy->target)) {
    assert_true(spy->asked < ASKED_MAX);
    memcpy(spy->transactions[spy->asked++], query->transaction.data, 4);
  }
}

/* Returns true if `reply` is judged. */
static bool is_watched(const struct spy *spy, const struct kad_message *reply) {
  for (size_t i = 0; i < spy->asked; i++) {
    if (memcmp(spy->transactions[i], reply->transaction.data, 4) == 0) {
      return true;
    }
  }
  return !spy->has_target;
}

static void spy(void *data, const struct kad_sim_event *event) {
  struct spy *it = data;
  uint8_t space[KAD_CODEC_SCRATCH];
  struct kad_writer scratch = {.data = space, .cap = sizeof space};
  struct kad_message message;
  if (kad_codec_read(kad_codec_krpc(), event->bytes, 20, &message, &scratch) !=
      0) {
    return;
  }
  if (message.kind == KAD_MESSAGE_QUERY && it->has_target) {
    note_query(it, &message);
  }
  if (!is_hostile(event->from) || message.kind != KAD_MESSAGE_REPLY ||
      !message.has_nodes || !is_watched(it, &message)) {
    return;
  }
  it->replies++;
  it->renamed += node_with(it->overlay, &message.id) != node_at(event->from);
  for (size_t i = 0; i < message.contact_count; i++) {
    it->judge(it, &message.id, &message.contacts[i]);
  }
}

/* Opens an overlay whose last nodes become hostile after all have joined. */
static void open_with(struct kad_overlay *overlay,
                      const struct kad_sim_hostility *how) {
  kad_overlay_open(overlay, 21);
  kad_overlay_grow(overlay, SIZE);
  for (size_t i = HONEST; i < SIZE; i++) {
    assert_ok(kad_sim_set_behaviour(overlay->network, overlay->nodes[i], how));
  }
}

static void watch(struct kad_overlay *overlay, struct spy *it) {
  *it = (struct spy){.overlay = overlay, .judge = judge_true_ids};
  assert_ok(kad_sim_set_trace(overlay->network, spy, it));
}

/* Makes every honest node look up `target`. */
static void look_up(struct kad_overlay *overlay, const struct kad_id *target) {
  for (size_t i = 0; i < HONEST; i++) {
    struct kad_ending ending;
    kad_ending_init(&ending, overlay);
    assert_ok(kad_node_find_node(overlay->nodes[i], target, NULL,
                                 kad_ending_done, &ending, NULL));
    (void)kad_ending_reach(&ending);
    kad_ending_deinit(&ending);
  }
}

/* Fails unless the honest nodes can still put and get. */
static void assert_serves(struct kad_overlay *overlay) {
  for (unsigned i = 0; i < 5; i++) {
    const struct kad_id key = kad_overlay_key(1000 + i);
    const struct kad_record record = kad_overlay_record(&key, "kept");
    struct kad_ending ending;
    kad_ending_init(&ending, overlay);
    assert_ok(kad_overlay_put(overlay, i, &record, NULL));
    assert_ok(
        kad_overlay_get(overlay, HONEST - 1 - i, &key, "value", NULL, &ending));
    assert_true(ending.result.record_count >= 1);
    kad_ending_deinit(&ending);
  }
}

static uint64_t sum_over_honest(const struct kad_overlay *overlay,
                                size_t offset) {
  uint64_t sum = 0;
  for (size_t i = 0; i < HONEST; i++) {
    const struct kad_stats stats = kad_overlay_stats(overlay, i);
    uint64_t value = 0;
    memcpy(&value, (const uint8_t *)&stats + offset, sizeof value);
    sum += value;
  }
  return sum;
}

static void honest_node_pings(struct kad_overlay *overlay, size_t i) {
  struct kad_ending ending;
  kad_ending_init(&ending, overlay);
  const struct kad_address to = kad_overlay_address(i);
  assert_ok(
      kad_node_ping(overlay->nodes[0], &to, kad_ending_done, &ending, NULL));
  assert_ok(kad_ending_reach(&ending));
  kad_ending_deinit(&ending);
}

static void silent_node_answers_pings_alone(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_SILENT};
  struct kad_overlay overlay;
  struct spy it;
  open_with(&overlay, &how);
  watch(&overlay, &it);
  const struct kad_id target = overlay.ids[SIZE - 1];

  look_up(&overlay, &target);

  assert_int_equal(it.replies, 0);
  honest_node_pings(&overlay, SIZE - 1);
  assert_serves(&overlay);
  kad_overlay_close(&overlay);
}

static void liar_names_invented_contacts_and_other_liars(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_LIAR};
  struct kad_overlay overlay;
  struct spy it;
  open_with(&overlay, &how);
  watch(&overlay, &it);
  const struct kad_id target = kad_overlay_key(1);

  look_up(&overlay, &target);

  assert_true(it.replies > 0);
  assert_int_equal(it.invented, 4 * it.replies);
  assert_int_equal(it.accomplices, 4 * it.replies);
  assert_int_equal(it.others, 0);
  honest_node_pings(&overlay, SIZE - 1);
  kad_overlay_close(&overlay);
}

static void liar_replies_that_it_stores_and_does_not(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_LIAR};
  struct kad_overlay overlay;
  open_with(&overlay, &how);
  const struct kad_id key = overlay.ids[SIZE - 1];
  const struct kad_record record = kad_overlay_record(&key, "lost");
  struct kad_ending ending;
  kad_ending_init(&ending, &overlay);

  (void)kad_overlay_put(&overlay, 0, &record, &ending);

  assert_true(ending.result.stored > 0);
  for (size_t i = HONEST; i < SIZE; i++) {
    assert_int_equal(kad_overlay_held(&overlay, i), 0);
  }
  kad_ending_close(&ending);
}

static void sybil_names_the_sybils_of_its_key(void **state) {
  (void)state;
  struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_SYBIL,
                                  .key = kad_overlay_key(1)};
  struct kad_overlay overlay;
  struct spy it;
  open_with(&overlay, &how);
  how.key = kad_overlay_key(2);
  const size_t other = SIZE - 1;
  assert_ok(kad_sim_set_behaviour(overlay.network, overlay.nodes[other], &how));
  watch(&overlay, &it);

  look_up(&overlay, &overlay.ids[SIZE - 2]);

  assert_true(it.replies > 0);
  assert_true(it.accomplices > it.replies);
  assert_true(it.accomplices <= (HOSTILE - 2) * it.replies);
  assert_int_equal(it.invented + it.others, 0);
  kad_overlay_close(&overlay);
}

/* Opens an overlay with hostile nodes of one kind, and makes the honest nodes
 * look up a key. Each contact that a hostile node names is judged. */
static void look_up_among(enum kad_sim_behaviour behaviour, judge_fn *judge,
                          struct kad_overlay *overlay, struct spy *it) {
  const struct kad_sim_hostility how = {.behaviour = behaviour};
  open_with(overlay, &how);
  watch(overlay, it);
  it->judge = judge;
  it->has_target = true;
  it->target = kad_overlay_key(1);
  look_up(overlay, &it->target);
  assert_true(it->replies > 0);
}

static void judge_misplaced(struct spy *spy, const struct kad_id *as,
                            const struct kad_contact *contact) {
  const size_t at = node_at(&contact->address);
  const size_t with = node_with(spy->overlay, &contact->id);
  (void)as;
  assert_true(with < SIZE && at >= HONEST);
  assert_int_not_equal(at, with);
  count_contact(spy, contact);
}

static void misplacer_names_real_ids_at_wrong_addresses(void **state) {
  (void)state;
  struct kad_overlay overlay;
  struct spy it;

  look_up_among(KAD_SIM_BEHAVIOUR_MISPLACER, judge_misplaced, &overlay, &it);

  assert_int_equal(it.invented, 4 * it.replies);
  assert_true(it.accomplices >= it.replies);
  kad_overlay_close(&overlay);
}

static void judge_mislabeled(struct spy *spy, const struct kad_id *as,
                             const struct kad_contact *contact) {
  (void)as;
  assert_int_equal(node_with(spy->overlay, &contact->id), SIZE);
  for (size_t i = 0; i < SIZE; i++) {
    assert_true(
        kad_id_compare(&spy->target, &contact->id, &spy->overlay->ids[i]) < 0);
  }
  count_contact(spy, contact);
}

static void mislabeler_names_real_addresses_with_wrong_ids(void **state) {
  (void)state;
  struct kad_overlay overlay;
  struct spy it;

  look_up_among(KAD_SIM_BEHAVIOUR_MISLABELER, judge_mislabeled, &overlay, &it);

  assert_int_equal(it.invented, 0);
  assert_true(it.others > it.replies);
  assert_int_equal(it.renamed, 0);
  kad_overlay_close(&overlay);
}

static void judge_lure(struct spy *spy, const struct kad_id *as,
                       const struct kad_contact *contact) {
  assert_int_equal(node_with(spy->overlay, &contact->id), SIZE);
  assert_true(kad_id_compare(&spy->target, &contact->id, as) < 0);
  count_contact(spy, contact);
}

static void lurer_names_ever_closer_ids_that_answer(void **state) {
  (void)state;
  struct kad_overlay overlay;
  struct spy it;

  look_up_among(KAD_SIM_BEHAVIOUR_LURER, judge_lure, &overlay, &it);

  assert_int_equal(it.others, 0);
  assert_true(it.accomplices > HOSTILE);
  assert_true(it.renamed > 0);
  kad_overlay_close(&overlay);
}

static void flooder_stores_junk_with_tokens(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_FLOODER,
                                        .per_s = 20};
  struct kad_overlay overlay;
  open_with(&overlay, &how);

  kad_overlay_run(&overlay, 5 * KAD_MINUTE_MS);

  size_t held = 0;
  for (size_t i = 0; i < HONEST; i++) {
    held += kad_overlay_held(&overlay, i);
  }
  assert_true(held > 100);
  assert_serves(&overlay);
  kad_overlay_close(&overlay);
}

static void nodes_survive_replays(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_REPLAYER,
                                        .per_s = 20};
  struct kad_overlay overlay;
  open_with(&overlay, &how);
  const size_t offset = offsetof(struct kad_stats, datagrams_in);
  const uint64_t before = sum_over_honest(&overlay, offset);

  kad_overlay_run(&overlay, 5 * KAD_MINUTE_MS);

  assert_true(sum_over_honest(&overlay, offset) > before + 20 * 60 * HOSTILE);
  assert_serves(&overlay);
  kad_overlay_close(&overlay);
}

static void garbage_is_dropped(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_GARBAGE,
                                        .per_s = 100};
  struct kad_overlay overlay;
  open_with(&overlay, &how);
  const size_t offset = offsetof(struct kad_stats, dropped_malformed);

  kad_overlay_run(&overlay, 5 * KAD_MINUTE_MS);

  assert_true(sum_over_honest(&overlay, offset) > 10 * 60 * HOSTILE);
  assert_serves(&overlay);
  kad_overlay_close(&overlay);
}

static void hostile_node_may_become_honest(void **state) {
  (void)state;
  struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_SILENT};
  struct kad_overlay overlay;
  struct spy it;
  open_with(&overlay, &how);
  how.behaviour = KAD_SIM_BEHAVIOUR_FLOODER;
  for (size_t i = HONEST; i < SIZE; i++) {
    assert_ok(kad_sim_set_behaviour(overlay.network, overlay.nodes[i], &how));
  }
  how.behaviour = KAD_SIM_BEHAVIOUR_HONEST;
  for (size_t i = HONEST; i < SIZE; i++) {
    assert_ok(kad_sim_set_behaviour(overlay.network, overlay.nodes[i], &how));
  }
  watch(&overlay, &it);
  const uint64_t sent_before = kad_network_now(overlay.network);

  look_up(&overlay, &overlay.ids[SIZE - 1]);

  assert_true(it.replies > 0 && it.others > 0);
  assert_int_equal(it.invented, 0);
  assert_true(kad_network_now(overlay.network) > sent_before);
  kad_overlay_close(&overlay);
}

static void suspended_flooder_sends_nothing(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_GARBAGE};
  struct kad_overlay overlay;
  open_with(&overlay, &how);
  kad_overlay_run(&overlay, 10 * KAD_MINUTE_MS);
  for (size_t i = HONEST; i < SIZE; i++) {
    assert_ok(kad_sim_suspend(overlay.network, overlay.nodes[i], true));
  }
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  const size_t offset = offsetof(struct kad_stats, dropped_malformed);
  const uint64_t before = sum_over_honest(&overlay, offset);
  assert_true(before > 0);

  kad_overlay_run(&overlay, KAD_MINUTE_MS);

  assert_int_equal(sum_over_honest(&overlay, offset), before);
  kad_overlay_close(&overlay);
}

static uint64_t trace_of(enum kad_sim_behaviour behaviour) {
  const struct kad_sim_hostility how = {.behaviour = behaviour};
  struct kad_overlay overlay;
  open_with(&overlay, &how);
  kad_overlay_kill(&overlay, SIZE - 1);
  assert_ok(kad_sim_kill(overlay.network, overlay.nodes[SIZE - 2]));
  overlay.nodes[SIZE - 2] = NULL;
  kad_overlay_run(&overlay, KAD_MINUTE_MS);
  const uint64_t hash = kad_network_trace_hash(overlay.network);
  kad_overlay_close(&overlay);
  return hash;
}

static void hostile_nodes_follow_the_seed(void **state) {
  (void)state;
  uint64_t last = 0;
  for (int i = KAD_SIM_BEHAVIOUR_LIAR; i < KAD_SIM_BEHAVIOUR_COUNT; i++) {
    const uint64_t hash = trace_of((enum kad_sim_behaviour)i);
    assert_int_equal(trace_of((enum kad_sim_behaviour)i), hash);
    assert_int_not_equal(hash, last);
    last = hash;
  }
}

static void unknown_behaviour_is_refused(void **state) {
  (void)state;
  struct kad_overlay overlay;
  kad_overlay_open(&overlay, 1);
  struct kad_node *node = kad_overlay_add(&overlay);
  struct kad_sim_hostility how = {.behaviour = (enum kad_sim_behaviour)99};

  assert_int_equal(kad_sim_set_behaviour(overlay.network, node, &how),
                   KAD_EINVAL);
  how = (struct kad_sim_hostility){.behaviour = KAD_SIM_BEHAVIOUR_GARBAGE,
                                   .per_s = 1001};
  assert_int_equal(kad_sim_set_behaviour(overlay.network, node, &how),
                   KAD_EINVAL);
  kad_overlay_close(&overlay);
}

static void set_behaviour_survives_out_of_memory(void **state) {
  (void)state;
  const struct kad_sim_hostility how = {.behaviour = KAD_SIM_BEHAVIOUR_FLOODER};
  struct kad_overlay overlay;
  kad_overlay_open(&overlay, 1);
  struct kad_node *node = kad_overlay_add(&overlay);
  int error = KAD_ENOMEM;
  size_t nth = 0;
  for (; error != 0 && nth < 20; nth++) {
    kad_counting_fail_at(&overlay.counting, nth);
    error = kad_sim_set_behaviour(overlay.network, node, &how);
    assert_true(error == 0 || error == KAD_ENOMEM);
  }

  assert_int_equal(error, 0);
  assert_true(nth > 4);
  kad_counting_never_fail(&overlay.counting);
  kad_overlay_close(&overlay);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(silent_node_answers_pings_alone),
      cmocka_unit_test(liar_names_invented_contacts_and_other_liars),
      cmocka_unit_test(liar_replies_that_it_stores_and_does_not),
      cmocka_unit_test(sybil_names_the_sybils_of_its_key),
      cmocka_unit_test(misplacer_names_real_ids_at_wrong_addresses),
      cmocka_unit_test(mislabeler_names_real_addresses_with_wrong_ids),
      cmocka_unit_test(lurer_names_ever_closer_ids_that_answer),
      cmocka_unit_test(flooder_stores_junk_with_tokens),
      cmocka_unit_test(nodes_survive_replays),
      cmocka_unit_test(garbage_is_dropped),
      cmocka_unit_test(hostile_node_may_become_honest),
      cmocka_unit_test(suspended_flooder_sends_nothing),
      cmocka_unit_test(hostile_nodes_follow_the_seed),
      cmocka_unit_test(unknown_behaviour_is_refused),
      cmocka_unit_test(set_behaviour_survives_out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
