/* measure_peak.c - prints the measured peaks of the machine as one JSON object on one line, rates in FLOP/s
 * and bytes/s: peak [THREADS...]        default: 1 and all that the process may use */
#include <stdio.h>
#include <stdlib.h>

#include "base/threads.h"
#include "peak.h"

static const double SECONDS = 0.2; /* of each measurement */

static void print_threads(int threads) {
  printf("\"%d\": {\"copy\": %.4g", threads, peak_copy(threads, SECONDS));
  for (int isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++) {
    if (!rst_isa_available((rst_isa)isa)) continue;
    const char *name = rst_isa_name((rst_isa)isa);
    printf(", \"%s\": {\"f32\": %.4g, \"bf16\": %.4g}", name, peak_f32((rst_isa)isa, threads, SECONDS),
           peak_bf16((rst_isa)isa, threads, SECONDS));
  }
  printf("}");
}

int main(int argc, char **argv) {
  enum { MOST = 4096 };
  printf("{\"isa\": \"%s\", \"threads\": {", rst_isa_name(rst_isa_best()));
  if (argc < 2) {
    const int all = rst_threads(0);
    print_threads(1);
    if (all > 1) {
      printf(", ");
      print_threads(all);
    }
  }
  for (int i = 1; i < argc; i++) {
    char *end;
    const long threads = strtol(argv[i], &end, 10);
    if (*end != '\0' || threads < 1 || threads > MOST) {
      fprintf(stderr, "peak: THREADS cannot be '%s'\n", argv[i]);
      return 2;
    }
    if (i > 1) printf(", ");
    print_threads((int)threads);
  }
  printf("}}\n");
  return 0;
}
