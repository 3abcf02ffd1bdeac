#include "membership/contact_admission.h"

#include "base/allocator.h"
#include "engine/node.h"

/* A contact that waits for on_contact. */
struct meeting {
  struct kad_contact contact;
  uint32_t rtt_ms;
};

/* The contact that stands in the way is asked whether it is still there. */
static void probe_standing(struct kad_node *node,
                           const struct kad_table_entry *standing) {
  if (standing != NULL) {
    struct kad_contact contact = standing->contact;
    kad_verification_probe(node, &contact);
  }
}

/* Another id answers at an address: the contact that was there is no more. */
static int replace(struct kad_node *node, struct kad_table *table,
                   const struct kad_contact *contact, uint32_t rtt_ms) {
  const struct kad_table_entry *probe = NULL;
  const struct kad_table_entry *old =
      kad_table_find_address(table, &contact->address);
  if (old != NULL) {
    struct kad_contact gone = old->contact;
    kad_table_remove(table, &gone);
    kad_neighbours_gone(node, &gone);
  }
  return kad_table_add(table, contact, rtt_ms, kad_node_now(node), &probe);
}

/* Lets a contact into its table. Returns what kad_table_add does. */
static int enter_table(struct kad_node *node, struct kad_table *table,
                       const struct kad_contact *contact, uint32_t rtt_ms) {
  const struct kad_table_entry *probe = NULL;
  int error = kad_table_add(table, contact, rtt_ms, kad_node_now(node), &probe);
  switch (error) {
  case KAD_EADDRESS:
    return replace(node, table, contact, rtt_ms);
  case KAD_EID:
    probe_standing(node, kad_table_find(table, &contact->id));
    break;
  default:
    probe_standing(node, probe);
  }
  return error;
}

static void enter(struct kad_node *node, const struct kad_contact *contact,
                  uint32_t rtt_ms) {
  struct kad_table *table = kad_node_table(node, contact->address.family);
  size_t before = kad_table_count(table);
  int error = enter_table(node, table, contact, rtt_ms);
  if (error == 0 || error == KAD_EFULL) {
    kad_neighbours_met(node, contact);
  }
  if (kad_table_count(table) > before) {
    kad_maintenance_met(node, contact->address.family);
  }
}

static void apply_result(struct kad_node *node, void *self,
                         const struct kad_hook_result *result) {
  const struct meeting *meeting = self;
  if (result->verdict == KAD_VERDICT_ACCEPT && !node->closing) {
    enter(node, &meeting->contact, meeting->rtt_ms);
  }
}

static void *keep_meeting(struct kad_node *node, void *self) {
  struct meeting *kept = kad_alloc(&node->env.allocator, sizeof *kept);
  if (kept != NULL) {
    *kept = *(const struct meeting *)self;
  }
  return kept;
}

static void resume_meeting(struct kad_node *node, void *self,
                           const struct kad_hook_result *result) {
  apply_result(node, self, result);
  kad_release(&node->env.allocator, self, sizeof(struct meeting));
}

/* Asks the policy, unless the contact is in its table, and enters it. */
static void admit(struct kad_node *node, const struct kad_contact *contact,
                  uint32_t rtt_ms) {
  static const struct kad_hook_handler handler = {
      .apply = apply_result, .keep = keep_meeting, .resume = resume_meeting};
  const struct kad_policy *policy = &node->ruleset->policy;
  const bool asks =
      policy->on_contact != NULL && !kad_node_is_proven(node, contact);
  struct meeting meeting = {.contact = *contact, .rtt_ms = rtt_ms};
  struct kad_hook_call call = {.from = *contact, .proven = true};
  const struct kad_hook_caller caller = {
      .handler = &handler,
      .self = &meeting,
      .ruleset = node->ruleset,
      .hook = asks ? policy->on_contact : NULL,
      .state = policy->state,
  };
  (void)kad_hook_call_start(node, &caller, &call);
}

void kad_contact_answered(struct kad_node *node,
                          const struct kad_contact *contact, uint32_t rtt_ms) {
  const struct kad_table *table = kad_node_table(node, contact->address.family);
  if (table == NULL || kad_id_equal(&contact->id, &node->config.id) ||
      !kad_rpc_is_named(contact)) {
    return;
  }
  kad_recovery_found(node, contact);
  admit(node, contact, rtt_ms);
}
