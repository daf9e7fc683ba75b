// Runs models from several threads for a long time: with all that goes wrong in a server's life,
// and with every result compared. utils/soak starts it. Licensed under Apache-2.0 WITH
// LLVM-exception.
#include "test/soak/Soak.h"
#include "tools/common/Support.h"

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <unistd.h>

using namespace lathe;
using namespace lathe::soak;

int64_t lathe::soak::nowNs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * int64_t(1'000'000'000) + time.tv_nsec;
}

void Executor::submit(void *user, void (*task)(void *), void *argument) {
  auto &self = *static_cast<Executor *>(user);
  std::lock_guard guard(self.mutex);
  self.tasks.push_back({task, argument});
  self.changed.notify_one();
}

void Executor::serve() {
  for (;;) {
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return !tasks.empty(); });
    auto [task, argument] = tasks.front();
    tasks.pop_front();
    guard.unlock();
    if (!task)
      return;
    task(argument);
  }
}

namespace {

// Cancels a run here and there.
void cancelSome(Soak &soak) {
  std::mt19937_64 random(99);
  while (!soak.stop) {
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    std::lock_guard lock(soak.mutex);
    lathe_context_cancel(soak.running[random() % soak.running.size()]);
  }
}

double residentMegabytes() {
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long size = 0, resident = 0;
  if (!file || fscanf(file, "%lu %lu", &size, &resident) != 2)
    resident = 0;
  if (file)
    fclose(file);
  return double(resident) * sysconf(_SC_PAGESIZE) / 1e6;
}

double meanOf(const std::vector<double> &samples, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i)
    sum += samples[i];
  return end > begin ? sum / double(end - begin) : 0;
}

int report(Soak &soak, const std::vector<double> &resident, double seconds, bool checkResident) {
  uint64_t runs = 0;
  for (auto [code, count] : soak.codes)
    runs += count;
  printf("%.0f s, %zu models, %zu threads: %" PRIu64 " runs, %" PRIu64 " contexts, %" PRIu64
         " modules opened, %" PRIu64 " damaged files refused\n",
         seconds, soak.models.size(), soak.running.size(), runs, soak.contexts.load(),
         soak.opened.load(), soak.refused.load());
  printf("  %" PRIu64 " of the runs beside the caller, %" PRIu64
         " on copies of tensors with strides\n",
         soak.beside.load(), soak.strided.load());
  for (auto [code, count] : soak.codes)
    printf("  %-12s %" PRIu64 "\n", lathe_status_name(code), count);
  size_t quarter = resident.size() / 4;
  double early = meanOf(resident, quarter, 2 * quarter);
  double late = meanOf(resident, resident.size() - quarter, resident.size());
  printf("  resident: %.1f MB in the second quarter, %.1f MB in the last\n", early, late);
  // A leak of a few bytes a run is megabytes by then; what the allocator keeps moves by less.
  if (soak.failure.empty() && checkResident && late > early * 1.02 + 2)
    soak.failure = "the process grows";
  if (soak.failure.empty() && soak.allocator.live)
    soak.failure = std::to_string(soak.allocator.live) + " bytes are never released";
  printf("%s\n", soak.failure.empty() ? "soak: nothing failed" : soak.failure.c_str());
  return soak.failure.empty() ? 0 : 1;
}

} // namespace

// usage: lathe-soak SECONDS THREADS FOLDER CHECK-RESIDENT(0|1) ARTIFACT...
int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: utils/soak\n");
    return 2;
  }
  double seconds = atof(argv[1]);
  Soak soak;
  soak.folder = argv[3];
  soak.running.resize(std::max(1, atoi(argv[2])));
  try {
    std::mt19937_64 random(1);
    for (int i = 5; i < argc; ++i)
      soak.models.push_back(makeModel(argv[i], 5, random));
  } catch (const std::exception &error) {
    fprintf(stderr, "soak: %s\n", error.what());
    return 1;
  }
  if (lathe_pool_create(2, &soak.pool, nullptr) || lathe_stream_create(0, &soak.stream, nullptr))
    return 1;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < soak.running.size(); ++i)
    threads.emplace_back([&soak, i] { work(soak, i); });
  std::thread canceller([&soak] { cancelSome(soak); });
  std::vector<double> resident;
  int64_t begin = nowNs(), end = begin + int64_t(seconds * 1e9);
  while (!soak.stop && nowNs() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    resident.push_back(residentMegabytes());
  }
  soak.stop = true;
  for (std::thread &thread : threads)
    thread.join();
  canceller.join();
  lathe_stream_destroy(soak.stream);
  lathe_pool_destroy(soak.pool);
  return report(soak, resident, double(nowNs() - begin) / 1e9, atoi(argv[4]) != 0);
}
