/* The histograms of a node: see kadenza_histogram.h. */
#ifndef KAD_ENGINE_HISTOGRAM_H
#define KAD_ENGINE_HISTOGRAM_H

#include "kadenza_histogram.h"

enum kad_timed {
  KAD_TIMED_NONE, /* it is not timed */
#define KAD_TIMED_ENUM(code, subject, kind) KAD_TIMED_##code,
  KAD_TIMED_MAP(KAD_TIMED_ENUM)
#undef KAD_TIMED_ENUM
};

enum kad_timed_outcome {
#define KAD_TIMED_OUTCOME_ENUM(code, name, text) KAD_TIMED_OUTCOME_##code,
  KAD_TIMED_OUTCOME_MAP(KAD_TIMED_OUTCOME_ENUM)
#undef KAD_TIMED_OUTCOME_ENUM
};

struct kad_histogram_entry;

/* The histograms that count something. Zero-initialised there are none. */
struct kad_histograms {
  struct kad_histogram_entry *first; /* in the order of `timed` and outcome:
                                        what happens most often is first */
};

/* Counts what began at `started_at` and ends now. Has no effect for
 * KAD_TIMED_NONE, and when out of memory. */
void kad_histograms_add(struct kad_node *node, enum kad_timed timed,
                        enum kad_timed_outcome outcome, kad_time_ms started_at);

/* The same with the outcome of an operation that ended with `status`, 0 or a
 * KAD_E…. Does not count what was canceled. */
void kad_histograms_add_status(struct kad_node *node, enum kad_timed timed,
                               int status, kad_time_ms started_at);

/* Frees the histograms. */
void kad_histograms_deinit(struct kad_node *node);

#endif
