// Numbers to text and back, exactly: the shortest digits that read back as the same number, and the
// nearest number to any digits.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Text.h"

using namespace lathe::builtins;

namespace {

/// A natural number below 2^5120: enough for every product of f64 and 800 digits.
struct Big {
  static constexpr int capacity = 160;
  u32 words[capacity];
  int size = 0;

  explicit Big(u64 value) {
    for (; value; value >>= 32)
      words[size++] = u32(value);
  }
  void multiply(u32 factor, u32 carry = 0) {
    u64 rest = carry;
    for (int i = 0; i < size; ++i) {
      rest += u64(words[i]) * factor;
      words[i] = u32(rest);
      rest >>= 32;
    }
    if (rest)
      words[size++] = u32(rest);
  }
  void multiplyByPowerOfTen(int power) {
    for (; power >= 9; power -= 9)
      multiply(1000000000);
    for (; power > 0; --power)
      multiply(10);
  }
  void shiftLeft(int bits) {
    int whole = bits / 32, part = bits % 32;
    if (!size || !bits)
      return;
    for (int i = size - 1; i >= 0; --i)
      words[i + whole] = words[i];
    for (int i = 0; i < whole; ++i)
      words[i] = 0;
    size += whole;
    if (part)
      multiply(u32(1) << part);
  }
  void halve() {
    for (int i = 0; i < size; ++i)
      words[i] = words[i] >> 1 | (i + 1 < size ? words[i + 1] << 31 : 0);
    trim();
  }
  void subtract(const Big &other) {
    i64 borrow = 0;
    for (int i = 0; i < size; ++i) {
      i64 word = i64(words[i]) - (i < other.size ? other.words[i] : 0) + borrow;
      words[i] = u32(word);
      borrow = word >> 32;
    }
    trim();
  }
  void trim() {
    while (size && !words[size - 1])
      --size;
  }
  int bits() const { return size ? 32 * size - __builtin_clz(words[size - 1]) : 0; }
};

int compare(const Big &a, const Big &b) {
  if (a.size != b.size)
    return a.size < b.size ? -1 : 1;
  for (int i = a.size - 1; i >= 0; --i)
    if (a.words[i] != b.words[i])
      return a.words[i] < b.words[i] ? -1 : 1;
  return 0;
}

int compareSum(Big a, const Big &b, const Big &with) {
  u64 carry = 0;
  int size = a.size > b.size ? a.size : b.size;
  for (int i = 0; i < size; ++i) {
    carry += u64(i < a.size ? a.words[i] : 0) + (i < b.size ? b.words[i] : 0);
    a.words[i] = u32(carry);
    carry >>= 32;
  }
  a.size = size;
  if (carry)
    a.words[a.size++] = u32(carry);
  return compare(a, with);
}

/// A binary floating-point format.
struct Format {
  int digits;   ///< bits of the significand, the hidden one included
  int smallest; ///< exponent of the smallest number's last bit
  int bits;
};
constexpr Format f16{11, -24, 16}, bf16{8, -133, 16}, f32{24, -149, 32}, f64{53, -1074, 64};

const Format &formatOf(i64 dtype) {
  switch (dtype) {
  case LATHE_F16:
    return f16;
  case LATHE_BF16:
    return bf16;
  case LATHE_F32:
    return f32;
  default:
    return f64;
  }
}

char *writeText(char *out, const char *text) {
  while (*text)
    *out++ = *text++;
  return out;
}

char *writeInteger(char *out, u64 value, int atLeast = 1) {
  char digits[20];
  int count = 0;
  do {
    digits[count++] = char('0' + value % 10);
    value /= 10;
  } while (value);
  while (count < atLeast)
    digits[count++] = '0';
  while (count)
    *out++ = digits[--count];
  return out;
}

/// The shortest digits that are nearer to significand * 2^exponent than to any other number of its
/// format. Returns their number; the value is 0.d1d2... * 10^point.
int shortestDigits(u64 significand, int exponent, bool closerBelow, char *digits, int &point) {
  int up = exponent > 0 ? exponent : 0, down = exponent < 0 ? -exponent : 0;
  Big value(significand), scale(1), above(1), below(1);
  value.shiftLeft(up + 1 + closerBelow);
  scale.shiftLeft(down + 1 + closerBelow);
  above.shiftLeft(up + closerBelow);
  below.shiftLeft(up);
  bool even = significand % 2 == 0;
  // log10(2) = 0.30103; an estimate that is never too large.
  int length = 64 - __builtin_clzll(significand);
  point = int((i64(exponent + length - 1) * 30103) / 100000) - 1;
  if (point > 0) {
    scale.multiplyByPowerOfTen(point);
  } else {
    value.multiplyByPowerOfTen(-point);
    above.multiplyByPowerOfTen(-point);
    below.multiplyByPowerOfTen(-point);
  }
  auto tooLarge = [&] {
    int order = compareSum(value, above, scale);
    return even ? order >= 0 : order > 0;
  };
  while (tooLarge()) {
    scale.multiply(10);
    ++point;
  }
  int count = 0;
  while (true) {
    value.multiply(10);
    above.multiply(10);
    below.multiply(10);
    int digit = 0;
    while (compare(value, scale) >= 0) {
      value.subtract(scale);
      ++digit;
    }
    int order = compare(value, below);
    bool low = even ? order <= 0 : order < 0, high = tooLarge();
    if (!low && !high) {
      digits[count++] = char('0' + digit);
      continue;
    }
    if (high && (!low || compareSum(value, value, scale) >= 0))
      ++digit;
    digits[count++] = char('0' + digit);
    return count;
  }
}

/// Like Python: "1.0", "0.25", "1e-05", "1e+16", "inf".
char *writeFloat(char *out, u64 bits, const Format &format) {
  int fraction = format.digits - 1;
  u64 field = (bits >> fraction) & ((u64(1) << (format.bits - format.digits)) - 1);
  u64 rest = bits & ((u64(1) << fraction) - 1);
  u64 largest = (u64(1) << (format.bits - format.digits)) - 1;
  if (field == largest && rest)
    return writeText(out, "nan");
  if (bits >> (format.bits - 1) & 1)
    *out++ = '-';
  if (field == largest)
    return writeText(out, "inf");
  if (!field && !rest)
    return writeText(out, "0.0");
  u64 significand = field ? rest | u64(1) << fraction : rest;
  int exponent = format.smallest + int(field ? field - 1 : 0);
  char digits[24];
  int point;
  int count = shortestDigits(significand, exponent, field > 1 && !rest, digits, point);
  auto writeDigits = [&](int from, int to) {
    for (int i = from; i < to; ++i)
      *out++ = i < count ? digits[i] : '0';
  };
  if (point > -4 && point <= 16) {
    if (point <= 0) {
      out = writeText(out, "0.");
      for (int i = point; i < 0; ++i)
        *out++ = '0';
      writeDigits(0, count);
    } else {
      writeDigits(0, point);
      *out++ = '.';
      writeDigits(point, count > point ? count : point + 1);
    }
    return out;
  }
  writeDigits(0, 1);
  if (count > 1) {
    *out++ = '.';
    writeDigits(1, count);
  }
  *out++ = 'e';
  int power = point - 1;
  *out++ = power < 0 ? '-' : '+';
  return writeInteger(out, u64(power < 0 ? -power : power), 2);
}

u64 readBits(const void *data, i64 index, int bytes) {
  auto *from = static_cast<Bytes>(data) + index * bytes;
  u64 value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | from[i];
  return value;
}

void writeBits(void *data, i64 index, int bytes, u64 value) {
  auto *to = static_cast<unsigned char *>(data) + index * bytes;
  for (int i = 0; i < bytes; ++i, value >>= 8)
    to[i] = static_cast<unsigned char>(value);
}

/// What the builtins know of an element type of numbers.
struct NumberType {
  int bytes;
  bool isFloat, isSigned;
};
NumberType numberType(i64 dtype) {
  switch (dtype) {
  case LATHE_F16:
  case LATHE_BF16:
    return {2, true, true};
  case LATHE_F32:
    return {4, true, true};
  case LATHE_F64:
    return {8, true, true};
  case LATHE_I8:
    return {1, false, true};
  case LATHE_I16:
    return {2, false, true};
  case LATHE_I32:
    return {4, false, true};
  case LATHE_I64:
    return {8, false, true};
  case LATHE_U16:
    return {2, false, false};
  case LATHE_U32:
    return {4, false, false};
  case LATHE_U64:
    return {8, false, false};
  default: // u8 and bool
    return {1, false, false};
  }
}

// ---- Reading -----------------------------------------------------------------------------------

struct Cursor {
  const char *at, *end;

  bool take(char c) {
    if (at == end || *at != c)
      return false;
    ++at;
    return true;
  }
  bool atDigit() const { return at != end && *at >= '0' && *at <= '9'; }
  /// The word `text` (in lower case), in any case.
  bool takeWord(const char *text) {
    const char *rest = at;
    for (; *text; ++text, ++rest)
      if (rest == end || (*rest | 32) != *text)
        return false;
    at = rest;
    return true;
  }
};

Cursor withoutSpace(const lathe_string &text) {
  auto isSpace = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  Cursor cursor{text.data, text.data + text.size};
  while (cursor.at != cursor.end && isSpace(*cursor.at))
    ++cursor.at;
  while (cursor.at != cursor.end && isSpace(cursor.end[-1]))
    --cursor.end;
  return cursor;
}

/// The nearest number to `digits` (more follow with `inexact`) * 10^power, as bits.
u64 nearest(Big digits, i64 power, bool inexact, const Format &format) {
  u64 infinityBits = ((u64(1) << (format.bits - format.digits)) - 1) << (format.digits - 1);
  if (!digits.size || power < -1200)
    return 0;
  if (power > 400)
    return infinityBits;
  Big divisor(1);
  if (power >= 0)
    digits.multiplyByPowerOfTen(int(power));
  else
    divisor.multiplyByPowerOfTen(int(-power));
  // 2^high <= value < 2^(high + 1)
  int high = digits.bits() - divisor.bits();
  {
    Big a = digits, b = divisor;
    if (high >= 0)
      b.shiftLeft(high);
    else
      a.shiftLeft(-high);
    if (compare(a, b) < 0)
      --high;
  }
  int largest = format.smallest + (1 << (format.bits - format.digits)) - 3; // of the last bit
  int last = high - (format.digits - 1);
  if (last < format.smallest)
    last = format.smallest;
  if (last > largest)
    return infinityBits;
  if (high < format.smallest - 1)
    return 0;
  if (last >= 0)
    divisor.shiftLeft(last);
  else
    digits.shiftLeft(-last);
  divisor.shiftLeft(format.digits);
  u64 significand = 0;
  for (int i = format.digits; i >= 0; --i) {
    if (compare(digits, divisor) >= 0) {
      digits.subtract(divisor);
      significand |= u64(1) << i;
    }
    if (i)
      divisor.halve();
  }
  int half = compareSum(digits, digits, divisor);
  if (half > 0 || (half == 0 && (inexact || significand % 2)))
    ++significand;
  // A carry out of the fraction goes into the exponent by itself.
  u64 hidden = u64(1) << (format.digits - 1);
  if (significand < hidden)
    return significand;
  return (u64(last - format.smallest + 1) << (format.digits - 1)) + (significand - hidden);
}

bool readFloat(const lathe_string &text, const Format &format, u64 &bits) {
  Cursor cursor = withoutSpace(text);
  bool negative = cursor.take('-');
  if (!negative)
    cursor.take('+');
  u64 sign = u64(negative) << (format.bits - 1);
  u64 infinityBits = ((u64(1) << (format.bits - format.digits)) - 1) << (format.digits - 1);
  if (cursor.takeWord("nan")) {
    bits = infinityBits | u64(1) << (format.digits - 2);
    return cursor.at == cursor.end;
  }
  if (cursor.takeWord("infinity") || cursor.takeWord("inf")) {
    bits = sign | infinityBits;
    return cursor.at == cursor.end;
  }
  constexpr int maxDigits = 800;
  Big digits(0);
  int kept = 0;
  i64 power = 0;
  bool any = false, inexact = false, fraction = false;
  for (;; ++cursor.at) {
    if (!fraction && cursor.at != cursor.end && *cursor.at == '.') {
      fraction = true;
      continue;
    }
    if (!cursor.atDigit())
      break;
    any = true;
    u32 digit = u32(*cursor.at - '0');
    if (kept < maxDigits) {
      if (digits.size || digit) {
        if (digits.size)
          digits.multiply(10, digit);
        else
          digits = Big(digit);
        ++kept;
      }
      power -= fraction;
    } else {
      inexact |= digit != 0;
      power += !fraction;
    }
  }
  if (!any)
    return false;
  if (cursor.take('e') || cursor.take('E')) {
    bool minus = cursor.take('-');
    if (!minus)
      cursor.take('+');
    if (!cursor.atDigit())
      return false;
    i64 exponent = 0;
    for (; cursor.atDigit(); ++cursor.at)
      if (exponent < 1000000)
        exponent = exponent * 10 + (*cursor.at - '0');
    power += minus ? -exponent : exponent;
  }
  bits = sign | nearest(digits, power, inexact, format);
  return cursor.at == cursor.end;
}

bool readInteger(const lathe_string &text, const NumberType &type, u64 &bits) {
  Cursor cursor = withoutSpace(text);
  bool negative = cursor.take('-');
  if (!negative)
    cursor.take('+');
  if (!cursor.atDigit())
    return false;
  u64 value = 0;
  for (; cursor.atDigit(); ++cursor.at)
    if (__builtin_mul_overflow(value, u64(10), &value) ||
        __builtin_add_overflow(value, u64(*cursor.at - '0'), &value))
      return false;
  int width = 8 * type.bytes - type.isSigned;
  u64 limit = (width == 64 ? ~u64(0) : (u64(1) << width) - 1) + (type.isSigned && negative);
  if (cursor.at != cursor.end || value > limit || (negative && !type.isSigned && value))
    return false;
  bits = negative ? -value : value;
  return true;
}

} // namespace

// Parameters: the dtype of the input.
LATHE_TENSOR_BUILTIN(lathe_text_from_numbers) {
  NumberType type = numberType(parameters[0]);
  const Format &format = formatOf(parameters[0]);
  constexpr u64 longest = 32; // "-2.2250738585072014e-308" has 24
  auto *texts = allocateLike<lathe_string>(call, inputs[0], results[0]);
  i64 count = countElements(inputs[0]);
  auto *memory = static_cast<char *>(allocate(call, u64(count), longest));
  if (!texts || !memory)
    return LATHE_CODE_MEMORY;
  for (i64 i = 0; i < count; ++i) {
    u64 bits = readBits(inputs[0].data, i, type.bytes);
    char *end = memory;
    if (type.isFloat) {
      end = writeFloat(end, bits, format);
    } else {
      int unused = 64 - 8 * type.bytes;
      i64 value = type.isSigned ? i64(bits << unused) >> unused : i64(bits);
      bool negative = type.isSigned && value < 0;
      if (negative)
        *end++ = '-';
      end = writeInteger(end, negative ? -u64(value) : u64(value));
    }
    texts[i] = {memory, u64(end - memory)};
    memory = end;
  }
  return LATHE_CODE_OK;
}

// Parameters: the dtype of the result.
LATHE_TENSOR_BUILTIN(lathe_text_to_numbers) {
  NumberType type = numberType(parameters[0]);
  const Format &format = formatOf(parameters[0]);
  bool isBool = parameters[0] == LATHE_BOOL;
  for (u32 i = 0; i < inputs[0].rank; ++i)
    results[0].dims[i] = inputs[0].dims[i];
  i64 count = countElements(inputs[0]);
  results[0].data = allocate(call, u64(count), u64(type.bytes));
  if (!results[0].data)
    return LATHE_CODE_MEMORY;
  const lathe_string *texts = stringsOf(inputs[0]);
  for (i64 i = 0; i < count; ++i) {
    u64 bits;
    if (type.isFloat ? !readFloat(texts[i], format, bits) : !readInteger(texts[i], type, bits))
      return LATHE_CODE_TEXT;
    writeBits(results[0].data, i, type.bytes, isBool ? bits != 0 : bits);
  }
  return LATHE_CODE_OK;
}
