/* Maintenance: what a node does to stay in the overlay, in maintenance rounds.
 * A round
 *
 *   checks a contact, and removes bad ones  (liveness.h)
 *   joins again if the node is isolated     (rejoin.h)
 *   looks for another partition             (recovery.h)
 *   refreshes a bucket                      (refresh.h)
 *
 * The next round is due after the check interval (check_interval.h), or sooner
 * if a part is due. All intervals are jittered. */
#ifndef KAD_MEMBERSHIP_MAINTENANCE_H
#define KAD_MEMBERSHIP_MAINTENANCE_H

#include "engine/timer.h"
#include "membership/liveness.h"
#include "membership/names.h"
#include "membership/recovery.h"
#include "membership/refresh.h"
#include "membership/rejoin.h"

enum {
  KAD_ROUND_DELAY_MS = 5000,   /* from a change to the round that handles it */
  KAD_REFRESH_ALL_MS = 120000, /* between two refreshes of the whole table */
  KAD_RETURN_MS = 60000        /* with answers, after which a node is no longer
                                  isolated or degraded */
};

struct kad_maintenance {
  struct kad_timer round;
  kad_time_ms check_interval_ms;
  struct kad_liveness liveness;
  struct kad_refresh refresh;
  struct kad_names names;
  struct kad_rejoin rejoin;
  struct kad_recovery recovery;
  bool degraded;         /* at the last round */
  kad_time_ms silent_at; /* the last round at which a third did not answer */
  bool isolated;         /* at the last round, or not heard enough since then */
  kad_time_ms isolated_since;
  kad_time_ms unanswered_at; /* the last round at which no contact answered */
  bool refresh_all;          /* in the next round from refresh_all_at on */
  /* The earliest time of the next refresh of the whole table, so that an
   * unstable connection does not cause many lookups. */
  kad_time_ms refresh_all_at;
};

/* Starts the rounds. */
void kad_maintenance_start(struct kad_node *node);

/* Stops all parts; for kad_node_free. */
void kad_maintenance_stop(struct kad_node *node);

/* Notes that a contact has entered the table of `family`. While the table has
 * at most k contacts, our own id is looked up soon. */
void kad_maintenance_contact_added(struct kad_node *node, unsigned family);

/* Notes that a join has succeeded: refreshes every bucket farther than the
 * closest neighbour. Source: Kademlia §2.3. */
void kad_maintenance_joined(struct kad_node *node);

/* Notes that a rejoin has ended, with a status of kad_done_fn: the next one may
 * be due before the next round was. */
void kad_maintenance_rejoin_ended(struct kad_node *node, int status);

/* Starts a round that refreshes the whole table as after a join: the machine
 * was suspended, or our address has changed. */
void kad_maintenance_refresh_all(struct kad_node *node);

/* Returns the state of the node. */
enum kad_state kad_maintenance_state(const struct kad_node *node);

#endif
