/* gelu.h - GELU, x Phi(x), of a vector: by lookup where a register holds a table, else by one polynomial. */
#ifndef RST_KERNELS_SIMD_GELU_H
#define RST_KERNELS_SIMD_GELU_H

#include "kernels/simd/vector.h"

#if defined(__AVX512F__)
/* max(0, x) - g(|x|), where g(t) = t/2 erfc(t / sqrt 2) is smooth and vanishes: a polynomial in r for each
 * t = i/2 + r, |r| <= 1/4, whose coefficients are looked up by i. The last polynomial is zero: |x| is cut off
 * there. Column i is the minimax fit (Remez) of -g(i/2 + r) on its segment, rounded to float32; in column 0,
 * for 0 <= r, the first two coefficients are held at 0 and -1/2, so that tiny x keep their precision. The
 * fits err by 5e-8 and in bf16, whose results keep 8 bits, by 2e-5; float32 arithmetic adds about 6e-8 |x|.
 */
enum { GELU_SEGMENTS = 16 };
#if RST_BF16
_Alignas(64) static const float GELU[][GELU_SEGMENTS] = {
    {0, -0.154252455f, -0.158664733f, -0.100228198f, -0.0455090366f, -0.0155244013f, -0.0040477463f,
     -0.000812988786f, -0.000126276995f, -1.51988015e-5f, -1.41901035e-6f, -1.02812756e-7f, -5.78128612e-9f,
     -2.52248278e-10f, -8.53622034e-12f, 0},
    {-0.5f, -0.13254796f, 0.0832844973f, 0.127474248f, 0.0852491483f, 0.0376184359f, 0.0119457133f,
     0.00282012485f, 0.00050279178f, 6.8284513e-5f, 7.10103905e-6f, 5.67298628e-7f, 3.4891162e-8f,
     1.65434999e-9f, 6.0521102e-11f, 0},
    {0.401294023f, 0.30595234f, 0.122219138f, -0.0139531475f, -0.0528655462f, -0.0372125544f, -0.0157623366f,
     -0.00462787272f, -0.000988912769f, -0.00015740603f, -1.89065195e-5f, -1.72756427e-6f, -1.20733944e-7f,
     -6.47801679e-9f, -2.67593003e-10f, 0},
    {-0.0255696271f, -0.107939772f, -0.119486429f, -0.0569097809f, -0.000835585291f, 0.0160478894f,
     0.0110771479f, 0.00427853456f, 0.00111176609f, 0.000206490644f, 2.82036963e-5f, 2.87851572e-6f,
     2.21735846e-7f, 1.29789406e-8f, 5.80044512e-10f, 0}};
#else
_Alignas(64) static const float GELU[][GELU_SEGMENTS] = {
    {0, -0.154268742f, -0.158655301f, -0.100210838f, -0.0455002598f, -0.0155241489f, -0.00404968811f,
     -0.000814202125f, -0.000126686093f, -1.52899993e-5f, -1.4333682e-6f, -1.04459708e-7f, -5.92138605e-9f,
     -2.61186212e-10f, -8.9671404e-12f, 0},
    {-0.5f, -0.132505015f, 0.0833154172f, 0.127469257f, 0.0852318481f, 0.0376110785f, 0.0119456304f,
     0.00282175583f, 0.000503650517f, 6.85301347e-5f, 7.14726229e-6f, 5.73407362e-7f, 3.54763188e-8f,
     1.69572822e-9f, 6.27066871e-11f, 0},
    {0.398936808f, 0.308050543f, 0.12099845f, -0.0161790457f, -0.053991843f, -0.0372518785f, -0.0155131817f,
     -0.00447239727f, -0.000936487981f, -0.000145716316f, -1.70655367e-5f, -1.51631377e-6f, -1.0275636e-7f,
     -5.33060351e-9f, -2.12247386e-10f, 0},
    {0.000158917741f, -0.110005684f, -0.1209796f, -0.0566707589f, -4.95991662e-6f, 0.0164334085f,
     0.011081296f, 0.00420026528f, 0.00107055483f, 0.00019470336f, 2.59855824e-5f, 2.5853999e-6f,
     1.93660568e-7f, 1.09938147e-8f, 4.75200601e-10f, 0},
    {-0.068077594f, -0.0336390324f, 0.0196034145f, 0.0356340297f, 0.0180361494f, 0.000683566148f,
     -0.00398953771f, -0.0024885193f, -0.000839120941f, -0.00018712302f, -2.94726269e-5f, -3.38236055e-6f,
     -2.8788034e-7f, -1.83765501e-8f, -8.86533624e-10f, 0},
    {0.00662946329f, 0.0220629666f, 0.015975805f, -0.00254761963f, -0.00886170752f, -0.00428507943f,
     -4.52249988e-5f, 0.000834759965f, 0.000439545431f, 0.000125717721f, 2.36566175e-5f, 3.12602492e-6f,
     2.99405144e-7f, 2.11691855e-8f, 1.11799325e-9f, 0}};
#endif

RST_INLINE vf gelu(vf x) {
  enum { DEGREE = sizeof GELU / sizeof *GELU - 1, SMALLER_MAGNITUDE = 0xa };
  const vf round = vf_splat(0x1.8p22f); /* where floats are 1/2 apart: the low bits of t + round are i */
  const vf t = _mm512_range_ps(x, vf_splat((GELU_SEGMENTS - 1) / 2.0f), SMALLER_MAGNITUDE);
  const vf rounded = t + round, r = t - (rounded - round);
  const __m512i i = _mm512_castps_si512(rounded);
  vf sum = _mm512_permutexvar_ps(i, vf_load(GELU[DEGREE]));
  RST_UNROLL
  for (int k = DEGREE - 1; k >= 0; k--) sum = vf_fma(sum, r, _mm512_permutexvar_ps(i, vf_load(GELU[k])));
  return sum + vf_max(vf_splat(0), x); /* in this order a NaN in x comes through */
}

#else
/* x Phi(x). Phi(x) - 1/2 is x times a polynomial in x^2, a minimax fit of x (x P - Phi) / max(1, |x|) up to
 * the limit in powers of 2 x^2 / limit^2 - 1 (which keeps the terms small: in powers of x^2 they would
 * cancel). Beyond the limit Phi is 0 or 1. The fits err by 4e-8 and 2e-5, the tails by 2e-8 and 4e-6; float32
 * arithmetic adds about 2e-7. */
#if RST_BF16
static const float GELU_LIMIT = 4.5f; /* the result keeps 8 bits: half the polynomial will do */
static const float GELU[] = {1.569029540e-01f,  -7.714883983e-02f, 5.476734415e-02f,
                             -4.081944749e-02f, 2.803982608e-02f,  -1.603663526e-02f,
                             1.125708036e-02f,  -9.847507812e-03f, 3.998893313e-03f};
#else
static const float GELU_LIMIT = 5.5f;
static const float GELU[] = {1.285519302e-01f, -6.417245418e-02f, 4.773694649e-02f, -3.878800198e-02f,
                             3.208284825e-02f, -2.610512078e-02f, 2.027842216e-02f, -1.470217574e-02f,
                             1.050571632e-02f, -7.612871472e-03f, 4.165391903e-03f, -1.288097701e-03f,
                             1.089219702e-03f, -1.347635058e-03f, 5.149715580e-04f};
#endif

RST_INLINE vf gelu(vf x) {
  enum { DEGREE = sizeof GELU / sizeof *GELU - 1 };
  const vf low = vf_max(vf_splat(-GELU_LIMIT), x); /* in this order a NaN in x comes through */
  const vf t = vf_min(vf_splat(GELU_LIMIT), low);
  const vf s = vf_fma(t * t, vf_splat(2.0f / (GELU_LIMIT * GELU_LIMIT)), vf_splat(-1.0f));
  /* Even and odd powers each for themselves: two short chains instead of a long one. The degree is even. */
  const vf s2 = s * s;
  vf even = vf_splat(GELU[DEGREE]), odd = vf_splat(GELU[DEGREE - 1]);
  RST_UNROLL
  for (int i = DEGREE - 2; i > 0; i -= 2) {
    even = vf_fma(even, s2, vf_splat(GELU[i]));
    odd = vf_fma(odd, s2, vf_splat(GELU[i - 1]));
  }
  even = vf_fma(even, s2, vf_splat(GELU[0]));
  return low * vf_fma(t, vf_fma(odd, s, even), vf_splat(0.5f));
}
#endif

#endif
