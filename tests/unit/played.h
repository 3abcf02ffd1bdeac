/* One node among contacts that the test plays: what a lookup asks, whom, and
 * when.
 *
 *     static struct kad_played world;
 *     kad_played_open(&world, 60, 12);     60 contacts, of which it knows 12
 *     kad_played_look_up(&world, NULL);    finds the closest, to its end
 *     assert_int_equal(world.status, 0);
 *     kad_played_close(&world);
 */
#ifndef KAD_UNIT_PLAYED_H
#define KAD_UNIT_PLAYED_H

#include "lone_node.h"

enum {
  KAD_PLAYED_MAX = 64,      /* contacts at most */
  KAD_PLAYED_FLYING = 256,  /* answers on their way at most */
  KAD_PLAYED_DELAY_MS = 50, /* of an answer, if the test says no other */
  KAD_PLAYED_PATIENCE_MS = 60000
};

/* An answer on its way. */
struct kad_played_answer {
  kad_time_ms at;
  size_t who;
  uint8_t transaction[KAD_TRANSACTION_MAX];
  size_t transaction_len;
  bool counts; /* its query was one of the lookup */
};

/* The contacts, and what the lookup has asked them. */
struct kad_played {
  struct kad_lone lone;
  struct kad_contact contacts[KAD_PLAYED_MAX];
  size_t count;
  size_t (*teach)(const struct kad_played *world, size_t who,
                  struct kad_contact *out);
  kad_time_ms delay_ms[KAD_PLAYED_MAX]; /* KAD_TIME_NEVER: silent */
  struct kad_played_answer answers[KAD_PLAYED_FLYING];
  size_t answer_count;
  unsigned asked[KAD_PLAYED_MAX]; /* times */
  kad_time_ms asked_at[KAD_PLAYED_MAX];
  size_t in_flight;
  size_t peak; /* most at once, until `last` was asked */
  size_t last;
  /* What came of it. */
  unsigned calls;
  int status;
  size_t closest[KAD_LONE_KEPT]; /* numbers of contacts */
  size_t closest_count;
  struct kad_step path[KAD_LONE_KEPT];
  size_t path_count;
  uint32_t hops;
  uint32_t messages;
  uint32_t took_ms;
};

/* Opens a node and `count` contacts, of which the first `known` are in its
 * table. Each answers with the eight closest to kad_lone_target. */
void kad_played_open(struct kad_played *world, size_t count, size_t known);

/* The same with a chain: each contact is twice as close to the target as the
 * one before it, and knows only the one after it. */
void kad_played_open_chain(struct kad_played *world, size_t count,
                           size_t known);

/* Closes the node and fails the test on a leak. */
void kad_played_close(struct kad_played *world);

/* Returns the number of the contact at `address`, or `count`. */
size_t kad_played_find(const struct kad_played *world,
                       const struct kad_address *address);

/* What contacts tell by default. Returns how many they are. */
size_t kad_played_teach_closest(const struct kad_played *w, size_t who,
                                struct kad_contact *out);

/* Starts a lookup of kad_lone_target. */
kad_operation kad_played_begin(struct kad_played *world,
                               const struct kad_lookup_options *options);

/* Lets `span_ms` pass, or less when the lookup ends. */
void kad_played_run(struct kad_played *world, kad_time_ms span_ms);

/* Starts a lookup and runs it to its end. */
void kad_played_look_up(struct kad_played *world,
                        const struct kad_lookup_options *options);

#endif
