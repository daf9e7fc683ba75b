// Text generation over a cache that stays in the context: each token is computed once.
//   generate gpt.lathe TOKENS TOKEN...      gpt.lathe: compiled with --state for every cache
// Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

static int fail(const lathe::Error &error) {
  std::fprintf(stderr, "%s\n", error.message());
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 4)
    return std::fprintf(stderr, "usage: %s gpt.lathe TOKENS TOKEN...\n", argv[0]), 2;
  auto module = lathe::Module::open(argv[1]);
  if (!module)
    return fail(module.error());
  auto context = lathe::Context::create(*module);
  if (!context)
    return fail(context.error());
  int32_t ids = module->findInput("input_ids"), mask = module->findInput("attention_mask");
  int32_t logits = module->findOutput("logits");
  if (ids < 0 || mask < 0 || logits < 0)
    return std::fprintf(stderr, "%s: no such language model\n", argv[1]), 1;

  std::vector<int64_t> tokens;
  for (int i = 3; i < argc; ++i)
    tokens.push_back(std::atoll(argv[i]));
  size_t fed = 0, wanted = tokens.size() + std::strtoul(argv[2], nullptr, 10);
  while (tokens.size() < wanted) {
    // Only what the cache does not hold yet; the other inputs are states and stay empty.
    std::vector<int64_t> attention(tokens.size(), 1);
    std::vector<lathe::Tensor> inputs(module->inputCount());
    inputs[ids] = *lathe::Tensor::borrow(std::span<const int64_t>(tokens).subspan(fed),
                                         {1, int64_t(tokens.size() - fed)});
    inputs[mask] = *lathe::Tensor::borrow(attention, {1, int64_t(attention.size())});
    auto outputs = context->run(inputs);
    if (!outputs)
      return fail(outputs.error());
    std::span<const float> scores = *(*outputs)[logits].as<const float>();
    std::span<const float> last = scores.last((*outputs)[logits].dims()[2]);
    fed = tokens.size();
    tokens.push_back(std::ranges::max_element(last) - last.begin());
    std::printf("%lld ", static_cast<long long>(tokens.back()));
  }
  std::printf("\n");
}
