#include "dice.h"

uint64_t kad_dice_next(struct kad_dice *dice) {
  dice->state += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t bits = dice->state;
  bits = (bits ^ (bits >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  bits = (bits ^ (bits >> 27)) * UINT64_C(0x94d049bb133111eb);
  return bits ^ (bits >> 31);
}

uint64_t kad_dice_below(struct kad_dice *dice, uint64_t bound) {
  uint64_t bits = kad_dice_next(dice);
  return bound == 0 ? 0 : bits % bound;
}

bool kad_dice_one_in(struct kad_dice *dice, uint64_t n) {
  return kad_dice_below(dice, n) == 0;
}

uint64_t kad_dice_number(struct kad_dice *dice) {
  static const uint64_t ends[] = {0,         1,          INT32_MAX, UINT32_MAX,
                                  INT64_MAX, UINT16_MAX, UINT8_MAX, UINT64_MAX,
                                  20,        32};
  switch (kad_dice_below(dice, 4)) {
  case 0:
    return kad_dice_below(dice, 40);
  case 1:
    return ends[kad_dice_below(dice, sizeof ends / sizeof ends[0])];
  case 2:
    return (UINT64_C(1) << kad_dice_below(dice, 64)) + kad_dice_below(dice, 3) -
           1;
  default:
    return kad_dice_next(dice);
  }
}

void kad_dice_bytes(struct kad_dice *dice, uint8_t *out, size_t len) {
  for (size_t i = 0; i < len; i++) {
    out[i] = (uint8_t)(kad_dice_next(dice) >> 56);
  }
}
