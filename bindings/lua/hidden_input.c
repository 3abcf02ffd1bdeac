/* For sigprocmask. NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _XOPEN_SOURCE 700

/* Tested by tests/spec/cli/secret_spec.lua. */
#include "lua/hidden_input.h"

#include "kadenza.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum {
  SIGNAL_CHECK_MS = 100 /* how long a blocked signal may wait */
};

/* Signals whose default is to end or stop the process. */
static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

enum {
  ENDING_COUNT = sizeof endings / sizeof *endings
};

/* A terminal that does not show what is typed, while signals are blocked. */
struct hidden {
  int fd;
  struct termios before;
  sigset_t mask; /* before */
};

static sigset_t ending_signals(void) {
  sigset_t set;
  (void)sigemptyset(&set);
  for (size_t i = 0; i < ENDING_COUNT; i++) {
    (void)sigaddset(&set, endings[i]);
  }
  return set;
}

static bool begin(struct hidden *hidden) {
  const sigset_t ending = ending_signals();
  if (tcgetattr(hidden->fd, &hidden->before) != 0) {
    return false;
  }
  struct termios silent = hidden->before;
  silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
  silent.c_lflag |= ICANON;
  (void)sigprocmask(SIG_BLOCK, &ending, &hidden->mask);
  if (tcsetattr(hidden->fd, TCSAFLUSH, &silent) != 0) {
    (void)sigprocmask(SIG_SETMASK, &hidden->mask, NULL);
    return false;
  }
  return true;
}

/* What is typed and was not read is dropped: it may be part of a secret. */
static void end(const struct hidden *hidden) {
  (void)tcsetattr(hidden->fd, TCSAFLUSH, &hidden->before);
  (void)sigprocmask(SIG_SETMASK, &hidden->mask, NULL);
}

static void show(const struct hidden *hidden, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    const ssize_t written = write(hidden->fd, text, left);
    if (written < 0 && errno != EINTR) {
      return; /* the user may still type */
    }
    text += written > 0 ? written : 0;
    left -= written > 0 ? (size_t)written : 0;
  }
}

/* Returns a blocked signal that waits, or 0. */
static int waiting_signal(void) {
  sigset_t pending;
  (void)sigemptyset(&pending);
  (void)sigpending(&pending);
  for (size_t i = 0; i < ENDING_COUNT; i++) {
    if (sigismember(&pending, endings[i]) == 1) {
      return endings[i];
    }
  }
  return 0;
}

/* Waits for a line or a signal. Returns the signal; 0: there is a line. */
static int await_line(const struct hidden *hidden) {
  struct pollfd terminal = {.fd = hidden->fd, .events = POLLIN};
  for (;;) {
    const int number = waiting_signal();
    if (number != 0) {
      return number;
    }
    if (poll(&terminal, 1, SIGNAL_CHECK_MS) == 1) {
      return 0;
    }
  }
}

/* Asks once. `*number` is the signal that came instead of a line, or 0. */
static int read_once(struct hidden *hidden, const char *prompt, uint8_t *bytes,
                     size_t cap, size_t *len, int *number) {
  ssize_t count = 0;
  if (!begin(hidden)) {
    return KAD_ESYSTEM;
  }
  show(hidden, prompt);
  *number = await_line(hidden);
  if (*number == 0) {
    do {
      count = read(hidden->fd, bytes, cap);
    } while (count < 0 && errno == EINTR);
  }
  show(hidden, "\n");
  end(hidden); /* here a waiting signal takes effect */
  if (count < 0) {
    return KAD_ESYSTEM;
  }
  *len = (size_t)count;
  return count > 0 ? 0 : KAD_ECANCELED;
}

int kad_hidden_input_read(const char *prompt, uint8_t *bytes, size_t cap,
                          size_t *len) {
  const int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  struct hidden hidden = {.fd = fd};
  int status = 0;
  int number = 0;
  if (fd < 0) {
    return KAD_ENOTFOUND;
  }
  do { /* again once the user has continued a stopped process */
    status = read_once(&hidden, prompt, bytes, cap, len, &number);
  } while (number == SIGTSTP);
  (void)close(fd);
  return status;
}
