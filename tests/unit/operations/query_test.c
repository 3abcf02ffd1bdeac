/* A custom query along a lookup path: which contacts get it, how the replies
 * are used, and how it ends. */
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  NODES = 60,
  K = 8,
  REPLIES_MAX = 64,
  BODY_SIZE = 1000
};

/* The calls of the reply callback, and the verdicts that it returns. */
struct replies {
  unsigned calls;
  struct kad_id from[REPLIES_MAX];
  unsigned ignored;   /* ignores so many replies first */
  unsigned stop_at;   /* stops at this reply; 0: never */
  unsigned cancel_at; /* cancels at this reply; 0: never */
};

static struct kad_overlay overlay;
static struct kad_ending ending;
static struct replies replies;
static kad_operation_id running;
static struct kad_id key;

static int open_sixty(void **state) {
  (void)state;
  kad_ending_open(&ending, &overlay, 11, NODES);
  replies = (struct replies){0};
  key = kad_overlay_key(4);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_close(&ending);
  return 0;
}

static void answer_song(void *state, const struct kad_hook_call *call,
                        struct kad_hook_result *answer) {
  (void)call;
  answer->reply = kad_slice_of(state);
}

/* Has node `i` answer the query `sing` with `reply`. */
static void set_reply(size_t i, void *reply) {
  const struct kad_method method = {
      .name = "sing", .state = reply, .call = answer_song};
  const struct kad_policy policy = {.methods = &method, .method_count = 1};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
}

static void set_all_replies(void *reply) {
  for (size_t i = 0; i < overlay.count; i++) {
    set_reply(i, reply);
  }
}

static enum kad_reply_verdict on_reply(void *data,
                                       const struct kad_contact *from,
                                       struct kad_slice reply) {
  struct kad_bencode dict;
  assert_ptr_equal(data, &ending);
  assert_ok(kad_bencode_parse(reply, &dict));
  assert_true(replies.calls < REPLIES_MAX);
  replies.from[replies.calls++] = from->id;
  if (replies.calls == replies.cancel_at) {
    assert_ok(kad_node_cancel(overlay.nodes[1], running));
  }
  if (replies.calls == replies.stop_at) {
    return KAD_REPLY_VERDICT_STOP;
  }
  return replies.calls <= replies.ignored ? KAD_REPLY_VERDICT_IGNORE
                                          : KAD_REPLY_VERDICT_COUNT;
}

/* Sends `sing` from node 1 along the path to the key. */
static int query(const char *args, const struct kad_lookup_options *options) {
  const struct kad_custom_query custom = {.method = kad_slice_of("sing"),
                                          .args = kad_slice_of(args),
                                          .on_reply = on_reply};
  return kad_node_query(overlay.nodes[1], &key, &custom, options,
                        kad_ending_done, &ending, &running);
}

/* Fails unless the result has the closest contacts of the overlay. */
static void assert_found_closest(void) {
  size_t order[K];
  const size_t count =
      kad_overlay_closest(&overlay, &key, overlay.nodes[1], order, K);
  assert_int_equal(ending.result.closest_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_true(
        kad_id_equal(&ending.result.closest[i].id, &overlay.ids[order[i]]));
  }
}

static void each_contact_on_the_path_gets_the_query(void **state) {
  (void)state;
  set_all_replies("d4:song2:lae");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_true(ending.result.path_count >= K);
  assert_int_equal(replies.calls, ending.result.path_count);
  assert_int_equal(ending.result.holders, replies.calls);
  /* The replies had the contacts: there were no other queries. */
  assert_int_equal(ending.result.messages, replies.calls);
  for (size_t i = 0; i < ending.result.path_count; i++) {
    assert_true(ending.result.path[i].answered);
    assert_true(ending.result.path[i].had_value);
  }
}

static void contacts_that_do_not_support_it_are_passed(void **state) {
  size_t closest;
  (void)state;
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[1], &closest, 1);
  set_reply(closest, "d4:song2:lae");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_int_equal(replies.calls, 1);
  assert_true(kad_id_equal(&replies.from[0], &overlay.ids[closest]));
  assert_int_equal(ending.result.holders, 1);
  /* All others got two queries. */
  assert_int_equal(ending.result.messages, 2 * ending.result.path_count - 1);
}

static void without_a_contact_that_supports_it_nothing_is_found(void **state) {
  (void)state;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOTFOUND);
  assert_found_closest();
  assert_int_equal(replies.calls, 0);
}

/* Returns how many nodes asked for a proof of the sender's address before they
 * replied. */
static uint64_t challenges(void) {
  uint64_t count = 0;
  for (size_t i = 0; i < overlay.count; i++) {
    struct kad_stats stats;
    kad_node_stats(overlay.nodes[i], &stats);
    count += stats.challenged;
  }
  return count;
}

static void replies_without_room_for_contacts_do_not_end_the_lookup(
    void **state) {
  static char body[1020 + 16] = "d4:song1020:";
  (void)state;
  memset(body + strlen(body), 'a', 1020);
  strcat(body, "e");
  set_all_replies(body);

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_int_equal(replies.calls, ending.result.path_count);
  assert_int_equal(ending.result.messages,
                   2 * ending.result.path_count + challenges());
}

static void a_policy_may_list_the_contacts_itself(void **state) {
  (void)state;
  set_all_replies("d5:nodes0:e");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  /* No reply named contacts, so only those of the table got queries. */
  assert_int_equal(ending.result.messages, ending.result.path_count);
  for (size_t i = 0; i < ending.result.path_count; i++) {
    assert_int_equal(ending.result.path[i].hop, 1);
  }
}

static void the_verdict_stop_ends_it(void **state) {
  (void)state;
  set_all_replies("de");
  replies.stop_at = 2;

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_int_equal(replies.calls, 2);
  assert_int_equal(ending.result.holders, 2);
  assert_true(ending.result.messages < K);
}

static void ignored_replies_do_not_count_for_the_quorum(void **state) {
  const struct kad_lookup_options options = {.quorum = 3};
  (void)state;
  set_all_replies("de");
  replies.ignored = 2;

  assert_ok(query("", &options));
  assert_ok(kad_ending_await(&ending));

  assert_int_equal(replies.calls, 5);
  assert_int_equal(ending.result.holders, 3);
}

static void only_ignored_replies_are_not_found(void **state) {
  (void)state;
  set_all_replies("de");
  replies.ignored = REPLIES_MAX;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOTFOUND);
  assert_true(replies.calls >= K);
}

static void no_reply_is_delivered_after_a_cancel(void **state) {
  (void)state;
  set_all_replies("de");
  replies.cancel_at = 1;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ECANCELED);
  assert_int_equal(replies.calls, 1);
}

static void dead_contacts_do_not_delay_the_deadline(void **state) {
  const struct kad_lookup_options options = {.deadline_ms = 3000};
  (void)state;
  set_all_replies("de");
  for (size_t i = 20; i < NODES; i++) {
    kad_overlay_kill(&overlay, i);
  }

  assert_ok(query("", &options));
  assert_ok(kad_ending_await(&ending));

  assert_in_range(ending.result.took_ms, 0, 3000);
  assert_true(replies.calls > 0);
}

static void a_node_without_contacts_sends_no_query(void **state) {
  struct kad_custom_query custom = {.method = kad_slice_of("sing")};
  (void)state;
  const struct kad_node *lonely = kad_overlay_add(&overlay);

  assert_ok(kad_node_query((struct kad_node *)lonely, &key, &custom, NULL,
                           kad_ending_done, &ending, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
}

static void a_query_over_a_datagram_is_too_big(void **state) {
  static char args[1500] = "d1:a1450:";
  (void)state;
  memset(args + strlen(args), 'a', 1450);
  strcat(args, "e");

  assert_ok(query(args, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ETOOBIG);
}

static void arguments_are_a_dictionary_without_id_and_target(void **state) {
  const struct kad_custom_query core = {.method = kad_slice_of("ping")};
  const struct kad_custom_query nameless = {.args = kad_slice_of("de")};
  (void)state;

  assert_int_equal(query("i1e", NULL), KAD_EINVAL);
  assert_int_equal(query("d", NULL), KAD_EINVAL);
  assert_int_equal(query("dede", NULL), KAD_EINVAL);
  assert_int_equal(query("d6:target2:mee", NULL), KAD_EINVAL);
  assert_int_equal(query("d2:id2:mee", NULL), KAD_EINVAL);
  assert_int_equal(query("d1:allllllllllllllleeeeeeeeeeeeeeee", NULL),
                   KAD_EINVAL);
  assert_int_equal(
      kad_node_query(overlay.nodes[1], &key, &core, NULL, NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_query(overlay.nodes[1], &key, &nameless, NULL, NULL, NULL, NULL),
      KAD_EINVAL);
  assert_int_equal(
      kad_node_query(overlay.nodes[1], &key, NULL, NULL, NULL, NULL, NULL),
      KAD_EINVAL);
}

static void check_arguments(void *state, const struct kad_hook_call *call,
                            struct kad_hook_result *answer) {
  struct kad_bencode dict;
  struct kad_bencode value;
  unsigned *asked = state;
  assert_ok(kad_bencode_parse(call->request->args, &dict));
  assert_true(kad_bencode_find(&dict, "target", &value));
  assert_memory_equal(value.bytes.data, key.bytes, 20);
  assert_true(kad_bencode_find(&dict, "zoo", &value));
  assert_int_equal(value.integer, 7);
  (*asked)++;
  answer->reply = kad_slice_of("de");
}

static void the_method_sees_the_key_and_the_arguments(void **state) {
  unsigned asked = 0;
  const struct kad_method method = {
      .name = "sing", .state = &asked, .call = check_arguments};
  const struct kad_policy policy = {.methods = &method, .method_count = 1};
  (void)state;
  for (size_t i = 0; i < overlay.count; i++) {
    assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
  }

  assert_ok(query("d1:a1:b3:zooi7ee", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_int_equal(asked, ending.result.path_count);
}

#define IN_OVERLAY(test) \
  cmocka_unit_test_setup_teardown(test, open_sixty, close_overlay)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_OVERLAY(each_contact_on_the_path_gets_the_query),
      IN_OVERLAY(contacts_that_do_not_support_it_are_passed),
      IN_OVERLAY(without_a_contact_that_supports_it_nothing_is_found),
      IN_OVERLAY(replies_without_room_for_contacts_do_not_end_the_lookup),
      IN_OVERLAY(a_policy_may_list_the_contacts_itself),
      IN_OVERLAY(the_verdict_stop_ends_it),
      IN_OVERLAY(ignored_replies_do_not_count_for_the_quorum),
      IN_OVERLAY(only_ignored_replies_are_not_found),
      IN_OVERLAY(no_reply_is_delivered_after_a_cancel),
      IN_OVERLAY(dead_contacts_do_not_delay_the_deadline),
      IN_OVERLAY(a_node_without_contacts_sends_no_query),
      IN_OVERLAY(a_query_over_a_datagram_is_too_big),
      IN_OVERLAY(arguments_are_a_dictionary_without_id_and_target),
      IN_OVERLAY(the_method_sees_the_key_and_the_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
