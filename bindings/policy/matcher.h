/* matcher.h: matches Lua patterns in slices of bounded time.
 *
 * Lua's string library matches a whole pattern in one call, which may take
 * longer than the age of the machine and cannot be stopped. This matcher
 * counts its steps and returns after a given number of them. It has no
 * recursion: what it may still try is on a stack, which has at most one choice
 * for each repetition and parenthesis of the pattern, since no item of a Lua
 * pattern is repeated as a group. Patterns: Lua 5.4 manual, §6.4.1. */
#ifndef KAD_POLICY_MATCHER_H
#define KAD_POLICY_MATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  KAD_MATCHER_CAPTURES = 32 /* captures of a pattern, as in Lua */
};

/* A capture: `len` bytes from `start` of the subject. */
struct kad_capture {
  size_t start;
  size_t len;
  enum kad_capture_state {
    KAD_CAPTURE_OPEN, /* its end is not known yet */
    KAD_CAPTURE_TEXT,
    KAD_CAPTURE_POSITION /* "()": it captures `start` */
  } state;
};

/* What to try, or to undo, when the match fails at the present place. */
struct kad_matcher_choice {
  enum kad_choice_kind {
    KAD_CHOICE_LONGEST,  /* "*", "+": one repetition less */
    KAD_CHOICE_SHORTEST, /* "-": one repetition more */
    KAD_CHOICE_NONE,     /* "?": without the item */
    KAD_CHOICE_OPENED,   /* forget the last capture */
    KAD_CHOICE_CLOSED    /* open capture number `least` again */
  } kind;
  size_t least;    /* place in the subject after the fewest repetitions */
  size_t place;    /* place in the subject */
  size_t item;     /* place of the item in the pattern */
  size_t item_end; /* place after the item, where its suffix is */
};

/* The result of a slice. */
enum kad_match {
  KAD_MATCH_UNFINISHED, /* call kad_matcher_advance again */
  KAD_MATCH_FOUND,      /* from `start` to before `place` */
  KAD_MATCH_NOTHING,    /* the pattern matches nowhere */
  KAD_MATCH_MALFORMED   /* `problem` says why */
};

/* A search for a pattern. Places count from 0. */
struct kad_matcher {
  const char *subject;
  size_t subject_len;
  const char *pattern;
  size_t pattern_len;
  bool is_anchored;    /* the match begins at the first place or nowhere */
  size_t first_item;   /* place of the first item in the pattern */
  size_t rejected_end; /* a match that ends here does not count; SIZE_MAX */
  size_t start;        /* where the match begins */
  size_t place;        /* the present place in the subject */
  size_t item;         /* the present place in the pattern */
  const char *problem; /* why the pattern is malformed; a constant text */
  unsigned index;      /* the index of a capture that `problem` is about */
  uint64_t steps;      /* so far; a step takes about as long as an instruction
                          of Lua */
  uint64_t limit;      /* steps after which the slice ends */
  bool is_counting;    /* the slice ended while repetitions were counted */
  size_t least;        /* and the place after the fewest of them */
  unsigned capture_count;
  struct kad_capture captures[KAD_MATCHER_CAPTURES];
  size_t choice_count;
  struct kad_matcher_choice *choices; /* room for kad_matcher_depth() of them */
};

/* Returns the number of choices that a pattern can have at once. */
size_t kad_matcher_depth(const char *pattern, size_t len);

/* Begins a search at `start` of the subject, which is at most its length. The
 * caller has set the subject, the pattern and the choices; the caller keeps
 * them until the search has ended. With `is_anchored`, a match begins at
 * `start` only. A match that ends at `rejected_end` does not count; SIZE_MAX
 * for any. */
void kad_matcher_begin(struct kad_matcher *matcher, size_t start,
                       size_t rejected_end);

/* Continues the search for about `steps` steps: one item more may take as many
 * steps as the subject and the pattern have bytes. */
enum kad_match kad_matcher_advance(struct kad_matcher *matcher, uint64_t steps);

#endif
