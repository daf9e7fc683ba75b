// NumPy's .npy files.
// Apache-2.0 WITH LLVM-exception.
#include "tools/common/Npy.h"
#include "tools/common/Support.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace lathe::tools {

namespace {

constexpr std::string_view magic("\x93NUMPY", 6);

struct Header {
  std::string descr;
  bool fortranOrder = false;
  std::vector<int64_t> shape;
};

/// Reads the header: a Python dict with three known keys in any order.
class HeaderParser {
public:
  HeaderParser(std::string_view text, const std::string &name) : rest(text), name(name) {}

  Header parse() {
    Header header;
    bool hasDescr = false, hasOrder = false, hasShape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = parseString();
      expect(':');
      if (key == "descr") {
        if (peek() == '[')
          fail("structured types are not supported");
        header.descr = parseString();
        hasDescr = true;
      } else if (key == "fortran_order") {
        header.fortranOrder = parseBool();
        hasOrder = true;
      } else if (key == "shape") {
        header.shape = parseShape();
        hasShape = true;
      } else {
        fail("unknown key '" + key + "' in the header");
      }
      if (!accept(',') && peek() != '}')
        fail("the header is malformed");
    }
    if (!hasDescr || !hasOrder || !hasShape)
      fail("the header lacks descr, fortran_order or shape");
    return header;
  }

  [[noreturn]] void fail(const std::string &what) const { throw Failure(name + ": " + what); }

private:
  char peek() {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\n"), rest.size()));
    return rest.empty() ? '\0' : rest.front();
  }
  bool accept(char wanted) {
    if (peek() != wanted || rest.empty())
      return false;
    rest.remove_prefix(1);
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted))
      fail(std::string("the header is malformed: '") + wanted + "' is missing");
  }
  std::string parseString() {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      fail("the header is malformed: a string is missing");
    rest.remove_prefix(1);
    size_t end = rest.find(quote);
    if (end == std::string_view::npos)
      fail("the header is malformed: a string does not end");
    std::string text(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    return text;
  }
  bool parseBool() {
    peek();
    for (auto [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}})
      if (rest.starts_with(word)) {
        rest.remove_prefix(word.size());
        return value;
      }
    fail("the header is malformed: fortran_order is neither True nor False");
  }
  std::vector<int64_t> parseShape() {
    std::vector<int64_t> shape;
    expect('(');
    while (!accept(')')) {
      peek();
      int64_t dim = 0;
      auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), dim);
      if (error != std::errc() || dim < 0)
        fail("the header is malformed: the shape holds something else than sizes");
      if (shape.size() == LATHE_MAX_RANK)
        fail("the rank is above " + std::to_string(LATHE_MAX_RANK));
      rest.remove_prefix(end - rest.data());
      accept('L'); // Python 2 wrote long integers so.
      shape.push_back(dim);
      if (!accept(',') && peek() != ')')
        fail("the header is malformed: the shape does not end");
    }
    return shape;
  }

  std::string_view rest;
  const std::string &name;
};

/// How elements lie in a file.
struct FileType {
  uint32_t dtype; ///< of the result
  unsigned bytes; ///< per element in the file
  bool swapped;
};

/// NumPy's own types by kind and size, such as "f4".
std::optional<uint32_t> findNumpyType(std::string_view kindAndSize) {
  for (uint32_t dtype = LATHE_F32; dtype <= LATHE_C128; ++dtype)
    if (const TypeInfo *type = findType(dtype); type && type->kind != TypeKind::String)
      if (std::string_view(type->npy).substr(1) == kindAndSize)
        return dtype;
  return std::nullopt;
}

/// NumPy lacks the type, so files hold its bits.
bool isStoredAsBits(uint32_t dtype) { return dtype >= LATHE_BF16; }

FileType resolveType(const HeaderParser &parser, const std::string &descr, uint32_t wanted) {
  auto refuse = [&](const char *why) { parser.fail("elements of type '" + descr + "' " + why); };
  if (descr.size() < 3 || std::string_view("<>|=").find(descr[0]) == std::string_view::npos)
    refuse("are not known");
  std::string_view kindAndSize = std::string_view(descr).substr(1);
  if (kindAndSize[0] == 'O' || kindAndSize[0] == 'U' || kindAndSize[0] == 'S')
    refuse("are not numbers; give strings as a .pb file");
  bool swapped = descr[0] == '>';
  const TypeInfo *bitsType = isStoredAsBits(wanted) ? findType(wanted) : nullptr;
  if (bitsType) {
    unsigned size = std::max(1u, bitsType->bits / 8);
    std::string digits = std::to_string(size);
    if (kindAndSize == std::string_view(bitsType->npy).substr(1) || kindAndSize == "V" + digits)
      return {wanted, size, swapped};
  }
  std::optional<uint32_t> dtype = findNumpyType(kindAndSize);
  if (!dtype)
    refuse("are not known");
  return {*dtype, findType(*dtype)->bits / 8, swapped};
}

/// Copies `count` elements so that the last index changes fastest where the first one did.
void copyFromFortranOrder(const char *from, char *to, const std::vector<int64_t> &dims,
                          unsigned size, int64_t count) {
  std::vector<int64_t> index(dims.size(), 0), strides(dims.size(), 1);
  for (size_t i = 1; i < dims.size(); ++i)
    strides[i] = strides[i - 1] * dims[i - 1];
  for (int64_t done = 0; done < count; ++done) {
    int64_t offset = 0;
    for (size_t i = 0; i < dims.size(); ++i)
      offset += index[i] * strides[i];
    std::memcpy(to + done * size, from + offset * size, size);
    for (size_t i = dims.size(); i-- > 0;) {
      if (++index[i] < dims[i])
        break;
      index[i] = 0;
    }
  }
}

void swapBytes(std::string &bytes, unsigned size) {
  for (size_t at = 0; at < bytes.size(); at += size)
    std::reverse(bytes.begin() + at, bytes.begin() + at + size);
}

} // namespace

Tensor parseNpy(std::string_view bytes, const std::string &name, uint32_t wanted) {
  auto fail = [&](const std::string &what) { throw Failure(name + ": " + what); };
  if (!bytes.starts_with(magic))
    fail(bytes.empty() ? "the file is empty" : "not a .npy file");
  if (bytes.size() < 10)
    fail("the file is truncated");
  // Version 1 has a header length of two bytes, 2 and 3 of four.
  auto version = static_cast<uint8_t>(bytes[6]);
  if (version < 1 || version > 3)
    fail(".npy version " + std::to_string(version) + " is not known");
  unsigned lengthBytes = version == 1 ? 2 : 4;
  size_t length = 0;
  if (bytes.size() < 8 + lengthBytes)
    fail("the file is truncated");
  std::memcpy(&length, bytes.data() + 8, lengthBytes);
  bytes.remove_prefix(8 + lengthBytes);
  if (length > bytes.size())
    fail("the file is truncated");
  HeaderParser parser(bytes.substr(0, length), name);
  Header header = parser.parse();
  bytes.remove_prefix(length);

  FileType type = resolveType(parser, header.descr, wanted);
  const TypeInfo &info = *findType(type.dtype);
  int64_t count = elementCount(header.shape), size = 0;
  if (count < 0 || __builtin_mul_overflow(count, int64_t(type.bytes), &size))
    fail("the shape is too large");
  if (static_cast<uint64_t>(size) != bytes.size())
    fail("the shape needs " + std::to_string(size) + " bytes of data, but the file has " +
         std::to_string(bytes.size()));

  std::string elements(bytes);
  if (type.swapped) // Complex elements are two numbers.
    swapBytes(elements, info.kind == TypeKind::Complex ? type.bytes / 2 : type.bytes);
  if (header.fortranOrder && header.shape.size() > 1) {
    std::string ordered(elements.size(), '\0');
    copyFromFortranOrder(elements.data(), ordered.data(), header.shape, type.bytes, count);
    elements = std::move(ordered);
  }
  Tensor tensor = makeTensor(type.dtype, std::move(header.shape));
  if (info.bits >= 8) {
    std::copy(elements.begin(), elements.end(), tensor.bytes.begin());
    return tensor;
  }
  for (int64_t i = 0; i < count; ++i) {
    unsigned perByte = 8 / info.bits, mask = (1u << info.bits) - 1;
    tensor.bytes[i / perByte] |=
        static_cast<char>((uint8_t(elements[i]) & mask) << (i % perByte * info.bits));
  }
  return tensor;
}

std::string formatNpy(const Tensor &tensor) {
  const TypeInfo &type = *findType(tensor.dtype);
  if (type.kind == TypeKind::String)
    throw Failure("strings cannot be written as .npy; write .pb");
  std::string header =
      std::string("{'descr': '") + type.npy + "', 'fortran_order': False, " + "'shape': (";
  for (int64_t dim : tensor.dims)
    header += std::to_string(dim) + ", ";
  if (tensor.dims.size() > 1)
    header.resize(header.size() - 2);
  else if (tensor.dims.size() == 1)
    header.pop_back();
  header += "), }";
  // The data starts at a multiple of 64 bytes: magic, version and length take ten.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string file(magic);
  file += {'\1', '\0', char(header.size() & 0xff), char(header.size() >> 8)};
  file += header;
  if (type.bits >= 8)
    return file.append(tensor.bytes.data(), tensor.bytes.size());
  int64_t count = tensor.elementCount();
  for (int64_t i = 0; i < count; ++i) {
    uint64_t bits = elementBits(tensor, i);
    if (type.kind == TypeKind::Signed && bits >> (type.bits - 1))
      bits |= ~uint64_t(0) << type.bits;
    file += static_cast<char>(bits);
  }
  return file;
}

} // namespace lathe::tools
