#define _GNU_SOURCE

#include "load_options.h"

#include "number.h"
#include "swarm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WINDOW = 64,
  SOURCES = 4,
  KEYS = 1024,
  VALUE_BYTES = 100,
  ID_DIGITS = 40,
  TIMEOUT_MS = 500,
  FILL_LIMIT_MS = 20000,
  LIMIT_MAX_MS = 3600000,
};

static const char usage[] =
    "usage: load [OPTION]... 127.0.0.1:PORT\n"
    "\n"
    "  --kind K        ping, find_node, get_peers, announce_peer,\n"
    "                  find_value, store, scrape, sample, get, put,\n"
    "                  get_mutable, put_mutable or update (ping)\n"
    "  --seconds S     duration after the warm-up (2)\n"
    "  --window N      queries in flight (64)\n"
    "  --burst N       free slots of a source before it sends queries\n"
    "                  (half of its share of the window)\n"
    "  --sources N     addresses to send from, 127.0.0.2 up (4)\n"
    "  --keys N        different targets (1024)\n"
    "  --preload       store each key before the measurement\n"
    "  --spread        use each key from one address only\n"
    "  --type T        type of the records of find_value and store (value)\n"
    "  --value-size N  bytes of the value of store and put (100)\n"
    "  --timeout-ms N  time after which a query is lost (500)\n"
    "  --limit-ms N    time limit of the warm-up, or of the fill (20000)\n"
    "  --seed N        seed of targets, ids and values (1)\n"
    "  --pid PID       process of the server, to read its processor time\n"
    "  --echo          the server returns each query unchanged\n"
    "  --read-only     send ro = 1, so that the server need not ping back\n"
    "  --json          print one line of JSON\n"
    "\n"
    "  --fill N        fill the server's routing table with N nodes, print\n"
    "                  one line, then answer queries until SIGTERM\n"
    "  --server-id HEX id of the server, instead of a ping for it\n";

enum option_name {
  OPTION_KIND = 256,
  OPTION_SECONDS,
  OPTION_WINDOW,
  OPTION_BURST,
  OPTION_SOURCES,
  OPTION_KEYS,
  OPTION_PRELOAD,
  OPTION_SPREAD,
  OPTION_TYPE,
  OPTION_VALUE_SIZE,
  OPTION_TIMEOUT,
  OPTION_LIMIT,
  OPTION_SEED,
  OPTION_PID,
  OPTION_ECHO,
  OPTION_READ_ONLY,
  OPTION_JSON,
  OPTION_FILL,
  OPTION_SERVER_ID,
  OPTION_HELP,
};

static const struct option long_options[] = {
    {"kind", required_argument, NULL, OPTION_KIND},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"window", required_argument, NULL, OPTION_WINDOW},
    {"burst", required_argument, NULL, OPTION_BURST},
    {"sources", required_argument, NULL, OPTION_SOURCES},
    {"keys", required_argument, NULL, OPTION_KEYS},
    {"preload", no_argument, NULL, OPTION_PRELOAD},
    {"spread", no_argument, NULL, OPTION_SPREAD},
    {"type", required_argument, NULL, OPTION_TYPE},
    {"value-size", required_argument, NULL, OPTION_VALUE_SIZE},
    {"timeout-ms", required_argument, NULL, OPTION_TIMEOUT},
    {"limit-ms", required_argument, NULL, OPTION_LIMIT},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"pid", required_argument, NULL, OPTION_PID},
    {"echo", no_argument, NULL, OPTION_ECHO},
    {"read-only", no_argument, NULL, OPTION_READ_ONLY},
    {"json", no_argument, NULL, OPTION_JSON},
    {"fill", required_argument, NULL, OPTION_FILL},
    {"server-id", required_argument, NULL, OPTION_SERVER_ID},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static int parse_number(const char *text, uint32_t low, uint32_t high,
                        uint32_t *out) {
  return number_parse("load", text, low, high, out);
}

static int parse_seconds(const char *text, double *out) {
  char *end = NULL;
  double seconds = strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds > 0 && seconds <= 600)) {
    fprintf(stderr, "load: %s: not seconds, above 0 and up to 600\n", text);
    return -1;
  }
  *out = seconds;
  return 0;
}

static int parse_kind(const char *text, enum krpc_kind *kind) {
  if (krpc_kind_find(text, kind) < 0) {
    fprintf(stderr, "load: %s: no such kind of query\n", text);
    return -1;
  }
  return 0;
}

static int parse_id(const char *text, struct load_options *options) {
  bool right = strlen(text) == ID_DIGITS &&
               strspn(text, "0123456789abcdefABCDEF") == ID_DIGITS;
  if (!right) {
    fprintf(stderr, "load: %s: not 40 hexadecimal digits\n", text);
    return -1;
  }
  for (size_t i = 0; i < KRPC_ID_BYTES; i++) {
    char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
    options->server_id[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  options->knows_id = true;
  return 0;
}

static int parse_wide(const char *text, uint32_t *out) {
  return parse_number(text, 0, INT32_MAX, out);
}

static int set_numeric(struct load_options *options, int name,
                       const char *text) {
  struct generator_options *generator = &options->generator;
  uint32_t number = 0;
  switch (name) {
  case OPTION_WINDOW:
    return parse_number(text, 1, GENERATOR_WINDOW_MAX, &generator->window);
  case OPTION_BURST:
    return parse_number(text, 1, GENERATOR_WINDOW_MAX, &generator->burst);
  case OPTION_SOURCES:
    return parse_number(text, 1, GENERATOR_SOURCES_MAX, &generator->sources);
  case OPTION_KEYS:
    return parse_number(text, 1, GENERATOR_KEYS_MAX, &generator->keys);
  case OPTION_VALUE_SIZE:
    return parse_number(text, 8, 1000, &generator->value_size);
  case OPTION_TIMEOUT:
    return parse_number(text, 1, 60000, &generator->timeout_ms);
  case OPTION_LIMIT:
    return parse_number(text, 1, LIMIT_MAX_MS, &options->limit_ms);
  case OPTION_FILL:
    return parse_number(text, 1, SWARM_MAX, &options->fill);
  case OPTION_SEED:
    if (parse_wide(text, &number) < 0) {
      return -1;
    }
    generator->seed = number;
    return 0;
  default:
    if (parse_wide(text, &number) < 0) {
      return -1;
    }
    generator->server_pid = (long)number;
    return 0;
  }
}

static int set_option(struct load_options *options, int name,
                      const char *text) {
  struct generator_options *generator = &options->generator;
  switch (name) {
  case OPTION_KIND:
    return parse_kind(text, &generator->kind);
  case OPTION_SECONDS:
    return parse_seconds(text, &generator->seconds);
  case OPTION_SERVER_ID:
    return parse_id(text, options);
  case OPTION_TYPE:
    generator->type = text;
    return strlen(text) <= 64 ? 0 : -1;
  case OPTION_PRELOAD:
    generator->preload = true;
    return 0;
  case OPTION_SPREAD:
    generator->spread = true;
    return 0;
  case OPTION_ECHO:
    generator->echo = true;
    return 0;
  case OPTION_READ_ONLY:
    generator->read_only = true;
    return 0;
  case OPTION_JSON:
    options->json = true;
    return 0;
  case OPTION_HELP:
    options->help = true;
    return 0;
  case '?':
    return -1;
  default:
    return set_numeric(options, name, text);
  }
}

static int check_options(struct load_options *options) {
  struct generator_options *generator = &options->generator;
  if (generator->sources > generator->window) {
    fputs("load: more sources than queries in flight\n", stderr);
    return -1;
  }
  uint32_t share = generator->window / generator->sources;
  if (generator->burst == 0) {
    generator->burst = share > 1 ? share / 2 : 1;
  }
  if (generator->burst > share) {
    fputs("load: a burst larger than a source's share of the window\n", stderr);
    return -1;
  }
  return 0;
}

int load_options_parse(int argc, char **argv, struct load_options *options) {
  *options = (struct load_options){
      .limit_ms = FILL_LIMIT_MS,
      .generator =
          {
              .window = WINDOW,
              .sources = SOURCES,
              .keys = KEYS,
              .value_size = VALUE_BYTES,
              .timeout_ms = TIMEOUT_MS,
              .seconds = 2,
              .seed = 1,
              .type = "value",
          },
  };
  int name = 0;
  while ((name = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
    if (set_option(options, name, optarg) < 0) {
      return -1;
    }
  }
  if (options->help) {
    fputs(usage, stdout);
    return 0;
  }
  if (optind != argc - 1) {
    fputs("load: one server address is needed\n", stderr);
    return -1;
  }
  if (source_parse_server(argv[optind], &options->generator.server) < 0) {
    fprintf(stderr, "load: %s: not 127.x.y.z:PORT\n", argv[optind]);
    return -1;
  }
  return check_options(options);
}
