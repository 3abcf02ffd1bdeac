#include "base/heap.h"

#include <assert.h>
#include <stddef.h>

/* Melds two trees whose roots have no siblings. Returns the new root. */
static struct kad_deadline *meld(struct kad_deadline *a,
                                 struct kad_deadline *b) {
  if (a == NULL || b == NULL) {
    return a != NULL ? a : b;
  }
  struct kad_deadline *first = kad_deadline_is_before(a, b) ? a : b;
  struct kad_deadline *second = first == a ? b : a;
  second->back = first;
  second->next = first->child;
  if (first->child != NULL) {
    first->child->back = second;
  }
  first->child = second;
  return first;
}

static struct kad_deadline *pop_sibling(struct kad_deadline **siblings) {
  struct kad_deadline *first = *siblings;
  if (first != NULL) {
    *siblings = first->next;
    first->next = NULL;
    first->back = NULL;
  }
  return first;
}

/* Melds a list of sibling trees: first in pairs from left to right, then the
 * pairs from right to left. Two passes make removal O(log n) amortised. */
static struct kad_deadline *meld_siblings(struct kad_deadline *siblings) {
  struct kad_deadline *pairs = NULL;
  while (siblings != NULL) {
    struct kad_deadline *left = pop_sibling(&siblings);
    struct kad_deadline *right = pop_sibling(&siblings);
    struct kad_deadline *pair = meld(left, right);
    pair->next = pairs;
    pairs = pair;
  }
  struct kad_deadline *root = NULL;
  while (pairs != NULL) {
    root = meld(root, pop_sibling(&pairs));
  }
  return root;
}

static void cut(struct kad_deadline *deadline) {
  if (deadline->back->child == deadline) {
    deadline->back->child = deadline->next;
  } else {
    deadline->back->next = deadline->next;
  }
  if (deadline->next != NULL) {
    deadline->next->back = deadline->back;
  }
  deadline->next = NULL;
  deadline->back = NULL;
}

void kad_heap_add(struct kad_heap *heap, struct kad_deadline *deadline,
                  kad_time_ms at) {
  kad_heap_remove(heap, deadline);
  *deadline = (struct kad_deadline){
      .at = at,
      .order = heap->added++,
      .queued = true,
  };
  heap->root = meld(heap->root, deadline);
  heap->count++;
}

void kad_heap_remove(struct kad_heap *heap, struct kad_deadline *deadline) {
  if (!deadline->queued) {
    return;
  }
  assert(heap->count > 0);
  struct kad_deadline *below = meld_siblings(deadline->child);
  if (deadline == heap->root) {
    heap->root = below;
  } else {
    cut(deadline);
    heap->root = meld(heap->root, below);
  }
  deadline->child = NULL;
  deadline->queued = false;
  heap->count--;
}

kad_time_ms kad_heap_next(const struct kad_heap *heap) {
  return heap->root != NULL ? heap->root->at : KAD_TIME_NEVER;
}

struct kad_deadline *kad_heap_pop_due(struct kad_heap *heap, kad_time_ms now) {
  return kad_heap_pop_due_before(heap, now, UINT64_MAX);
}

struct kad_deadline *kad_heap_pop_due_before(struct kad_heap *heap,
                                             kad_time_ms now, uint64_t mark) {
  struct kad_deadline *earliest = heap->root;
  if (earliest == NULL || earliest->at > now || earliest->order >= mark) {
    return NULL;
  }
  kad_heap_remove(heap, earliest);
  return earliest;
}
