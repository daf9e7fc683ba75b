// Tensors as the tools hold them: owned bytes with a type and a shape.
// Apache-2.0 WITH LLVM-exception.
#ifndef LATHE_TOOLS_COMMON_TENSOR_H
#define LATHE_TOOLS_COMMON_TENSOR_H

#include "lathe/ArtifactFormat.h"
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::tools {

enum class TypeKind { Float, Signed, Unsigned, Bool, Complex, String };

/// What the tools know about an element type.
struct TypeInfo {
  uint32_t dtype; ///< LATHE_F32 and so on; the numbers of ONNX
  const char *name;
  TypeKind kind;
  unsigned bits;     ///< per element; 4-bit and 2-bit types are packed, low bits first
  unsigned fraction; ///< floating point: stored bits of the significand
  const char *npy;   ///< descr in .npy files; for types that NumPy lacks, that of their bits
};

/// The entry for `dtype`, or null where the number is not known.
const TypeInfo *findType(uint32_t dtype);
/// The name of `dtype`, or "type N".
std::string typeName(uint32_t dtype);

template <typename T> struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U> AlignedAllocator(const AlignedAllocator<U> &) {}
  T *allocate(size_t count) {
    return static_cast<T *>(::operator new(count * sizeof(T), std::align_val_t(LATHE_ALIGNMENT)));
  }
  void deallocate(T *memory, size_t) {
    ::operator delete(memory, std::align_val_t(LATHE_ALIGNMENT));
  }
  bool operator==(const AlignedAllocator &) const { return true; }
};

struct Tensor {
  uint32_t dtype = LATHE_F32;
  std::vector<int64_t> dims;
  std::vector<char, AlignedAllocator<char>> bytes; ///< C order; empty for strings
  std::vector<std::string> strings;                ///< elements where dtype is LATHE_STRING

  int64_t elementCount() const;
};

/// A value of any kind that a model takes or gives.
struct Value {
  uint32_t kind = LATHE_VALUE_TENSOR; ///< lathe_value_kind
  Tensor tensor;                      ///< TENSOR and STRINGS
  std::vector<Value> elements; ///< SEQUENCE; OPTIONAL: none or one; MAP: the keys, the values
};

/// The product of `dims`, or -1 where one is negative or the product overflows.
int64_t elementCount(std::span<const int64_t> dims);
/// Bytes of `count` elements, or -1 on overflow or for strings.
int64_t byteSize(const TypeInfo &type, int64_t count);

/// A tensor of zeros; throws Failure for impossible shapes.
Tensor makeTensor(uint32_t dtype, std::vector<int64_t> dims);

/// Element `index` as a double (complex: its real part); not for strings.
double elementAsDouble(const Tensor &tensor, int64_t index);
/// The stored bits of element `index`, for types of at most 64 bits.
uint64_t elementBits(const Tensor &tensor, int64_t index);

/// Converts the bits of a floating-point element of at most 32 bits.
double floatFromBits(const TypeInfo &type, uint64_t bits);
/// Rounds to the nearest, ties to even, for f16 and bf16.
uint16_t bitsFromFloat(uint32_t dtype, float value);

/// "f32[1,3,224,224]"; a scalar is "f32[]".
std::string describeType(uint32_t dtype, std::span<const int64_t> dims);
std::string describeType(const Value &value);

/// One line with the type, the range and the first elements.
std::string summarize(const Value &value);

} // namespace lathe::tools

#endif // LATHE_TOOLS_COMMON_TENSOR_H
