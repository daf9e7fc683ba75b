// Constants of the math builtins; computed by tables.py, do not edit.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_BUILTINS_TABLES_H
#define LATHE_BUILTINS_TABLES_H

#include "Common.h"

namespace lathe::builtins {

constexpr Pair ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
constexpr Pair ln10 = {0x1.26bb1bbb55516p+1, -0x1.f48ad494ea3e9p-53};
constexpr Pair log2E = {0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56};
constexpr Pair log10E = {0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57};
constexpr Pair piHalf = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54};
constexpr Pair pi = {0x1.921fb54442d18p+1, 0x1.1a62633145c07p-53};

// The high part has 32 bits: a multiple by less than 2^21 is exact.
constexpr Pair ln2Split = {0x1.62e42fee00000p-1, 0x1.a39ef35793c76p-33};
constexpr Pair log10Of2Split = {0x1.3441350800000p-2, 0x1.f79fef311f12bp-34};

// pi / 2 in three parts of 33 bits and the rest.
constexpr double piHalfParts[4] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34,
                                   0x1.3198a2e000000p-69, 0x1.b839a252049c1p-104};

// atan(i / 8).
constexpr Pair atanTable[9] = {{0x0.0p+0, 0x0.0p+0},
                               {0x1.fd5ba9aac2f6ep-4, -0x1.cd37686760c17p-59},
                               {0x1.f5b75f92c80ddp-3, 0x1.8ab6e3cf7afbdp-57},
                               {0x1.6f61941e4def1p-2, -0x1.c63aae6f6e918p-56},
                               {0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56},
                               {0x1.1e00babdefeb4p-1, -0x1.928df287a668fp-58},
                               {0x1.4978fa3269ee1p-1, 0x1.2419a87f2a458p-56},
                               {0x1.700a7c5784634p-1, -0x1.8c34d25aadef6p-56},
                               {0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55}};

// A word of zeros, then the bits of 2 / pi after the binary point.
constexpr u64 twoOverPi[21] = {0,
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
constexpr double erfTable[14] = {
    -0x1.1ae14dc34815ap-5, -0x1.1fd16292151fdp-2,  0x1.454368017b042p-4,  -0x1.2b902b7b2f224p-6,
    0x1.c82aa249df4a1p-9,  -0x1.263991b81d62ep-11, 0x1.486638bc934bfp-14, -0x1.429e938bb3fb3p-17,
    0x1.1ad5ee09b7c4dp-20, -0x1.bf8e5ad031f42p-24, 0x1.428e75eef326cp-27, -0x1.aad6f12f0a592p-31,
    0x1.06139757ceda2p-34, -0x1.29b9f1b3df556p-38};

// exp(x^2) erfc(x) / t for 0.75 <= x <= 28, as polynomials in t - middle, t = 2 / (2 + x),
// on four pieces of equal length.
constexpr double erfcxLow = 0x1.1111111111111p-4, erfcxScale = 0x1.8385df1e88386p+2;
constexpr double erfcxMiddle[4] = {0x1.31a6031a6031ap-3, 0x1.41f07c1f07c1fp-2, 0x1.eb0df6b0df6b1p-2,
                                   0x1.4a15b8a15b8a1p-1};
constexpr double erfcxTable[4][15] = {
    {0x1.523f5195c0576p-2, 0x1.7978d47dd8b92p-2, 0x1.5862a022f0aa1p-2, 0x1.c3e9ebf6446a2p-3,
     0x1.c8775fbd68d53p-5, -0x1.3b505555961a5p-4, -0x1.8c142f3685ea3p-4, -0x1.c94e53538032bp-9,
     0x1.6ecc258dce904p-4, 0x1.b87f99d7dab82p-5, -0x1.4a5c516ab1cebp-4, -0x1.b1558bcdc8cadp-4,
     0x1.39f6277b2553dp-4, 0x1.70aa86e509352p-3, -0x1.3ebe039c6ea83p-4},
    {0x1.9b0776277253fp-2, 0x1.fe605db896e8bp-2, 0x1.cd10c1e262a6ap-2, 0x1.d3a3a89b5c0d8p-3,
     -0x1.5f6037d05af6cp-5, -0x1.33ea5ee022889p-3, -0x1.d074e7f936f00p-6, 0x1.c33a443160a03p-4,
     0x1.422fe74acb116p-5, -0x1.b3cb728002339p-4, -0x1.0b15b9e3a9d1fp-5, 0x1.05612bfc172bfp-3,
     0x1.3619a48fbf5a9p-8, -0x1.4c444f852a054p-3, 0x1.ffc61cbb8ccb0p-5},
    {0x1.fce546deba37bp-2, 0x1.54373006a4bb8p-1, 0x1.1962144743639p-1, 0x1.4672a03de4fd7p-3,
     -0x1.497b23b98e9d4p-3, -0x1.d83de4ab248d1p-4, 0x1.71a14f21377c1p-4, 0x1.138467ff3cc2fp-4,
     -0x1.4f1dfc6e482c1p-4, -0x1.93bbc76655104p-6, 0x1.49835cc60ef92p-4, -0x1.665c3dd4c8964p-6,
     -0x1.fcc7a289adbcdp-5, 0x1.04dd37ca5a73bp-4, 0x1.c665be52886f8p-7},
    {0x1.3e9c1a503440fp-1, 0x1.b62b5457a1db0p-1, 0x1.32425f355394cp-1, 0x1.fb9314ca68937p-6,
     -0x1.b40245a06688ep-3, -0x1.0a4211358aaedp-7, 0x1.b5282ed5566cap-4, -0x1.f7c80a1465f22p-6,
     -0x1.9145fa21003bcp-5, 0x1.794a5e7a667b6p-5, 0x1.956eb9af7ce37p-9, -0x1.17215f80614f2p-5,
     0x1.90c6675748182p-6, 0x1.53ec18fc1b3c5p-8, -0x1.7a72e978a43d8p-6},
};

// For f32: polynomials, lowest coefficient first, and numbers in parts of 24 bits.
// (exp(x) - 1 - x) / x^2
constexpr float expF32[5] = {0x1.0000000000000p-1f, 0x1.5554de0000000p-3f, 0x1.55551a0000000p-5f,
                             0x1.120b620000000p-7f, 0x1.6d10fc0000000p-10f};
// (2^x - 1) / x
constexpr float exp2F32[7] = {0x1.62e4300000000p-1f, 0x1.ebfbe00000000p-3f,  0x1.c6b08e0000000p-5f,
                              0x1.3b2a1c0000000p-7f, 0x1.5d879e0000000p-10f, 0x1.4440000000000p-13f,
                              0x1.00a5820000000p-16f};
// (log(1 + x) - x + x^2 / 2) / x^3
constexpr float logF32[9] = {0x1.5555540000000p-2f,  -0x1.fffffc0000000p-3f, 0x1.999d5a0000000p-3f,
                             -0x1.555b4a0000000p-3f, 0x1.23d21a0000000p-3f,  -0x1.fcf4c60000000p-4f,
                             0x1.dea2820000000p-4f,  -0x1.d635bc0000000p-4f, 0x1.1d8ea60000000p-4f};
// (sin(x) / x - 1) / x^2 in x^2
constexpr float sinF32[4] = {-0x1.5555560000000p-3f, 0x1.11110e0000000p-7f, -0x1.a013a80000000p-13f,
                             0x1.6dbe080000000p-19f};
// (cos(x) - 1 + x^2 / 2) / x^4 in x^2
constexpr float cosF32[4] = {0x1.5555560000000p-5f, -0x1.6c16c00000000p-10f, 0x1.a015c40000000p-16f,
                             -0x1.25244e0000000p-22f};
// (asin(x) / x - 1) / x^2 in x^2
constexpr float asinF32[6] = {0x1.5555540000000p-3f, 0x1.3334300000000p-4f, 0x1.6d5bba0000000p-5f,
                              0x1.fd8da20000000p-6f, 0x1.18f91e0000000p-6f, 0x1.13fed40000000p-5f};
// (atan(x) / x - 1) / x^2 in x^2
constexpr float atanF32[10] = {
    -0x1.5555560000000p-2f, 0x1.9999560000000p-3f, -0x1.2489520000000p-3f, 0x1.c62cda0000000p-4f,
    -0x1.6dd8fe0000000p-4f, 0x1.2006f80000000p-4f, -0x1.9115a40000000p-5f, 0x1.aefb2c0000000p-6f,
    -0x1.2ba6b60000000p-7f, 0x1.86406c0000000p-10f};
// erf(x) / x - 1 in x^2
constexpr float erfF32[7] = {
    0x1.06eba80000000p-3f, -0x1.8127420000000p-2f,  0x1.ce2dde0000000p-4f, -0x1.b80acc0000000p-6f,
    0x1.54a2ae0000000p-8f, -0x1.a8f0340000000p-11f, 0x1.5878100000000p-14f};
// log(erfc(x)) in x - 2, for 0.9 <= x <= 4
constexpr float logErfcF32[10] = {-0x1.575b320000000p+2f, -0x1.1ac3260000000p+2f,
                                  -0x1.d8f5e60000000p-1f, -0x1.0dc2d00000000p-6f,
                                  0x1.d41b6e0000000p-9f,  -0x1.8061560000000p-11f,
                                  0x1.1acada0000000p-13f, -0x1.4cdda80000000p-16f,
                                  0x1.e135240000000p-20f, -0x1.7e96380000000p-25f};
constexpr float ln2F32[2] = {0x1.62e4000000000p-1f, 0x1.7f7d1c0000000p-20f};
constexpr float log2EF32[2] = {0x1.7154760000000p+0f, 0x1.4ae0c00000000p-26f};
constexpr float log10EF32[2] = {0x1.bcb7b20000000p-2f, -0x1.5b235e0000000p-27f};
constexpr float log10Of2F32[2] = {0x1.3440000000000p-2f, 0x1.3509f80000000p-18f};
constexpr float piHalfF32[3] = {0x1.921fb60000000p+0f, -0x1.777a5c0000000p-25f,
                                -0x1.ee59da0000000p-50f};
constexpr float piF32[2] = {0x1.921fb60000000p+1f, -0x1.777a5c0000000p-24f};

} // namespace lathe::builtins

#endif // LATHE_BUILTINS_TABLES_H
