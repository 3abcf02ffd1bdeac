#define _GNU_SOURCE

#include "report.h"

#include <inttypes.h>
#include <stdio.h>

static double latency_us(const struct generator_tally *tally, double fraction) {
  return (double)latency_quantile(&tally->latency, fraction) / 1000;
}

static double a_reply(const struct generator_tally *tally, uint64_t amount) {
  return tally->replies == 0 ? 0 : (double)amount / (double)tally->replies;
}

static double a_second(const struct generator_tally *tally) {
  return tally->seconds > 0 ? (double)tally->replies / tally->seconds : 0;
}

static uint64_t errors_in(const struct generator_tally *tally) {
  uint64_t sum = 0;
  for (size_t i = 0; i < GENERATOR_ERRORS_MAX; i++) {
    sum += tally->errors[i].count;
  }
  return sum;
}

static void print_errors(const struct generator_tally *tally,
                         const char *format) {
  const char *comma = "";
  for (size_t i = 0; i < GENERATOR_ERRORS_MAX; i++) {
    if (tally->errors[i].count > 0) {
      fputs(comma, stdout);
      printf(format, tally->errors[i].code, tally->errors[i].count);
      comma = ", ";
    }
  }
}

static void print_failures(const char *title,
                           const struct generator_tally *tally) {
  printf("  %-10s %" PRIu64 " lost, %" PRIu64 " not understood, %" PRIu64
         " errors",
         title, tally->lost, tally->malformed, errors_in(tally));
  if (errors_in(tally) > 0) {
    fputs(" (code: count) ", stdout);
    print_errors(tally, "%" PRId64 ": %" PRIu64);
  }
  putchar('\n');
}

void report_text(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured) {
  printf("load: %s, %" PRIu32 " in flight from %" PRIu32 " addresses, %" PRIu32
         " keys, %.2f s\n",
         krpc_kind_name(options->kind), options->window, options->sources,
         options->keys, measured->seconds);
  printf("  %-10s %" PRIu64 " (%.0f/s), %.0f bytes, %.1f nodes, %.1f values\n",
         "replies", measured->replies, a_second(measured),
         a_reply(measured, measured->bytes), a_reply(measured, measured->nodes),
         a_reply(measured, measured->values));
  printf("  %-10s p50 %.0f us, p99 %.0f us\n", "latency",
         latency_us(measured, 0.50), latency_us(measured, 0.99));
  if (options->server_pid > 0) {
    printf("  %-10s %.3f us a reply\n", "server CPU",
           a_reply(measured, measured->cpu.total_ns) / 1000);
  }
  print_failures("failures", measured);
  if (warm_up->replies + warm_up->lost + errors_in(warm_up) > 0) {
    printf("  %-10s %" PRIu64 " replies, %" PRIu64 " tokens in %.2f s\n",
           "warm-up", warm_up->replies, warm_up->tokens, warm_up->seconds);
    print_failures("", warm_up);
  }
}

static void print_counts(const struct generator_tally *tally) {
  printf("\"seconds\":%.4f,\"replies\":%" PRIu64 ",\"lost\":%" PRIu64
         ",\"malformed\":%" PRIu64 ",\"asked\":%" PRIu64 ",\"tokens\":%" PRIu64
         ",\"errors\":{",
         tally->seconds, tally->replies, tally->lost, tally->malformed,
         tally->asked, tally->tokens);
  print_errors(tally, "\"%" PRId64 "\":%" PRIu64);
  putchar('}');
}

void report_json(const struct generator_options *options,
                 const struct generator_tally *warm_up,
                 const struct generator_tally *measured) {
  printf("{\"kind\":\"%s\",\"window\":%" PRIu32 ",\"sources\":%" PRIu32
         ",\"keys\":%" PRIu32 ",",
         krpc_kind_name(options->kind), options->window, options->sources,
         options->keys);
  print_counts(measured);
  printf(",\"replies_per_second\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f",
         a_second(measured), latency_us(measured, 0.50),
         latency_us(measured, 0.99));
  printf(",\"reply_bytes\":%.1f,\"reply_nodes\":%.2f,\"reply_values\":%.2f",
         a_reply(measured, measured->bytes), a_reply(measured, measured->nodes),
         a_reply(measured, measured->values));
  printf(",\"cpu_us\":%.1f,\"cpu_user_us\":%.0f,\"cpu_system_us\":%.0f"
         ",\"cpu_us_a_reply\":%.4f,\"warm_up\":{",
         (double)measured->cpu.total_ns / 1000,
         (double)measured->cpu.user_ns / 1000,
         (double)measured->cpu.system_ns / 1000,
         a_reply(measured, measured->cpu.total_ns) / 1000);
  print_counts(warm_up);
  puts("}}");
}
