/* Calls every public function with nonsense, from outside and from callbacks:
 * no call may crash or leak, and every operation ends once. */
#include "calls.h"

static struct kad_calls calls;

static void call_any(struct kad_calls *it) {
  const struct kad_call *call;
  do {
    call = &kad_calls_all[kad_dice_below(&it->dice, kad_calls_all_count)];
  } while (!call->is_busy && !kad_dice_one_in(&it->dice, 8));
  kad_attack_show("  %u: %s", it->depth, call->name);
  call->call(it);
}

static void begin(uint64_t seed) {
  kad_calls_open(&calls, seed);
  calls.call = call_any;
}

static void step(uint64_t seed) {
  calls.dice.state = seed;
  call_any(&calls);
  if (kad_dice_one_in(&calls.dice, 3)) {
    kad_calls_special_kad_network_run(&calls);
  }
  kad_values_release(&calls);
  CHECK(calls.ended <= calls.started);
}

static void end(void) {
  kad_calls_close(&calls);
}

int main(int argc, char **argv) {
  static const struct kad_attack attack = {
      .name = "calls",
      .steps = 300,
      .begin = begin,
      .step = step,
      .end = end,
  };
  return kad_attack_main(&attack, argc, argv);
}
