#include "rpc/turn.h"

#include "engine/node.h"

enum {
  /* After this, new work waits. A batch of 64 cheap stores takes less: to let
   * them wait would cost more than to serve them. */
  TAKEN_US = 250,
  /* After this, work that has begun waits, and the backlog. Two signatures. */
  OVER_US = 100,
  /* Turns after which work goes on although the policy is busy: its scripts may
   * have much to do besides. */
  PUT_OFF_MAX = 4
};

static uint32_t time_us(const struct kad_node *node) {
  return node->env.turn_us != NULL ? node->env.turn_us(node->env.state) : 0;
}

static bool is_policy_busy(const struct kad_node *node) {
  const struct kad_policy *policy = &node->ruleset->policy;
  return policy->is_busy != NULL && node->env.turn_us != NULL &&
         policy->is_busy(policy->state);
}

void kad_turn_init(struct kad_node *node) {
  kad_backlog_init(&node->turn.backlog, &node->env.allocator, node->map_secret,
                   node->config.allow_local);
}

void kad_turn_deinit(struct kad_node *node) {
  struct kad_backlog_item *item;
  kad_timer_cancel(node, &node->turn.timer);
  while ((item = kad_backlog_take(&node->turn.backlog)) != NULL) {
    item->refuse(node, item);
  }
  kad_backlog_deinit(&node->turn.backlog);
}

bool kad_turn_is_taken(const struct kad_node *node) {
  return node->turn.backlog.count > 0 || time_us(node) >= TAKEN_US ||
         is_policy_busy(node);
}

bool kad_turn_is_over(struct kad_node *node) {
  if (node->turn.owes || node->closing) {
    node->turn.owes = false;
    return false;
  }
  return time_us(node) >= OVER_US;
}

/* Serves items until the turn is over, at least one. */
static void serve_items(struct kad_node *node, struct kad_turn *turn) {
  struct kad_backlog_item *item;
  do {
    item = kad_backlog_take(&turn->backlog);
    turn->owes = true;
    if (item != NULL) {
      item->resume(node, item);
    }
  } while (turn->backlog.count > 0 && time_us(node) < OVER_US &&
           !is_policy_busy(node));
  turn->owes = false;
}

static void serve(struct kad_node *node, struct kad_timer *timer) {
  struct kad_turn *turn = &node->turn;
  if (turn->put_off < PUT_OFF_MAX && is_policy_busy(node)) {
    turn->put_off++;
  } else {
    turn->put_off = 0;
    serve_items(node, turn);
  }
  if (turn->backlog.count > 0) {
    kad_timer_set(node, timer, kad_node_now(node), serve);
  }
}

int kad_turn_wait(struct kad_node *node, const struct kad_address *from,
                  struct kad_backlog_item *item, enum kad_backlog_place place) {
  struct kad_backlog_item *refused;
  const int error =
      kad_backlog_add(&node->turn.backlog, from, item, place, &refused);
  if (error != 0) {
    return error;
  }
  kad_timer_set(node, &node->turn.timer, kad_node_now(node), serve);
  if (refused != NULL) {
    refused->refuse(node, refused);
  }
  return 0;
}
