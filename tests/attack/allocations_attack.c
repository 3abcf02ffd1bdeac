/* Lets memory end while a node serves a query or runs an operation: the n-th
 * allocation fails, for every n in turn, or for one, or all allocations over a
 * limit. Nothing leaks, nothing that the node holds is lost, every operation
 * ends, and the same request works as before. */
#include "attack.h"
#include "forge.h"

#include <string.h>

enum {
  QUERIES = KAD_METHOD_SAMPLE_INFOHASHES + 1, /* the methods; then come the
                                                 operations, and set_policy */
  REQUESTS = QUERIES + KAD_VICTIM_OPERATIONS + 1,
  RUN_MS = 3000,
  FAILURES_MAX = 400, /* allocations of one request */
  NO_STATUS = 1
};

static struct kad_victim victim;
static struct kad_forge forge;
static bool was_known[KAD_VICTIM_HONEST];
static bool is_calm; /* no hook decides, so that results can be compared */
/* Write tokens for kad_lone_target, and for the small item. */
static uint8_t tokens[2][KAD_VICTIM_HONEST][KAD_TOKEN_MAX];
static size_t token_lens[2][KAD_VICTIM_HONEST];
static struct kad_stats before;

static void begin(uint64_t seed) {
  struct kad_dice dice = {~seed};
  memset(&forge, 0, sizeof forge);
  memset(token_lens, 0, sizeof token_lens);
  kad_victim_open(&victim, seed);
  victim.may_stop = false;
  for (size_t i = 0; i < KAD_VICTIM_STRANGERS; i++) { /* no one is silent */
    victim.strangers[i] = victim.honest[i % KAD_VICTIM_HONEST];
  }
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    was_known[i] = kad_lone_knows(&victim.lone, &victim.honest[i]);
  }
  is_calm = !kad_dice_one_in(&dice, 3);
  if (!is_calm) {
    kad_victim_set_policy(&victim, &dice);
  }
}

/* Gets the write token of an honest contact for `target`. */
static void get_token(size_t who, const struct kad_id *target, size_t which) {
  struct kad_message reply;
  struct kad_message query;
  size_t sent = victim.lone.sent;
  kad_lone_begin(&query, KAD_METHOD_GET_PEERS);
  query.has_target = true;
  query.target = *target;
  kad_lone_send(&victim.lone, &victim.honest[who], &query);
  if (victim.lone.sent > sent) {
    (void)kad_lone_sent(&victim.lone, 0, &reply);
    if (reply.kind == KAD_MESSAGE_REPLY && reply.token.len > 0) {
      token_lens[which][who] = reply.token.len;
      memcpy(tokens[which][who], reply.token.data, reply.token.len);
    }
  }
}

/* Gets the write tokens that queries need, while memory is there. */
static void get_tokens(void) {
  struct kad_record item;
  kad_items_make(0, 0, &item);
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    get_token(i, &kad_lone_target, 0);
    get_token(i, &item.key, 1);
  }
}

/* Sends a query of an honest contact. Returns the kind of the reply, or
 * NO_STATUS without one, or the code of the error. */
static int query(struct kad_dice *dice, enum kad_method_id method) {
  struct kad_lone *lone = &victim.lone;
  size_t who = kad_dice_below(dice, KAD_VICTIM_HONEST);
  const struct kad_contact *from = &victim.honest[who];
  struct kad_message message;
  struct kad_message reply;
  kad_forge_query(&forge, &victim, dice, from, &message);
  message.method = method;
  message.has_target = true;
  message.target = kad_lone_target;
  message.name = kad_slice_of("hello");
  message.args = kad_slice_of("de");
  message.read_only = false;
  message.record_count = 1;
  message.records[0] = (struct kad_record){.value = kad_slice_of("again")};
  message.type = kad_slice_of("value");
  message.why = kad_slice_of("");
  message.has_ttl = false;
  const bool is_put = method == KAD_METHOD_PUT;
  if (is_put) {
    kad_items_make(0, 0, &message.records[0]);
    message.target = message.records[0].key;
    message.has_cas = false;
  }
  message.token =
      (struct kad_slice){tokens[is_put][who], token_lens[is_put][who]};
  size_t sent = lone->sent;
  kad_lone_send(lone, from, &message);
  if (lone->sent == sent) {
    return NO_STATUS;
  }
  (void)kad_lone_sent(lone, lone->sent - 1 - sent, &reply);
  return reply.kind == KAD_MESSAGE_ERROR ? reply.code : 0;
}

/* Starts an operation and runs to its end. Returns its status. */
static int operate(struct kad_dice *dice, unsigned kind) {
  uint64_t ended = victim.ended;
  victim.status = 0;
  int error = kad_victim_start(&victim, dice, kind);
  if (error != 0) {
    return error;
  }
  kad_victim_run(&victim, RUN_MS);
  return victim.ended == ended + 1 ? victim.status : NO_STATUS;
}

/* Makes the request that `seed` says. The same seed makes the same request. */
static int request(uint64_t seed) {
  struct kad_dice dice = {seed};
  uint64_t kind = kad_dice_below(&dice, REQUESTS);
  victim.dice.state = seed;
  if (kind < QUERIES) {
    return query(&dice, (enum kad_method_id)kind);
  }
  if (kind < QUERIES + KAD_VICTIM_OPERATIONS) {
    return operate(&dice, (unsigned)kind - QUERIES);
  }
  is_calm ? kad_victim_calm(&victim) : kad_victim_set_policy(&victim, &dice);
  return 0;
}

/* What the node holds is what it held, or more. */
static void check_kept(void) {
  struct kad_stats stats = kad_lone_stats(&victim.lone);
  for (size_t i = 0; i < KAD_VICTIM_HONEST; i++) {
    CHECK(!was_known[i] || kad_lone_knows(&victim.lone, &victim.honest[i]));
  }
  CHECK(!is_calm || stats.publications >= before.publications);
  CHECK(!is_calm || stats.records >= before.records ||
        stats.expired > before.expired);
  kad_victim_check(&victim);
}

/* Makes the request while the allocation `n` of it fails. Returns true if it
 * has so many. */
static bool fail_at(uint64_t seed, size_t n) {
  struct kad_counting_allocator *counting = &victim.lone.counting;
  kad_attack_show("  allocation %zu fails", n);
  get_tokens();
  kad_counting_fail_at(counting, n);
  (void)request(seed);
  bool failed = counting->has_failed;
  kad_counting_never_fail(counting);
  kad_victim_run(&victim, RUN_MS);
  check_kept();
  return failed;
}

/* Makes the request while there are only so many bytes. */
static void fail_over_limit(uint64_t seed, size_t room) {
  struct kad_counting_allocator *counting = &victim.lone.counting;
  kad_attack_show("  %zu bytes are left", room);
  get_tokens();
  counting->limit_bytes = counting->bytes + room;
  (void)request(seed);
  counting->limit_bytes = SIZE_MAX;
  kad_victim_run(&victim, RUN_MS);
  check_kept();
}

static void step(uint64_t seed) {
  struct kad_dice dice = {seed};
  uint64_t request_seed = kad_dice_next(&dice);
  kad_victim_run(&victim, kad_dice_below(&dice, 1000));
  get_tokens();
  int expected = request(request_seed);
  kad_victim_run(&victim, RUN_MS);
  before = kad_lone_stats(&victim.lone);
  kad_attack_show("  request %llu: %d", (unsigned long long)request_seed,
                  expected);
  switch (kad_dice_below(&dice, 3)) {
  case 0:
    for (size_t n = 0; n < FAILURES_MAX && fail_at(request_seed, n); n++) {
    }
    break;
  case 1:
    (void)fail_at(request_seed, kad_dice_below(&dice, FAILURES_MAX / 8));
    break;
  default:
    fail_over_limit(request_seed, kad_dice_below(&dice, 4096));
  }
  get_tokens();
  int result = request(request_seed);
  kad_attack_show("  afterwards: %d", result);
  /* What was published meanwhile may be found now. */
  CHECK(!is_calm || result == expected || result == 0);
}

static void end(void) {
  kad_victim_close(&victim);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "allocations",
      .steps = 12,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
