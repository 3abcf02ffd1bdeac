/* An overlay of nodes in virtual time, for tests of whole operations.
 *
 *     struct kad_overlay overlay;
 *     kad_overlay_open(&overlay, 1);
 *     kad_overlay_grow(&overlay, 50);           50 nodes join, one by one
 *     struct kad_ending ending;
 *     kad_ending_init(&ending, &overlay);
 *     assert_ok(kad_node_find_node(overlay.nodes[3], &target, NULL,
 *                                  kad_ending_take, &ending, NULL));
 *     kad_ending_await(&ending);                runs until the callback came
 *     assert_int_equal(ending.result.status, 0);
 *     kad_ending_deinit(&ending);
 *     kad_overlay_close(&overlay);              fails on a leak
 */
#ifndef KAD_UNIT_OVERLAY_H
#define KAD_UNIT_OVERLAY_H

#include "counting_allocator.h"

enum {
  KAD_OVERLAY_MAX = 2048,
  KAD_SECOND_MS = 1000,
  KAD_MINUTE_MS = 60 * KAD_SECOND_MS,
  KAD_HOUR_MS = 60 * KAD_MINUTE_MS
};

struct kad_overlay {
  struct kad_counting_allocator counting;
  struct kad_network *network;
  struct kad_config config; /* of the nodes that are opened next */
  bool dual;                /* nodes that are opened next have IPv6 too */
  struct kad_node *nodes[KAD_OVERLAY_MAX]; /* NULL: closed */
  struct kad_id ids[KAD_OVERLAY_MAX];
  size_t count;
  size_t joined; /* bootstraps that have ended well */
};

/* Makes a network of `seed` with the default latencies and no loss. */
void kad_overlay_open(struct kad_overlay *overlay, uint64_t seed);

/* The same, with a network that loses datagrams. */
void kad_overlay_open_lossy(struct kad_overlay *overlay, uint64_t seed,
                            double loss);

/* Closes every node and fails the test if memory is left. */
void kad_overlay_close(struct kad_overlay *overlay);

/* Returns the IPv4 or the IPv6 address of node `i`. Each node has a subnet of
 * its own. */
struct kad_address kad_overlay_address(size_t i);
struct kad_address kad_overlay_address6(size_t i);

/* Opens one more node, which has not joined, and returns it. */
struct kad_node *kad_overlay_add(struct kad_overlay *overlay);

/* Opens `count` more nodes, each of which joins by way of node 0, and runs a
 * minute. Fails the test if one cannot join. */
void kad_overlay_grow(struct kad_overlay *overlay, size_t count);

/* Lets node `i` join by way of node `by`. Its result is counted in `joined`. */
void kad_overlay_join(struct kad_overlay *overlay, size_t i, size_t by);

/* Closes node `i`; opens it again at its address, with its id and the present
 * `config`, and nothing else of what it was. */
void kad_overlay_kill(struct kad_overlay *overlay, size_t i);
void kad_overlay_revive(struct kad_overlay *overlay, size_t i);

/* Lets `span_ms` pass. */
void kad_overlay_run(struct kad_overlay *overlay, kad_time_ms span_ms);

/* Returns the counters of node `i`. */
struct kad_stats kad_overlay_stats(const struct kad_overlay *overlay, size_t i);

/* Writes the `cap` open nodes closest to `target`, but for `except`, to `out`
 * by comparing all ids, and returns how many there are. */
size_t kad_overlay_closest(const struct kad_overlay *overlay,
                           const struct kad_id *target,
                           const struct kad_node *except, size_t *out,
                           size_t cap);

/* Makes a key of a number. */
struct kad_id kad_overlay_key(unsigned number);

/* Makes a plain record of the text `value` under `key`. */
struct kad_record kad_overlay_record(const struct kad_id *key,
                                     const char *value);

/* What came of an operation, copied. */
struct kad_ending {
  struct kad_overlay *overlay;
  unsigned calls;           /* of the callback */
  struct kad_result result; /* of the last; its arrays are copies */
  char reason[256];
  void *copies[5];
};

void kad_ending_init(struct kad_ending *ending, struct kad_overlay *overlay);
void kad_ending_deinit(struct kad_ending *ending);

/* The callback: `data` is the ending. */
void kad_ending_take(void *data, const struct kad_result *result);

/* Runs until the callback has come, and fails the test when it does not come
 * within three minutes. Returns the status. */
int kad_ending_reach(struct kad_ending *ending);

/* The same, and fails the test when it comes again in the ten seconds after it.
 */
int kad_ending_await(struct kad_ending *ending);

/* Puts the text `value`, or a record, from node `i`, and returns the status of
 * the operation. `ending` must be fresh; NULL when the rest does not matter. */
int kad_overlay_put(struct kad_overlay *overlay, size_t i,
                    const struct kad_record *record, struct kad_ending *ending);

/* Gets what is under `key` of `type` at node `i`. */
int kad_overlay_get(struct kad_overlay *overlay, size_t i,
                    const struct kad_id *key, const char *type,
                    const struct kad_lookup_options *options,
                    struct kad_ending *ending);

/* What all open nodes together have done and hold. */
struct kad_overlay_sums {
  uint64_t republishes; /* made */
  uint64_t stores;      /* served */
  uint64_t held;        /* records */
};

struct kad_overlay_sums kad_overlay_sums(const struct kad_overlay *overlay);

/* Returns how many records of all types node `i` holds. */
size_t kad_overlay_held(const struct kad_overlay *overlay, size_t i);

#endif
