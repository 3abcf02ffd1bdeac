/* What may enter the store of a node: validate, merge, expire, quotas. */
#include "lone_node.h"
#include "unit.h"

#include <string.h>

enum {
  OPEN_MAX = 256,
  SET_MAX = 64,
  MINUTE_MS = 60000
};

static struct kad_lone lone;

/* A question that the test answers itself. */
struct open_question {
  uint64_t ticket;
  uint8_t set[SET_MAX]; /* merge: what is to be held, a byte a value */
  size_t size;
  bool merges;
};

/* The policy: what its hooks say, and what they saw. */
struct rules {
  enum kad_verdict validate;
  enum kad_verdict merge; /* KAD_ACCEPT: all values, held and incoming */
  enum kad_verdict expire;
  uint32_t life_s;
  struct open_question open[OPEN_MAX];
  size_t open_count;
  unsigned stored;
  unsigned dropped;
  uint8_t last_dropped;
  unsigned abandoned;
  struct kad_contact from;
  bool proven;
  enum kad_reason reason;
  bool overlong; /* merge: more than may be held */
};

static struct rules rules;

static struct open_question *open_question(const struct kad_question *question,
                                           struct kad_answer *answer) {
  struct open_question *open = &rules.open[rules.open_count++];
  assert_true(rules.open_count <= OPEN_MAX);
  *open = (struct open_question){.ticket = question->ticket};
  answer->verdict = KAD_LATER;
  return open;
}

static void validate(void *state, const struct kad_question *question,
                     struct kad_answer *answer) {
  (void)state;
  rules.from = question->from;
  rules.proven = question->proven;
  rules.reason = question->reason;
  answer->verdict = rules.validate;
  answer->code = 250;
  answer->reason = kad_slice_of("not today");
  if (rules.validate == KAD_LATER) {
    (void)open_question(question, answer);
  }
}

/* Makes records of single bytes; they live until the next call. */
static const struct kad_record *records_of(const uint8_t *set, size_t size) {
  static uint8_t bytes[SET_MAX];
  static struct kad_record records[SET_MAX];
  memcpy(bytes, set, size);
  memset(records, 0, sizeof records);
  for (size_t i = 0; i < size; i++) {
    records[i].value = (struct kad_slice){&bytes[i], 1};
  }
  return records;
}

/* Unites what is held with what comes. */
static size_t unite(const struct kad_question *question, uint8_t *set) {
  size_t size = 0;
  const uint8_t incoming = question->record->value.data[0];
  bool is_new = true;
  for (size_t i = 0; i < question->held_count; i++) {
    set[size] = question->held[i].value.data[0];
    is_new = is_new && set[size] != incoming;
    size++;
  }
  if (is_new) {
    set[size++] = incoming;
  }
  return size;
}

static void merge(void *state, const struct kad_question *question,
                  struct kad_answer *answer) {
  uint8_t set[SET_MAX + 1];
  const size_t size = unite(question, set);
  static const uint8_t large[KAD_VALUE_MAX + 1];
  static const struct kad_record too_large = {.value = {large, sizeof large}};
  (void)state;
  answer->verdict = rules.merge;
  if (rules.overlong) {
    answer->records = &too_large;
    answer->record_count = 1;
  } else if (rules.merge == KAD_ACCEPT) {
    answer->records = records_of(set, size);
    answer->record_count = size;
  } else if (rules.merge == KAD_LATER) {
    struct open_question *open = open_question(question, answer);
    memcpy(open->set, set, size);
    open->size = size;
    open->merges = true;
  }
}

static void expire(void *state, const struct kad_question *question,
                   struct kad_answer *answer) {
  (void)state;
  answer->verdict = rules.expire;
  answer->seconds = rules.life_s;
  if (rules.expire == KAD_LATER) {
    (void)open_question(question, answer);
  }
}

static void stored(void *state, const struct kad_question *question,
                   struct kad_answer *answer) {
  (void)state;
  (void)answer;
  assert_true(question->record->value.len > 0);
  rules.stored++;
}

static void dropped(void *state, const struct kad_question *question,
                    struct kad_answer *answer) {
  (void)state;
  (void)answer;
  rules.dropped++;
  rules.last_dropped = question->record->value.data[0];
}

static void abandon(void *state, uint64_t ticket) {
  (void)state;
  (void)ticket;
  rules.abandoned++;
}

/* Gives the node rules for plain values: those hooks of `type` that are set,
 * besides `stored` and `dropped`. */
static void set_rules(struct kad_type type) {
  type.name = "value";
  type.stored = stored;
  type.dropped = dropped;
  const struct kad_policy policy = {
      .types = &type, .type_count = 1, .abandon = abandon};
  rules = (struct rules){.life_s = 1};
  assert_ok(kad_node_set_policy(lone.node, &policy));
}

static struct kad_config plain_config(void) {
  struct kad_config config;
  kad_config_default(&config);
  config.limits = false;
  return config;
}

static void open_node(const struct kad_config *config) {
  kad_lone_open(&lone, config);
}

static int open_plain(void **state) {
  const struct kad_config config = plain_config();
  (void)state;
  open_node(&config);
  return 0;
}

static int close_node(void **state) {
  (void)state;
  kad_lone_close(&lone);
  return 0;
}

/* Stores the single byte `value` from contact `who`. */
static void store(unsigned who, uint8_t value) {
  const struct kad_contact from = kad_lone_contact(who);
  const struct kad_record record = {.value = {&value, 1}};
  kad_lone_store(&lone, &from, &record, 1);
}

/* Stores it and returns the code of the error that answers it, or 0. */
static int store_code(unsigned who, uint8_t value) {
  store(who, value);
  return kad_lone_error(&lone);
}

/* Asks for the values under the key; writes their first bytes, newest first. */
static size_t held(uint8_t *out) {
  const struct kad_contact reader = kad_lone_contact(999);
  size_t count = 0;
  struct kad_message reply;
  for (;;) {
    struct kad_message query;
    kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
    query.has_target = true;
    query.target = kad_lone_target;
    query.type = kad_slice_of("value");
    query.skip = (uint32_t)count;
    kad_lone_send(&lone, &reader, &query);
    (void)kad_lone_reply(&lone, &reply);
    if (reply.record_count == 0) {
      return count;
    }
    for (size_t i = 0; i < reply.record_count; i++) {
      out[count++] = reply.records[i].value.data[0];
    }
  }
}

/* Fails unless exactly the bytes of `expected` are held, in this order. */
static void assert_held(const char *expected) {
  uint8_t values[256];
  char text[257];
  const size_t count = held(values);
  memcpy(text, values, count);
  text[count] = '\0';
  assert_string_equal(text, expected);
}

/* Fails unless exactly the bytes of `expected` are held, in any order. */
static void assert_held_set(const uint8_t *expected, size_t size) {
  uint8_t values[256];
  const size_t count = held(values);
  assert_int_equal(count, size);
  for (size_t i = 0; i < size; i++) {
    assert_non_null(memchr(values, expected[i], count));
  }
}

static size_t count_records(void) {
  return kad_lone_stats(&lone).records;
}

/* ------------------------------------------------------------- validate -- */

static void refused_record_is_answered_with_its_reason(void **state) {
  (void)state;
  struct kad_message reply;
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_REFUSE;

  assert_int_equal(store_code(1, 'a'), 250);

  (void)kad_lone_reply(&lone, &reply);
  assert_slice_is(reply.text, "not today");
  assert_int_equal(count_records(), 0);
  assert_int_equal(rules.stored, 0);
}

static void validate_sees_who_stores(void **state) {
  (void)state;
  const struct kad_contact known = kad_lone_contact(2);
  set_rules((struct kad_type){.validate = validate});

  store(1, 'a');

  assert_int_equal(rules.reason, KAD_REASON_STORE);
  assert_int_equal(rules.from.address.ip[2], 1);
  assert_false(rules.proven);
  kad_lone_meet(&lone, &known);
  store(2, 'b');
  assert_true(rules.proven);
  assert_held("ba");
}

static void failing_validate_refuses(void **state) {
  (void)state;
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_FAILED;

  assert_int_equal(store_code(1, 'a'), KAD_CODE_FAILED);

  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
  assert_int_equal(count_records(), 0);
}

static void store_waits_for_a_later_answer(void **state) {
  (void)state;
  const struct kad_answer yes = {.verdict = KAD_ACCEPT};
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_LATER;
  store(1, 'a');
  const size_t sent = lone.sent;
  kad_lone_run(&lone, 1500);
  assert_int_equal(lone.sent, sent);

  assert_ok(kad_node_answer(lone.node, rules.open[0].ticket, &yes));

  assert_int_equal(lone.sent, sent + 1);
  assert_int_equal(kad_lone_error(&lone), 0);
  assert_held("a");
}

static void answer_past_its_deadline_is_a_failure(void **state) {
  (void)state;
  const struct kad_answer yes = {.verdict = KAD_ACCEPT};
  set_rules((struct kad_type){.validate = validate});
  rules.validate = KAD_LATER;
  store(1, 'a');

  kad_lone_run(&lone, 2500);

  assert_int_equal(kad_lone_error(&lone), KAD_CODE_FAILED);
  assert_int_equal(rules.abandoned, 1);
  assert_int_equal(kad_node_answer(lone.node, rules.open[0].ticket, &yes),
                   KAD_ENOTFOUND);
  assert_int_equal(count_records(), 0);
}

static void records_of_one_store_are_judged_each(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_message reply;
  static const uint8_t large[KAD_VALUE_MAX + 1];
  const struct kad_record values[] = {
      {.value = {(const uint8_t *)"a", 1}},
      {.value = {large, 400}},
      {.value = {(const uint8_t *)"c", 1}},
  };
  set_rules((struct kad_type){.max_size = 300});

  kad_lone_store(&lone, &from, values, 3);

  (void)kad_lone_reply(&lone, &reply);
  assert_int_equal(reply.kind, KAD_MESSAGE_REPLY);
  assert_int_equal(reply.stored, 2);
  assert_int_equal(reply.error_count, 1);
  assert_int_equal(reply.errors[0].index, 1);
  assert_int_equal(reply.errors[0].code, KAD_CODE_TOO_BIG);
  assert_held("ca");
}

static void closing_abandons_what_waits(void **state) {
  (void)state;
  set_rules((struct kad_type){.validate = validate, .merge = merge});
  rules.validate = KAD_LATER;
  store(1, 'a');
  rules.validate = KAD_ACCEPT;
  rules.merge = KAD_LATER;
  store(2, 'b');
  store(3, 'c');
  assert_int_equal(rules.open_count, 2);

  kad_node_free(lone.node);
  lone.node = NULL;

  assert_int_equal(rules.abandoned, 2);
  assert_int_equal(rules.stored, 0);
}

/* ---------------------------------------------------------------- merge -- */

static void merge_says_what_is_held(void **state) {
  (void)state;
  const uint8_t all[] = {'a', 'b', 'c'};
  set_rules((struct kad_type){.merge = merge});

  store(1, 'a');
  store(2, 'b');
  store(3, 'c');
  store(3, 'a');

  assert_held_set(all, sizeof all);
  assert_int_equal(rules.stored, 4);
  assert_int_equal(rules.dropped, 0);
}

static void winner(void *state, const struct kad_question *question,
                   struct kad_answer *answer) {
  static uint8_t best;
  (void)state;
  best = question->record->value.data[0];
  for (size_t i = 0; i < question->held_count; i++) {
    const uint8_t other = question->held[i].value.data[0];
    best = other > best ? other : best;
  }
  answer->records = records_of(&best, 1);
  answer->record_count = 1;
}

static void merge_may_drop_what_was_held(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = winner});

  store(1, 'b');
  store(2, 'd');
  assert_int_equal(rules.dropped, 1);
  assert_int_equal(rules.last_dropped, 'b');
  store(3, 'c');

  assert_held("d");
  assert_int_equal(rules.dropped, 1);
}

static void drop_everything(void *state, const struct kad_question *question,
                            struct kad_answer *answer) {
  (void)state;
  answer->verdict = KAD_ACCEPT;
  answer->record_count = question->record->value.data[0] == '0' ? 0 : 1;
  answer->records = records_of(question->record->value.data, 1);
}

static void merge_may_leave_nothing(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = drop_everything});
  store(1, 'a');

  assert_int_equal(store_code(2, '0'), 0);

  assert_int_equal(count_records(), 0);
  assert_int_equal(rules.dropped, 1);
}

static void failing_merge_leaves_what_was_held(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  store(1, 'a');
  rules.merge = KAD_FAILED;

  assert_int_equal(store_code(2, 'b'), KAD_CODE_FAILED);

  assert_held("a");
}

static void merge_that_wants_what_may_not_be_held_fails(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  store(1, 'a');
  rules.overlong = true;

  assert_int_equal(store_code(2, 'b'), KAD_CODE_FAILED);

  assert_held("a");
  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
}

static void merge_beyond_max_values_is_cut_and_counted(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge, .max_values = 2});

  store(1, 'a');
  store(2, 'b');
  assert_int_equal(store_code(3, 'c'), 0);

  assert_int_equal(count_records(), 2);
  assert_int_equal(kad_lone_stats(&lone).hook_failures, 1);
}

static void merges_of_one_key_take_turns(void **state) {
  (void)state;
  const uint8_t all[] = {'a', 'b', 'c'};
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_LATER;

  store(1, 'a');
  store(2, 'b');
  store(3, 'c');
  assert_int_equal(rules.open_count, 1);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(rules.open_count, i + 1);
    const struct kad_answer answer = {
        .verdict = KAD_ACCEPT,
        .records = records_of(rules.open[i].set, rules.open[i].size),
        .record_count = rules.open[i].size,
    };
    assert_ok(kad_node_answer(lone.node, rules.open[i].ticket, &answer));
  }

  assert_held_set(all, sizeof all);
}

static void merge_that_never_answers_lets_the_next_go_on(void **state) {
  (void)state;
  set_rules((struct kad_type){.merge = merge});
  rules.merge = KAD_LATER;
  store(1, 'a');
  store(2, 'b');
  rules.merge = KAD_ACCEPT;

  kad_lone_run(&lone, 2500);

  assert_held("b");
}

static uint32_t draw(uint64_t *state, uint32_t bound) {
  *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (uint32_t)(*state >> 33) % bound;
}

/* Answers an open question, which is then out of the list. Returns false when
 * there is none. */
static bool answer_one(uint64_t *random) {
  if (rules.open_count == 0) {
    return false;
  }
  const size_t index = draw(random, (uint32_t)rules.open_count);
  const struct open_question open = rules.open[index];
  rules.open[index] = rules.open[--rules.open_count];
  const struct kad_answer answer = {
      .verdict = KAD_ACCEPT,
      .records = open.merges ? records_of(open.set, open.size) : NULL,
      .record_count = open.merges ? open.size : 0,
  };
  assert_ok(kad_node_answer(lone.node, open.ticket, &answer));
  return true;
}

/* Whatever answers when, nothing that was accepted is lost: what is held is
 * what a set would hold. */
static void interleaved_merges_lose_nothing(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    const struct kad_config config = plain_config();
    uint8_t model[SET_MAX];
    size_t size = 0;
    uint64_t random = seed;
    open_node(&config);
    set_rules((struct kad_type){
        .validate = validate, .merge = merge, .expire = expire});
    rules.life_s = 1000;
    for (unsigned i = 0; i < 60; i++) {
      const uint8_t value = (uint8_t)(1 + draw(&random, 50));
      rules.validate = draw(&random, 2) ? KAD_LATER : KAD_ACCEPT;
      rules.merge = draw(&random, 3) ? KAD_LATER : KAD_ACCEPT;
      rules.expire = draw(&random, 2) ? KAD_FAILED : KAD_ACCEPT;
      store(1 + i, value);
      if (memchr(model, value, size) == NULL) {
        model[size++] = value;
      }
      while (draw(&random, 2) == 0 && answer_one(&random)) {
      }
    }
    while (answer_one(&random)) {
    }

    assert_held_set(model, size);
    kad_lone_close(&lone);
  }
}

/* --------------------------------------------------- default and limits -- */

static void newest_value_comes_first(void **state) {
  (void)state;
  store(1, 'a');
  kad_lone_run(&lone, 1000);
  store(2, 'b');
  kad_lone_run(&lone, 1000);
  store(3, 'c');
  assert_held("cba");
  kad_lone_run(&lone, 1000);

  store(3, 'a');

  assert_held("acb");
}

static void full_key_drops_the_oldest_of_the_same_host(void **state) {
  (void)state;
  set_rules((struct kad_type){.max_values = 3});
  store(1, 'a');
  store(2, 'b');
  store(2, 'c');

  store(2, 'd');
  assert_held("dca");
  assert_int_equal(rules.last_dropped, 'b');

  store(3, 'e');
  assert_held("edc");
  assert_int_equal(rules.last_dropped, 'a');
}

static void host_at_its_share_is_refused(void **state) {
  (void)state;
  struct kad_config config = plain_config();
  config.max_records_address = 3;
  open_node(&config);
  for (uint8_t i = 0; i < 3; i++) {
    assert_int_equal(store_code(1, (uint8_t)('a' + i)), 0);
  }

  assert_int_equal(store_code(1, 'd'), KAD_CODE_REFUSED);

  assert_int_equal(store_code(2, 'd'), 0);
  assert_int_equal(count_records(), 4);
  kad_lone_close(&lone);
}

/* Stores a signed record from contact 1; returns the code of the answer. */
static int store_signed(int64_t seq, const char *value) {
  const uint8_t seed[32] = {5};
  uint8_t publisher[KAD_PUBLISHER_SIZE];
  uint8_t secret[KAD_SECRET_SIZE];
  uint8_t signature[KAD_SIGNATURE_SIZE];
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_record record = {
      .key = kad_lone_target,
      .type = kad_slice_of("value"),
      .value = kad_slice_of(value),
      .publisher = publisher,
      .signature = signature,
      .seq = seq,
      .has_seq = true,
  };
  kad_keypair(seed, publisher, secret);
  assert_ok(kad_record_sign(&record, 160, secret, signature));
  kad_lone_store(&lone, &from, &record, 1);
  return kad_lone_error(&lone);
}

static void host_at_its_share_may_update_and_refresh(void **state) {
  (void)state;
  struct kad_config config = plain_config();
  config.max_records_address = 2;
  open_node(&config);
  assert_int_equal(store_signed(1, "x"), 0);
  assert_int_equal(store_code(1, 'a'), 0);

  assert_int_equal(store_signed(2, "y"), 0);
  assert_int_equal(store_signed(2, "y"), 0);
  assert_int_equal(store_code(1, 'a'), 0);

  assert_int_equal(store_code(1, 'b'), KAD_CODE_REFUSED);
  assert_int_equal(count_records(), 2);
  kad_lone_close(&lone);
}

static void lower_seq_is_refused(void **state) {
  (void)state;
  assert_int_equal(store_signed(5, "x"), 0);
  assert_int_equal(store_signed(4, "w"), KAD_CODE_SEQ);
  assert_int_equal(store_signed(5, "x"), 0);
  assert_int_equal(store_signed(6, "y"), 0);
  assert_held("y");
}

static void full_store_drops_of_the_largest_user(void **state) {
  (void)state;
  struct kad_config config = plain_config();
  config.max_records = 6;
  open_node(&config);
  for (uint8_t i = 0; i < 5; i++) {
    store(1, (uint8_t)('a' + i));
  }
  store(2, 'x');
  assert_int_equal(count_records(), 6);

  store(3, 'y');

  uint8_t values[16];
  const size_t count = held(values);
  assert_int_equal(count, 6);
  assert_non_null(memchr(values, 'x', count));
  assert_non_null(memchr(values, 'y', count));
  assert_int_equal(kad_lone_stats(&lone).evicted, 1);
  kad_lone_close(&lone);
}

/* When what has just come is what has to go, as it is the first of its host to
 * expire, it is not acknowledged. */
static void record_that_goes_at_once_is_refused(void **state) {
  (void)state;
  const struct kad_contact from = kad_lone_contact(1);
  struct kad_config config = plain_config();
  unsigned refused = 0;
  config.max_records = 4;
  open_node(&config);
  for (unsigned i = 0; i < 20; i++) {
    const uint8_t value = (uint8_t)('a' + i);
    const struct kad_record record = {.value = {&value, 1},
                                      .ttl = i % 3 == 0 ? 50 : 0};
    uint8_t values[16];
    kad_lone_store(&lone, &from, &record, 1);
    const int code = kad_lone_error(&lone);
    const size_t count = held(values);
    assert_int_equal(memchr(values, value, count) != NULL, code == 0);
    refused += code == KAD_CODE_REFUSED;
  }
  assert_int_equal(count_records(), 4);
  assert_in_range(refused, 1, 7);
  kad_lone_close(&lone);
}

static void update_in_a_full_store_costs_nobody_a_record(void **state) {
  (void)state;
  struct kad_config config = plain_config();
  config.max_records = 4;
  open_node(&config);
  assert_int_equal(store_signed(1, "s"), 0);
  store(2, 'a');
  store(2, 'b');
  store(2, 'c');

  assert_int_equal(store_signed(2, "t"), 0);

  assert_held("tcba");
  assert_int_equal(kad_lone_stats(&lone).evicted, 0);
  kad_lone_close(&lone);
}

/* Stores `value` with a life, and returns how long it lives then. */
static uint32_t store_for(unsigned who, uint8_t value, uint32_t ttl) {
  const struct kad_contact from = kad_lone_contact(who);
  const struct kad_record record = {.value = {&value, 1}, .ttl = ttl};
  struct kad_message query;
  struct kad_message reply;
  kad_lone_store(&lone, &from, &record, 1);
  kad_lone_begin(&query, KAD_METHOD_FIND_VALUE);
  query.has_target = true;
  query.target = kad_lone_target;
  query.type = kad_slice_of("value");
  kad_lone_send(&lone, &from, &query);
  (void)kad_lone_reply(&lone, &reply);
  return reply.records[0].ttl;
}

static void another_host_does_not_shorten_a_life(void **state) {
  (void)state;

  assert_int_equal(store_for(1, 'a', 5000), 5000);
  assert_int_equal(store_for(2, 'a', 1), 5000);
  assert_int_equal(store_for(2, 'a', 6000), 6000);
  assert_int_equal(store_for(1, 'a', 100), 100);
}

/* Confirming the records of others neither counts against one's share nor
 * makes them one's own. */
static void confirming_does_not_take_records_over(void **state) {
  (void)state;
  struct kad_config config = plain_config();
  config.max_records_address = 2;
  config.max_records = 4;
  open_node(&config);
  store(1, 'a');
  store(2, 'b');
  store(3, 'c');

  store(9, 'a');
  store(9, 'b');
  store(9, 'c');
  assert_int_equal(store_code(9, 'x'), 0);
  assert_int_equal(store_code(9, 'y'), 0);

  uint8_t values[16];
  const size_t count = held(values);
  assert_non_null(memchr(values, 'a', count));
  assert_non_null(memchr(values, 'b', count));
  assert_non_null(memchr(values, 'c', count));
  kad_lone_close(&lone);
}

/* Whatever allocation fails, an answer comes, and nothing is half held. */
static void store_survives_any_failed_allocation(void **state) {
  (void)state;
  set_rules((struct kad_type){
      .validate = validate, .merge = merge, .expire = expire});
  bool failed = true;
  for (size_t n = 0; failed; n++) {
    const uint8_t value = (uint8_t)(1 + n);
    const size_t before = count_records();
    kad_counting_fail_at(&lone.counting, n);
    const int code = store_code(1, value);
    failed = lone.counting.has_failed;
    kad_counting_never_fail(&lone.counting);
    assert_int_equal(count_records(), before + (code == 0));
    assert_true(n < 50);
  }
}

#define with_node(test) \
  cmocka_unit_test_setup_teardown(test, open_plain, close_node)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_node(refused_record_is_answered_with_its_reason),
      with_node(validate_sees_who_stores),
      with_node(failing_validate_refuses),
      with_node(store_waits_for_a_later_answer),
      with_node(answer_past_its_deadline_is_a_failure),
      with_node(records_of_one_store_are_judged_each),
      with_node(closing_abandons_what_waits),
      with_node(merge_says_what_is_held),
      with_node(merge_may_drop_what_was_held),
      with_node(merge_may_leave_nothing),
      with_node(failing_merge_leaves_what_was_held),
      with_node(merge_that_wants_what_may_not_be_held_fails),
      with_node(merge_beyond_max_values_is_cut_and_counted),
      with_node(merges_of_one_key_take_turns),
      with_node(merge_that_never_answers_lets_the_next_go_on),
      cmocka_unit_test(interleaved_merges_lose_nothing),
      with_node(newest_value_comes_first),
      with_node(full_key_drops_the_oldest_of_the_same_host),
      cmocka_unit_test(host_at_its_share_is_refused),
      cmocka_unit_test(host_at_its_share_may_update_and_refresh),
      with_node(lower_seq_is_refused),
      cmocka_unit_test(full_store_drops_of_the_largest_user),
      cmocka_unit_test(record_that_goes_at_once_is_refused),
      cmocka_unit_test(update_in_a_full_store_costs_nobody_a_record),
      with_node(another_host_does_not_shorten_a_life),
      cmocka_unit_test(confirming_does_not_take_records_over),
      with_node(store_survives_any_failed_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
