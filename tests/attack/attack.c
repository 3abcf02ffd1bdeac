/* Plays the cases of an attacker in children, a batch in each, and tells which
 * case a child died of by a page of memory that both share. */
#define _DEFAULT_SOURCE
#include "attack.h"

#include "case.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  BATCH = 500,       /* cases of a child, at most */
  BATCH_SECONDS = 5, /* after which it begins no other */
  FAILURES_MAX = 10, /* then the attacker ends */
  PATH_BYTES = 256,
  SEED_SHIFT = 24 /* seeds of cases have 40 bits, to be typed */
};

/* What the arguments ask for. */
struct orders {
  uint64_t seed;
  uint64_t seconds; /* 0: no limit */
  uint64_t cases;   /* 0: no limit */
  bool has_case;
  uint64_t one_case;
  const char *file;
};

/* How far a child is; shared with it. */
struct progress {
  uint64_t begun; /* cases of all children */
};

struct run {
  const struct kad_attack *attack;
  const char *program;
  struct orders orders;
  struct progress *progress;
  time_t until;
  unsigned failures;
};

static bool is_shown;

void kad_attack_show(const char *format, ...) {
  if (!is_shown) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  (void)vfprintf(stderr, format, arguments);
  va_end(arguments);
  (void)fputc('\n', stderr);
}

void kad_attack_show_bytes(const char *what, const uint8_t *bytes, size_t len) {
  if (!is_shown) {
    return;
  }
  (void)fprintf(stderr, "  %s, %zu bytes: ", what, len);
  for (size_t i = 0; i < len; i++) {
    if (isprint(bytes[i]) && bytes[i] != '\\') {
      (void)fputc(bytes[i], stderr);
    } else {
      (void)fprintf(stderr, "\\x%02x", bytes[i]);
    }
  }
  (void)fputc('\n', stderr);
}

void kad_attack_fail(const char *file, int line, const char *why) {
  (void)fprintf(stderr, "%s:%d: failed: %s\n", file, line, why);
  (void)fflush(NULL);
  abort();
}

/* Returns the seed of the case `number` of this run. */
static uint64_t case_seed(const struct run *run, uint64_t number) {
  struct kad_dice dice = {run->orders.seed * UINT64_C(0x2545f4914f6cdd1d) +
                          number};
  return kad_dice_next(&dice) >> SEED_SHIFT;
}

static bool is_over(const struct run *run, uint64_t begun) {
  return (run->orders.cases != 0 && begun >= run->orders.cases) ||
         (run->orders.seconds != 0 && time(NULL) >= run->until);
}

/* Plays cases in a child. Returns its status. */
static int run_batch(struct run *run) {
  (void)fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    static struct kad_case it;
    time_t until = time(NULL) + BATCH_SECONDS;
    struct progress *progress = run->progress;
    for (int i = 0; i < BATCH && time(NULL) < until; i++) {
      if (is_over(run, progress->begun)) {
        break;
      }
      kad_case_make(&it, run->attack, case_seed(run, progress->begun++));
      kad_case_play(&it, run->attack);
    }
    exit(0);
  }
  int status = -1;
  if (child > 0) {
    (void)waitpid(child, &status, 0);
  }
  return status;
}

/* Reports a failing case: reduces it, writes it to a file and says how to
 * repeat it. */
static void report(struct run *run, struct kad_case *it) {
  char path[PATH_BYTES];
  size_t whole = it->count;
  size_t tries = kad_case_reduce(it, run->attack);
  (void)mkdir("build", 0777);
  (void)mkdir("build/attack", 0777);
  (void)snprintf(path, sizeof path, "build/attack/%s-%" PRIu64 ".bin",
                 run->attack->name, it->seed);
  bool written = kad_case_write(it, path);
  printf("failure: case %" PRIu64 ", %zu of %zu steps after %zu tries%s\n",
         it->seed, it->count, whole, tries, written ? "" : "; not written");
  printf("repeat:  %s --file %s\n", run->program, path);
  printf("         %s --case %" PRIu64 "\n", run->program, it->seed);
}

/* Finds which of the cases `from` … `to` - 1 fails alone, and reports it. */
static void find_failure(struct run *run, uint64_t from, uint64_t to) {
  static struct kad_case it;
  run->failures++;
  /* The last one was played when the child died, unless it leaked. */
  for (uint64_t number = to; number-- > from;) {
    kad_case_make(&it, run->attack, case_seed(run, number));
    if (kad_case_fails(&it, run->attack)) {
      report(run, &it);
      return;
    }
  }
  printf("failure: cases %" PRIu64 " to %" PRIu64
         " fail together only; repeat: %s --seed %" PRIu64 " --cases %" PRIu64
         "\n",
         from, to, run->program, run->orders.seed, to);
}

static int run_cases(struct run *run) {
  run->progress = mmap(NULL, sizeof *run->progress, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (run->progress == MAP_FAILED) {
    perror(run->program);
    return 1;
  }
  run->until = time(NULL) + (time_t)run->orders.seconds;
  while (run->failures < FAILURES_MAX && !is_over(run, run->progress->begun)) {
    uint64_t from = run->progress->begun;
    if (run_batch(run) != 0) {
      find_failure(run, from, run->progress->begun);
    }
  }
  printf("attack %s: seed %" PRIu64 ", %" PRIu64 " cases, %u failures\n",
         run->attack->name, run->orders.seed, run->progress->begun,
         run->failures);
  return run->failures > 0;
}

/* Plays one case here, so that a debugger sees it. */
static int run_one(const struct run *run) {
  static struct kad_case it;
  is_shown = true;
  if (run->orders.file && !kad_case_read(&it, run->orders.file)) {
    (void)fprintf(stderr, "%s: cannot read %s\n", run->program,
                  run->orders.file);
    return 2;
  }
  if (!run->orders.file) {
    kad_case_make(&it, run->attack, run->orders.one_case);
  }
  kad_case_play(&it, run->attack);
  printf("attack %s: case %" PRIu64 ", %zu steps: no failure\n",
         run->attack->name, it.seed, it.count);
  return 0;
}

static bool read_number(const char *text, uint64_t *number) {
  char *end = NULL;
  errno = 0;
  *number = strtoull(text, &end, 10);
  return errno == 0 && isdigit((unsigned char)text[0]) && *end == '\0';
}

static bool read_order(struct orders *orders, const char *name,
                       const char *value) {
  if (strcmp(name, "--seed") == 0) {
    return read_number(value, &orders->seed);
  }
  if (strcmp(name, "--seconds") == 0) {
    return read_number(value, &orders->seconds);
  }
  if (strcmp(name, "--cases") == 0) {
    return read_number(value, &orders->cases);
  }
  if (strcmp(name, "--case") == 0) {
    orders->has_case = true;
    return read_number(value, &orders->one_case);
  }
  orders->file = value;
  return strcmp(name, "--file") == 0;
}

int kad_attack_main(const struct kad_attack *attack, int argc, char **argv) {
  struct run run = {.attack = attack, .program = argv[0], .orders.seed = 1};
  bool good = argc % 2 == 1;
  for (int i = 1; good && i < argc; i += 2) {
    good = read_order(&run.orders, argv[i], argv[i + 1]);
  }
  if (!good) {
    (void)fprintf(stderr,
                  "usage: %s [--seed N] [--seconds S | --cases N | --case SEED "
                  "| --file FILE]\n",
                  argv[0]);
    return 2;
  }
  if (run.orders.seconds == 0 && run.orders.cases == 0) {
    run.orders.seconds = 10;
  }
  return run.orders.has_case || run.orders.file ? run_one(&run)
                                                : run_cases(&run);
}
