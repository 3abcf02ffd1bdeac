/* Runs a fuzz target on the inputs of its corpus, without a fuzzer, so that
 * every compiler and variant tests them.
 *
 *     NAME_replay [CORPUS]       tests/fuzz/corpus/NAME by default
 *
 * Prints TAP: one result for all inputs. */
#include "target.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_INPUT_BYTES = 1 << 20,
  MAX_PATH_BYTES = 1024
};

static void replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    return; /* a folder in the corpus */
  }
  /* A block of the input's size, so that sanitizers detect reads past its end.
   */
  uint8_t *whole = malloc(MAX_INPUT_BYTES);
  size_t size = whole ? fread(whole, 1, MAX_INPUT_BYTES, file) : 0;
  uint8_t *exact = malloc(size > 0 ? size : 1);
  if (whole && exact) {
    memcpy(exact, whole, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
  }
  free(exact);
  free(whole);
  (void)fclose(file);
}

/* Returns the number of inputs, or -1 if there is no such folder. */
static int replay_folder(const char *folder) {
  DIR *directory = opendir(folder);
  if (!directory) {
    return -1;
  }
  int inputs = 0;
  for (struct dirent *entry; (entry = readdir(directory));) {
    char path[MAX_PATH_BYTES];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] != '.' && length < MAX_PATH_BYTES) {
      replay_file(path);
      inputs++;
    }
  }
  closedir(directory);
  return inputs;
}

/* Writes the corpus folder of the program `name` to `folder`. */
static void find_corpus(const char *name, char folder[MAX_PATH_BYTES]) {
  const char *slash = strrchr(name, '/');
  const char *base = slash ? slash + 1 : name;
  int length = (int)strcspn(base, "_");
  const char *suffix = strstr(base, "_replay");
  if (suffix) {
    length = (int)(suffix - base);
  }
  (void)snprintf(folder, MAX_PATH_BYTES, "tests/fuzz/corpus/%.*s", length,
                 base);
}

int main(int argc, char **argv) {
  char folder[MAX_PATH_BYTES];
  find_corpus(argv[0], folder);
  const char *corpus = argc > 1 ? argv[1] : folder;
  (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  int inputs = replay_folder(corpus);
  printf("1..1\n%s 1 - %d inputs of %s\n", inputs > 0 ? "ok" : "not ok", inputs,
         corpus);
  return inputs > 0 ? 0 : 1;
}
