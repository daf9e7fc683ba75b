// What the compiler and the builtins that run a model once for each sample of a batch
// (builtins/Samples.cpp) agree upon.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_SAMPLEVALUES_H
#define LATHE_SAMPLEVALUES_H

#include "lathe/ArtifactFormat.h"

namespace lathe {

/// An input or an output.
struct SampleValue {
  unsigned elementBytes; ///< 0: the same for all samples
  unsigned openDims;     ///< bits: dimensions of an input that must be at least `leastSize`
};

/// Calls have no more inputs and outputs together.
inline constexpr unsigned mostSampleValues = 64;
/// Samples of a batch of a fixed size.
inline constexpr int64_t mostFixedSamples = INT32_MAX;

/// What a thread needs for the sample that it runs; `values` of them follow, then the code's arena.
struct SampleLane {
  uint32_t isTaken;
  lathe_call call;
};
constexpr uint64_t alignSampleBytes(uint64_t bytes) {
  return (bytes + LATHE_ALIGNMENT - 1) / LATHE_ALIGNMENT * LATHE_ALIGNMENT;
}
constexpr uint64_t sampleHeadBytes(uint64_t values) {
  return alignSampleBytes(sizeof(SampleLane) + values * sizeof(lathe_value));
}

} // namespace lathe

#endif // LATHE_SAMPLEVALUES_H
