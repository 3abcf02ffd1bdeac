/* What a node does unasked, in rounds: looks for the dead (liveness.h),
 * refreshes idle buckets (refresh.h), joins again when it is alone (rejoin.h),
 * looks for the other side of a partition (lost.h);
 * and, when their time has come, expires and republishes records
 * (publishing.h). Every period is jittered. */
#ifndef KAD_MEMBERSHIP_MAINTENANCE_H
#define KAD_MEMBERSHIP_MAINTENANCE_H

#include "engine/timer.h"
#include "membership/liveness.h"
#include "membership/recovery.h"
#include "membership/refresh.h"
#include "membership/rejoin.h"

enum {
  KAD_SOON_MS = 5000,  /* to the round after something has changed */
  KAD_CALM_MS = 120000 /* between two times of looking around as after a
                           join */
};

/* What is under way, and when. */
struct kad_maintenance {
  struct kad_timer round;
  struct kad_liveness liveness;
  struct kad_refresh refresh;
  struct kad_rejoin rejoin;
  struct kad_recovery lost;
  bool disturbed;
  kad_time_ms calm_at; /* not to be disturbed before then: lines that come and
                          go are no reason for a storm */
};

/* Starts the rounds. */
void kad_maintenance_start(struct kad_node *node);

/* Stops everything; for kad_node_free. */
void kad_maintenance_stop(struct kad_node *node);

/* Notes that a contact has entered the table of `family`: the first ones are a
 * reason to look around soon. */
void kad_maintenance_met(struct kad_node *node, unsigned family);

/* Notes that we have joined: every bucket farther than the closest neighbour is
 * refreshed. Source: Kademlia §2.3. */
void kad_maintenance_joined(struct kad_node *node);

/* Notes that we have slept, or moved: the table is looked after as after a
 * join, from the next round on, which is now. */
void kad_maintenance_disturbed(struct kad_node *node);

/* Returns how the node stands. */
enum kad_state kad_maintenance_state(const struct kad_node *node);

#endif
