/* table.c - the table of one variant. */
#include "kernels/simd/products.h"

extern const rst_kernels RST_KERNEL(kernels);
const rst_kernels RST_KERNEL(kernels) = {
    .isa = RST_VARIANT_ISA,
    .precision = RST_INT8   ? RST_PRECISION_INT8
                 : RST_BF16 ? RST_PRECISION_BF16
                            : RST_PRECISION_F32,
    .element = sizeof(element),
    .operand = sizeof(operand),
    .step = K_STEP,
#if defined(__AVX512BF16__)
    .pairs = RST_BF16,
#endif
    .weight = sizeof(weight),
    .tail = TAILS * RST_GROUP * sizeof(float),
#if RST_INT8
    .quantize = RST_KERNEL(quantize),
#endif
    .pack = RST_KERNEL(pack),
    .gemm = RST_KERNEL(gemm),
    .normalize = RST_KERNEL(normalize),
    .dwconv_operand = RST_KERNEL(dwconv_operand),
    .dwconv_gram = RST_KERNEL(dwconv_gram),
    .dwconv_gate = RST_KERNEL(dwconv_gate),
    .gram = RST_KERNEL(gram),
    .store = RST_KERNEL(store),
    .load = RST_KERNEL(load),
};
