// C++: the same model with lathe.hpp, and what an error looks like.
//   classify mlp.lathe
// Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <cstdio>

static int fail(const lathe::Error &error) {
  std::fprintf(stderr, "%s: %s\n", std::string(error.name()).c_str(), error.message());
  return 1;
}

int main(int argc, char **argv) {
  if (argc != 2)
    return std::fprintf(stderr, "usage: %s mlp.lathe\n", argv[0]), 2;
  auto module = lathe::Module::open(argv[1]);
  if (!module)
    return fail(module.error());
  for (uint32_t i = 0; i < module->inputCount(); ++i)
    std::printf("%s: %s\n", module->input(i).get().name, module->input(i).text().c_str());
  auto context = lathe::Context::create(*module);
  if (!context)
    return fail(context.error());

  const std::vector<float> numeric = {0.5f, -1.0f, 0.25f, 2.0f, 0.0f, 1.5f};
  std::vector<int64_t> categories = {4, 2};
  std::vector<lathe::Tensor> inputs;
  inputs.push_back(*lathe::Tensor::borrow(numeric, {1, 6}));
  inputs.push_back(*lathe::Tensor::borrow(categories, {1, 2}));
  auto outputs = context->run(inputs);
  if (!outputs)
    return fail(outputs.error());
  for (float probability : *outputs->front().as<const float>())
    std::printf("probability %.3f\n", probability);

  categories[0] = 1000;
  if (auto refused = context->run(inputs); !refused)
    std::printf("refused: %s\n", refused.error().message());
}
