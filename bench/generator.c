#define _GNU_SOURCE

#include "generator.h"

#include "krpc_reply.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  SLOT_BITS = 16,
  SWEEP_TRIES = 4,
  NS_PER_MS = 1000000,
  NS_PER_SECOND = 1000000000,
  FIRST_HOST = 0x7F000002, /* 127.0.0.2 */
  ANNOUNCED_PORT = 6881,
  ECHO_TOKEN_BYTES = 8,
};

_Static_assert(GENERATOR_WINDOW_MAX <= 1 << SLOT_BITS, "a slot fits a tid");

static const uint64_t expire_period_ns = 20000000;

static uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int open_sources(struct generator *generator) {
  const struct generator_options *options = &generator->options;
  uint64_t seed = ~options->seed;
  for (uint32_t i = 0; i < options->sources; i++) {
    struct source *source = &generator->sources[i];
    if (source_open(source, FIRST_HOST + i) < 0) {
      fprintf(stderr, "load: 127.0.0.%u: %s\n", 2 + i, strerror(errno));
      return -1;
    }
    source_random(&seed, source->id, KRPC_ID_BYTES);
  }
  return 0;
}

/* Makes the items, whose targets follow from what they are. */
static int make_items(struct generator *generator) {
  const struct generator_options *options = &generator->options;
  if (items_init(&generator->items, options->keys, options->value_size,
                 krpc_kind_is_mutable(options->kind)) < 0) {
    return -1;
  }
  for (size_t i = 0; i < options->keys; i++) {
    items_target(&generator->items, i, generator->targets + i * KRPC_ID_BYTES);
  }
  return 0;
}

int generator_init(struct generator *generator,
                   const struct generator_options *options) {
  memset(generator, 0, sizeof(*generator));
  generator->options = *options;
  for (size_t i = 0; i < GENERATOR_SOURCES_MAX; i++) {
    generator->sources[i].fd = -1;
  }
  size_t keys = options->keys;
  generator->targets = calloc(keys, KRPC_ID_BYTES);
  generator->value_bytes = calloc(1, DATAGRAM_BYTES);
  generator->tokens =
      calloc(keys * options->sources, sizeof(*generator->tokens));
  if (generator->targets == NULL || generator->value_bytes == NULL ||
      generator->tokens == NULL) {
    fputs("load: out of memory\n", stderr);
    return -1;
  }
  uint64_t seed = options->seed;
  source_random(&seed, generator->targets, keys * KRPC_ID_BYTES);
  source_random(&seed, generator->value_bytes, DATAGRAM_BYTES);
  if (krpc_kind_has_item(options->kind) && make_items(generator) < 0) {
    fputs("load: cannot make the items\n", stderr);
    return -1;
  }
  datagrams_init(&generator->received);
  datagrams_init(&generator->sending);
  return open_sources(generator);
}

void generator_deinit(struct generator *generator) {
  for (size_t i = 0; i < GENERATOR_SOURCES_MAX; i++) {
    source_close(&generator->sources[i]);
  }
  free(generator->targets);
  free(generator->value_bytes);
  free(generator->tokens);
  items_deinit(&generator->items);
}

static struct generator_token *token_of(struct generator *generator,
                                        uint32_t source, uint32_t key) {
  size_t keys = generator->options.keys;
  return &generator->tokens[source * keys + key];
}

/* Slot i always belongs to source i mod sources. */
static uint32_t source_of(const struct generator *generator, uint32_t slot) {
  assert(generator->options.sources > 0);
  return slot % generator->options.sources;
}

/* Makes the value of a source and key unique by its first bytes. */
static void mark_value(struct generator *generator, uint32_t source,
                       uint32_t key) {
  uint32_t mark[2] = {source, key};
  memcpy(generator->value_bytes, mark, sizeof(mark));
}

static size_t write_query(struct generator *generator, uint32_t slot_index,
                          uint8_t *out) {
  const struct generator_options *options = &generator->options;
  const struct generator_slot *slot = &generator->slots[slot_index];
  uint32_t source = source_of(generator, slot_index);
  const struct generator_token *token = token_of(generator, source, slot->key);
  mark_value(generator, source, slot->key);
  struct krpc_query query = {
      .kind = generator->kind,
      .tid = (uint32_t)slot->generation << SLOT_BITS | slot_index,
      .id = generator->sources[source].id,
      .target = generator->targets + (size_t)slot->key * KRPC_ID_BYTES,
      .token = token->bytes,
      .token_len = options->echo ? ECHO_TOKEN_BYTES : token->len,
      .type = options->type,
      .value = generator->value_bytes,
      .value_len = options->value_size,
      .port = ANNOUNCED_PORT,
      .read_only = options->read_only,
  };
  if (generator->kind == KRPC_UPDATE) {
    (void)items_update(&generator->items, slot->key);
  }
  if (krpc_kind_has_item(generator->kind)) {
    items_fill(&generator->items, slot->key, &query);
  }
  return krpc_query_write(&query, out);
}

static uint32_t first_key(const struct generator *generator, uint32_t source) {
  const struct generator_options *options = &generator->options;
  return options->spread ? source % options->keys : 0;
}

/* Gives a free slot the source's next key. Returns false after the last key of
 * a sweep. */
static bool assign_key(struct generator *generator, uint32_t slot_index) {
  const struct generator_options *options = &generator->options;
  struct generator_slot *slot = &generator->slots[slot_index];
  uint32_t source = source_of(generator, slot_index);
  uint32_t *next = &generator->next_key[source];
  if (slot->tries > 0) {
    return true; /* a sweep repeats a lost query */
  }
  if (*next >= options->keys) {
    if (generator->sweep) {
      return false;
    }
    *next = first_key(generator, source);
  }
  slot->key = *next;
  *next += options->spread ? options->sources : 1;
  return true;
}

static void flush(struct generator *generator, uint32_t source) {
  datagrams_send(&generator->sending, generator->sources[source].fd);
}

static void send_query(struct generator *generator, uint32_t slot_index) {
  uint32_t source = source_of(generator, slot_index);
  struct generator_slot *slot = &generator->slots[slot_index];
  uint8_t *room = datagrams_room(&generator->sending);
  if (room == NULL) {
    flush(generator, source);
    room = datagrams_room(&generator->sending);
  }
  slot->busy = true;
  slot->generation++;
  slot->sent_ns = generator->now_ns;
  generator->free_slots[source]--;
  datagrams_add(&generator->sending, write_query(generator, slot_index, room),
                &generator->options.server);
}

static void fill_window(struct generator *generator, uint32_t source) {
  const struct generator_options *options = &generator->options;
  for (uint32_t i = source; i < options->window; i += options->sources) {
    if (!generator->slots[i].busy && assign_key(generator, i)) {
      send_query(generator, i);
    }
  }
  flush(generator, source);
}

static void count_error(struct generator_tally *tally, int64_t code,
                        uint64_t count) {
  for (size_t i = 0; i < GENERATOR_ERRORS_MAX; i++) {
    struct generator_error *error = &tally->errors[i];
    if (error->count == 0 || error->code == code) {
      error->code = code;
      error->count += count;
      return;
    }
  }
}

static void free_slot(struct generator *generator, uint32_t slot_index) {
  generator->slots[slot_index].busy = false;
  generator->free_slots[source_of(generator, slot_index)]++;
}

static void keep_token(struct generator *generator, uint32_t slot_index,
                       const struct krpc_reply *reply) {
  if (reply->token == NULL || reply->token_len > KRPC_TOKEN_MAX) {
    return;
  }
  generator->tally.tokens++;
  struct generator_token *token =
      token_of(generator, source_of(generator, slot_index),
               generator->slots[slot_index].key);
  token->len = (uint8_t)reply->token_len;
  memcpy(token->bytes, reply->token, reply->token_len);
}

/* Returns the slot of the query that a reply answers, or NULL. */
static struct generator_slot *find_slot(struct generator *generator,
                                        const struct krpc_reply *reply,
                                        uint32_t source) {
  if (reply->tid_len != KRPC_TID_BYTES) {
    return NULL;
  }
  const uint8_t *tid = reply->tid;
  uint32_t generation = (uint32_t)tid[0] << 8 | tid[1];
  uint32_t index = (uint32_t)tid[2] << 8 | tid[3];
  if (index >= generator->options.window ||
      source_of(generator, index) != source) {
    return NULL;
  }
  struct generator_slot *slot = &generator->slots[index];
  return slot->busy && slot->generation == generation ? slot : NULL;
}

static void handle_reply(struct generator *generator, uint32_t source,
                         const struct krpc_reply *reply, size_t len) {
  struct generator_tally *tally = &generator->tally;
  struct generator_slot *slot = find_slot(generator, reply, source);
  if (slot == NULL) {
    tally->malformed++;
    return;
  }
  uint32_t index = (uint32_t)(slot - generator->slots);
  slot->tries = 0;
  free_slot(generator, index);
  if (reply->sort == 'e') {
    count_error(tally, reply->code, 1);
    return;
  }
  keep_token(generator, index, reply);
  tally->replies++;
  tally->bytes += len;
  tally->nodes += reply->nodes;
  tally->values += reply->values;
  latency_add(&tally->latency, generator->now_ns - slot->sent_ns);
}

/* Answers a query of the server, so that the source becomes its contact. */
static void answer_query(struct generator *generator, uint32_t source,
                         const struct krpc_reply *query) {
  generator->tally.asked++;
  uint8_t *room = datagrams_room(&generator->sending);
  if (query->tid_len > KRPC_TOKEN_MAX || room == NULL) {
    return;
  }
  size_t len = krpc_answer_write(generator->sources[source].id, query->tid,
                                 query->tid_len, room);
  datagrams_add(&generator->sending, len, &generator->options.server);
}

static void handle_datagram(struct generator *generator, uint32_t source,
                            size_t i) {
  size_t len = 0;
  const uint8_t *data = datagrams_get(&generator->received, i, &len);
  struct krpc_reply reply;
  if (krpc_reply_read(data, len, &reply) < 0) {
    generator->tally.malformed++;
  } else if (reply.sort == 'q' && !generator->options.echo) {
    answer_query(generator, source, &reply);
  } else {
    handle_reply(generator, source, &reply, len);
  }
}

static void serve_source(struct generator *generator, uint32_t source) {
  size_t count =
      datagrams_receive(&generator->received, generator->sources[source].fd);
  if (count > 0) {
    generator->now_ns = clock_ns();
  }
  for (size_t i = 0; i < count; i++) {
    handle_datagram(generator, source, i);
  }
  bool has_burst = generator->free_slots[source] >= generator->options.burst;
  if (has_burst && !generator->stopped) {
    fill_window(generator, source);
  }
  flush(generator, source);
}

/* Frees the slots of queries that got no reply in time. A sweep repeats such a
 * query a few times. */
static void expire(struct generator *generator) {
  uint64_t timeout_ns = (uint64_t)generator->options.timeout_ms * NS_PER_MS;
  for (uint32_t i = 0; i < generator->options.window; i++) {
    struct generator_slot *slot = &generator->slots[i];
    if (slot->busy && generator->now_ns - slot->sent_ns > timeout_ns) {
      generator->tally.lost++;
      slot->tries++;
      slot->tries = generator->sweep ? slot->tries % SWEEP_TRIES : 0;
      free_slot(generator, i);
    }
  }
}

static void begin_pass(struct generator *generator, enum krpc_kind kind,
                       bool sweep) {
  const struct generator_options *options = &generator->options;
  generator->kind = kind;
  generator->sweep = sweep;
  generator->stopped = false;
  memset(&generator->tally, 0, sizeof(generator->tally));
  for (uint32_t i = 0; i < options->sources; i++) {
    generator->next_key[i] = first_key(generator, i);
    generator->free_slots[i] = 0;
  }
  for (uint32_t i = 0; i < options->window; i++) {
    generator->slots[i].busy = false;
    generator->slots[i].tries = 0;
    generator->free_slots[source_of(generator, i)]++;
  }
}

static bool has_asked_all(const struct generator *generator) {
  const struct generator_options *options = &generator->options;
  uint32_t free_count = 0;
  bool keys_left = false;
  for (uint32_t i = 0; i < options->sources; i++) {
    free_count += generator->free_slots[i];
    keys_left = keys_left || generator->next_key[i] < options->keys;
  }
  for (uint32_t i = 0; i < options->window; i++) {
    keys_left = keys_left || generator->slots[i].tries > 0;
  }
  return free_count == options->window && (generator->stopped || !keys_left);
}

/* Serves every source in turn until `end_ns`, or until a sweep has ended. Never
 * blocks: the server would pay for the wake-up of a sleeping client. */
static void run_until(struct generator *generator, uint64_t end_ns) {
  uint64_t expire_ns = 0;
  generator->now_ns = clock_ns();
  while (generator->now_ns < end_ns) {
    for (uint32_t i = 0; i < generator->options.sources; i++) {
      serve_source(generator, i);
    }
    generator->now_ns = clock_ns();
    if (generator->now_ns < expire_ns) {
      continue;
    }
    expire_ns = generator->now_ns + expire_period_ns;
    expire(generator);
    if ((generator->sweep || generator->stopped) && has_asked_all(generator)) {
      return;
    }
  }
}

static void add_tally(struct generator_tally *sum,
                      const struct generator_tally *tally) {
  sum->replies += tally->replies;
  sum->lost += tally->lost;
  sum->malformed += tally->malformed;
  sum->asked += tally->asked;
  sum->tokens += tally->tokens;
  for (size_t i = 0; i < GENERATOR_ERRORS_MAX; i++) {
    if (tally->errors[i].count > 0) {
      count_error(sum, tally->errors[i].code, tally->errors[i].count);
    }
  }
}

static void sweep(struct generator *generator, enum krpc_kind kind,
                  uint64_t end_ns, struct generator_tally *sum) {
  uint64_t start_ns = clock_ns();
  begin_pass(generator, kind, true);
  run_until(generator, end_ns);
  add_tally(sum, &generator->tally);
  sum->seconds += (double)(clock_ns() - start_ns) / NS_PER_SECOND;
}

struct generator_tally generator_warm_up(struct generator *generator,
                                         uint64_t limit_ms) {
  const struct generator_options *options = &generator->options;
  uint64_t end_ns = clock_ns() + limit_ms * NS_PER_MS;
  struct generator_tally sum = {0};
  const enum krpc_kind store =
      options->preload ? krpc_kind_storing(options->kind) : options->kind;
  if (options->echo || krpc_kind_before(store) == store) {
    return sum;
  }
  sweep(generator, krpc_kind_before(store), end_ns, &sum);
  if (options->preload) {
    sweep(generator, store, end_ns, &sum);
  }
  return sum;
}

static struct server_cpu cpu_now(const struct generator *generator) {
  struct server_cpu cpu = {0};
  if (generator->options.server_pid > 0) {
    (void)server_cpu_read(generator->options.server_pid, &cpu);
  }
  return cpu;
}

struct generator_tally generator_measure(struct generator *generator) {
  begin_pass(generator, generator->options.kind, false);
  uint64_t start_ns = clock_ns();
  struct server_cpu before = cpu_now(generator);
  double length_ns = generator->options.seconds * NS_PER_SECOND;
  run_until(generator, start_ns + (uint64_t)length_ns);
  struct server_cpu after = cpu_now(generator);
  struct generator_tally tally = generator->tally;
  tally.seconds = (double)(clock_ns() - start_ns) / NS_PER_SECOND;
  tally.cpu.total_ns = after.total_ns - before.total_ns;
  tally.cpu.user_ns = after.user_ns - before.user_ns;
  tally.cpu.system_ns = after.system_ns - before.system_ns;

  /* Waits for queries in flight, to separate lost from late replies. */
  generator->stopped = true;
  uint64_t drain_ns = (uint64_t)generator->options.timeout_ms * NS_PER_MS;
  run_until(generator, clock_ns() + drain_ns + 2 * expire_period_ns);
  tally.lost = generator->tally.lost;
  return tally;
}
