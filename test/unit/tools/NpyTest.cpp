// .npy files: what NumPy writes is read, what is broken is refused, and what we write comes back.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Npy.h"
#include "tools/common/Support.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace lathe::tools;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

/// A file as NumPy writes it, version 1.
std::string npyFile(std::string header, std::string data) {
  header += '\n';
  std::string file("\x93NUMPY\1\0", 8);
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8);
  return file + header + data;
}

template <typename T> std::string bytesOf(std::initializer_list<T> elements) {
  return std::string(reinterpret_cast<const char *>(elements.begin()), elements.size() * sizeof(T));
}

Tensor parse(const std::string &file, uint32_t wanted = LATHE_F32) {
  return parseNpy(file, "x.npy", wanted);
}

std::string errorOf(const std::string &file, uint32_t wanted = LATHE_F32) {
  try {
    parse(file, wanted);
  } catch (const Failure &failure) {
    return failure.what();
  }
  return "";
}

std::vector<double> elementsOf(const Tensor &tensor) {
  std::vector<double> elements;
  for (int64_t i = 0; i < tensor.elementCount(); ++i)
    elements.push_back(elementAsDouble(tensor, i));
  return elements;
}

TEST(Npy, ReadsWhatNumPyWrites) {
  Tensor tensor = parse(npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
                                bytesOf<float>({1, 2, 3, 4, 5, 6})));
  EXPECT_EQ(tensor.dtype, uint32_t(LATHE_F32));
  EXPECT_THAT(tensor.dims, ElementsAre(2, 3));
  EXPECT_THAT(elementsOf(tensor), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Npy, ReadsKeysInAnyOrderAndScalars) {
  Tensor tensor = parse(
      npyFile("{\"shape\":(),\"descr\":\"<i8\",\"fortran_order\":False}", bytesOf<int64_t>({7})));
  EXPECT_TRUE(tensor.dims.empty());
  EXPECT_THAT(elementsOf(tensor), ElementsAre(7));
}

TEST(Npy, RearrangesFortranOrder) {
  Tensor tensor = parse(npyFile("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }",
                                bytesOf<int16_t>({1, 4, 2, 5, 3, 6})));
  EXPECT_THAT(elementsOf(tensor), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Npy, SwapsBigEndian) {
  Tensor tensor = parse(npyFile("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }",
                                std::string("\1\2\0\3", 4)));
  EXPECT_THAT(elementsOf(tensor), ElementsAre(0x102, 3));
}

TEST(Npy, TakesBitsForTypesThatNumPyLacks) {
  std::string bits = bytesOf<uint16_t>({0x3f80, 0xc000});
  std::string unsignedFile =
      npyFile("{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }", bits);
  EXPECT_THAT(elementsOf(parse(unsignedFile, LATHE_BF16)), ElementsAre(1, -2));
  EXPECT_EQ(parse(unsignedFile, LATHE_U16).dtype, uint32_t(LATHE_U16));
  std::string voidFile = npyFile("{'descr': '|V2', 'fortran_order': False, 'shape': (2,), }", bits);
  EXPECT_THAT(elementsOf(parse(voidFile, LATHE_BF16)), ElementsAre(1, -2));
  EXPECT_THAT(errorOf(voidFile), HasSubstr("'|V2' are not known"));
}

TEST(Npy, WritesWhatItReads) {
  for (uint32_t dtype : {LATHE_F32, LATHE_F16, LATHE_BF16, LATHE_F64, LATHE_U8, LATHE_I64,
                         LATHE_BOOL, LATHE_C64, LATHE_I4, LATHE_U4, LATHE_F8E5M2}) {
    for (std::vector<int64_t> dims : {std::vector<int64_t>{}, {3}, {2, 3}, {0, 5}}) {
      Tensor tensor = makeTensor(dtype, dims);
      for (size_t i = 0; i < tensor.bytes.size(); ++i)
        tensor.bytes[i] = static_cast<char>(dtype == LATHE_BOOL ? i % 2 : i + 1);
      // Bits beyond the last element of a packed type are no part of it.
      if (unsigned bits = findType(dtype)->bits; bits < 8 && tensor.elementCount() % 2)
        tensor.bytes.back() &= (1 << bits) - 1;
      std::string file = formatNpy(tensor);
      EXPECT_EQ((file.find('\n') + 1) % 64, 0u);
      Tensor again = parse(file, dtype);
      EXPECT_EQ(again.dtype, dtype);
      EXPECT_EQ(again.dims, dims);
      EXPECT_EQ(again.bytes, tensor.bytes) << typeName(dtype);
    }
  }
}

TEST(Npy, RefusesBrokenFiles) {
  EXPECT_EQ(errorOf(""), "x.npy: the file is empty");
  EXPECT_EQ(errorOf("PK\3\4 an archive"), "x.npy: not a .npy file");
  std::string good =
      npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", bytesOf<float>({1, 2}));
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_NE(errorOf(good.substr(0, size)), "") << size;
  EXPECT_THAT(errorOf(good + "x"), HasSubstr("needs 8 bytes of data, but the file has 9"));
  auto headerError = [](const std::string &header) { return errorOf(npyFile(header, "")); };
  EXPECT_THAT(headerError("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
              HasSubstr("not known"));
  EXPECT_THAT(headerError("{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}"),
              HasSubstr("strings as a .pb"));
  EXPECT_THAT(headerError("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
              HasSubstr("structured"));
  EXPECT_THAT(headerError("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"),
              HasSubstr("sizes"));
  EXPECT_THAT(headerError("{'descr': '<f4', 'fortran_order': False}"), HasSubstr("lacks"));
  EXPECT_THAT(headerError("{'descr': '<f4', 'fortran_order': Maybe, 'shape': ()}"),
              HasSubstr("fortran_order"));
  EXPECT_THAT(headerError("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, "
                          "4611686018427387904)}"),
              HasSubstr("too large"));
  EXPECT_THAT(headerError("{"), HasSubstr("malformed"));
}

} // namespace
