// The floating-point environment that compiled code expects.
// Licensed under Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_RUNTIME_CPU_FLOATSTATE_H
#define LATHE_RUNTIME_CPU_FLOATSTATE_H

#include <cstdint>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace lathe::runtime {

/// While it lives: round to nearest, denormals kept, exceptions masked; then as it was before.
class FloatState {
public:
  FloatState() : saved(get()) {
    if (saved != wanted)
      set(wanted);
  }
  ~FloatState() {
    // Also clears the exception flags that the run has raised.
    if (get() != saved)
      set(saved);
  }
  FloatState(const FloatState &) = delete;
  FloatState &operator=(const FloatState &) = delete;

private:
#if defined(__x86_64__)
  static constexpr uint64_t wanted = 0x1f80; // all exceptions masked
  static uint64_t get() { return _mm_getcsr(); }
  static void set(uint64_t value) { _mm_setcsr(value); }
#elif defined(__aarch64__)
  static constexpr uint64_t wanted = 0;
  static uint64_t get() {
    uint64_t value;
    __asm__ volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(uint64_t value) { __asm__ volatile("msr fpcr, %0" : : "r"(value)); }
#else
  static constexpr uint64_t wanted = 0;
  static uint64_t get() { return 0; }
  static void set(uint64_t) {}
#endif

  uint64_t saved;
};

} // namespace lathe::runtime

#endif // LATHE_RUNTIME_CPU_FLOATSTATE_H
