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

/// Reads `bytes`, a multiple of 512, and keeps the compiler from noticing that nobody asks.
using ReadKernel = void (*)(const char *memory, size_t bytes);

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void readAvx512(const char *memory, size_t bytes) {
  __m512i sums[8] = {};
  for (size_t i = 0; i < bytes; i += sizeof(sums))
#pragma unroll
    for (int k = 0; k < 8; ++k)
      sums[k] = _mm512_xor_si512(sums[k], _mm512_loadu_si512(memory + i + 64 * k));
  for (int k = 1; k < 8; ++k)
    sums[0] = _mm512_xor_si512(sums[0], sums[k]);
  sink = static_cast<float>(_mm_cvtsi128_si32(_mm512_castsi512_si128(sums[0])));
}

__attribute__((target("avx2"))) void readAvx2(const char *memory, size_t bytes) {
  __m256i sums[8] = {};
  for (size_t i = 0; i < bytes; i += sizeof(sums))
#pragma unroll
    for (int k = 0; k < 8; ++k)
      sums[k] = _mm256_xor_si256(
          sums[k], _mm256_loadu_si256(reinterpret_cast<const __m256i *>(memory + i + 32 * k)));
  for (int k = 1; k < 8; ++k)
    sums[0] = _mm256_xor_si256(sums[0], sums[k]);
  sink = static_cast<float>(_mm256_cvtsi256_si32(sums[0]));
}
#endif

void readWords(const char *memory, size_t bytes) {
  const auto *words = reinterpret_cast<const uint64_t *>(memory);
  sink = static_cast<float>(std::accumulate(words, words + bytes / 8, uint64_t(0)));
}

ReadKernel chooseReadKernel() {
#if defined(__x86_64__)
  uint64_t features = lathe_host_features();
  if (features & LATHE_X86_V4)
    return readAvx512;
  if (features & LATHE_X86_V3)
    return readAvx2;
#endif
  return readWords;
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
  constexpr auto duration = std::chrono::milliseconds(40);
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

  // Each thread reads a part of its own over and over: parts that the first, second and third level
  // of most machines hold, and, all together, more than any cache.
  constexpr size_t all = size_t(256) << 20;
  std::vector<uint64_t> memory(all / sizeof(uint64_t), 1);
  ReadKernel read = chooseReadKernel();
  for (size_t size : {size_t(24) << 10, size_t(384) << 10, size_t(6) << 20, all / threads}) {
    size = std::min(size, all / threads) / 512 * 512;
    size_t rounds = std::max<size_t>(1, (size_t(1) << 20) / size);
    double rate = bestRate(threads, [&](uint32_t thread) {
      const char *part = reinterpret_cast<const char *>(memory.data()) + thread * (all / threads);
      for (size_t round = 0; round < rounds; ++round)
        read(part, size);
      return static_cast<double>(size * rounds);
    });
    peak.bySize.push_back({static_cast<double>(size * threads), rate * 1e-9});
  }
  peak.gigabytesPerSecond = peak.bySize.back().second;
  return peak;
}

double Peak::bandwidthOf(double bytes) const {
  for (const auto &[size, rate] : bySize)
    if (bytes <= 2 * size)
      return rate;
  return gigabytesPerSecond;
}

double Peak::floorSeconds(double flops, double bytes) const {
  double rate = bandwidthOf(bytes);
  return std::max(gflops > 0 ? flops / gflops : 0, rate > 0 ? bytes / rate : 0) * 1e-9;
}

} // namespace lathe::tools
