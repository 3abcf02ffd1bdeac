#include "node/sample.h"

#include "base/time.h"
#include "engine/node.h"
#include "engine/rng.h"

static const struct kad_slice peers_type = {
    .data = (const uint8_t *)"peers",
    .len = sizeof "peers" - 1,
};

static void run_slice(struct kad_node *node, struct kad_timer *timer);

/* Returns true if the record stands for its info hash: of the peers of one, it
 * is the newest. */
static bool is_counted(const struct kad_node *node,
                       const struct kad_held *held) {
  kad_record_handle newest = 0;
  return kad_slice_equal(held->record.type, peers_type) &&
         kad_store_find(node->store, &held->record.key, peers_type, 0, &newest,
                        1) > 0 &&
         newest == held->handle;
}

static bool has_id(const struct kad_sample_draw *draw,
                   const struct kad_id *id) {
  for (size_t i = 0; i < draw->count; i++) {
    if (kad_id_equal(&draw->ids[i], id)) {
      return true;
    }
  }
  return false;
}

/* Adds the next info hash, so that all that were added are equally likely to be
 * in the sample. */
static void add_id(struct kad_node *node, struct kad_sample_draw *draw,
                   const struct kad_id *id) {
  if (has_id(draw, id) || draw->num == UINT32_MAX) {
    return;
  }
  draw->num++;
  if (draw->count < KAD_SAMPLE_MAX) {
    draw->ids[draw->count++] = *id;
    return;
  }
  const uint32_t place = kad_rng_below(node, draw->num);
  if (place < KAD_SAMPLE_MAX) {
    draw->ids[place] = *id;
  }
}

static void shuffle(struct kad_node *node, struct kad_sample_draw *draw) {
  for (size_t i = draw->count; i > 1; i--) {
    const uint32_t other = kad_rng_below(node, (uint32_t)i);
    const struct kad_id id = draw->ids[i - 1];
    draw->ids[i - 1] = draw->ids[other];
    draw->ids[other] = id;
  }
}

/* The order is random, because a reply may have room for the first only. */
static void end_walk(struct kad_node *node) {
  struct kad_sample *sample = &node->sample;
  const bool is_complete = sample->draw.num <= KAD_SAMPLE_MAX;
  const kad_time_ms fresh_ms =
      (kad_time_ms)(is_complete ? KAD_SAMPLE_COMPLETE_S : KAD_SAMPLE_FRESH_S) *
      KAD_MS_PER_S;
  shuffle(node, &sample->draw);
  sample->ready = sample->draw;
  sample->is_ready = true;
  sample->walks = false;
  sample->stale_at = kad_time_add(kad_node_now(node), fresh_ms);
}

/* Looks at the next records of the store. */
static void walk(struct kad_node *node) {
  struct kad_sample *sample = &node->sample;
  for (size_t i = 0; i < KAD_SAMPLE_SLICE; i++) {
    const kad_record_handle handle =
        kad_store_next(node->store, &sample->cursor);
    struct kad_held held;
    if (handle == 0) {
      end_walk(node);
      return;
    }
    if (kad_store_read(node->store, handle, &held) && is_counted(node, &held)) {
      add_id(node, &sample->draw, &held.record.key);
    }
  }
  kad_timer_set(node, &sample->timer,
                kad_time_add(kad_node_now(node), KAD_SAMPLE_SLICE_MS),
                run_slice);
}

static void run_slice(struct kad_node *node, struct kad_timer *timer) {
  (void)timer;
  walk(node);
}

const struct kad_sample_draw *kad_sample_take(struct kad_node *node,
                                              uint32_t *interval_s) {
  struct kad_sample *sample = &node->sample;
  const kad_time_ms now = kad_node_now(node);
  if (!sample->walks && now >= sample->stale_at) {
    sample->draw = (struct kad_sample_draw){.count = 0};
    sample->cursor = 0;
    sample->walks = true;
    walk(node);
  }
  const kad_time_ms left = kad_time_since(now, sample->stale_at);
  *interval_s = (uint32_t)((left + KAD_MS_PER_S - 1) / KAD_MS_PER_S);
  return sample->is_ready ? &sample->ready : &sample->draw;
}

void kad_sample_stop(struct kad_node *node) {
  kad_timer_cancel(node, &node->sample.timer);
}
