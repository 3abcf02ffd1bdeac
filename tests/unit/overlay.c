#include "overlay.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  JOIN_EVERY_MS = 20,
  PATIENCE_MS = 3 * KAD_MINUTE_MS,
  QUIET_MS = 10 * KAD_SECOND_MS,
  PORT = 6881
};

void kad_overlay_open_lossy(struct kad_overlay *overlay, uint64_t seed,
                            double loss) {
  struct kad_sim_config sim;
  *overlay = (struct kad_overlay){.count = 0};
  kad_counting_init(&overlay->counting);
  kad_config_default(&overlay->config);
  kad_sim_config_default(&sim);
  sim.seed = seed;
  sim.loss = loss;
  assert_ok(kad_network_sim_new(&sim, overlay->counting.allocator,
                                &overlay->network));
}

void kad_overlay_open(struct kad_overlay *overlay, uint64_t seed) {
  kad_overlay_open_lossy(overlay, seed, 0);
}

void kad_overlay_close(struct kad_overlay *overlay) {
  kad_network_free(overlay->network);
  kad_counting_deinit(&overlay->counting);
}

struct kad_address kad_overlay_address(size_t i) {
  return (struct kad_address){
      .ip = {80, (uint8_t)(i >> 8), (uint8_t)i, 1},
      .port = PORT,
      .family = 4,
  };
}

struct kad_address kad_overlay_address6(size_t i) {
  struct kad_address address = {
      .ip = {0x2a, 0x01, 0, 1, 0, 0, (uint8_t)(i >> 8), (uint8_t)i},
      .port = PORT,
      .family = 6,
  };
  address.ip[15] = 1;
  return address;
}

static void open_node(struct kad_overlay *overlay, size_t i,
                      const struct kad_config *config) {
  const struct kad_address listen[] = {kad_overlay_address(i),
                                       kad_overlay_address6(i)};
  assert_ok(kad_network_open_node(overlay->network, config, listen,
                                  overlay->dual ? 2 : 1, &overlay->nodes[i]));
  overlay->ids[i] = *kad_node_id(overlay->nodes[i]);
}

struct kad_node *kad_overlay_add(struct kad_overlay *overlay) {
  assert_true(overlay->count < KAD_OVERLAY_MAX);
  open_node(overlay, overlay->count, &overlay->config);
  return overlay->nodes[overlay->count++];
}

static void count_join(void *data, const struct kad_result *result) {
  struct kad_overlay *overlay = data;
  overlay->joined += result->status == 0;
}

void kad_overlay_join(struct kad_overlay *overlay, size_t i, size_t by) {
  const struct kad_address known[] = {kad_overlay_address(by),
                                      kad_overlay_address6(by)};
  assert_ok(kad_node_bootstrap(overlay->nodes[i], known, overlay->dual ? 2 : 1,
                               count_join, overlay, NULL));
}

void kad_overlay_grow(struct kad_overlay *overlay, size_t count) {
  const size_t before = overlay->joined;
  const bool has_first = overlay->count > 0;
  for (size_t i = 0; i < count; i++) {
    (void)kad_overlay_add(overlay);
    if (overlay->count > 1) {
      kad_overlay_join(overlay, overlay->count - 1, 0);
    }
    kad_overlay_run(overlay, JOIN_EVERY_MS);
  }
  kad_overlay_run(overlay, KAD_MINUTE_MS);
  assert_int_equal(overlay->joined - before, has_first ? count : count - 1);
}

void kad_overlay_kill(struct kad_overlay *overlay, size_t i) {
  kad_network_close_node(overlay->network, overlay->nodes[i]);
  overlay->nodes[i] = NULL;
}

void kad_overlay_revive(struct kad_overlay *overlay, size_t i) {
  struct kad_config config = overlay->config;
  config.has_id = true;
  config.id = overlay->ids[i];
  open_node(overlay, i, &config);
}

/* Endings stop the network; the time goes on all the same. */
void kad_overlay_run(struct kad_overlay *overlay, kad_time_ms span_ms) {
  const kad_time_ms until = kad_network_now(overlay->network) + span_ms;
  kad_time_ms now;
  while ((now = kad_network_now(overlay->network)) < until) {
    kad_network_run(overlay->network, until - now);
  }
}

struct kad_stats kad_overlay_stats(const struct kad_overlay *overlay,
                                   size_t i) {
  struct kad_stats stats;
  kad_node_stats(overlay->nodes[i], &stats);
  return stats;
}

struct kad_overlay_sums kad_overlay_sums(const struct kad_overlay *overlay) {
  struct kad_overlay_sums sums = {0};
  for (size_t i = 0; i < overlay->count; i++) {
    if (overlay->nodes[i] != NULL) {
      const struct kad_stats stats = kad_overlay_stats(overlay, i);
      sums.republishes += stats.republishes;
      sums.stores += stats.served_store;
      sums.held += stats.records;
    }
  }
  return sums;
}

size_t kad_overlay_held(const struct kad_overlay *overlay, size_t i) {
  return kad_overlay_stats(overlay, i).records;
}

size_t kad_overlay_closest(const struct kad_overlay *overlay,
                           const struct kad_id *target,
                           const struct kad_node *except, size_t *out,
                           size_t cap) {
  size_t count = 0;
  for (size_t i = 0; i < overlay->count; i++) {
    if (overlay->nodes[i] == NULL || overlay->nodes[i] == except) {
      continue;
    }
    size_t place = count;
    for (; place > 0 && kad_id_compare(target, &overlay->ids[i],
                                       &overlay->ids[out[place - 1]]) < 0;
         place--) {
      if (place < cap) {
        out[place] = out[place - 1];
      }
    }
    if (place < cap) {
      out[place] = i;
      count += count < cap;
    }
  }
  return count;
}

struct kad_id kad_overlay_key(unsigned number) {
  struct kad_id key;
  char name[32];
  (void)snprintf(name, sizeof name, "key %u", number);
  kad_id_hash(kad_slice_of(name), 160, &key);
  return key;
}

struct kad_record kad_overlay_record(const struct kad_id *key,
                                     const char *value) {
  return (struct kad_record){
      .key = *key,
      .type = kad_slice_of("value"),
      .value = kad_slice_of(value),
  };
}

void kad_ending_init(struct kad_ending *ending, struct kad_overlay *overlay) {
  *ending = (struct kad_ending){.overlay = overlay};
}

void kad_ending_deinit(struct kad_ending *ending) {
  for (size_t i = 0; i < sizeof ending->copies / sizeof *ending->copies; i++) {
    free(ending->copies[i]);
    ending->copies[i] = NULL;
  }
}

/* Copies `size` bytes into the place `slot`; NULL when there are none. */
static void *copy(struct kad_ending *ending, size_t slot, const void *data,
                  size_t size) {
  if (size == 0) {
    return NULL;
  }
  ending->copies[slot] = malloc(size);
  assert_non_null(ending->copies[slot]);
  memcpy(ending->copies[slot], data, size);
  return ending->copies[slot];
}

/* Copies `slice` to `*place`, and moves that on. */
static struct kad_slice copy_slice(uint8_t **place, struct kad_slice slice) {
  const struct kad_slice copied = {.data = *place, .len = slice.len};
  if (slice.len > 0) {
    memcpy(*place, slice.data, slice.len);
  }
  *place += slice.len;
  return copied;
}

/* Copies the records with their values and types; what else they point to is
 * left. */
static void copy_records(struct kad_ending *ending,
                         const struct kad_result *result) {
  struct kad_record *records =
      copy(ending, 2, result->records,
           result->record_count * sizeof *result->records);
  uint8_t *values =
      malloc(result->record_count * (KAD_VALUE_MAX + KAD_TYPE_NAME_MAX) + 1);
  assert_non_null(values);
  ending->copies[4] = values;
  for (size_t i = 0; i < result->record_count; i++) {
    records[i].value = copy_slice(&values, records[i].value);
    records[i].type = copy_slice(&values, records[i].type);
  }
  ending->result.records = records;
}

void kad_ending_take(void *data, const struct kad_result *result) {
  struct kad_ending *ending = data;
  ending->calls++;
  kad_ending_deinit(ending);
  ending->result = *result;
  assert_true(result->reason.len < sizeof ending->reason);
  (void)snprintf(ending->reason, sizeof ending->reason, "%.*s",
                 (int)result->reason.len, (const char *)result->reason.data);
  ending->result.closest =
      copy(ending, 0, result->closest,
           result->closest_count * sizeof *result->closest);
  ending->result.path =
      copy(ending, 1, result->path, result->path_count * sizeof *result->path);
  copy_records(ending, result);
  ending->result.peers = copy(ending, 3, result->peers,
                              result->peer_count * sizeof *result->peers);
  ending->result.reason = (struct kad_slice){0};
  ending->result.reply = (struct kad_slice){0};
  kad_network_stop(ending->overlay->network);
}

int kad_ending_reach(struct kad_ending *ending) {
  if (ending->calls == 0) {
    kad_network_run(ending->overlay->network, PATIENCE_MS);
  }
  assert_int_equal(ending->calls, 1);
  return ending->result.status;
}

int kad_ending_await(struct kad_ending *ending) {
  (void)kad_ending_reach(ending);
  kad_overlay_run(ending->overlay, QUIET_MS);
  assert_int_equal(ending->calls, 1);
  return ending->result.status;
}

int kad_overlay_put(struct kad_overlay *overlay, size_t i,
                    const struct kad_record *record,
                    struct kad_ending *ending) {
  struct kad_ending own;
  kad_ending_init(&own, overlay);
  struct kad_ending *used = ending != NULL ? ending : &own;
  assert_ok(kad_node_put(overlay->nodes[i], record, NULL, kad_ending_take, used,
                         NULL));
  const int status = kad_ending_await(used);
  kad_ending_deinit(&own);
  return status;
}

int kad_overlay_get(struct kad_overlay *overlay, size_t i,
                    const struct kad_id *key, const char *type,
                    const struct kad_lookup_options *options,
                    struct kad_ending *ending) {
  assert_ok(kad_node_get(overlay->nodes[i], key, kad_slice_of(type), options,
                         kad_ending_take, ending, NULL));
  return kad_ending_await(ending);
}
