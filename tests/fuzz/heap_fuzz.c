/* Reads operations on a heap of deadlines from bytes. After each operation,
 * compares the heap with a linear search through the expected deadlines. */
#include "base/heap.h"

#include "target.h"

#include <stdlib.h>

enum {
  DEADLINES = 32
};

/* The expected content of the heap. */
struct model {
  bool queued[DEADLINES];
  kad_time_ms at[DEADLINES];
  uint64_t order[DEADLINES];
  uint64_t added;
};

/* Returns the earliest deadline, of equal ones the first added, or DEADLINES if
 * none is queued. */
static size_t find_earliest(const struct model *model) {
  size_t earliest = DEADLINES;
  for (size_t i = 0; i < DEADLINES; i++) {
    if (model->queued[i] &&
        (earliest == DEADLINES || model->at[i] < model->at[earliest] ||
         (model->at[i] == model->at[earliest] &&
          model->order[i] < model->order[earliest]))) {
      earliest = i;
    }
  }
  return earliest;
}

static void check(const struct kad_heap *heap, const struct model *model,
                  const struct kad_deadline *deadlines) {
  size_t count = 0;
  for (size_t i = 0; i < DEADLINES; i++) {
    CHECK(deadlines[i].queued == model->queued[i]);
    CHECK(!model->queued[i] || deadlines[i].at == model->at[i]);
    count += model->queued[i] ? 1 : 0;
  }
  CHECK(heap->count == count);
  const size_t earliest = find_earliest(model);
  CHECK(kad_heap_next(heap) ==
        (earliest < DEADLINES ? model->at[earliest] : KAD_TIME_NEVER));
}

static void pop(struct kad_heap *heap, struct model *model,
                const struct kad_deadline *deadlines, kad_time_ms now) {
  const size_t earliest = find_earliest(model);
  const bool is_due = earliest < DEADLINES && model->at[earliest] <= now;
  const struct kad_deadline *popped = kad_heap_pop_due(heap, now);
  CHECK(popped == (is_due ? &deadlines[earliest] : NULL));
  if (is_due) {
    model->queued[earliest] = false;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct kad_deadline deadlines[DEADLINES] = {0};
  struct kad_heap heap = {0};
  struct model model = {0};
  for (size_t i = 0; i + 1 < size; i += 2) {
    const size_t which = data[i] % DEADLINES;
    const kad_time_ms at = data[i + 1] == 255 ? KAD_TIME_NEVER : data[i + 1];
    switch (data[i] / DEADLINES % 4) {
    case 0:
      kad_heap_remove(&heap, &deadlines[which]);
      model.queued[which] = false;
      break;
    case 1:
      pop(&heap, &model, deadlines, at);
      break;
    default:
      kad_heap_add(&heap, &deadlines[which], at);
      model.queued[which] = true;
      model.at[which] = at;
      model.order[which] = model.added++;
      break;
    }
    check(&heap, &model, deadlines);
  }
  return 0;
}
