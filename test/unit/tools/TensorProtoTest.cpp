// Values in protobuf messages: every field that may hold elements, and bytes that lie.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/TensorProto.h"
#include "tools/common/Support.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace lathe::tools;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7)
    out += static_cast<char>(value | 0x80);
  return out += static_cast<char>(value);
}
std::string number(unsigned field, uint64_t value) { return varint(field << 3) + varint(value); }
std::string bytes(unsigned field, const std::string &content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}
std::string packed(unsigned field, std::initializer_list<int64_t> values) {
  std::string content;
  for (int64_t value : values)
    content += varint(static_cast<uint64_t>(value));
  return bytes(field, content);
}
template <typename T> std::string raw(std::initializer_list<T> elements) {
  return bytes(9, std::string(reinterpret_cast<const char *>(elements.begin()),
                              elements.size() * sizeof(T)));
}

Value parse(const std::string &message, uint32_t kind = LATHE_VALUE_TENSOR) {
  return parseValueProto(message, "x.pb", kind);
}

std::string errorOf(const std::string &message, uint32_t kind = LATHE_VALUE_TENSOR) {
  try {
    parse(message, kind);
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

TEST(TensorProto, ReadsRawData) {
  Tensor tensor = parse(packed(1, {1, 2}) + number(2, LATHE_F32) + raw<float>({1, -2})).tensor;
  EXPECT_THAT(tensor.dims, ElementsAre(1, 2));
  EXPECT_THAT(elementsOf(tensor), ElementsAre(1, -2));
}

TEST(TensorProto, ReadsUnpackedFields) {
  std::string message =
      number(1, 2) + number(2, LATHE_I64) + number(7, 5) + number(7, uint64_t(-6));
  EXPECT_THAT(elementsOf(parse(message).tensor), ElementsAre(5, -6));
}

TEST(TensorProto, ReadsTypedFields) {
  auto elements = [](uint32_t dtype, int64_t count, const std::string &data) {
    return elementsOf(parse(packed(1, {count}) + number(2, dtype) + data).tensor);
  };
  EXPECT_THAT(elements(LATHE_I8, 2, packed(5, {-128, 127})), ElementsAre(-128, 127));
  EXPECT_THAT(elements(LATHE_U8, 2, packed(5, {0, 255})), ElementsAre(0, 255));
  EXPECT_THAT(elements(LATHE_I16, 1, packed(5, {-3})), ElementsAre(-3));
  EXPECT_THAT(elements(LATHE_I32, 1, packed(5, {-3})), ElementsAre(-3));
  EXPECT_THAT(elements(LATHE_BOOL, 3, packed(5, {0, 1, 2})), ElementsAre(0, 1, 1));
  EXPECT_THAT(elements(LATHE_F16, 2, packed(5, {0x3c00, 0xc000})), ElementsAre(1, -2));
  EXPECT_THAT(elements(LATHE_BF16, 1, packed(5, {0x3f80})), ElementsAre(1));
  EXPECT_THAT(elements(LATHE_U4, 3, packed(5, {0x21, 0x03})), ElementsAre(1, 2, 3));
  EXPECT_THAT(elements(LATHE_I4, 2, packed(5, {0xf1})), ElementsAre(1, -1));
  EXPECT_THAT(elements(LATHE_I2, 4, packed(5, {0b11100100})), ElementsAre(0, 1, -2, -1));
  EXPECT_THAT(elements(LATHE_U32, 1, packed(11, {0xffffffff})), ElementsAre(4294967295.0));
  EXPECT_THAT(elements(LATHE_U64, 1, packed(11, {9})), ElementsAre(9));
  double half = 0.5;
  std::string eightBytes(reinterpret_cast<char *>(&half), 8);
  EXPECT_THAT(elements(LATHE_F64, 1, bytes(10, eightBytes)), ElementsAre(0.5));
}

TEST(TensorProto, ReadsStrings) {
  Value value = parse(packed(1, {2}) + number(2, LATHE_STRING) + bytes(6, "a") + bytes(6, ""));
  EXPECT_EQ(value.kind, uint32_t(LATHE_VALUE_STRINGS));
  EXPECT_THAT(value.tensor.strings, ElementsAre("a", ""));
}

TEST(TensorProto, ReadsSequencesOptionalsAndMaps) {
  std::string tensor = number(2, LATHE_F32) + raw<float>({3});
  Value sequence = parse(number(2, 1) + bytes(3, tensor) + bytes(3, tensor), LATHE_VALUE_SEQUENCE);
  EXPECT_EQ(sequence.elements.size(), 2u);
  Value optional = parse(number(2, 2) + bytes(5, bytes(3, tensor)), LATHE_VALUE_OPTIONAL);
  ASSERT_EQ(optional.elements.size(), 1u);
  EXPECT_EQ(optional.elements[0].kind, uint32_t(LATHE_VALUE_SEQUENCE));
  EXPECT_TRUE(parse("", LATHE_VALUE_OPTIONAL).elements.empty());
  Value map =
      parse(number(2, LATHE_I64) + packed(3, {7}) + bytes(5, bytes(3, tensor)), LATHE_VALUE_MAP);
  ASSERT_EQ(map.elements.size(), 2u);
  EXPECT_THAT(elementsOf(map.elements[0].tensor), ElementsAre(7));
  EXPECT_THAT(errorOf(packed(3, {7}), LATHE_VALUE_MAP), HasSubstr("1 keys and 0 values"));
}

TEST(TensorProto, RefusesWhatDoesNotFit) {
  std::string f32 = number(2, LATHE_F32);
  EXPECT_THAT(errorOf(""), HasSubstr("data_type is missing"));
  EXPECT_THAT(errorOf(number(2, 99)), HasSubstr("data_type 99"));
  EXPECT_EQ(errorOf(packed(1, {3}) + f32 + raw<float>({1})),
            "x.pb: f32[3] needs 12 bytes, but the file has 4");
  EXPECT_THAT(errorOf(packed(1, {2}) + number(2, LATHE_I64) + packed(7, {1})),
              HasSubstr("needs 16 bytes"));
  EXPECT_THAT(errorOf(packed(1, {-1}) + f32), HasSubstr("impossible"));
  EXPECT_THAT(errorOf(packed(1, {int64_t(1) << 40, int64_t(1) << 40}) + f32),
              HasSubstr("impossible"));
  // Much is promised and nothing is there: nothing may be allocated for it.
  EXPECT_THAT(errorOf(packed(1, {int64_t(1) << 50}) + f32), HasSubstr("but the file has 0"));
  EXPECT_THAT(errorOf(packed(1, {1}) + number(2, LATHE_U8) + packed(5, {256})),
              HasSubstr("256 does not fit u8"));
  EXPECT_THAT(errorOf(packed(1, {1}) + number(2, LATHE_STRING)), HasSubstr("needs 1 strings"));
  EXPECT_THAT(errorOf(f32 + number(14, 1) + bytes(13, "")), HasSubstr("external data"));
  EXPECT_THAT(errorOf(packed(1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) + f32),
              HasSubstr("rank"));
}

TEST(TensorProto, RefusesBrokenBytes) {
  std::string good = packed(1, {2}) + number(2, LATHE_F32) + raw<float>({1, 2});
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_NE(errorOf(good.substr(0, size)), "") << size;
  EXPECT_THAT(errorOf(std::string(20, '\xff')), HasSubstr("not a valid protobuf message"));
  EXPECT_THAT(errorOf(varint(9 << 3 | 2) + varint(uint64_t(1) << 62)), HasSubstr("truncated"));
  std::string deep;
  for (int i = 0; i < 40; ++i)
    deep = bytes(5, deep);
  EXPECT_THAT(errorOf(deep, LATHE_VALUE_SEQUENCE), HasSubstr("nested deeper"));
}

TEST(TensorProto, WritesWhatItReads) {
  Tensor tensor = parse(packed(1, {2}) + number(2, LATHE_F16) + packed(5, {1, 2})).tensor;
  Tensor again = parse(formatTensorProto(tensor, "y")).tensor;
  EXPECT_EQ(again.dims, tensor.dims);
  EXPECT_EQ(again.bytes, tensor.bytes);
  Tensor strings = makeTensor(LATHE_STRING, {2});
  strings.strings = {"a", "b\n"};
  EXPECT_EQ(parse(formatTensorProto(strings, "y")).tensor.strings, strings.strings);
}

} // namespace
