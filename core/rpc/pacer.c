#include "rpc/pacer.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <assert.h>
#include <string.h>

enum {
  WINDOW_FIRST = 64, /* queries in flight to an address */
  WINDOW_MIN = 2,
  WINDOW_MAX = 256,
  SILENCE_ALL = 4096, /* of the smoothed share of queries left unanswered */
  SILENCE_SHARE = 32, /* one query is so small a part of it */
  SILENCE_BACK_OFF = SILENCE_ALL * 2 / 5, /* a network that loses a datagram in
                                             ten stays below it */
  SILENCE_SPEED_UP = SILENCE_ALL / 4,
  BACK_OFF_MS = 500, /* between two of them */
  SPEED_UP_MS = 1000,
  SPEED_UP_SHARE = 8,   /* an eighth of the rate */
  SLOW_BURST_SHARE = 4, /* of a rate that was lowered: a quarter of a second */
  LIGHT_SHARE = 64,     /* of the burst: use that meets no limit */
  LIGHT_FLIGHT = 4,     /* queries in flight, of such use */
  AGAIN_MS = 4000,      /* queries are not sent again to a contact that has been
                           silent for so long */
  SWEPT = 2 /* paces looked at for each new one, so that old ones go */
};

/* The pace of an address. */
struct kad_pace {
  struct kad_map_entry entry; /* by address */
  struct kad_pace *staler;
  struct kad_pace *fresher;
  struct kad_address to;
  struct kad_token_bucket bucket;
  struct kad_timer timer; /* set while queries wait for the bucket */
  struct kad_query *first[KAD_QUERY_CLASSES]; /* those that wait */
  struct kad_query *last[KAD_QUERY_CLASSES];
  kad_time_ms used_at;
  kad_time_ms answered_at;
  kad_time_ms changed_at; /* the rate */
  uint32_t rate;          /* queries a second */
  uint32_t window;
  uint32_t in_flight;
  uint32_t silence;
  uint32_t queries; /* that refer to it */
  bool has_answered;
  enum kad_query_class turn; /* whose query is sent next */
};

static bool is_paced(const struct kad_node *node) {
  return node->config.limits && node->config.pace_per_s > 0;
}

static bool has_waiting(const struct kad_pace *pace) {
  return pace->first[KAD_QUERY_CLASS_OWN] != NULL ||
         pace->first[KAD_QUERY_CLASS_USER] != NULL;
}

/* Returns true if the rate was lowered. One that was not is that of the
 * configuration, which may change. */
static bool is_slowed(const struct kad_node *node,
                      const struct kad_pace *pace) {
  return pace->rate < node->config.pace_per_s;
}

/* A rate that was lowered has a short burst: a long one would be lost. */
static struct kad_token_rate rate_of(const struct kad_node *node,
                                     const struct kad_pace *pace) {
  const uint64_t most = node->config.pace_per_s;
  return is_slowed(node, pace)
             ? kad_token_rate_of(pace->rate, pace->rate / SLOW_BURST_SHARE + 1)
             : kad_token_rate_of(most, most * KAD_PACER_BURST_S);
}

/* Fills the bucket. Returns what is missing for a token. The bucket may be that
 * of a configuration with a longer burst. */
static uint64_t fill(const struct kad_node *node, struct kad_pace *pace,
                     const struct kad_token_rate *rate) {
  struct kad_token_bucket *bucket = &pace->bucket;
  kad_token_bucket_fill(bucket, rate, kad_node_now(node));
  bucket->missing = bucket->missing < rate->cap ? bucket->missing : rate->cap;
  const uint64_t there = rate->cap - bucket->missing;
  return rate->per_s == 0 || there >= KAD_TOKEN ? 0 : KAD_TOKEN - there;
}

static uint64_t hash_of(const struct kad_node *node,
                        const struct kad_address *to) {
  uint8_t key[sizeof to->ip + sizeof to->port];
  memcpy(key, to->ip, sizeof to->ip);
  memcpy(&key[sizeof to->ip], &to->port, sizeof to->port);
  return kad_map_hash(&node->rpc.pacer.paces, key, sizeof key);
}

static struct kad_pace *find_pace(const struct kad_node *node,
                                  const struct kad_address *to, uint64_t hash) {
  struct kad_map_entry *entry = kad_map_first(&node->rpc.pacer.paces, hash);
  for (; entry != NULL; entry = kad_map_after(entry)) {
    struct kad_pace *pace = kad_container_of(entry, struct kad_pace, entry);
    if (kad_address_equal(&pace->to, to)) {
      return pace;
    }
  }
  return NULL;
}

static void unlink_pace(struct kad_pacer *pacer, struct kad_pace *pace) {
  *(pace->staler != NULL ? &pace->staler->fresher : &pacer->stalest) =
      pace->fresher;
  *(pace->fresher != NULL ? &pace->fresher->staler : &pacer->latest) =
      pace->staler;
}

static void link_as_latest(struct kad_pacer *pacer, struct kad_pace *pace) {
  pace->staler = pacer->latest;
  pace->fresher = NULL;
  *(pacer->latest != NULL ? &pacer->latest->fresher : &pacer->stalest) = pace;
  pacer->latest = pace;
}

static void touch(struct kad_node *node, struct kad_pace *pace) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  pace->used_at = kad_node_now(node);
  if (pacer->latest != pace) {
    unlink_pace(pacer, pace);
    link_as_latest(pacer, pace);
  }
}

static void free_pace(struct kad_node *node, struct kad_pace *pace) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  assert(pace->queries == 0);
  kad_timer_cancel(node, &pace->timer);
  unlink_pace(pacer, pace);
  kad_map_remove(&pacer->paces, &pace->entry);
  kad_release(&node->env.allocator, pace, sizeof *pace);
}

/* Frees some of the stalest paces, if they say nothing any more. */
static void sweep(struct kad_node *node) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  const kad_time_ms now = kad_node_now(node);
  for (int i = 0; i < SWEPT && pacer->stalest != NULL; i++) {
    struct kad_pace *pace = pacer->stalest;
    if (pace->queries > 0) {
      touch(node, pace);
    } else if (pacer->paces.count >= KAD_PACER_MAX ||
               kad_time_since(pace->used_at, now) > KAD_PACER_ALIVE_MS) {
      free_pace(node, pace);
    }
  }
}

/* Makes the pace of `to`. Returns NULL when out of memory or places. */
static struct kad_pace *make_pace(struct kad_node *node,
                                  const struct kad_address *to, uint64_t hash) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  struct kad_pace *made =
      pacer->paces.count < KAD_PACER_MAX
          ? kad_alloc_zero(&node->env.allocator, sizeof *made)
          : NULL;
  if (made == NULL) {
    return NULL;
  }
  if (kad_map_add(&pacer->paces, &made->entry, hash) != 0) {
    kad_release(&node->env.allocator, made, sizeof *made);
    return NULL;
  }
  made->to = *to;
  made->rate = UINT32_MAX;
  made->window = WINDOW_FIRST;
  made->used_at = kad_node_now(node);
  made->changed_at = made->used_at;
  made->bucket.filled_at = made->used_at;
  link_as_latest(pacer, made);
  return made;
}

/* Takes a place if there is one. */
static bool take_place(struct kad_node *node, struct kad_pace *pace) {
  const struct kad_token_rate rate = rate_of(node, pace);
  if (pace->in_flight >= pace->window || fill(node, pace, &rate) > 0) {
    return false;
  }
  kad_token_bucket_take(&pace->bucket, &rate, KAD_TOKEN);
  pace->in_flight++;
  return true;
}

static struct kad_query *next_waiting(struct kad_pace *pace) {
  if (pace->first[pace->turn] == NULL) {
    pace->turn = pace->turn == KAD_QUERY_CLASS_OWN ? KAD_QUERY_CLASS_USER
                                                   : KAD_QUERY_CLASS_OWN;
  }
  return pace->first[pace->turn];
}

static void unlink_waiting(struct kad_node *node, struct kad_pace *pace,
                           struct kad_query *query) {
  const enum kad_query_class class = query->class;
  struct kad_query **link = &pace->first[class];
  struct kad_query *before = NULL;
  while (*link != query) {
    before = *link;
    link = &before->waits_before;
  }
  *link = query->waits_before;
  if (pace->last[class] == query) {
    pace->last[class] = before;
  }
  query->waits_before = NULL;
  query->waits = false;
  node->rpc.pacer.waiting[class]--;
}

static void send_waiting(struct kad_node *node, struct kad_timer *timer);

/* Plans to send the next query when the bucket has a token. A full window waits
 * for an answer or a timeout instead. */
static void plan(struct kad_node *node, struct kad_pace *pace) {
  const struct kad_token_rate rate = rate_of(node, pace);
  if (!has_waiting(pace) || pace->in_flight >= pace->window) {
    kad_timer_cancel(node, &pace->timer);
    return;
  }
  const uint64_t lack = fill(node, pace, &rate);
  const kad_time_ms wait = lack > 0 ? (lack + rate.per_s - 1) / rate.per_s : 0;
  kad_timer_set(node, &pace->timer, kad_time_add(kad_node_now(node), wait),
                send_waiting);
}

static void send_waiting(struct kad_node *node, struct kad_timer *timer) {
  struct kad_pace *pace = kad_container_of(timer, struct kad_pace, timer);
  struct kad_query *query;
  while ((query = next_waiting(pace)) != NULL && take_place(node, pace)) {
    unlink_waiting(node, pace, query);
    pace->turn = query->class == KAD_QUERY_CLASS_OWN ? KAD_QUERY_CLASS_USER
                                                     : KAD_QUERY_CLASS_OWN;
    query->in_flight = true;
    node->rpc.pacer.send(node, query);
  }
  touch(node, pace);
  plan(node, pace);
}

void kad_pacer_init(struct kad_node *node, kad_pacer_send_fn send) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  kad_map_init(&pacer->paces, &node->env.allocator, node->map_secret);
  pacer->send = send;
}

void kad_pacer_deinit(struct kad_node *node) {
  struct kad_pacer *pacer = &node->rpc.pacer;
  while (pacer->stalest != NULL) {
    free_pace(node, pacer->stalest);
  }
  kad_map_deinit(&pacer->paces);
}

void kad_pacer_begin(struct kad_node *node, struct kad_query *query) {
  const struct kad_address *to = &query->to.address;
  const uint64_t hash = hash_of(node, to);
  sweep(node);
  struct kad_pace *pace = find_pace(node, to, hash);
  pace = pace != NULL ? pace : make_pace(node, to, hash);
  if (pace != NULL) {
    touch(node, pace);
    pace->queries++;
  }
  query->pace = pace;
}

void kad_pacer_end(struct kad_node *node, struct kad_query *query) {
  struct kad_pace *pace = query->pace;
  if (pace == NULL) {
    return;
  }
  if (query->waits) {
    unlink_waiting(node, pace, query);
    plan(node, pace);
  }
  kad_pacer_landed(node, query);
  pace->queries--;
  query->pace = NULL;
}

bool kad_pacer_take(struct kad_node *node, struct kad_query *query) {
  struct kad_pace *pace = query->pace;
  if (pace == NULL || !is_paced(node)) {
    return true;
  }
  query->in_flight = !has_waiting(pace) && take_place(node, pace);
  return query->in_flight;
}

int kad_pacer_wait(struct kad_node *node, struct kad_query *query, bool first) {
  struct kad_pace *pace = query->pace;
  const enum kad_query_class class = query->class;
  size_t *count = &node->rpc.pacer.waiting[class];
  if (*count >= node->config.max_waiting) {
    node->stats.overcrowded++;
    return KAD_EBUSY;
  }
  if (first || pace->first[class] == NULL) {
    query->waits_before = pace->first[class];
    pace->first[class] = query;
    pace->last[class] = pace->last[class] != NULL ? pace->last[class] : query;
  } else {
    pace->last[class]->waits_before = query;
    pace->last[class] = query;
  }
  query->waits = true;
  ++*count;
  node->stats.paced++;
  plan(node, pace);
  return 0;
}

void kad_pacer_landed(struct kad_node *node, struct kad_query *query) {
  if (!query->in_flight) {
    return;
  }
  query->in_flight = false;
  query->pace->in_flight--;
  if (has_waiting(query->pace)) {
    plan(node, query->pace);
  }
}

/* Lets the rate and the window of a contact that answers grow. */
static void speed_up(struct kad_node *node, struct kad_pace *pace) {
  const kad_time_ms now = kad_node_now(node);
  pace->window += pace->window < WINDOW_MAX;
  if (!is_slowed(node, pace) || pace->silence > SILENCE_SPEED_UP ||
      kad_time_since(pace->changed_at, now) < SPEED_UP_MS) {
    return;
  }
  const uint64_t faster = pace->rate + pace->rate / SPEED_UP_SHARE + 1;
  const uint32_t most = node->config.pace_per_s;
  pace->rate = faster < most ? (uint32_t)faster : UINT32_MAX;
  pace->changed_at = now;
}

static void back_off(struct kad_node *node, struct kad_pace *pace) {
  const kad_time_ms now = kad_node_now(node);
  if (pace->silence <= SILENCE_BACK_OFF ||
      kad_time_since(pace->changed_at, now) < BACK_OFF_MS) {
    return;
  }
  pace->changed_at = now;
  pace->silence = SILENCE_SPEED_UP; /* the next one needs new evidence */
  const uint64_t rate = rate_of(node, pace).per_s;
  pace->rate = rate > 1 ? (uint32_t)rate / 2 : 1;
  pace->window = pace->window / 2 > WINDOW_MIN ? pace->window / 2 : WINDOW_MIN;
  pace->bucket.missing = rate_of(node, pace).cap;
  node->stats.slowed++;
}

void kad_pacer_answered(struct kad_node *node, struct kad_query *query) {
  struct kad_pace *pace = query->pace;
  if (pace == NULL) {
    return;
  }
  const int times = query->in_flight ? 1 : 2; /* it counted as silent before */
  pace->has_answered = true;
  pace->answered_at = kad_node_now(node);
  for (int i = 0; i < times; i++) {
    pace->silence -= (pace->silence + SILENCE_SHARE - 1) / SILENCE_SHARE;
  }
  touch(node, pace);
  speed_up(node, pace);
  if (has_waiting(pace)) {
    plan(node, pace);
  }
}

void kad_pacer_silent(struct kad_node *node, struct kad_query *query) {
  struct kad_pace *pace = query->pace;
  if (kad_pacer_is_pressed(node, query)) {
    pace->silence += (SILENCE_ALL - pace->silence) / SILENCE_SHARE;
    back_off(node, pace);
  }
}

/* Returns true if the contact has answered within `span_ms`. */
static bool has_answered(const struct kad_node *node,
                         const struct kad_pace *pace, kad_time_ms span_ms) {
  return pace != NULL && pace->has_answered &&
         kad_time_since(pace->answered_at, kad_node_now(node)) < span_ms;
}

bool kad_pacer_is_alive(const struct kad_node *node,
                        const struct kad_query *query) {
  const struct kad_pace *pace = query->pace;
  return has_answered(node, pace, KAD_PACER_ALIVE_MS) ||
         (pace != NULL && pace->has_answered &&
          pace->answered_at >= query->sent_at);
}

bool kad_pacer_is_pressed(const struct kad_node *node,
                          const struct kad_query *query) {
  const struct kad_pace *pace = query->pace;
  if (!is_paced(node) || !has_answered(node, pace, AGAIN_MS)) {
    return false;
  }
  const struct kad_token_rate rate = rate_of(node, pace);
  struct kad_token_bucket bucket = pace->bucket;
  kad_token_bucket_fill(&bucket, &rate, kad_node_now(node));
  return is_slowed(node, pace) || has_waiting(pace) ||
         pace->in_flight >= LIGHT_FLIGHT ||
         bucket.missing > rate.cap / LIGHT_SHARE;
}
