/* dispatch.c - which tables this build has, which of them the processor can run, and their names. */
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define DECLARE(variant) extern const rst_kernels rst_kernels_##variant
DECLARE(baseline_f32), rst_kernels_baseline_bf16, rst_kernels_baseline_int8;
#ifdef RST_HAVE_avx2
DECLARE(avx2_f32), rst_kernels_avx2_bf16, rst_kernels_avx2_int8;
#endif
#ifdef RST_HAVE_avxvnni
DECLARE(avxvnni_int8);
#endif
#ifdef RST_HAVE_avx512
DECLARE(avx512_f32), rst_kernels_avx512_bf16, rst_kernels_avx512_int8;
#endif
#ifdef RST_HAVE_avx512vnni
DECLARE(avx512vnni_int8);
#endif
#ifdef RST_HAVE_avx512bf16
DECLARE(avx512bf16_bf16), rst_kernels_avx512bf16_int8;
#endif
#ifdef RST_HAVE_amx
DECLARE(amx_bf16), rst_kernels_amx_int8;
#endif
#ifdef RST_HAVE_neon
DECLARE(neon_f32), rst_kernels_neon_bf16, rst_kernels_neon_int8;
#endif
#ifdef RST_HAVE_neondot
DECLARE(neondot_int8);
#endif

static const char *const NAMES[RST_ISA_COUNT] = {[RST_ISA_AUTO] = "auto",
                                                 [RST_ISA_BASELINE] = "baseline",
                                                 [RST_ISA_AVX2] = "avx2",
                                                 [RST_ISA_AVXVNNI] = "avxvnni",
                                                 [RST_ISA_AVX512] = "avx512",
                                                 [RST_ISA_AVX512VNNI] = "avx512vnni",
                                                 [RST_ISA_AVX512BF16] = "avx512bf16",
                                                 [RST_ISA_AMX] = "amx",
                                                 [RST_ISA_NEON] = "neon",
                                                 [RST_ISA_NEONDOT] = "neondot"};

/* By precision; NULL: not in this build. Where an instruction set has nothing to add to a precision,
 * another's table serves. */
static const rst_kernels *const TABLES[RST_ISA_COUNT][RST_PRECISION_COUNT] = {
    [RST_ISA_BASELINE] = {&rst_kernels_baseline_f32, &rst_kernels_baseline_bf16, &rst_kernels_baseline_int8},
#ifdef RST_HAVE_avx2
    [RST_ISA_AVX2] = {&rst_kernels_avx2_f32, &rst_kernels_avx2_bf16, &rst_kernels_avx2_int8},
#endif
#ifdef RST_HAVE_avxvnni
    [RST_ISA_AVXVNNI] = {&rst_kernels_avx2_f32, &rst_kernels_avx2_bf16, &rst_kernels_avxvnni_int8},
#endif
#ifdef RST_HAVE_avx512
    [RST_ISA_AVX512] = {&rst_kernels_avx512_f32, &rst_kernels_avx512_bf16, &rst_kernels_avx512_int8},
#endif
#ifdef RST_HAVE_avx512vnni
    [RST_ISA_AVX512VNNI] = {&rst_kernels_avx512_f32, &rst_kernels_avx512_bf16, &rst_kernels_avx512vnni_int8},
#endif
#ifdef RST_HAVE_avx512bf16
    [RST_ISA_AVX512BF16] = {&rst_kernels_avx512_f32, &rst_kernels_avx512bf16_bf16,
                            &rst_kernels_avx512bf16_int8},
#endif
#ifdef RST_HAVE_amx
    [RST_ISA_AMX] = {&rst_kernels_avx512_f32, &rst_kernels_amx_bf16, &rst_kernels_amx_int8},
#endif
#ifdef RST_HAVE_neon
    [RST_ISA_NEON] = {&rst_kernels_neon_f32, &rst_kernels_neon_bf16, &rst_kernels_neon_int8},
#endif
#ifdef RST_HAVE_neondot
    [RST_ISA_NEONDOT] = {&rst_kernels_neon_f32, &rst_kernels_neon_bf16, &rst_kernels_neondot_int8},
#endif
};

#if defined(__x86_64__)
/* The compilers' builtin knows it by name only of late. The registers that it needs are AVX2's. */
static bool has_avxvnni(void) {
  unsigned a, b, c, d;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}

/* The registers of tiles are large, and Linux saves them only for processes that have asked. */
static bool has_amx(void) {
  unsigned a, b, c, d;
  const bool bf16_tiles_int8 = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d >> 22 & 1) != 0 &&
                               (d >> 24 & 1) != 0 && (d >> 25 & 1) != 0;
#if defined(__linux__) && defined(SYS_arch_prctl)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return bf16_tiles_int8 && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}
#endif

#if defined(__aarch64__)
static bool has_neondot(void) {
#if defined(__linux__)
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__ARM_FEATURE_DOTPROD) /* every processor of Apple's that macOS runs on */
  return true;
#else
  return false;
#endif
}
#endif

static bool processor_has(rst_isa isa) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool avx512vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool avx512bf16 = avx512vnni && __builtin_cpu_supports("avx512bf16");
  switch (isa) {
    case RST_ISA_AVX2:
      return avx2;
    case RST_ISA_AVXVNNI:
      return avx2 && has_avxvnni();
    case RST_ISA_AVX512:
      return avx512;
    case RST_ISA_AVX512VNNI:
      return avx512vnni;
    case RST_ISA_AVX512BF16:
      return avx512bf16;
    case RST_ISA_AMX:
      return avx512bf16 && has_amx();
    default:
      break;
  }
#endif
#if defined(__aarch64__)
  if (isa == RST_ISA_NEONDOT) return has_neondot();
#endif
  return isa == RST_ISA_BASELINE || isa == RST_ISA_NEON;
}

const char *rst_isa_name(rst_isa isa) {
  return isa >= 0 && isa < RST_ISA_COUNT ? NAMES[isa] : "unknown";
}

const char *rst_precision_name(rst_precision precision) {
  static const char *const names[RST_PRECISION_COUNT] = {"float32", "bf16", "int8"};
  return (unsigned)precision < RST_PRECISION_COUNT ? names[precision] : "unknown";
}

bool rst_isa_available(rst_isa isa) {
  if (isa == RST_ISA_AUTO) return true;
  return isa > RST_ISA_AUTO && isa < RST_ISA_COUNT && TABLES[isa][RST_PRECISION_F32] != NULL &&
         processor_has(isa);
}

rst_isa rst_isa_best(void) {
  rst_isa best = RST_ISA_BASELINE;
  for (rst_isa isa = RST_ISA_BASELINE; isa < RST_ISA_COUNT; isa++)
    if (rst_isa_available(isa)) best = isa;
  return best;
}

const rst_kernels *rst_kernels_for(rst_isa isa, rst_precision precision) {
  if (isa == RST_ISA_AUTO) isa = rst_isa_best();
  if (!rst_isa_available(isa) || (unsigned)precision >= RST_PRECISION_COUNT) return NULL;
  return TABLES[isa][precision];
}
