// Preloaded into a process, hides from it what a processor has beyond AVX2 and FMA (x86-64-v3), so
// that a library which asks CPUID takes the code it has for such processors. Linux lets a thread
// have CPUID fault (ARCH_SET_CPUID, Intel processors and recent ones of AMD); the handler answers
// in its place. Threads and child processes of a thread inherit nothing but the fault.
// Licensed under Apache-2.0 WITH LLVM-exception.
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SET_CPUID = 0x1012, LEAF_FEATURES = 7 };

// Bits of leaf 7 (Intel's manual, volume 2, CPUID): all parts of AVX-512, AMX and AVX-VNNI.
static const uint32_t hidden_ebx =
    1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const uint32_t hidden_ecx = 1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14;
static const uint32_t hidden_edx =
    1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;

static void answer(int signal, siginfo_t *info, void *context) {
  (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  if (code[0] != 0x0F || code[1] != 0xA2) { // a fault of the program's own
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);
    return;
  }
  uint32_t leaf = (uint32_t)registers[REG_RAX], part = (uint32_t)registers[REG_RCX];
  uint32_t a, b, c, d;
  syscall(SYS_arch_prctl, SET_CPUID, 1UL);
  __cpuid_count(leaf, part, a, b, c, d);
  syscall(SYS_arch_prctl, SET_CPUID, 0UL);
  if (leaf == LEAF_FEATURES && part == 0) {
    b &= ~hidden_ebx;
    c &= ~hidden_ecx;
    d &= ~hidden_edx;
  } else if (leaf == LEAF_FEATURES) {
    a = b = c = d = 0;
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, NULL);
  if (syscall(SYS_arch_prctl, SET_CPUID, 0UL) != 0) {
    fputs("error: this processor or kernel lets no program hide instructions (ARCH_SET_CPUID)\n",
          stderr);
    _exit(1);
  }
}
