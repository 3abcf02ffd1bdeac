/* An allocator for tests: it counts, limits, checks and scribbles.
 *
 *     struct kad_counting_allocator counting;
 *     kad_counting_init(&counting);
 *     env.allocator = &counting.allocator;
 *     ... use it, free everything ...
 *     kad_counting_deinit(&counting);     fails the test if a block is left
 *
 * Every n-th allocation made to fail, until the call succeeds:
 *
 *     int result = KAD_ENOMEM;
 *     for (size_t n = 0; result == KAD_ENOMEM; n++) {
 *       kad_counting_fail_at(&counting, n);
 *       result = kad_thing_new(&counting.allocator, &thing);
 *     }
 *     assert_false(counting.has_failed);
 *
 * Each resize moves the block, so that a stale pointer shows; what is freed is
 * overwritten, and bytes next to a block are checked. Errors of the code under
 * test (a wrong old size, a foreign or freed block, a write past the end, a
 * leak) fail the running cmocka test. */
#ifndef KAD_COUNTING_ALLOCATOR_H
#define KAD_COUNTING_ALLOCATOR_H

#include "kadenza.h"

#include <stdbool.h>
#include <stddef.h>

struct kad_counting_block;

struct kad_counting_allocator {
  /* What the code under test is given. */
  struct kad_allocator allocator;
  /* Blocks held now. */
  size_t blocks;
  /* Bytes held now, as asked for; without the bookkeeping. */
  size_t bytes;
  /* The most bytes held at once since init. */
  size_t peak_bytes;
  /* Requests for a new or a larger block since init, failed ones included. */
  size_t requests;
  /* The request that fails, counted as `requests`; SIZE_MAX for none. */
  size_t failing_request;
  /* Most bytes that may be held at once; SIZE_MAX (the default) for any. */
  size_t limit_bytes;
  /* Whether a request has failed since the last kad_counting_fail_at. */
  bool has_failed;
  /* The blocks held, newest first; the allocator's own. */
  struct kad_counting_block *first;
};

/* Prepares `counting`, which must not move afterwards. Nothing fails yet. */
void kad_counting_init(struct kad_counting_allocator *counting);

/* Checks that every block was freed, naming the sizes of those that were not,
 * and fails the running test otherwise. */
void kad_counting_deinit(struct kad_counting_allocator *counting);

/* Makes the request after the next `n` fail, once: 0 fails the very next one.
 * Requests to shrink or free never fail and are not counted. */
void kad_counting_fail_at(struct kad_counting_allocator *counting, size_t n);

/* Lets every request succeed again. */
void kad_counting_never_fail(struct kad_counting_allocator *counting);

#endif
