#include "membership/contact_admission.h"

#include "base/allocator.h"
#include "base/time.h"
#include "engine/node.h"

enum {
  SETTLED_MS = 10000 /* a contact seen since then is still at its address */
};

/* A contact that has answered, for on_contact. */
struct answered_contact {
  struct kad_contact contact;
  uint32_t rtt_ms;
  bool cold; /* its query was */
};

/* Returns true if the table has `contact` at another address, at which it was
 * seen just now: it has several addresses. */
static bool is_settled_elsewhere(const struct kad_node *node,
                                 const struct kad_table *table,
                                 const struct kad_contact *contact) {
  const struct kad_table_entry *entry = kad_table_find(table, &contact->id);
  return entry != NULL && !kad_table_entry_is_bad(entry) &&
         !kad_address_equal(&entry->contact.address, &contact->address) &&
         kad_time_since(entry->last_seen, kad_node_now(node)) < SETTLED_MS;
}

/* Returns true if the answer to a ping of `contact` could be of use: it may
 * become a neighbour, its bucket has a use for it, or it may have changed its
 * id or its address. Two nodes with several addresses each would otherwise ping
 * each other without end, because a ping is a query from another address. */
static bool is_worth_a_ping(const struct kad_node *node,
                            const struct kad_table *table,
                            const struct kad_contact *contact) {
  const kad_time_ms fresh_ms =
      (kad_time_ms)node->config.refresh_s * KAD_MS_PER_S;
  return !is_settled_elsewhere(node, table, contact) &&
         (kad_neighbours_want(node, contact) ||
          kad_table_wants(table, contact, kad_node_now(node), fresh_ms) ||
          kad_table_find(table, &contact->id) != NULL ||
          kad_table_find_address(table, &contact->address) != NULL);
}

void kad_contact_queried(struct kad_node *node,
                         const struct kad_contact *contact) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  if (table == NULL || kad_node_is_own_id(node, &contact->id) ||
      !kad_node_admits(node, contact)) {
    return;
  }
  kad_hidden_contacts_queried(&node->hidden, &contact->address,
                              kad_node_now(node));
  kad_neighbours_contact_queried(node, contact);
  if (!kad_table_seen(table, contact, kad_node_now(node)) &&
      is_worth_a_ping(node, table, contact)) {
    kad_verification_ping_stranger(node, contact);
  }
}

void kad_contact_is_read_only(struct kad_node *node,
                              const struct kad_contact *contact) {
  const struct kad_table *table = kad_node_table(node, contact->address.family);
  const struct kad_table_entry *entry =
      table != NULL ? kad_table_find_exact(table, contact) : NULL;
  if (entry != NULL && !kad_table_entry_is_bad(entry)) {
    kad_verification_ping_stranger(node, contact);
  }
}

/* Pings the contact of an entry that keeps another contact out. */
static void ping_entry(struct kad_node *node,
                       const struct kad_table_entry *entry) {
  if (entry != NULL) {
    struct kad_contact contact = entry->contact;
    kad_verification_ping(node, &contact);
  }
}

/* Adds a contact in place of the one with another id at its address. */
static int replace_contact(struct kad_node *node, struct kad_table *table,
                           const struct kad_contact *contact, uint32_t rtt_ms) {
  const struct kad_table_entry *probe = NULL;
  const struct kad_table_entry *old =
      kad_table_find_address(table, &contact->address);
  if (old != NULL) {
    struct kad_contact replaced = old->contact;
    kad_table_remove(table, &replaced);
    kad_neighbours_contact_replaced(node, &replaced);
  }
  return kad_table_add(table, contact, rtt_ms, kad_node_now(node), &probe);
}

/* Adds a contact to its table. Returns the result of kad_table_add. */
static int add_to_table(struct kad_node *node, struct kad_table *table,
                        const struct kad_contact *contact, uint32_t rtt_ms) {
  const struct kad_table_entry *probe = NULL;
  int error = kad_table_add(table, contact, rtt_ms, kad_node_now(node), &probe);
  switch (error) {
  case KAD_EADDRESS:
    return replace_contact(node, table, contact, rtt_ms);
  case KAD_EID:
    if (!is_settled_elsewhere(node, table, contact)) {
      ping_entry(node, kad_table_find(table, &contact->id));
    }
    break;
  default:
    ping_entry(node, probe);
  }
  return error;
}

static void admit(struct kad_node *node,
                  const struct answered_contact *answered) {
  const struct kad_contact *contact = &answered->contact;
  struct kad_table *table = kad_node_table(node, contact->address.family);
  size_t before = kad_table_count(table);
  int error = add_to_table(node, table, contact, answered->rtt_ms);
  if (answered->cold) {
    kad_table_reached(table, contact);
  }
  if (error == 0 || error == KAD_EFULL) {
    kad_neighbours_contact_answered(node, contact);
  }
  if (kad_table_count(table) > before) {
    kad_maintenance_contact_added(node, contact->address.family);
  }
}

static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  const struct answered_contact *answered = self;
  /* It may have been blocked while the hook was pending. */
  if (result->verdict == KAD_VERDICT_ACCEPT && !node->closing &&
      !kad_node_shuns(node, &answered->contact.address)) {
    admit(node, answered);
  }
}

/* Copies the contact. `resume_contact` frees the copy. Returns NULL when out of
 * memory. */
static void *keep_contact(struct kad_node *node, void *self) {
  struct answered_contact *kept = kad_alloc(&node->env.allocator, sizeof *kept);
  if (kept != NULL) {
    *kept = *(const struct answered_contact *)self;
  }
  return kept;
}

static void resume_contact(struct kad_node *node, void *self,
                           const struct kad_hook_result *result) {
  apply_result(node, self, result);
  kad_release(&node->env.allocator, self, sizeof(struct answered_contact));
}

/* Calls on_contact, unless the contact is known, and applies the verdict. */
static void call_on_contact(struct kad_node *node,
                            struct answered_contact *answered) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result, .keep = keep_contact, .resume = resume_contact};
  const struct kad_policy *policy = &node->ruleset->policy;
  const bool is_known = kad_node_is_proven(node, &answered->contact);
  struct kad_hook_call call = {.from = answered->contact, .proven = true};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = answered,
      .ruleset = node->ruleset,
      .hook = is_known ? NULL : policy->on_contact,
      .state = policy->state,
  };
  (void)kad_hook_call_start(node, &caller, &call);
}

void kad_contact_answered(struct kad_node *node,
                          const struct kad_contact *contact, uint32_t rtt_ms,
                          bool cold) {
  struct answered_contact answered = {
      .contact = *contact, .rtt_ms = rtt_ms, .cold = cold};
  const struct kad_table *table = kad_node_table(node, contact->address.family);
  if (table == NULL || kad_node_is_own_id(node, &contact->id) ||
      !kad_contact_has_id(contact)) {
    return;
  }
  if (!kad_node_admits(node, contact)) {
    node->stats.insecure++;
    return;
  }
  kad_recovery_remove(node, contact);
  call_on_contact(node, &answered);
}
