/* What every C test includes: cmocka with the headers that it needs first, and
 * assertions in kadenza's words. */
#ifndef KAD_UNIT_H
#define KAD_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Fails unless `call` returns 0, the success of every kad_ function. */
#define assert_ok(call) assert_int_equal((call), 0)

/* Fails unless `slice` holds exactly the bytes of the string literal. */
#define assert_slice_is(slice, literal)                              \
  do {                                                               \
    assert_int_equal((slice).len, sizeof(literal) - 1);              \
    assert_memory_equal((slice).data, literal, sizeof(literal) - 1); \
  } while (0)

#endif
