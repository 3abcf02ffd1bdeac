/* A custom query along a lookup path: who is asked, what the replies are used
 * for, and how it ends. */
#include "overlay.h"
#include "unit.h"

#include <string.h>

enum {
  NODES = 60,
  K = 8,
  HEARD_MAX = 64,
  BODY_SIZE = 1000
};

/* What the callback has heard, and what it is to say. */
struct hearing {
  unsigned calls;
  struct kad_id from[HEARD_MAX];
  unsigned pass_over; /* so many replies, the first ones */
  unsigned suffice;   /* at this one; 0 for never */
  unsigned cancel;    /* at this one; 0 for never */
};

static struct kad_overlay overlay;
static struct kad_ending ending;
static struct hearing hearing;
static kad_operation_id running;
static struct kad_id key;

static int open_sixty(void **state) {
  (void)state;
  kad_overlay_open(&overlay, 11);
  kad_overlay_grow(&overlay, NODES);
  kad_ending_init(&ending, &overlay);
  hearing = (struct hearing){0};
  key = kad_overlay_key(4);
  return 0;
}

static int close_overlay(void **state) {
  (void)state;
  kad_ending_deinit(&ending);
  kad_overlay_close(&overlay);
  return 0;
}

static void sing(void *state, const struct kad_hook_call *call,
                 struct kad_hook_result *answer) {
  (void)call;
  answer->reply = kad_slice_of(state);
}

/* Lets node `i` answer the query `sing` with `reply`. */
static void teach(size_t i, void *reply) {
  const struct kad_method method = {
      .name = "sing", .state = reply, .call = sing};
  const struct kad_policy policy = {.methods = &method, .method_count = 1};
  assert_ok(kad_node_set_policy(overlay.nodes[i], &policy));
}

static void teach_all(void *reply) {
  for (size_t i = 0; i < overlay.count; i++) {
    teach(i, reply);
  }
}

static enum kad_reply_verdict hear(void *data, const struct kad_contact *from,
                                   struct kad_slice reply) {
  struct kad_bencode dict;
  assert_ptr_equal(data, &ending);
  assert_ok(kad_bencode_parse(reply, &dict));
  assert_true(hearing.calls < HEARD_MAX);
  hearing.from[hearing.calls++] = from->id;
  if (hearing.calls == hearing.cancel) {
    assert_ok(kad_node_cancel(overlay.nodes[1], running));
  }
  if (hearing.calls == hearing.suffice) {
    return KAD_REPLY_VERDICT_STOP;
  }
  return hearing.calls <= hearing.pass_over ? KAD_REPLY_VERDICT_IGNORE
                                            : KAD_REPLY_VERDICT_COUNT;
}

/* Sends `sing` from node 1 along the path to the key. */
static int query(const char *args, const struct kad_lookup_options *options) {
  const struct kad_custom_query custom = {.method = kad_slice_of("sing"),
                                          .args = kad_slice_of(args),
                                          .on_reply = hear};
  return kad_node_query(overlay.nodes[1], &key, &custom, options,
                        kad_ending_take, &ending, &running);
}

/* The contacts that the result has are the closest there are. */
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

static void every_contact_on_the_way_is_asked(void **state) {
  (void)state;
  teach_all("d4:song2:lae");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_true(ending.result.path_count >= K);
  assert_int_equal(hearing.calls, ending.result.path_count);
  assert_int_equal(ending.result.holders, hearing.calls);
  /* The replies brought the contacts: nothing else was asked. */
  assert_int_equal(ending.result.messages, hearing.calls);
  for (size_t i = 0; i < ending.result.path_count; i++) {
    assert_true(ending.result.path[i].answered);
    assert_true(ending.result.path[i].had_value);
  }
}

static void those_that_do_not_know_it_are_walked_past(void **state) {
  size_t closest;
  (void)state;
  (void)kad_overlay_closest(&overlay, &key, overlay.nodes[1], &closest, 1);
  teach(closest, "d4:song2:lae");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_int_equal(hearing.calls, 1);
  assert_true(kad_id_equal(&hearing.from[0], &overlay.ids[closest]));
  assert_int_equal(ending.result.holders, 1);
  /* All others were asked twice. */
  assert_int_equal(ending.result.messages, 2 * ending.result.path_count - 1);
}

static void where_nobody_knows_it_nothing_is_found(void **state) {
  (void)state;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOTFOUND);
  assert_found_closest();
  assert_int_equal(hearing.calls, 0);
}

static void replies_without_room_for_contacts_do_not_end_the_walk(
    void **state) {
  static char body[BODY_SIZE + 16] = "d4:song990:";
  (void)state;
  memset(body + strlen(body), 'a', 990);
  strcat(body, "e");
  teach_all(body);

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_found_closest();
  assert_int_equal(hearing.calls, ending.result.path_count);
  assert_int_equal(ending.result.messages, 2 * ending.result.path_count);
}

static void a_policy_may_name_the_contacts_itself(void **state) {
  (void)state;
  teach_all("d5:nodes0:e");

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  /* Nobody told of anybody, so that only the table's were asked. */
  assert_int_equal(ending.result.messages, ending.result.path_count);
  for (size_t i = 0; i < ending.result.path_count; i++) {
    assert_int_equal(ending.result.path[i].hop, 1);
  }
}

static void a_reply_that_suffices_ends_it(void **state) {
  (void)state;
  teach_all("de");
  hearing.suffice = 2;

  assert_ok(query("", NULL));
  assert_ok(kad_ending_await(&ending));

  assert_int_equal(hearing.calls, 2);
  assert_int_equal(ending.result.holders, 2);
  assert_true(ending.result.messages < K);
}

static void enough_replies_end_it_but_those_passed_over(void **state) {
  const struct kad_lookup_options options = {.quorum = 3};
  (void)state;
  teach_all("de");
  hearing.pass_over = 2;

  assert_ok(query("", &options));
  assert_ok(kad_ending_await(&ending));

  assert_int_equal(hearing.calls, 5);
  assert_int_equal(ending.result.holders, 3);
}

static void replies_that_are_all_passed_over_are_not_found(void **state) {
  (void)state;
  teach_all("de");
  hearing.pass_over = HEARD_MAX;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOTFOUND);
  assert_true(hearing.calls >= K);
}

static void nothing_is_heard_after_it_was_cancelled(void **state) {
  (void)state;
  teach_all("de");
  hearing.cancel = 1;

  assert_ok(query("", NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ECANCELED);
  assert_int_equal(hearing.calls, 1);
}

static void the_dead_do_not_keep_it_past_its_deadline(void **state) {
  const struct kad_lookup_options options = {.deadline_ms = 3000};
  (void)state;
  teach_all("de");
  for (size_t i = 20; i < NODES; i++) {
    kad_overlay_kill(&overlay, i);
  }

  assert_ok(query("", &options));
  assert_ok(kad_ending_await(&ending));

  assert_in_range(ending.result.took_ms, 0, 3000);
  assert_true(hearing.calls > 0);
}

static void alone_there_is_nobody_to_ask(void **state) {
  struct kad_custom_query custom = {.method = kad_slice_of("sing")};
  (void)state;
  const struct kad_node *lonely = kad_overlay_add(&overlay);

  assert_ok(kad_node_query((struct kad_node *)lonely, &key, &custom, NULL,
                           kad_ending_take, &ending, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ENOCONTACTS);
}

static void a_query_over_a_datagram_is_too_big(void **state) {
  static char args[1400] = "d1:a1300:";
  (void)state;
  memset(args + strlen(args), 'a', 1300);
  strcat(args, "e");

  assert_ok(query(args, NULL));

  assert_int_equal(kad_ending_await(&ending), KAD_ETOOBIG);
}

static void arguments_are_a_dictionary_without_a_target(void **state) {
  const struct kad_custom_query core = {.method = kad_slice_of("ping")};
  const struct kad_custom_query nameless = {.args = kad_slice_of("de")};
  (void)state;

  assert_int_equal(query("i1e", NULL), KAD_EINVAL);
  assert_int_equal(query("d", NULL), KAD_EINVAL);
  assert_int_equal(query("dede", NULL), KAD_EINVAL);
  assert_int_equal(query("d6:target2:mee", NULL), KAD_EINVAL);
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

static void whoever_is_asked_sees_the_key_and_the_arguments(void **state) {
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
      IN_OVERLAY(every_contact_on_the_way_is_asked),
      IN_OVERLAY(those_that_do_not_know_it_are_walked_past),
      IN_OVERLAY(where_nobody_knows_it_nothing_is_found),
      IN_OVERLAY(replies_without_room_for_contacts_do_not_end_the_walk),
      IN_OVERLAY(a_policy_may_name_the_contacts_itself),
      IN_OVERLAY(a_reply_that_suffices_ends_it),
      IN_OVERLAY(enough_replies_end_it_but_those_passed_over),
      IN_OVERLAY(replies_that_are_all_passed_over_are_not_found),
      IN_OVERLAY(nothing_is_heard_after_it_was_cancelled),
      IN_OVERLAY(the_dead_do_not_keep_it_past_its_deadline),
      IN_OVERLAY(alone_there_is_nobody_to_ask),
      IN_OVERLAY(a_query_over_a_datagram_is_too_big),
      IN_OVERLAY(arguments_are_a_dictionary_without_a_target),
      IN_OVERLAY(whoever_is_asked_sees_the_key_and_the_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
