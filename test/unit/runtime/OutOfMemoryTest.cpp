// Every allocation and system call that opening, running and verifying need is refused once, the
// first, then the second, and so on: each time there is a status, nothing leaks, and what is left
// goes on working. The linker puts the functions below in place of the C library's (--wrap).
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "TestArtifact.h"

#include <cerrno>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace lathe::test;

namespace {

int64_t calls = -1, refused = 0; // calls < 0: not counting
int64_t liveBlocks = 0, liveMaps = 0;

bool refuse() { return calls >= 0 && ++calls == refused; }

} // namespace

extern "C" {
void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
int __real_posix_memalign(void **, size_t, size_t);
char *__real_strdup(const char *);
void __real_free(void *);
void *__real_mmap(void *, size_t, int, int, int, off_t);
int __real_munmap(void *, size_t);
int __real_mprotect(void *, size_t, int);
ssize_t __real_pread(int, void *, size_t, off_t);
int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

void *__wrap_malloc(size_t bytes) {
  if (refuse())
    return nullptr;
  liveBlocks += calls >= 0;
  return __real_malloc(bytes);
}
void *__wrap_calloc(size_t count, size_t bytes) {
  if (refuse())
    return nullptr;
  liveBlocks += calls >= 0;
  return __real_calloc(count, bytes);
}
void *__wrap_realloc(void *memory, size_t bytes) {
  if (refuse())
    return nullptr;
  // Not counted: only the list of owned blocks is grown, and it stays (see Core/OwnedBlocks.h).
  return __real_realloc(memory, bytes);
}
int __wrap_posix_memalign(void **memory, size_t alignment, size_t bytes) {
  if (refuse())
    return ENOMEM;
  liveBlocks += calls >= 0;
  return __real_posix_memalign(memory, alignment, bytes);
}
char *__wrap_strdup(const char *text) {
  if (refuse())
    return nullptr;
  liveBlocks += calls >= 0;
  return __real_strdup(text);
}
void __wrap_free(void *memory) {
  liveBlocks -= calls >= 0 && memory;
  __real_free(memory);
}
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset) {
  if (refuse()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  liveMaps += calls >= 0;
  return __real_mmap(address, bytes, protection, flags, fd, offset);
}
int __wrap_munmap(void *address, size_t bytes) {
  liveMaps -= calls >= 0;
  return __real_munmap(address, bytes);
}
int __wrap_mprotect(void *address, size_t bytes, int protection) {
  if (refuse()) {
    errno = ENOMEM;
    return -1;
  }
  return __real_mprotect(address, bytes, protection);
}
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t offset) {
  if (refuse()) {
    errno = EIO;
    return -1;
  }
  return __real_pread(fd, to, bytes, offset);
}
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument) {
  if (refuse())
    return EAGAIN;
  return __real_pthread_create(thread, attributes, start, argument);
}
}

namespace {

int openFiles() {
  int count = 0;
  for (int fd = 0; fd < 256; ++fd)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

bool saysWhy(const lathe_status &status) {
  bool isMemory = status.code == LATHE_STATUS_MEMORY || status.code == LATHE_STATUS_RUN_MEMORY ||
                  status.code == LATHE_STATUS_IO || status.code == LATHE_STATUS_THREAD;
  return isMemory && status.message[0];
}

// Repeats `body` with its k-th call refused, for all k, until it needs fewer.
template <typename Body> int64_t refuseEach(Body body) {
  int files = openFiles();
  for (refused = 1; refused < 2000; ++refused) {
    calls = liveBlocks = liveMaps = 0;
    lathe_status status = {};
    int32_t code = body(status);
    int64_t used = calls, blocks = liveBlocks, maps = liveMaps;
    calls = -1;
    EXPECT_EQ(blocks, 0) << "refused call " << refused << ": " << status.message;
    EXPECT_EQ(maps, 0) << "refused call " << refused << ": " << status.message;
    EXPECT_EQ(openFiles(), files);
    if (used < refused) {
      EXPECT_EQ(code, LATHE_STATUS_OK) << status.message;
      return used;
    }
    EXPECT_EQ(code, status.code);
    EXPECT_TRUE(saysWhy(status)) << "refused call " << refused << " gave " << status.code << " '"
                                 << status.message << "'";
  }
  ADD_FAILURE() << "no end";
  return 0;
}

TEST(OutOfMemory, Opening) {
  TemporaryFile file(makeArtifact());
  int64_t calls = refuseEach([&](lathe_status &status) {
    lathe_module *module = nullptr;
    int32_t code = lathe_module_open(file.path(), nullptr, &module, &status);
    EXPECT_EQ(code == LATHE_STATUS_OK, module != nullptr);
    if (!code)
      code = lathe_module_verify(module, &status);
    lathe_module_close(module);
    return code;
  });
  EXPECT_GT(calls, 30);
}

TEST(OutOfMemory, Contexts) {
  lathe_module *module = sharedModule();
  EXPECT_GT(refuseEach([&](lathe_status &status) {
              lathe_context *context = nullptr;
              lathe_context_options options = contextOptions();
              options.threads = 4;
              int32_t code = lathe_context_create(module, &options, &context, &status);
              EXPECT_EQ(code == LATHE_STATUS_OK, context != nullptr);
              lathe_context_destroy(context);
              return code;
            }),
            6);
}

TEST(OutOfMemory, Streams) {
  EXPECT_GE(refuseEach([&](lathe_status &status) {
              lathe_stream *stream = nullptr;
              int32_t code = lathe_stream_create(0, &stream, &status);
              EXPECT_EQ(code == LATHE_STATUS_OK, stream != nullptr);
              lathe_stream_destroy(stream);
              return code;
            }),
            2);
}

// One context for all refusals: it stays usable, and its states are what they were.
TEST(OutOfMemory, RunsOfOneContext) {
  lathe_module *module = sharedModule();
  std::vector<float> x(64, 1), row = {1, 1};
  lathe_value matrix = borrow(LATHE_F32, {16, 4}, x), vector = borrow(LATHE_F32, {64}, x);
  lathe_value wide = borrow(LATHE_F32, {64}, x), news = borrow(LATHE_F32, {2, 1}, row);
  struct Case {
    const char *entry;
    std::vector<lathe_value> inputs;
    size_t outputs;
    int64_t least;
  } cases[] = {{"run", {matrix, matrix}, 1, 1},
               {"nonzero", {vector}, 1, 2},
               {"many", {}, 0, 200},
               {"sum", {wide, lathe_value()}, 1, 2},
               {"append", {lathe_value(), news}, 1, 1},
               {"keep", {vector}, 1, 2}};
  for (Case &test : cases) {
    ContextPtr fresh;
    uint32_t entry = entryOf(module, test.entry);
    EXPECT_GE(refuseEach([&](lathe_status &status) {
                // The context's own first allocations, too, happen within.
                lathe_context_options options = contextOptions();
                lathe_context *context = nullptr;
                int32_t code = lathe_context_create(module, &options, &context, &status);
                lathe_value output = {};
                int32_t first = code;
                if (!code)
                  first = code =
                      lathe_context_run(context, entry, test.inputs.data(), test.inputs.size(),
                                        &output, test.outputs, &status);
                lathe_value_release(&output);
                // Whatever was refused, the same again succeeds.
                if (context && code) {
                  lathe_status again;
                  EXPECT_EQ(lathe_context_run(context, entry, test.inputs.data(),
                                              test.inputs.size(), &output, test.outputs, &again),
                            LATHE_STATUS_OK)
                      << test.entry << ": " << again.message;
                  lathe_value_release(&output);
                }
                lathe_context_destroy(context);
                return first;
              }),
              test.least)
        << test.entry;
  }
}

TEST(OutOfMemory, Values) {
  EXPECT_GE(refuseEach([&](lathe_status &status) {
              lathe_value value = {};
              int64_t dims[] = {3, 5};
              int32_t code = lathe_value_create(&value, LATHE_F32, 2, dims, nullptr, &status);
              lathe_value_release(&value);
              return code;
            }),
            1);
}

} // namespace
