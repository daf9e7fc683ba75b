// Writes the tests' model as an artifact: make-artifact SHARED-OBJECT ARTIFACT.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "../TestArtifact.h"

#include <fstream>

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  lathe::test::Bytes bytes = lathe::test::makeArtifact(lathe::test::readModel(argv[1]));
  std::ofstream(argv[2], std::ios::binary).write(bytes.data(), bytes.size());
  return testing::UnitTest::GetInstance()->Failed();
}
