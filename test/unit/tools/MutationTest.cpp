// Value files with random damage: every one is read or refused with a Failure, nothing else.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Npy.h"
#include "tools/common/Support.h"
#include "tools/common/TensorProto.h"

#include <gtest/gtest.h>
#include <random>

using namespace lathe::tools;

namespace {

/// Changes, inserts or removes a few bytes.
std::string damage(std::string bytes, std::mt19937 &random) {
  for (int changes = 1 + static_cast<int>(random() % 4); changes > 0 && !bytes.empty(); --changes) {
    size_t at = random() % bytes.size();
    switch (random() % 4) {
    case 0:
      bytes[at] = static_cast<char>(random());
      break;
    case 1:
      bytes[at] ^= static_cast<char>(1 << random() % 8);
      break;
    case 2:
      bytes.insert(at, 1, static_cast<char>(random()));
      break;
    default:
      bytes.erase(at, 1 + random() % 8);
    }
  }
  return bytes;
}

/// Reads many damaged copies; what is read must be consistent enough to describe.
template <typename Read> void readDamaged(const std::string &good, Read read) {
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    try {
      summarize(read(damage(good, random)));
    } catch (const Failure &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(Mutation, Npy) {
  for (uint32_t dtype : {LATHE_F32, LATHE_C128, LATHE_U4, LATHE_BF16})
    readDamaged(formatNpy(makeTensor(dtype, {2, 3})), [&](const std::string &bytes) {
      return Value{LATHE_VALUE_TENSOR, parseNpy(bytes, "x.npy", dtype), {}};
    });
}

TEST(Mutation, TensorProto) {
  for (uint32_t dtype : {LATHE_F32, LATHE_STRING, LATHE_I4, LATHE_BOOL})
    for (uint32_t kind :
         {LATHE_VALUE_TENSOR, LATHE_VALUE_SEQUENCE, LATHE_VALUE_OPTIONAL, LATHE_VALUE_MAP})
      readDamaged(formatTensorProto(makeTensor(dtype, {2, 3}), "some_name"),
                  [&](const std::string &bytes) { return parseValueProto(bytes, "x.pb", kind); });
}

} // namespace
