/* Writes to the journal, and notes what the disk refuses. */
#include "base/time.h"
#include "net/durable/durable.h"

#include <errno.h>

static kad_time_ms now(const struct kad_durable *durable) {
  return durable->env.now(durable->env.state);
}

void kad_durable_fail(struct kad_durable *durable, enum kad_durable_cause cause,
                      int error) {
  const bool is_first = durable->failing == 0;
  const kad_time_ms twice = 2 * durable->retry_ms;
  durable->stats.disk_failures++;
  durable->failing |= (unsigned)cause;
  durable->retry_ms = is_first ? KAD_DURABLE_RETRY_MS
                      : twice < KAD_DURABLE_RETRY_MAX_MS
                          ? twice
                          : KAD_DURABLE_RETRY_MAX_MS;
  durable->retry_at = kad_time_add(now(durable), durable->retry_ms);
  if (is_first && durable->config.report != NULL) {
    durable->config.report(durable->config.data, true,
                           kad_database_text(error));
  }
}

void kad_durable_recover(struct kad_durable *durable,
                         enum kad_durable_cause cause) {
  const bool was_failing = durable->failing != 0;
  durable->failing &= ~(unsigned)cause;
  if (was_failing && durable->failing == 0 && durable->config.report != NULL) {
    durable->config.report(durable->config.data, false, "");
  }
}

bool kad_durable_refuses(const struct kad_durable *durable) {
  return (durable->failing &
          (KAD_DURABLE_CAUSE_WRITE | KAD_DURABLE_CAUSE_FLUSH)) != 0;
}

bool kad_durable_must_wait(const struct kad_durable *durable) {
  return durable->failing != 0 && now(durable) < durable->retry_at;
}

void kad_durable_mark(struct kad_durable *durable, kad_time_ms age_ms) {
  struct kad_clock_mark mark;
  const kad_time_ms at = now(durable);
  if (durable->mark_at != 0 && at < kad_time_add(durable->mark_at, age_ms)) {
    return;
  }
  mark.at = at - durable->lag + durable->shift;
  durable->env.read_clocks(durable->env.state, &mark.reading);
  if (kad_changes_clock(&durable->batch, &mark) == 0) {
    durable->mark_at = at > 0 ? at : 1;
  }
}

/* Appends the batch to the active segment. Returns 0 or an errno. */
static int append_batch(struct kad_durable *durable) {
  struct kad_changes *const batch = &durable->batch;
  struct kad_segment *const segment = &durable->files.segments[durable->active];
  if (segment->end + batch->len > KAD_DURABLE_SEGMENT_MAX_BYTES &&
      segment->frames > 0) {
    return ENOSPC; /* the database does not take the other segment */
  }
  return kad_segment_append(segment, durable->files.info.secret, batch->bytes,
                            batch->len);
}

int kad_durable_write(struct kad_durable *durable) {
  struct kad_changes *const batch = &durable->batch;
  const bool has_failed = (durable->failing & KAD_DURABLE_CAUSE_WRITE) != 0;
  if (batch->len <= KAD_FRAME_HEAD) {
    return 0;
  }
  if (has_failed && kad_durable_must_wait(durable)) {
    return KAD_ESYSTEM;
  }
  kad_durable_mark(durable, KAD_MS_PER_S);
  const int error = append_batch(durable);
  if (error != 0) {
    kad_durable_fail(durable, KAD_DURABLE_CAUSE_WRITE, error);
    return KAD_ESYSTEM;
  }
  durable->stats.disk_commits++;
  kad_durable_recover(durable, KAD_DURABLE_CAUSE_WRITE);
  if (batch->cap > 2 * (size_t)KAD_DURABLE_BATCH_BYTES) {
    kad_changes_deinit(batch);
  }
  batch->len = KAD_FRAME_HEAD;
  return 0;
}
