#include "membership/names.h"

#include "base/address.h"
#include "base/array.h"
#include "engine/node.h"

#include <string.h>

enum {
  FIRST_CAP = 4
};

static struct kad_names *names_of(struct kad_node *node) {
  return &node->maintenance.names;
}

static struct kad_slice text_of(const struct kad_name *name) {
  return (struct kad_slice){.data = name->text, .len = name->len};
}

static bool has_name(const struct kad_names *names, struct kad_slice text) {
  bool has = false;
  for (size_t i = 0; i < names->count && !has; i++) {
    has = kad_slice_equal(text_of(&names->items[i]), text);
  }
  return has;
}

/* Makes room for one more name. Returns 0, KAD_EFULL or KAD_ENOMEM. */
static int reserve_name(struct kad_node *node) {
  struct kad_names *names = names_of(node);
  if (names->count < names->cap) {
    return 0;
  }
  if (names->cap == KAD_NAMES_MAX) {
    return KAD_EFULL;
  }
  return KAD_ARRAY_RESERVE(&node->env.allocator, &names->items, &names->cap,
                           names->cap == 0 ? FIRST_CAP : 2 * names->cap);
}

/* Returns the oldest name that is not pending, or NULL. */
static struct kad_name *find_oldest(struct kad_names *names) {
  for (size_t i = 0; i < names->count; i++) {
    struct kad_name *name = &names->items[names->next];
    names->next = (names->next + 1) % names->count;
    if (!name->pending) {
      return name;
    }
  }
  return NULL;
}

int kad_node_add_name(struct kad_node *node, struct kad_slice text) {
  if (node == NULL) {
    return KAD_EINVAL;
  }
  if (text.len == 0 || text.len > KAD_NAME_TEXT_MAX) {
    return KAD_EINVAL;
  }
  struct kad_names *names = names_of(node);
  if (node->env.resolve == NULL) {
    return KAD_ERESOLVE;
  }
  if (has_name(names, text)) {
    return 0;
  }
  struct kad_name *added;
  const int error = reserve_name(node);
  if (error == 0) {
    added = &names->items[names->count++];
  } else if (error == KAD_EFULL) {
    added = find_oldest(names);
  } else {
    return error;
  }
  if (added == NULL) {
    return KAD_EBUSY;
  }
  *added = (struct kad_name){.len = text.len, .status = KAD_EBUSY};
  memcpy(added->text, text.data, text.len);
  return 0;
}

void kad_names_resolve(struct kad_node *node) {
  struct kad_names *names = names_of(node);
  for (size_t i = 0; i < names->count; i++) {
    struct kad_name *name = &names->items[i];
    if (name->pending) {
      continue;
    }
    const int error = node->env.resolve(node->env.state, i, text_of(name));
    node->stats.name_lookups++;
    if (error == 0) {
      name->pending = true;
      names->pending++;
    } else {
      name->status = KAD_ERESOLVE;
    }
  }
}

/* Copies the distinct addresses. Returns true if the name had others. */
static bool set_addresses(struct kad_name *name,
                          const struct kad_address *addresses, size_t count) {
  const struct kad_name before = *name;
  bool has_new = false;
  name->count = 0;
  for (size_t i = 0; i < count && name->count < KAD_NAME_ADDRESSES_MAX; i++) {
    if (kad_address_is_among(name->addresses, name->count, &addresses[i])) {
      continue;
    }
    has_new = has_new || !kad_address_is_among(before.addresses, before.count,
                                               &addresses[i]);
    name->addresses[name->count++] = addresses[i];
  }
  return has_new || name->count != before.count;
}

/* Returns true if `name` leads to no other node: an address is ours, or one
 * that was removed `has_own`, and we can use no other. A host with both
 * families has an address that a node with one socket cannot use. */
static bool leads_to_us(const struct kad_node *node,
                        const struct kad_name *name, bool has_own) {
  bool has_other = false;
  for (size_t i = 0; i < name->count; i++) {
    const int problem = kad_node_check_address(node, &name->addresses[i]);
    has_own = has_own || problem == KAD_EOWNID;
    has_other = has_other || problem == 0;
  }
  return has_own && !has_other;
}

void kad_node_name_resolved(struct kad_node *node, size_t index, int status,
                            const struct kad_address *addresses, size_t count) {
  if (node == NULL || (addresses == NULL && count > 0)) {
    return;
  }
  struct kad_names *names = names_of(node);
  if (index >= names->count || !names->items[index].pending) {
    return;
  }
  struct kad_name *name = &names->items[index];
  bool has_changed = name->status != status;
  name->pending = false;
  names->pending--;
  name->status = status;
  if (status == 0 && count > 0) {
    has_changed = set_addresses(name, addresses, count) || has_changed;
  }
  name->is_own = status == 0 && leads_to_us(node, name, false);
  node->events->name_resolved(node, name->addresses,
                              status == 0 ? name->count : 0);
  if (has_changed && names->changed != NULL) {
    names->changed(names->data, index);
  }
}

bool kad_node_name(const struct kad_node *node, size_t index,
                   struct kad_name_info *info) {
  if (node == NULL || info == NULL) {
    return false;
  }
  const struct kad_names *names = &node->maintenance.names;
  if (index >= names->count) {
    return false;
  }
  const struct kad_name *name = &names->items[index];
  *info = (struct kad_name_info){
      .text = text_of(name),
      .status = name->status,
      .addresses = name->addresses,
      .count = name->count,
  };
  return true;
}

void kad_node_watch_names(struct kad_node *node,
                          void (*changed)(void *data, size_t index),
                          void *data) {
  if (node == NULL) {
    return;
  }
  names_of(node)->changed = changed;
  names_of(node)->data = data;
}

int kad_node_check_address(const struct kad_node *node,
                           const struct kad_address *address) {
  if (node == NULL || address == NULL) {
    return KAD_EINVAL;
  }
  if (node->env.is_own != NULL && node->env.is_own(node->env.state, address)) {
    return KAD_EOWNID;
  }
  return kad_rpc_find_route(node, address);
}

size_t kad_names_pending(const struct kad_node *node) {
  return node->maintenance.names.pending;
}

bool kad_names_have_failed(const struct kad_node *node) {
  const struct kad_names *names = &node->maintenance.names;
  bool have_failed = names->count > 0;
  for (size_t i = 0; i < names->count; i++) {
    have_failed = have_failed && names->items[i].status != 0;
  }
  return have_failed;
}

const struct kad_address *kad_names_next_address(
    const struct kad_node *node, struct kad_name_cursor *cursor) {
  const struct kad_names *names = &node->maintenance.names;
  while (cursor->name < names->count) {
    const struct kad_name *name = &names->items[cursor->name];
    if (cursor->address < name->count) {
      return &name->addresses[cursor->address++];
    }
    cursor->name++;
    cursor->address = 0;
  }
  return NULL;
}

void kad_names_forget(struct kad_node *node,
                      const struct kad_address *address) {
  struct kad_names *names = names_of(node);
  for (size_t i = 0; i < names->count; i++) {
    struct kad_name *name = &names->items[i];
    size_t kept = 0;
    for (size_t j = 0; j < name->count; j++) {
      if (!kad_address_equal(&name->addresses[j], address)) {
        name->addresses[kept++] = name->addresses[j];
      }
    }
    const bool has_own = kept < name->count;
    name->count = kept;
    name->is_own = name->is_own || leads_to_us(node, name, has_own);
  }
}

bool kad_names_lead_elsewhere(const struct kad_node *node) {
  const struct kad_names *names = &node->maintenance.names;
  bool lead = false;
  for (size_t i = 0; i < names->count && !lead; i++) {
    lead = !names->items[i].is_own;
  }
  return lead;
}

void kad_names_stop(struct kad_node *node) {
  struct kad_names *names = names_of(node);
  KAD_ARRAY_FREE(&node->env.allocator, &names->items, &names->cap);
  *names = (struct kad_names){0};
}
