// A stream with a state: where in a recording somebody speaks, with Silero's detector.
//   voice vad.lathe recording.wav     16 kHz, mono, 16 bits; prints a probability for every 32 ms
// vad.lathe: silero_vad_openvino_16k.onnx, compiled with --state state=stateN, so that what the
// network remembers stays in the context. Apache-2.0 WITH LLVM-exception.
#include "lathe-cpp/lathe.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

namespace {

constexpr size_t rate = 16000, before = 64, window = 512;

uint32_t readNumber(const std::vector<char> &bytes, size_t at, size_t count) {
  uint32_t number = 0;
  for (size_t i = 0; i < count; ++i)
    number |= uint32_t(uint8_t(bytes[at + i])) << (8 * i);
  return number;
}

// The samples of a WAV file in [-1, 1); empty where it is not of the kind above.
std::vector<float> readWav(const char *path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "RIFF", 4) ||
      std::memcmp(bytes.data() + 8, "WAVE", 4))
    return {};
  bool known = false;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    size_t size = readNumber(bytes, at + 4, 4), data = at + 8;
    if (size > bytes.size() - data)
      return {};
    if (!std::memcmp(&bytes[at], "fmt ", 4) && size >= 16)
      known = readNumber(bytes, data, 2) == 1 && readNumber(bytes, data + 2, 2) == 1 &&
              readNumber(bytes, data + 4, 4) == rate && readNumber(bytes, data + 14, 2) == 16;
    if (!std::memcmp(&bytes[at], "data", 4)) {
      std::vector<float> samples;
      for (size_t i = 0; known && i + 1 < size; i += 2)
        samples.push_back(int16_t(readNumber(bytes, data + i, 2)) / 32768.0f);
      return samples;
    }
    at = data + size + size % 2;
  }
  return {};
}

int fail(const lathe::Error &error) {
  std::fprintf(stderr, "%s\n", error.message());
  return 1;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3)
    return std::fprintf(stderr, "usage: %s vad.lathe recording.wav\n", argv[0]), 2;
  std::vector<float> samples = readWav(argv[2]);
  if (samples.empty())
    return std::fprintf(stderr, "%s: no WAV file of 16 kHz, mono, 16 bits\n", argv[2]), 1;
  auto module = lathe::Module::open(argv[1]);
  if (!module)
    return fail(module.error());
  auto context = lathe::Context::create(*module, lathe::contextOptions(1));
  if (!context)
    return fail(context.error());
  int32_t input = module->findInput("input"), output = module->findOutput("output");
  if (input < 0 || output < 0 || module->inputCount() != 2)
    return std::fprintf(stderr, "%s: not the model that this is for\n", argv[1]), 1;

  // Each window is seen with the end of the one before.
  std::vector<float> heard(before + window);
  for (size_t at = 0; at < samples.size(); at += window) {
    std::copy(heard.end() - before, heard.end(), heard.begin());
    for (size_t i = 0; i < window; ++i)
      heard[before + i] = at + i < samples.size() ? samples[at + i] : 0;
    std::vector<lathe::Tensor> inputs(2);
    inputs[input] = *lathe::Tensor::borrow(heard, {1, int64_t(heard.size())});
    auto outputs = context->run(inputs);
    if (!outputs)
      return fail(outputs.error());
    std::printf("%6.3f s  %.4f\n", double(at) / rate, (*(*outputs)[output].as<float>())[0]);
  }
}
