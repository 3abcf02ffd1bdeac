/* Which contacts live: the ones that were silent are pinged, the stalest first,
 * one a round. The pace follows what comes of it: slow while all answer, faster
 * while some are dead. So a quiet overlay costs little, however large the table
 * is, and in a restless one the dead leave soon.
 *
 *   answered, or nobody to ask ──► the next ping a sixteenth later
 *   unanswered ─────────────────► the next ping after half the time
 *
 * It comes to rest where one ping in twelve is unanswered.
 * Source: BEP 5 "Routing Table". */
#ifndef KAD_MEMBERSHIP_LIVENESS_H
#define KAD_MEMBERSHIP_LIVENESS_H

#include "kadenza.h"

enum {
  KAD_PACE_MIN_MS = 5000,  /* between two pings */
  KAD_PACE_MAX_MS = 30000, /* and while all answer */
  KAD_PRUNE_MS = 60000,    /* between two looks for the dead */
  KAD_DOUBT_TIMEOUTS = 4,  /* queries in a row without any answer: the contacts
                              seen last are asked whether it is we */
  KAD_DOUBTS_MAX = 4       /* so many of those silent too: it is */
};

/* What is known of whether others answer. */
struct kad_liveness {
  kad_time_ms pace_ms;
  kad_time_ms prune_at; /* the dead are kept until then */
  uint64_t answers;     /* that had come when the last round began */
  uint64_t timeouts;    /* at the last round that had answers to see */
  uint32_t doubts;      /* contacts seen last that were asked since then */
  size_t turn;          /* of the families */
  bool had_contacts;
  bool alone; /* nobody answered when the last round began */
};

/* Begins with the fastest pace. */
void kad_liveness_start(struct kad_node *node);

/* Lets the pace be the fastest again, and nobody be dropped for ping_s: who was
 * silent while we were away is given the time to answer again. */
void kad_liveness_hasten(struct kad_node *node);

/* Drops the dead, but while nobody at all answers: then it is we who are cut
 * off, and they are asked until one does. Returns true when we were, and are no
 * more. */
bool kad_liveness_judge(struct kad_node *node);

/* Pings the questionable contact that was seen longest ago; when it seems that
 * nobody answers, the one that was seen last. */
void kad_liveness_ping(struct kad_node *node);

/* Notes what came of a ping of a contact of ours. */
void kad_liveness_heard(struct kad_node *node, bool answered);

/* Notes that `contact` left a query unanswered; remembers it as lost if that
 * makes a contact of ours bad. */
void kad_liveness_failed(struct kad_node *node,
                         const struct kad_contact *contact);

/* Returns true if some contact has not left KAD_FAILURES_BAD queries in a row
 * unanswered. */
bool kad_liveness_has_contacts(const struct kad_node *node);

/* Returns true if nobody answers: every contact is bad, or those seen last
 * were asked and silent, as were all others. */
bool kad_liveness_is_alone(const struct kad_node *node);

#endif
