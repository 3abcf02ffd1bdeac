/* Asking a node for a sample (BEP 51). Tests core/operations/sample.c. */
#include "kadenza_sample.h"
#include "lone_node.h"
#include "overlay.h"
#include "unit.h"

#include <string.h>

/* What the callback saw. */
struct seen {
  bool done;
  int status;
  size_t count, contact_count;
  uint32_t num, interval_s;
  struct kad_id first;
};

static void on_end(void *data, const struct kad_result *result) {
  struct seen *seen = data;
  assert_false(seen->done);
  *seen = (struct seen){.done = true, .status = result->status};
  assert_int_equal(result->sampled != NULL, result->status == 0);
  if (result->sampled != NULL) {
    const struct kad_sampled *sampled = result->sampled;
    seen->count = sampled->count;
    seen->contact_count = sampled->contact_count;
    seen->num = sampled->num;
    seen->interval_s = sampled->interval_s;
    seen->first = sampled->count > 0 ? sampled->ids[0] : seen->first;
  }
}

static void a_node_gives_its_info_hashes_and_contacts(void **state) {
  (void)state;
  struct kad_overlay overlay;
  struct kad_ending ending;
  struct seen seen = {.done = false};
  const struct kad_id key = kad_overlay_key(4);
  size_t holder = 0;
  kad_overlay_open(&overlay, 3);
  kad_overlay_grow(&overlay, 20);
  kad_ending_init(&ending, &overlay);
  assert_ok(kad_node_announce(overlay.nodes[5], &key, 80, NULL, kad_ending_done,
                              &ending, NULL));
  assert_ok(kad_ending_await(&ending));
  (void)kad_overlay_closest(&overlay, &key, NULL, &holder, 1);
  const struct kad_contact to = {.id = overlay.ids[holder],
                                 .address = kad_overlay_address(holder)};

  assert_ok(kad_node_sample(overlay.nodes[9], &to, &key, on_end, &seen, NULL));
  kad_network_run(overlay.network, KAD_MINUTE_MS);

  assert_true(seen.done);
  assert_ok(seen.status);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.num, 1);
  assert_true(kad_id_equal(&seen.first, &key));
  assert_int_equal(seen.contact_count, 8);
  kad_ending_deinit(&ending);
  kad_overlay_close(&overlay);
}

/* One of the functions of kadenza_sample.h. */
typedef int (*ask_fn)(struct kad_node *node, const struct kad_contact *to,
                      const struct kad_id *target, kad_done_fn done, void *data,
                      kad_operation_id *operation);

/* Asks the contact 1 with `start`, which sends `method`; it sends `given`. */
static struct seen ask_with(ask_fn start, enum kad_method_id method,
                            const struct kad_message *given) {
  struct kad_lone lone;
  struct seen seen = {.done = false};
  struct kad_message query;
  struct kad_message reply = *given;
  const struct kad_contact to = kad_lone_contact(1);
  kad_lone_open(&lone, NULL);
  assert_ok(start(lone.node, &to, &kad_lone_target, on_end, &seen, NULL));
  kad_lone_run(&lone, 10);
  assert_true(kad_lone_find_query(&lone, &to.address, &query));
  assert_int_equal(query.method, method);
  reply.transaction = query.transaction;
  reply.has_id = reply.kind == KAD_MESSAGE_REPLY;
  reply.id = to.id;
  kad_lone_send(&lone, &to, &reply);
  kad_lone_run(&lone, 30000);
  assert_true(seen.done);
  kad_lone_close(&lone);
  return seen;
}

/* Asks the contact 1 for a sample; it sends `given`. */
static struct seen ask(const struct kad_message *given) {
  return ask_with(kad_node_sample, KAD_METHOD_SAMPLE_INFOHASHES, given);
}

/* "This lets indexing nodes … distinguish nodes supporting this extension". */
static void bep_51_a_reply_without_samples_is_no_sample(void **state) {
  (void)state;
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.has_nodes = true;
  assert_int_equal(ask(&reply).status, KAD_EMALFORMED);
}

static void an_error_is_told(void **state) {
  (void)state;
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_ERROR);
  reply.code = KAD_CODE_METHOD;
  reply.text = kad_slice_of("method unknown");
  assert_int_equal(ask(&reply).status, KAD_EREMOTE);
}

static void an_interval_is_bounded(void **state) {
  (void)state;
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.has_samples = true;
  reply.has_interval = true;
  reply.interval = UINT32_MAX;
  const struct seen seen = ask(&reply);
  assert_ok(seen.status);
  assert_int_equal(seen.interval_s, 21600);
  assert_int_equal(seen.count, 0);
  assert_int_equal(seen.num, 0);
}

static void a_node_names_its_neighbours(void **state) {
  (void)state;
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.has_nodes = true;
  reply.contact_count = 2;
  reply.contacts[0] = kad_lone_contact(2);
  reply.contacts[1] = kad_lone_contact(3);
  const struct seen seen =
      ask_with(kad_node_neighbours, KAD_METHOD_FIND_NODE, &reply);
  assert_ok(seen.status);
  assert_int_equal(seen.contact_count, 2);
  assert_int_equal(seen.count, 0);
}

static void a_reply_without_contacts_names_no_neighbours(void **state) {
  (void)state;
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  const struct seen seen =
      ask_with(kad_node_neighbours, KAD_METHOD_FIND_NODE, &reply);
  assert_ok(seen.status);
  assert_int_equal(seen.contact_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_node_gives_its_info_hashes_and_contacts),
      cmocka_unit_test(bep_51_a_reply_without_samples_is_no_sample),
      cmocka_unit_test(an_error_is_told),
      cmocka_unit_test(an_interval_is_bounded),
      cmocka_unit_test(a_node_names_its_neighbours),
      cmocka_unit_test(a_reply_without_contacts_names_no_neighbours),
  };
  return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
