#include "played.h"

#include "unit.h"

#include <string.h>

size_t kad_played_find(const struct kad_played *world,
                       const struct kad_address *address) {
  size_t i = 0;
  while (i < world->count &&
         !kad_address_equal(&world->contacts[i].address, address)) {
    i++;
  }
  return i;
}

size_t kad_played_teach_closest(const struct kad_played *w, size_t who,
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
static size_t teach_next(const struct kad_played *w, size_t who,
                         struct kad_contact *out) {
  if (who + 1 == w->count) {
    return 0;
  }
  out[0] = w->contacts[who + 1];
  return 1;
}

void kad_played_open(struct kad_played *world, size_t count, size_t known) {
  struct kad_config config;
  kad_config_default(&config);
  memset(world, 0, sizeof *world);
  world->count = count;
  world->teach = kad_played_teach_closest;
  world->last = KAD_PLAYED_MAX;
  kad_lone_open(&world->lone, &config);
  for (size_t i = 0; i < count; i++) {
    world->contacts[i] = kad_lone_contact((unsigned)i + 1);
    world->delay_ms[i] = KAD_PLAYED_DELAY_MS;
    if (i < known) {
      kad_lone_meet(&world->lone, &world->contacts[i]);
    }
  }
  world->lone.answered = world->lone.sent;
}

void kad_played_open_chain(struct kad_played *world, size_t count,
                           size_t known) {
  kad_played_open(world, count, 0);
  world->teach = teach_next;
  for (size_t i = 0; i < count; i++) {
    world->contacts[i].id = kad_lone_target;
    world->contacts[i].id.bytes[1 + i / 8] ^= (uint8_t)(0x80 >> i % 8);
    if (i < known) {
      kad_lone_meet(&world->lone, &world->contacts[i]);
    }
  }
  world->lone.answered = world->lone.sent;
}

void kad_played_close(struct kad_played *world) {
  kad_lone_close(&world->lone);
}

/* Notes a query and plans its answer. */
static void hear_query(struct kad_played *world,
                       const struct kad_lone_datagram *datagram,
                       const struct kad_message *query) {
  const size_t who = kad_played_find(world, &datagram->to);
  const bool counts = query->method == KAD_METHOD_FIND_NODE &&
                      kad_id_equal(&query->target, &kad_lone_target);
  if (query->kind != KAD_MESSAGE_QUERY || who == world->count) {
    return;
  }
  if (counts) {
    world->asked[who]++;
    world->asked_at[who] = datagram->at;
    world->in_flight++;
    if (world->last == KAD_PLAYED_MAX || world->asked[world->last] == 0) {
      world->peak =
          world->in_flight > world->peak ? world->in_flight : world->peak;
    }
  }
  if (world->delay_ms[who] != KAD_TIME_NEVER) {
    struct kad_played_answer *answer = &world->answers[world->answer_count++];
    assert_true(world->answer_count <= KAD_PLAYED_FLYING);
    answer->at = datagram->at + world->delay_ms[who];
    answer->who = who;
    answer->counts = counts;
    answer->transaction_len = query->transaction.len;
    memcpy(answer->transaction, query->transaction.data,
           query->transaction.len);
  }
}

static void hear_queries(struct kad_played *world) {
  struct kad_message message;
  while (world->lone.answered < world->lone.sent) {
    const size_t back = world->lone.sent - 1 - world->lone.answered;
    const struct kad_lone_datagram *datagram =
        kad_lone_sent(&world->lone, back, &message);
    world->lone.answered++;
    hear_query(world, datagram, &message);
  }
}

static void send_answer(struct kad_played *world, size_t index) {
  const struct kad_played_answer answer = world->answers[index];
  const struct kad_contact *from = &world->contacts[answer.who];
  uint8_t bytes[KAD_LONE_SIZE];
  struct kad_writer writer = {.data = bytes, .cap = sizeof bytes};
  struct kad_message reply;
  kad_message_init(&reply, KAD_MESSAGE_REPLY);
  reply.transaction =
      (struct kad_slice){answer.transaction, answer.transaction_len};
  reply.has_id = true;
  reply.id = from->id;
  reply.has_nodes = true;
  reply.contact_count = world->teach(world, answer.who, reply.contacts);
  world->answers[index] = world->answers[--world->answer_count];
  world->in_flight -= answer.counts;
  assert_ok(kad_krpc_encode(NULL, &reply, 20, &writer));
  kad_lone_receive(&world->lone, from, (struct kad_slice){bytes, writer.len});
}

/* Returns the answer that comes first, or answer_count. */
static size_t first_answer(const struct kad_played *world) {
  size_t first = 0;
  for (size_t i = 1; i < world->answer_count; i++) {
    first = world->answers[i].at < world->answers[first].at ? i : first;
  }
  return first;
}

void kad_played_run(struct kad_played *world, kad_time_ms span_ms) {
  struct kad_lone *lone = &world->lone;
  const kad_time_ms until = lone->now + span_ms;
  while (world->calls == 0) {
    hear_queries(world);
    const size_t first = first_answer(world);
    const kad_time_ms answer =
        first < world->answer_count ? world->answers[first].at : KAD_TIME_NEVER;
    const kad_time_ms deadline = kad_node_deadline(lone->node);
    const kad_time_ms next = answer < deadline ? answer : deadline;
    if (next > until) {
      lone->now = until;
      return;
    }
    lone->now = next > lone->now ? next : lone->now;
    if (answer <= deadline) {
      send_answer(world, first);
    } else {
      kad_node_tick(lone->node);
    }
  }
}

static void take_result(void *data, const struct kad_result *result) {
  struct kad_played *world = data;
  world->calls++;
  world->status = result->status;
  world->hops = result->hops;
  world->messages = result->messages;
  world->took_ms = result->took_ms;
  world->closest_count = result->closest_count;
  for (size_t i = 0; i < result->closest_count; i++) {
    world->closest[i] = kad_played_find(world, &result->closest[i].address);
  }
  world->path_count = result->path_count;
  assert_true(result->path_count <= KAD_LONE_KEPT);
  if (result->path_count > 0) {
    memcpy(world->path, result->path,
           result->path_count * sizeof *result->path);
  }
}

kad_operation kad_played_begin(struct kad_played *world,
                               const struct kad_lookup_options *options) {
  kad_operation operation;
  assert_ok(kad_node_find_node(world->lone.node, &kad_lone_target, options,
                               take_result, world, &operation));
  assert_int_equal(world->calls, 0);
  return operation;
}

void kad_played_look_up(struct kad_played *world,
                        const struct kad_lookup_options *options) {
  (void)kad_played_begin(world, options);
  kad_played_run(world, KAD_PLAYED_PATIENCE_MS);
  assert_int_equal(world->calls, 1);
}
