#include "engine/histogram.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

#include <limits.h>
#include <string.h>

struct kad_histogram_entry {
  struct kad_histogram_entry *next;
  enum kad_timed timed;
  enum kad_timed_outcome outcome;
  uint64_t counts[KAD_HISTOGRAM_BUCKETS];
  uint64_t sum_ms;
};

/* Orders entries. */
static unsigned rank_of(enum kad_timed timed, enum kad_timed_outcome outcome) {
  return (unsigned)timed << CHAR_BIT | (unsigned)outcome;
}

/* Returns the entry, which is made if there is none. NULL: out of memory. */
static struct kad_histogram_entry *find_entry(struct kad_node *node,
                                              enum kad_timed timed,
                                              enum kad_timed_outcome outcome) {
  const unsigned rank = rank_of(timed, outcome);
  struct kad_histogram_entry **link = &node->histograms.first;
  while (*link != NULL && rank_of((*link)->timed, (*link)->outcome) < rank) {
    link = &(*link)->next;
  }
  if (*link != NULL && rank_of((*link)->timed, (*link)->outcome) == rank) {
    return *link;
  }
  struct kad_histogram_entry *const made =
      kad_alloc_zero(&node->env.allocator, sizeof *made);
  if (made != NULL) {
    made->next = *link;
    made->timed = timed;
    made->outcome = outcome;
    *link = made;
  }
  return made;
}

/* Returns the first bucket whose bound is over `ms`. */
static size_t bucket_of(kad_time_ms ms) {
  size_t bucket = 0;
  for (; ms > 0 && bucket < KAD_HISTOGRAM_BUCKETS - 1; ms >>= 1) {
    bucket++;
  }
  return bucket;
}

void kad_histograms_add(struct kad_node *node, enum kad_timed timed,
                        enum kad_timed_outcome outcome,
                        kad_time_ms started_at) {
  struct kad_histogram_entry *const entry =
      timed != KAD_TIMED_NONE ? find_entry(node, timed, outcome) : NULL;
  if (entry != NULL) {
    const kad_time_ms ms = kad_time_since(started_at, kad_node_now(node));
    entry->counts[bucket_of(ms)]++;
    entry->sum_ms += ms;
  }
}

void kad_histograms_add_status(struct kad_node *node, enum kad_timed timed,
                               int status, kad_time_ms started_at) {
  enum kad_timed_outcome outcome = KAD_TIMED_OUTCOME_FAILED;
  if (status == KAD_ECANCELED || status == KAD_ECLOSED) {
    return;
  }
  if (status == 0) {
    outcome = KAD_TIMED_OUTCOME_SUCCESS;
  } else if (status == KAD_ENOTFOUND) {
    outcome = KAD_TIMED_OUTCOME_NOT_FOUND;
  } else if (status == KAD_ETIMEOUT) {
    outcome = KAD_TIMED_OUTCOME_TIMEOUT;
  }
  kad_histograms_add(node, timed, outcome, started_at);
}

void kad_histograms_deinit(struct kad_node *node) {
  struct kad_histogram_entry *entry = node->histograms.first;
  while (entry != NULL) {
    struct kad_histogram_entry *const next = entry->next;
    kad_release(&node->env.allocator, entry, sizeof *entry);
    entry = next;
  }
  node->histograms.first = NULL;
}

static void copy_entry(const struct kad_histogram_entry *entry,
                       struct kad_histogram *out) {
  static const struct {
    const char *subject;
    const char *kind;
  } timed[] = {
#define TIMED(code, subject_text, kind_text) \
  [KAD_TIMED_##code] = {.subject = (subject_text), .kind = (kind_text)},
      KAD_TIMED_MAP(TIMED)
#undef TIMED
  };
  static const char *const outcomes[] = {
#define OUTCOME(code, name, text) [KAD_TIMED_OUTCOME_##code] = (name),
      KAD_TIMED_OUTCOME_MAP(OUTCOME)
#undef OUTCOME
  };
  out->subject = timed[entry->timed].subject;
  out->kind = timed[entry->timed].kind;
  out->outcome = outcomes[entry->outcome];
  memcpy(out->counts, entry->counts, sizeof out->counts);
  out->sum_ms = entry->sum_ms;
}

size_t kad_node_histograms(const struct kad_node *node,
                           struct kad_histogram *out, size_t cap) {
  size_t count = 0;
  if (node == NULL || (out == NULL && cap > 0)) {
    return 0;
  }
  for (const struct kad_histogram_entry *entry = node->histograms.first;
       entry != NULL; entry = entry->next) {
    if (count < cap) {
      copy_entry(entry, &out[count]);
    }
    count++;
  }
  return count;
}
