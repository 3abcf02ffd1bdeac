#include "membership/own_id.h"

#include "base/time.h"
#include "engine/node.h"

static bool fits(const struct kad_node *node,
                 const struct kad_address *address) {
  return kad_secure_id_check(&node->config.id, node->config.id_bits, address);
}

/* Returns true for an address that an id has to fit. */
static bool is_global(const struct kad_address *address) {
  struct kad_address any_port = *address;
  any_port.port = 1;
  return !kad_address_is_martian(&any_port, false);
}

/* Draws an id that fits `address`. */
static struct kad_id draw_id(struct kad_node *node,
                             const struct kad_address *address) {
  uint8_t random[KAD_ID_SIZE];
  struct kad_id id = node->config.id;
  node->env.random(node->env.state, random, sizeof random);
  const int error =
      kad_secure_id_make(address, node->config.id_bits, random, &id);
  (void)error; /* both arguments are valid */
  return id;
}

/* Returns the address at which others see us, as far as is known, or NULL. */
static const struct kad_address *find_address(const struct kad_node *node) {
  const struct kad_own_id *own = &node->own_id;
  const struct kad_address *winner4 = &own->votes[0].winner;
  const struct kad_address *winner6 = &own->votes[1].winner;
  const struct kad_table *table4 = node->tables[0];
  if (winner4->family != 0) {
    return winner4;
  }
  if (own->bound.family == 4) {
    return &own->bound;
  }
  if (table4 != NULL && kad_table_count(table4) > 0) {
    return NULL;
  }
  return winner6->family != 0     ? winner6
         : own->bound.family != 0 ? &own->bound
                                  : NULL;
}

void kad_own_id_bind(struct kad_node *node, const struct kad_address *addresses,
                     size_t count) {
  struct kad_own_id *own = &node->own_id;
  for (size_t i = 0; i < count; i++) {
    if (is_global(&addresses[i]) &&
        (own->bound.family == 0 || own->bound.family > addresses[i].family)) {
      own->bound = addresses[i];
      own->bound.port = 0;
    }
  }
  if (own->bound.family != 0 && own->may_move && !fits(node, &own->bound)) {
    node->config.id = draw_id(node, &own->bound);
  }
}

/* Makes tables round `id` with the contacts of ours. Returns 0, or KAD_ENOMEM
 * with nothing changed. */
static int move_tables(struct kad_node *node, const struct kad_id *id) {
  struct kad_table *moved[KAD_FAMILIES] = {NULL};
  int error = 0;
  for (size_t i = 0; i < KAD_FAMILIES && error == 0; i++) {
    if (node->tables[i] != NULL) {
      error =
          kad_table_move(node->tables[i], id, kad_node_now(node), &moved[i]);
    }
  }
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_table_free(error == 0 ? node->tables[i] : moved[i]);
    node->tables[i] = error == 0 ? moved[i] : node->tables[i];
  }
  return error;
}

/* Moves to `id`. Returns 0, or KAD_ENOMEM with nothing changed. */
static int move(struct kad_node *node, const struct kad_id *id) {
  struct kad_own_id *own = &node->own_id;
  const int error = move_tables(node, id);
  if (error != 0) {
    return error;
  }
  own->previous = node->config.id;
  own->moved_at = kad_node_now(node);
  own->moves++;
  node->stats.id_moves++;
  node->config.id = *id;
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    node->network_size[i].own = (struct kad_network_size_sample){0};
  }
  kad_neighbours_moved(node);
  node->maintenance.refresh_all_at = 0;
  kad_maintenance_refresh_all(node);
  node->events->id_moved(node);
  return 0;
}

static void move_due(struct kad_node *node, struct kad_timer *timer) {
  const struct kad_address *address = find_address(node);
  if (address == NULL || fits(node, address)) {
    return;
  }
  const struct kad_id id = draw_id(node, address);
  if (move(node, &id) != 0) {
    kad_timer_set(node, timer,
                  kad_time_add(kad_node_now(node), KAD_OWN_ID_RETRY_MS),
                  move_due);
  }
}

void kad_own_id_vote(struct kad_node *node, const struct kad_contact *voter,
                     const struct kad_address *observed) {
  struct kad_own_id *own = &node->own_id;
  const unsigned family = voter->address.family;
  if (node->config.secure_ids == KAD_SECURE_IDS_OFF ||
      observed->family != family || !is_global(observed) ||
      !kad_node_admits(node, voter) ||
      !kad_address_vote_add(node, &own->votes[kad_family_index(family)],
                            &voter->address, observed) ||
      !own->may_move || node->closing) {
    return;
  }
  kad_timer_set(node, &own->timer,
                own->moves > 0 ? kad_time_add(own->moved_at, KAD_OWN_ID_KEEP_MS)
                               : kad_node_now(node),
                move_due);
}

void kad_own_id_stop(struct kad_node *node) {
  kad_timer_cancel(node, &node->own_id.timer);
  for (size_t i = 0; i < KAD_FAMILIES; i++) {
    kad_address_vote_deinit(node, &node->own_id.votes[i]);
  }
}

bool kad_node_secure_id(const struct kad_node *node,
                        struct kad_secure_id_info *info) {
  if (node == NULL || info == NULL) {
    return false;
  }
  const struct kad_address *address = find_address(node);
  *info = (struct kad_secure_id_info){
      .may_move = node->own_id.may_move,
      .moves = node->own_id.moves,
      .previous = node->own_id.previous,
  };
  if (address != NULL) {
    info->address = *address;
    info->fits = fits(node, address);
  }
  return true;
}
