/* Matches a pattern: the first byte of the input is the length of the pattern,
 * the second one the steps of a slice, then come the pattern and the subject.
 * The match must not depend on the slices, lie inside of the subject, and take
 * a number of choices that the pattern allows. The specs compare the matches
 * with those of Lua. */
#include "policy/matcher.h"

#include "kadenza.h"
#include "target.h"

#include <string.h>

enum {
  STEPS = 200000, /* of a match: some take without end */
  GUARD = 0x5a
};

struct search {
  struct kad_matcher matcher;
  struct kad_matcher_choice *choices;
  size_t depth;
  enum kad_match match;
};

static bool is_within(const struct kad_matcher *matcher,
                      const struct kad_capture *capture) {
  return capture->start <= matcher->subject_len &&
         (capture->state != KAD_CAPTURE_TEXT ||
          capture->len <= matcher->subject_len - capture->start);
}

static void check_match(const struct kad_matcher *matcher) {
  CHECK(matcher->start <= matcher->place &&
        matcher->place <= matcher->subject_len &&
        matcher->capture_count <= KAD_MATCHER_CAPTURES);
  for (unsigned i = 0; i < matcher->capture_count; i++) {
    CHECK(is_within(matcher, &matcher->captures[i]));
  }
}

static void run_search(struct search *search, struct kad_slice pattern,
                       struct kad_slice subject, uint64_t slice) {
  search->depth = kad_matcher_depth((const char *)pattern.data, pattern.len);
  search->choices = calloc(search->depth + 1, sizeof *search->choices);
  CHECK(search->choices != NULL);
  const bool is_anchored = pattern.len > 0 && pattern.data[0] == '^';
  search->matcher = (struct kad_matcher){
      .subject = (const char *)subject.data,
      .subject_len = subject.len,
      .pattern = (const char *)pattern.data,
      .pattern_len = pattern.len,
      .is_anchored = is_anchored,
      .first_item = is_anchored ? 1 : 0,
      .choices = search->choices,
  };
  memset(&search->choices[search->depth], GUARD, sizeof *search->choices);
  kad_matcher_begin(&search->matcher, 0, SIZE_MAX);
  do {
    search->match = kad_matcher_advance(&search->matcher, slice);
    CHECK(search->matcher.choice_count <= search->depth);
  } while (search->match == KAD_MATCH_UNFINISHED &&
           search->matcher.steps < STEPS);
  const uint8_t *const guard = (const uint8_t *)&search->choices[search->depth];
  for (size_t i = 0; i < sizeof *search->choices; i++) {
    CHECK(guard[i] == GUARD);
  }
  free(search->choices);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) {
    return 0;
  }
  const size_t rest = size - 2;
  const size_t pattern_len = data[0] < rest ? data[0] : rest;
  const struct kad_slice pattern = {data + 2, pattern_len};
  const struct kad_slice subject = {data + 2 + pattern_len, rest - pattern_len};
  struct search whole;
  struct search sliced;
  run_search(&whole, pattern, subject, STEPS);
  run_search(&sliced, pattern, subject, (uint64_t)data[1] + 1);
  if (whole.match == KAD_MATCH_UNFINISHED ||
      sliced.match == KAD_MATCH_UNFINISHED) {
    return 0;
  }
  CHECK(whole.match == sliced.match);
  if (whole.match == KAD_MATCH_FOUND) {
    check_match(&whole.matcher);
    CHECK(whole.matcher.start == sliced.matcher.start);
    CHECK(whole.matcher.place == sliced.matcher.place);
  }
  return 0;
}
