#include "number.h"

#include <stdio.h>
#include <stdlib.h>

int number_parse(const char *program, const char *text, uint32_t low,
                 uint32_t high, uint32_t *out) {
  char *end = NULL;
  const unsigned long number = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || *text == '-' || number < low ||
      number > high) {
    fprintf(stderr, "%s: %s: not a number from %u to %u\n", program, text, low,
            high);
    return -1;
  }
  *out = (uint32_t)number;
  return 0;
}
