// A server's loop: one module, a context for each worker, requests from a queue, a time limit for
// each request, and numbers at the end.
//   server mlp.lathe [WORKERS] [REQUESTS]
// Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

namespace {

struct Request {
  float numeric[6];
  int64_t categories[2];
};

// Closed when no more requests come.
class Queue {
public:
  void push(const Request &request) {
    std::lock_guard guard(mutex);
    requests.push_back(request);
    changed.notify_one();
  }
  void close() {
    std::lock_guard guard(mutex);
    closed = true;
    changed.notify_all();
  }
  bool pop(Request &request) {
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return closed || !requests.empty(); });
    if (requests.empty())
      return false;
    request = requests.front();
    requests.pop_front();
    return true;
  }

private:
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Request> requests;
  bool closed = false;
};

// Answers requests until there are none; returns how many it answered.
uint64_t work(const lathe::Module &module, Queue &queue, std::atomic<uint64_t> &failures) {
  // One thread for each request: the workers keep the processors busy.
  auto context = lathe::Context::create(module, lathe::contextOptions(1));
  if (!context) {
    ++failures;
    return 0;
  }
  Request request;
  float probability;
  std::vector<lathe::Tensor> inputs, outputs;
  inputs.push_back(*lathe::Tensor::borrow(std::span(request.numeric), {1, 6}));
  inputs.push_back(*lathe::Tensor::borrow(std::span(request.categories), {1, 2}));
  outputs.push_back(*lathe::Tensor::borrow(std::span(&probability, 1), {1, 1}));
  while (queue.pop(request)) {
    context->deadline(std::chrono::steady_clock::now() + std::chrono::seconds(1));
    if (auto done = context->run(inputs, outputs); !done) {
      ++failures; // the context goes on; a server would answer with the message
      std::fprintf(stderr, "%s\n", done.error().message());
    }
  }
  return context->statistics().runs;
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2)
    return std::fprintf(stderr, "usage: %s mlp.lathe [WORKERS] [REQUESTS]\n", argv[0]), 2;
  int workers = argc > 2 ? std::atoi(argv[2]) : 4, requests = argc > 3 ? std::atoi(argv[3]) : 1000;
  auto module = lathe::Module::open(argv[1]);
  if (!module)
    return std::fprintf(stderr, "%s\n", module.error().message()), 1;

  Queue queue;
  std::atomic<uint64_t> answered{0}, failures{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < workers; ++i)
    threads.emplace_back([&] { answered += work(*module, queue, failures); });
  for (int i = 0; i < requests; ++i)
    queue.push({{float(i % 7), -1, 0.25f, 2, 0, 1.5f}, {i % 5, i % 3}});
  queue.close();
  for (std::thread &thread : threads)
    thread.join();
  std::printf("%llu answered, %llu failed\n", static_cast<unsigned long long>(answered),
              static_cast<unsigned long long>(failures));
  return failures || answered != uint64_t(requests);
}
