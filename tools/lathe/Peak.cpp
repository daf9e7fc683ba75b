// What this machine can do at most, measured.
// Apache-2.0 WITH LLVM-exception.
#include "tools/lathe/Peak.h"
#include "lathe-c/Runtime.h"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <functional>
#include <numeric>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace lathe::tools {

namespace {

/// Independent chains of multiply-adds: two units with four or five cycles of latency are kept busy
/// by ten, and no level has fewer than 16 registers.
constexpr int chains = 12;
constexpr int64_t roundsPerCall = 20000;

/// Runs roundsPerCall rounds of `chains` multiply-adds and returns how many operations that were.
using PeakKernel = double (*)();
volatile float sink;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiplyAddAvx512() {
  __m512 sums[chains], factor = _mm512_set1_ps(0.999f), step = _mm512_set1_ps(0.001f);
  for (int i = 0; i < chains; ++i)
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t round = 0; round < roundsPerCall; ++round)
#pragma unroll
    for (int i = 0; i < chains; ++i)
      sums[i] = _mm512_fmadd_ps(sums[i], factor, step);
  __m512 total = sums[0];
  for (int i = 1; i < chains; ++i)
    total = _mm512_add_ps(total, sums[i]);
  sink = _mm512_cvtss_f32(total);
  return 2.0 * 16 * chains * roundsPerCall;
}

__attribute__((target("avx2,fma"))) double multiplyAddAvx2() {
  __m256 sums[chains], factor = _mm256_set1_ps(0.999f), step = _mm256_set1_ps(0.001f);
  for (int i = 0; i < chains; ++i)
    sums[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t round = 0; round < roundsPerCall; ++round)
#pragma unroll
    for (int i = 0; i < chains; ++i)
      sums[i] = _mm256_fmadd_ps(sums[i], factor, step);
  __m256 total = sums[0];
  for (int i = 1; i < chains; ++i)
    total = _mm256_add_ps(total, sums[i]);
  sink = _mm256_cvtss_f32(total);
  return 2.0 * 8 * chains * roundsPerCall;
}
#elif defined(__aarch64__)
double multiplyAddNeon() {
  float32x4_t sums[chains], factor = vdupq_n_f32(0.999f), step = vdupq_n_f32(0.001f);
  for (int i = 0; i < chains; ++i)
    sums[i] = vdupq_n_f32(static_cast<float>(i));
  for (int64_t round = 0; round < roundsPerCall; ++round)
#pragma unroll
    for (int i = 0; i < chains; ++i)
      sums[i] = vfmaq_f32(step, sums[i], factor);
  float32x4_t total = sums[0];
  for (int i = 1; i < chains; ++i)
    total = vaddq_f32(total, sums[i]);
  sink = vgetq_lane_f32(total, 0);
  return 2.0 * 4 * chains * roundsPerCall;
}
#endif

double multiplyAddScalar() {
  float sums[chains];
  for (int i = 0; i < chains; ++i)
    sums[i] = static_cast<float>(i);
  for (int64_t round = 0; round < roundsPerCall; ++round)
    for (int i = 0; i < chains; ++i)
      sums[i] = sums[i] * 0.999f + 0.001f;
  sink = std::accumulate(sums, sums + chains, 0.0f);
  return 2.0 * chains * roundsPerCall;
}

PeakKernel chooseKernel() {
#if defined(__x86_64__)
  uint64_t features = lathe_host_features();
  if (features & LATHE_X86_V4)
    return multiplyAddAvx512;
  if (features & LATHE_X86_V3)
    return multiplyAddAvx2;
#elif defined(__aarch64__)
  return multiplyAddNeon;
#endif
  return multiplyAddScalar;
}

/// Calls `work` on every thread for a while and adds up the best rates (amount per second).
double bestRate(uint32_t threads, const std::function<double(uint32_t)> &work) {
  using Clock = std::chrono::steady_clock;
  constexpr auto duration = std::chrono::milliseconds(50);
  std::vector<double> rates(threads, 0);
  std::barrier start(threads);
  auto measure = [&](uint32_t thread) {
    start.arrive_and_wait();
    auto end = Clock::now() + duration;
    for (auto begin = Clock::now(); begin < end;) {
      double amount = work(thread);
      auto now = Clock::now();
      double seconds = std::chrono::duration<double>(now - begin).count();
      rates[thread] = std::max(rates[thread], amount / std::max(seconds, 1e-9));
      begin = now;
    }
  };
  {
    std::vector<std::jthread> others;
    for (uint32_t thread = 1; thread < threads; ++thread)
      others.emplace_back(measure, thread);
    measure(0);
  }
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

} // namespace

Peak measurePeak(uint32_t threads) {
  threads = std::clamp(threads, 1u, 1024u);
  PeakKernel kernel = chooseKernel();
  Peak peak;
  peak.gflops = bestRate(threads, [&](uint32_t) { return kernel(); }) * 1e-9;

  // Each thread sums its part over and over; all parts together are larger than any cache.
  constexpr size_t wordsInAll = size_t(256) << 17;
  std::vector<uint64_t> memory(wordsInAll, 1);
  size_t part = wordsInAll / threads;
  peak.gigabytesPerSecond =
      bestRate(threads,
               [&](uint32_t thread) {
                 const uint64_t *words = memory.data() + thread * part;
                 sink = static_cast<float>(std::accumulate(words, words + part, uint64_t(0)));
                 return static_cast<double>(part * sizeof(uint64_t));
               }) *
      1e-9;
  return peak;
}

} // namespace lathe::tools
