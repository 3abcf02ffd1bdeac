/* Reads operations on a timing wheel from bytes, and compares it with a heap of
 * the same deadlines. */
#include "base/wheel.h"

#include "target.h"

#include <stdlib.h>

enum {
  DEADLINES = 128,
  BYTES = 4 /* of an operation */
};

struct world {
  struct kad_wheel wheel;
  struct kad_heap heap;
  struct kad_deadline in_wheel[DEADLINES];
  struct kad_deadline in_heap[DEADLINES];
  kad_time_ms now;
};

static void add(struct world *world, size_t which, kad_time_ms at) {
  kad_wheel_add(&world->wheel, &world->in_wheel[which], at);
  kad_heap_add(&world->heap, &world->in_heap[which], at);
}

/* Reads a time up to half a turn of the wheel in the past, within a turn, or
 * later. */
static kad_time_ms read_time(const struct world *world, const uint8_t *bytes) {
  const kad_time_ms offset = (kad_time_ms)bytes[0] << 8 | bytes[1];
  return offset == UINT16_MAX ? KAD_TIME_NEVER
                              : world->now + offset - KAD_WHEEL_SLOTS / 2;
}

static void pop(struct world *world) {
  const struct kad_deadline *popped =
      kad_wheel_pop_due(&world->wheel, world->now);
  const struct kad_deadline *expected =
      kad_heap_pop_due(&world->heap, world->now);
  CHECK((popped == NULL) == (expected == NULL));
  CHECK(popped == NULL ||
        popped - world->in_wheel == expected - world->in_heap);
}

static void run_operation(struct world *world, const uint8_t *bytes) {
  const size_t which = bytes[1] % DEADLINES;
  switch (bytes[0] % 4) {
  case 0:
    kad_wheel_remove(&world->wheel, &world->in_wheel[which]);
    kad_heap_remove(&world->heap, &world->in_heap[which]);
    break;
  case 1:
    world->now += (kad_time_ms)bytes[2] << bytes[3] % 8;
    pop(world);
    break;
  case 2: /* so many that the wheel allocates its slots */
    for (size_t i = 0; i < DEADLINES; i++) {
      add(world, i, read_time(world, &bytes[2]) + i % 8);
    }
    break;
  default:
    add(world, which, read_time(world, &bytes[2]));
    break;
  }
  CHECK(kad_wheel_next(&world->wheel) == kad_heap_next(&world->heap));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct world world;
  const struct kad_allocator allocator = kad_allocator_default();
  world = (struct world){.now = KAD_WHEEL_SLOTS};
  kad_wheel_init(&world.wheel, &allocator);
  for (size_t i = 0; i + BYTES <= size; i += BYTES) {
    run_operation(&world, &data[i]);
  }
  for (size_t i = 0; i < 2UL * DEADLINES; i++) {
    pop(&world);
    world.now += KAD_WHEEL_SLOTS / 8;
  }
  kad_wheel_deinit(&world.wheel);
  return 0;
}
