#ifndef BENCH_SERVER_CPU_H
#define BENCH_SERVER_CPU_H

#include <stdint.h>

/* The processor time of a process so far, in all threads. */
struct server_cpu {
  uint64_t total_ns;  /* /proc/PID/task/TID/schedstat: exact */
  uint64_t user_ns;   /* /proc/PID/stat: in whole ticks */
  uint64_t system_ns; /* likewise */
};

/* Reads the processor time of process `pid`. Returns 0, or -1 on failure. */
int server_cpu_read(long pid, struct server_cpu *cpu);

#endif
