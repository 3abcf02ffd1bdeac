/* migration.h: carries what the policies of a node save over a reload. */
#ifndef KAD_POLICY_MIGRATION_H
#define KAD_POLICY_MIGRATION_H

#include "policy/host.h"

/* Gives what the policies of `from` save to `restore` of those of `to`. No hook
 * of `from` runs meanwhile: what it changes would be lost. Sets `*lost` if a
 * `save` could not be called. Returns false when a `restore` fails; the problem
 * is the text that `to` leaves. */
bool kad_migration_run(struct kad_host *from, struct kad_host *to, bool *lost);

#endif
