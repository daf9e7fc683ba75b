// Constants of the math builtins; computed by tables.py, do not edit.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_BUILTINS_TABLES_H
#define LATHE_BUILTINS_TABLES_H

#include "Common.h"

namespace lathe::builtins {

inline constexpr Pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
inline constexpr Pair ln10 = {0x1.26bb1bbb55516p+1, -0x1.f48ad494ea3e9p-53};
inline constexpr Pair log2E = {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56};
inline constexpr Pair log10E = {0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57};
inline constexpr Pair piHalf = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};
inline constexpr Pair pi = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53};

// The high part has 32 bits: a multiple by less than 2^21 is exact.
inline constexpr Pair ln2Split = {0x1.62e42fee00000p-1, 0x1.a39ef35793c76p-33};
inline constexpr Pair log10Of2Split = {0x1.3441350800000p-2, 0x1.f79fef311f12bp-34};

// pi / 2 in three parts of 33 bits and the rest.
inline constexpr double piHalfParts[4] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34,
                                          0x1.3198a2e000000p-69, 0x1.b839a252049c1p-104};

// atan(i / 8).
inline constexpr Pair atanTable[9] = {{0x0.0p+0, 0x0.0p+0},
                                      {0x1.fd5ba9aac2f6ep-4, -0x1.cd37686760c17p-59},
                                      {0x1.f5b75f92c80ddp-3, 0x1.8ab6e3cf7afbdp-57},
                                      {0x1.6f61941e4def1p-2, -0x1.c63aae6f6e918p-56},
                                      {0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56},
                                      {0x1.1e00babdefeb4p-1, -0x1.928df287a668fp-58},
                                      {0x1.4978fa3269ee1p-1, 0x1.2419a87f2a458p-56},
                                      {0x1.700a7c5784634p-1, -0x1.8c34d25aadef6p-56},
                                      {0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55}};

// A word of zeros, then the bits of 2 / pi after the binary point.
inline constexpr u64 twoOverPi[21] = {0,
                                      0xa2f9836e4e441529,
                                      0xfc2757d1f534ddc0,
                                      0xdb6295993c439041,
                                      0xfe5163abdebbc561,
                                      0xb7246e3a424dd2e0,
                                      0x06492eea09d1921c,
                                      0xfe1deb1cb129a73e,
                                      0xe88235f52ebb4484,
                                      0xe99c7026b45f7e41,
                                      0x3991d639835339f4,
                                      0x9c845f8bbdf9283b,
                                      0x1ff897ffde05980f,
                                      0xef2f118b5a0a6d1f,
                                      0x6d367ecf27cb09b7,
                                      0x4f463f669e5fea2d,
                                      0x7527bac7ebe5f17b,
                                      0x3d0739f78a5292ea,
                                      0x6bfb5fb11f8d5d08,
                                      0x56033046fc7b6bab,
                                      0xf0cfbc209af4361d};

// erf(x) / x - 1 as a polynomial in x^2 - 1/2, for x^2 <= 1.
inline constexpr double erfTable[14] = {
    -0x1.1ae14dc34815ap-5, -0x1.1fd16292151fdp-2,  0x1.454368017b042p-4,  -0x1.2b902b7b2f224p-6,
    0x1.c82aa249df4a1p-9,  -0x1.263991b81d62ep-11, 0x1.486638bc934bfp-14, -0x1.429e938bb3fb3p-17,
    0x1.1ad5ee09b7c4dp-20, -0x1.bf8e5ad031f42p-24, 0x1.428e75eef326cp-27, -0x1.aad6f12f0a592p-31,
    0x1.06139757ceda2p-34, -0x1.29b9f1b3df556p-38};

// exp(x^2) erfc(x) for 0.75 <= x <= 28, as polynomials in t - middle with t = 2 / (2 + x),
// on four pieces of equal length.
inline constexpr double erfcxLow = 0x1.1111111111111p-4, erfcxScale = 0x1.8385df1e88386p+2;
inline constexpr double erfcxMiddle[4] = {0x1.31a6031a6031ap-3, 0x1.41f07c1f07c1fp-2,
                                          0x1.eb0df6b0df6b1p-2, 0x1.4a15b8a15b8a1p-1};
inline constexpr double erfcxTable[4][15] = {
    {0x1.93d8c95be8bf2p-5, 0x1.8a950958a1447p-2, 0x1.acde6f1b1c0f1p-2, 0x1.7a1b8c378c12ep-2,
     0x1.d4f1ddd64dce0p-3, 0x1.6a5993d82b310p-5, -0x1.766cf21a09e50p-4, -0x1.8e362e01cf32bp-4,
     0x1.439b80bb9c014p-7, 0x1.8faae3fec3b7ep-4, 0x1.55e40ba058d8bp-5, -0x1.8af2f7efc6db3p-4,
     -0x1.827a4fff17328p-4, 0x1.9fda39def3485p-4, 0x1.58e1958efcaefp-3},
    {0x1.02733cb7d576cp-3, 0x1.1dbe83fdd4c3ep-1, 0x1.47aa93281fcf8p-1, 0x1.0b49d91a7e9eep-1,
     0x1.b8058cf27f91ep-3, -0x1.714d2ce5928cap-4, -0x1.462b160d71a98p-3, 0x1.9bfc22b92ada5p-8,
     0x1.f5dfdb75dcab3p-4, 0x1.8152b577a717fp-8, -0x1.ddc796fe7697fp-4, 0x1.ebe321fd6afa3p-8,
     0x1.086d1ee7903bcp-3, -0x1.6e00812e2e4b8p-5, -0x1.240accc6e868bp-3},
    {0x1.e813c07ada29dp-3, 0x1.a198bd5fee6edp-1, 0x1.db26cd883c523p-1, 0x1.40850ec30c13fp-1,
     0x1.50e4ad58f33c7p-4, -0x1.bab632b2e17a6p-3, -0x1.26fcc1a19d24cp-4, 0x1.f5c0cdc972ac3p-4,
     0x1.cb40d561435ebp-6, -0x1.7f84ea2c97649p-4, 0x1.c8aa497a497f5p-7, 0x1.1e8927cf6753dp-4,
     -0x1.a729c8348f769p-5, -0x1.ff5d81fb0b75bp-6, 0x1.201a2732efddep-4},
    {0x1.9ad0428290f38p-2, 0x1.2c8c4f3aa738cp+0, 0x1.3dce8cef23a0ap+0, 0x1.3c7c39dd10a23p-1,
     -0x1.b34b273253910p-4, -0x1.bebcc3ad758e3p-3, 0x1.f11a5fa5e27c4p-5, 0x1.63f5db63d0b3ep-4,
     -0x1.fe972553d69d4p-5, -0x1.3c12350ccb4f3p-6, 0x1.89a077892b170p-5, -0x1.3521864de8cbdp-6,
     -0x1.2be1ddbca8e41p-6, 0x1.bde2793b44d9cp-6, -0x1.3e0230d5be659p-7},
};

} // namespace lathe::builtins

#endif // LATHE_BUILTINS_TABLES_H
