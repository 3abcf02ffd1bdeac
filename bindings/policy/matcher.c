#include "policy/matcher.h"

#include <ctype.h>
#include <string.h>

enum {
  ESCAPE = '%',
  COMPARED = 16 /* bytes compared in the time of a step */
};

/* Tells whether the class letter `letter`, as in "%a", has `byte`. */
static bool is_in_class(unsigned char byte, unsigned char letter) {
  bool is_in = false;
  switch (tolower(letter)) {
  case 'a':
    is_in = isalpha(byte) != 0;
    break;
  case 'c':
    is_in = iscntrl(byte) != 0;
    break;
  case 'd':
    is_in = isdigit(byte) != 0;
    break;
  case 'g':
    is_in = isgraph(byte) != 0;
    break;
  case 'l':
    is_in = islower(byte) != 0;
    break;
  case 'p':
    is_in = ispunct(byte) != 0;
    break;
  case 's':
    is_in = isspace(byte) != 0;
    break;
  case 'u':
    is_in = isupper(byte) != 0;
    break;
  case 'w':
    is_in = isalnum(byte) != 0;
    break;
  case 'x':
    is_in = isxdigit(byte) != 0;
    break;
  default:
    return letter == byte;
  }
  return is_in != (isupper(letter) != 0);
}

/* Returns a byte of the pattern, or 0 at its end. */
static unsigned char pattern_at(const struct kad_matcher *matcher, size_t at) {
  return at < matcher->pattern_len ? (unsigned char)matcher->pattern[at] : 0;
}

/* Tells whether the set from `at`, a "[", to before `end` has `byte`. */
static bool is_in_set(struct kad_matcher *matcher, unsigned char byte,
                      size_t at, size_t end) {
  const size_t last = end - 1; /* the "]" */
  const bool is_inverted = pattern_at(matcher, at + 1) == '^';
  matcher->steps += (end - at) / 2;
  for (at += is_inverted ? 2 : 1; at < last; at++) {
    const unsigned char low = pattern_at(matcher, at);
    if (low == ESCAPE) {
      at++;
      if (is_in_class(byte, pattern_at(matcher, at))) {
        return !is_inverted;
      }
    } else if (pattern_at(matcher, at + 1) == '-' && at + 2 < last) {
      at += 2;
      if (low <= byte && byte <= pattern_at(matcher, at)) {
        return !is_inverted;
      }
    } else if (low == byte) {
      return !is_inverted;
    }
  }
  return is_inverted;
}

/* Tells whether the single item from `at` to before `end` has `byte`. */
static bool has_byte(struct kad_matcher *matcher, unsigned char byte, size_t at,
                     size_t end) {
  const unsigned char head = pattern_at(matcher, at);
  switch (head) {
  case '.':
    return true;
  case ESCAPE:
    return is_in_class(byte, pattern_at(matcher, at + 1));
  case '[':
    return is_in_set(matcher, byte, at, end);
  default:
    return head == byte;
  }
}

/* Tells whether the item matches the byte at `place` of the subject. */
static bool matches_at(struct kad_matcher *matcher, size_t place, size_t at,
                       size_t end) {
  matcher->steps++;
  return place < matcher->subject_len &&
         has_byte(matcher, (unsigned char)matcher->subject[place], at, end);
}

static bool fail_malformed(struct kad_matcher *matcher, const char *problem) {
  matcher->problem = problem;
  return false;
}

/* Finds the end of a set: the place after the "]" that closes the "[" at `at`.
 * The first byte of a set does not close it. */
static bool find_set_end(struct kad_matcher *matcher, size_t at, size_t *end) {
  const size_t begin = at;
  at += pattern_at(matcher, at + 1) == '^' ? 2 : 1;
  do {
    if (at >= matcher->pattern_len) {
      return fail_malformed(matcher, "malformed pattern (missing ']')");
    }
    at += pattern_at(matcher, at) == ESCAPE ? 2 : 1;
  } while (at >= matcher->pattern_len || matcher->pattern[at] != ']');
  matcher->steps += (at - begin) / 2;
  *end = at + 1;
  return true;
}

/* Finds the end of the single item (a byte, class or set) at `at`. */
static bool find_item_end(struct kad_matcher *matcher, size_t at, size_t *end) {
  switch (pattern_at(matcher, at)) {
  case ESCAPE:
    if (at + 1 >= matcher->pattern_len) {
      return fail_malformed(matcher, "malformed pattern (ends with '%')");
    }
    *end = at + 2;
    return true;
  case '[':
    return find_set_end(matcher, at, end);
  default:
    *end = at + 1;
    return true;
  }
}

static void push_choice(struct kad_matcher *matcher,
                        struct kad_matcher_choice choice) {
  matcher->choices[matcher->choice_count++] = choice;
}

static bool open_capture(struct kad_matcher *matcher) {
  const bool is_position = pattern_at(matcher, matcher->item + 1) == ')' &&
                           matcher->item + 1 < matcher->pattern_len;
  if (matcher->capture_count == KAD_MATCHER_CAPTURES) {
    return fail_malformed(matcher, "too many captures");
  }
  matcher->captures[matcher->capture_count++] = (struct kad_capture){
      .start = matcher->place,
      .state = is_position ? KAD_CAPTURE_POSITION : KAD_CAPTURE_OPEN,
  };
  push_choice(matcher, (struct kad_matcher_choice){.kind = KAD_CHOICE_OPENED});
  matcher->item += is_position ? 2 : 1;
  return true;
}

static bool close_capture(struct kad_matcher *matcher) {
  for (unsigned i = matcher->capture_count; i-- > 0;) {
    struct kad_capture *const capture = &matcher->captures[i];
    if (capture->state == KAD_CAPTURE_OPEN) {
      capture->state = KAD_CAPTURE_TEXT;
      capture->len = matcher->place - capture->start;
      push_choice(matcher, (struct kad_matcher_choice){
                               .kind = KAD_CHOICE_CLOSED, .least = i});
      matcher->item++;
      return true;
    }
  }
  return fail_malformed(matcher, "invalid pattern capture");
}

/* "%bxy": skips balanced text. */
static bool match_balanced(struct kad_matcher *matcher) {
  if (matcher->item + 3 >= matcher->pattern_len) {
    return fail_malformed(matcher,
                          "malformed pattern (missing arguments to '%b')");
  }
  const char open = matcher->pattern[matcher->item + 2];
  const char close = matcher->pattern[matcher->item + 3];
  size_t depth = 0;
  for (size_t at = matcher->place; at < matcher->subject_len; at++) {
    const char byte = matcher->subject[at];
    matcher->steps++;
    if (at == matcher->place) {
      if (byte != open) {
        return false;
      }
      depth = 1;
    } else if (byte == close) {
      if (--depth == 0) {
        matcher->place = at + 1;
        matcher->item += 4;
        return true;
      }
    } else if (byte == open) {
      depth++;
    }
  }
  return false;
}

/* "%f[set]": the place between a byte outside of the set and one inside. */
static bool match_frontier(struct kad_matcher *matcher) {
  const size_t set = matcher->item + 2;
  const size_t place = matcher->place;
  size_t end = 0;
  if (pattern_at(matcher, set) != '[') {
    return fail_malformed(matcher, "missing '[' after '%f' in pattern");
  }
  if (!find_item_end(matcher, set, &end)) {
    return false;
  }
  unsigned char before = 0;
  unsigned char after = 0;
  if (place > 0) {
    before = (unsigned char)matcher->subject[place - 1];
  }
  if (place < matcher->subject_len) {
    after = (unsigned char)matcher->subject[place];
  }
  matcher->item = end;
  return !is_in_set(matcher, before, set, end) &&
         is_in_set(matcher, after, set, end);
}

/* "%1": matches a copy of a capture. */
static bool match_copy(struct kad_matcher *matcher, unsigned char digit) {
  const unsigned i = (unsigned)digit - '1'; /* wraps around for "%0" */
  if (i >= matcher->capture_count ||
      matcher->captures[i].state == KAD_CAPTURE_OPEN) {
    matcher->index = (unsigned)(digit - '0');
    return fail_malformed(matcher, "invalid capture index");
  }
  const struct kad_capture *const capture = &matcher->captures[i];
  if (capture->state == KAD_CAPTURE_POSITION ||
      matcher->subject_len - matcher->place < capture->len) {
    return false;
  }
  matcher->steps += capture->len / COMPARED;
  if (memcmp(matcher->subject + capture->start,
             matcher->subject + matcher->place, capture->len) != 0) {
    return false;
  }
  matcher->place += capture->len;
  matcher->item += 2;
  return true;
}

/* "*" and "+": begins with as many repetitions as there are. A slice may end
 * while they are counted. */
static bool match_longest(struct kad_matcher *matcher, size_t least,
                          size_t end) {
  while (matches_at(matcher, matcher->place, matcher->item, end)) {
    matcher->place++;
    if (matcher->steps >= matcher->limit) {
      matcher->is_counting = true;
      matcher->least = least;
      return true;
    }
  }
  if (matcher->place > least) {
    push_choice(matcher, (struct kad_matcher_choice){.kind = KAD_CHOICE_LONGEST,
                                                     .least = least,
                                                     .place = matcher->place,
                                                     .item_end = end});
  }
  matcher->item = end + 1;
  return true;
}

/* Matches the single item at the present place, with its suffix. */
static bool match_item(struct kad_matcher *matcher) {
  const size_t item = matcher->item;
  const size_t place = matcher->place;
  size_t end = 0;
  if (!find_item_end(matcher, item, &end)) {
    return false;
  }
  if (matcher->is_counting) {
    matcher->is_counting = false;
    return match_longest(matcher, matcher->least, end);
  }
  struct kad_matcher_choice choice = {
      .place = place, .item = item, .item_end = end};
  switch (pattern_at(matcher, end)) {
  case '*':
    return match_longest(matcher, place, end);
  case '+':
    if (!matches_at(matcher, place, item, end)) {
      return false;
    }
    matcher->place++;
    return match_longest(matcher, place + 1, end);
  case '-':
    choice.kind = KAD_CHOICE_SHORTEST;
    push_choice(matcher, choice);
    matcher->item = end + 1;
    return true;
  case '?':
    if (matches_at(matcher, place, item, end)) {
      choice.kind = KAD_CHOICE_NONE;
      push_choice(matcher, choice);
      matcher->place++;
    }
    matcher->item = end + 1;
    return true;
  default:
    matcher->item = end;
    matcher->place++;
    return matches_at(matcher, place, item, end);
  }
}

/* Matches the item at the present place. Returns false if it does not match
 * there, or is malformed. */
static bool match_next(struct kad_matcher *matcher) {
  const unsigned char next = pattern_at(matcher, matcher->item + 1);
  matcher->steps++;
  switch (pattern_at(matcher, matcher->item)) {
  case '(':
    return open_capture(matcher);
  case ')':
    return close_capture(matcher);
  case '$':
    if (matcher->item + 1 != matcher->pattern_len) {
      break;
    }
    matcher->item++;
    return matcher->place == matcher->subject_len;
  case ESCAPE:
    if (next == 'b') {
      return match_balanced(matcher);
    }
    if (next == 'f') {
      return match_frontier(matcher);
    }
    if (isdigit(next)) {
      return match_copy(matcher, next);
    }
    break;
  default:
    break;
  }
  return match_item(matcher);
}

/* Takes the next choice of the last one on the stack. Returns false if it has
 * none left; then it is off the stack. */
static bool take_choice(struct kad_matcher *matcher) {
  struct kad_matcher_choice *const choice =
      &matcher->choices[matcher->choice_count - 1];
  bool is_last = true;
  bool is_taken = true;
  switch (choice->kind) {
  case KAD_CHOICE_LONGEST:
    is_last = --choice->place == choice->least;
    break;
  case KAD_CHOICE_SHORTEST:
    is_last =
        !matches_at(matcher, choice->place++, choice->item, choice->item_end);
    is_taken = !is_last;
    break;
  case KAD_CHOICE_NONE:
    break;
  case KAD_CHOICE_OPENED:
    matcher->capture_count--;
    is_taken = false;
    break;
  case KAD_CHOICE_CLOSED:
    matcher->captures[choice->least].state = KAD_CAPTURE_OPEN;
    is_taken = false;
    break;
  }
  if (is_taken) {
    matcher->place = choice->place;
    matcher->item = choice->item_end + 1;
  }
  matcher->choice_count -= is_last ? 1 : 0;
  return is_taken;
}

static void begin_at(struct kad_matcher *matcher, size_t start) {
  matcher->start = start;
  matcher->place = start;
  matcher->item = matcher->first_item;
  matcher->is_counting = false;
  matcher->capture_count = 0;
  matcher->choice_count = 0;
}

/* Continues with the last choice, or at the next place of the subject. Returns
 * false if nothing is left to try. */
static bool backtrack(struct kad_matcher *matcher) {
  while (matcher->choice_count > 0) {
    matcher->steps++;
    if (take_choice(matcher)) {
      return true;
    }
  }
  if (matcher->is_anchored || matcher->start >= matcher->subject_len) {
    return false;
  }
  begin_at(matcher, matcher->start + 1);
  return true;
}

size_t kad_matcher_depth(const char *pattern, size_t len) {
  static const char special[6] = {'*', '+', '-', '?', '(', ')'};
  size_t depth = 0;
  for (size_t i = 0; i < len; i++) {
    depth += memchr(special, pattern[i], sizeof special) != NULL ? 1 : 0;
  }
  return depth;
}

void kad_matcher_begin(struct kad_matcher *matcher, size_t start,
                       size_t rejected_end) {
  matcher->rejected_end = rejected_end;
  matcher->problem = NULL;
  matcher->index = 0;
  matcher->steps = 0;
  begin_at(matcher, start);
}

enum kad_match kad_matcher_advance(struct kad_matcher *matcher,
                                   uint64_t steps) {
  matcher->limit = matcher->steps + steps;
  while (matcher->steps < matcher->limit) {
    bool succeeded = true;
    if (matcher->item < matcher->pattern_len) {
      succeeded = match_next(matcher);
    } else if (matcher->place != matcher->rejected_end) {
      return KAD_MATCH_FOUND;
    } else { /* Lua does not look for another match at the same start */
      matcher->choice_count = 0;
      succeeded = false;
    }
    if (matcher->problem != NULL) {
      return KAD_MATCH_MALFORMED;
    }
    if (!succeeded && !backtrack(matcher)) {
      return KAD_MATCH_NOTHING;
    }
  }
  return KAD_MATCH_UNFINISHED;
}
