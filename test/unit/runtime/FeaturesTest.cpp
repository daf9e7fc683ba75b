// What the kernel must grant before a feature may be used.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Cpu/Features.h"
#include "lathe/ArtifactFormat.h"

#include <gtest/gtest.h>

#if defined(__x86_64__)
#include <cerrno>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace lathe::runtime;

namespace {

/// From now on this process is not allowed to ask.
bool forbidArchPrctl() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

TEST(Features, AreNotUsedWhereTheKernelDeniesThem) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!forbidArchPrctl())
      _exit(2);
    uint64_t others = LATHE_X86_V3 | LATHE_X86_V4;
    _exit(requestFeatures(others | LATHE_X86_AMX_BF16) == others &&
                  requestFeatures(others) == others
              ? 0
              : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 2)
    GTEST_SKIP() << "this kernel has no system call filters";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
#endif
