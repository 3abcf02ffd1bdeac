/* Questions to the policy, and the ones that it answers later.
 *
 *     ask ──answered at once──► the asker goes on
 *      └──KAD_LATER──► open ──kad_node_answer──► resume, with the answer
 *                       ├──deadline────────────► resume, KAD_FAILED
 *                       └──withdrawn───────────► nothing (the asker has gone)
 */
#ifndef KAD_ENGINE_HOOK_CALL_H
#define KAD_ENGINE_HOOK_CALL_H

#include "base/map.h"
#include "engine/ruleset.h"
#include "engine/timer.h"

/* Goes on with an answer that came later. `answer->verdict` is never KAD_LATER.
 * `answer` is borrowed until it returns. */
typedef void (*kad_resume)(struct kad_node *node, void *asker,
                           const struct kad_answer *answer);

/* Who asks: what kad_ask needs to come back. */
struct kad_asker {
  void *self;
  kad_resume resume;
  struct kad_ruleset *ruleset; /* kept until the answer has come */
};

/* The open questions of a node. */
struct kad_questions {
  struct kad_map open; /* by ticket */
  uint64_t last_ticket;
  size_t count;
};

/* Begins without any question. */
void kad_questions_init(struct kad_node *node);

/* Fails every open question, so that the askers end, and frees the map. The
 * node is closing: no hook is asked any more. */
void kad_questions_deinit(struct kad_node *node);

/* Asks `hook` with `state`. Fills in node, ticket and now of `question`, and
 * `*answer`. Returns the verdict; after KAD_LATER `asker->resume` will be
 * called once with the answer, unless the question `question->ticket` is
 * withdrawn. A hook that breaks the contract, or too many open questions, is
 * KAD_FAILED. */
enum kad_verdict kad_ask(struct kad_node *node, kad_hook hook, void *state,
                         const struct kad_asker *asker,
                         struct kad_question *question,
                         struct kad_answer *answer);

/* Sets the `self` of an open question's asker, when what has to wait is copied
 * only once it is known to. */
void kad_question_attach(struct kad_node *node, uint64_t ticket, void *self);

/* Withdraws an open question: nobody is resumed, the policy is told. */
void kad_question_withdraw(struct kad_node *node, uint64_t ticket);

#endif
