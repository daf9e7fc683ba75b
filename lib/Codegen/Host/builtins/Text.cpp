// Operations on tensors of strings.
// Licensed under Apache-2.0 WITH LLVM-exception.
#include "Text.h"

using namespace lathe::builtins;

LATHE_TENSOR_BUILTIN(lathe_text_equal) {
  (void)parameters;
  auto *equal = allocateLike<unsigned char>(call, inputs[0], results[0]);
  if (!equal)
    return LATHE_CODE_MEMORY;
  const lathe_string *a = stringsOf(inputs[0]), *b = stringsOf(inputs[1]);
  for (i64 i = 0, count = countElements(inputs[0]); i < count; ++i)
    equal[i] = compareStrings(a[i], b[i]) == 0;
  return LATHE_CODE_OK;
}

LATHE_TENSOR_BUILTIN(lathe_text_concat) {
  (void)parameters;
  auto *joined = allocateLike<lathe_string>(call, inputs[0], results[0]);
  if (!joined)
    return LATHE_CODE_MEMORY;
  const lathe_string *a = stringsOf(inputs[0]), *b = stringsOf(inputs[1]);
  i64 count = countElements(inputs[0]);
  u64 bytes = 0;
  for (i64 i = 0; i < count; ++i)
    if (__builtin_add_overflow(bytes, a[i].size, &bytes) ||
        __builtin_add_overflow(bytes, b[i].size, &bytes))
      return LATHE_CODE_SIZE;
  auto *text = static_cast<char *>(allocate(call, bytes, 1));
  if (!text)
    return LATHE_CODE_MEMORY;
  for (i64 i = 0; i < count; ++i) {
    joined[i] = {text, a[i].size + b[i].size};
    for (u64 k = 0; k < a[i].size; ++k)
      *text++ = a[i].data[k];
    for (u64 k = 0; k < b[i].size; ++k)
      *text++ = b[i].data[k];
  }
  return LATHE_CODE_OK;
}

/// The first of `count` sorted keys that is not before `wanted`.
static i64 lowerBound(const lathe_string *keys, i64 count, const lathe_string &wanted) {
  i64 low = 0;
  while (count > 0) {
    i64 half = count / 2;
    if (compareStrings(keys[low + half], wanted) < 0) {
      low += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return low;
}

LATHE_TENSOR_BUILTIN(lathe_text_find) {
  (void)parameters;
  auto *places = allocateLike<i64>(call, inputs[0], results[0]);
  if (!places)
    return LATHE_CODE_MEMORY;
  const lathe_string *wanted = stringsOf(inputs[0]), *keys = stringsOf(inputs[1]);
  i64 keyCount = inputs[1].dims[0];
  for (i64 i = 0, count = countElements(inputs[0]); i < count; ++i) {
    i64 place = lowerBound(keys, keyCount, wanted[i]);
    bool there = place < keyCount && compareStrings(keys[place], wanted[i]) == 0;
    places[i] = there ? place : keyCount;
  }
  return LATHE_CODE_OK;
}

/// For each string how many come before it: what compares as the strings do.
LATHE_TENSOR_BUILTIN(lathe_text_rank) {
  (void)parameters;
  i64 count = countElements(inputs[0]);
  auto *ranks = allocateLike<i64>(call, inputs[0], results[0]);
  auto *order = static_cast<i64 *>(allocate(call, u64(count), 2 * sizeof(i64)));
  if (!ranks || !order)
    return LATHE_CODE_MEMORY;
  const lathe_string *texts = stringsOf(inputs[0]);
  // A merge sort of their places, from pairs on.
  i64 *from = order, *to = order + count;
  for (i64 i = 0; i < count; ++i)
    from[i] = i;
  for (i64 width = 1; width < count; width *= 2) {
    for (i64 start = 0; start < count; start += 2 * width) {
      i64 middle = start + width < count ? start + width : count;
      i64 end = middle + width < count ? middle + width : count;
      for (i64 a = start, b = middle, out = start; out < end; ++out) {
        bool first =
            b == end || (a < middle && compareStrings(texts[from[a]], texts[from[b]]) <= 0);
        to[out] = from[first ? a++ : b++];
      }
    }
    i64 *swapped = from;
    from = to;
    to = swapped;
  }
  for (i64 i = 0; i < count; ++i) {
    bool isSame = i > 0 && compareStrings(texts[from[i - 1]], texts[from[i]]) == 0;
    ranks[from[i]] = isSame ? ranks[from[i - 1]] : i;
  }
  return LATHE_CODE_OK;
}

LATHE_TENSOR_BUILTIN(lathe_text_match) {
  auto *matches = allocateLike<unsigned char>(call, inputs[0], results[0]);
  if (!matches)
    return LATHE_CODE_MEMORY;
  const lathe_string *texts = stringsOf(inputs[0]);
  auto *next = static_cast<const int *>(inputs[1].data);
  for (i64 i = 0, count = countElements(inputs[0]); i < count; ++i) {
    i64 state = 0;
    for (u64 k = 0; k < texts[i].size; ++k)
      state = next[state * 256 + static_cast<unsigned char>(texts[i].data[k])];
    matches[i] = state >= parameters[0];
  }
  return LATHE_CODE_OK;
}

// ---- Letters -----------------------------------------------------------------------------------

namespace {

enum LetterCase { keep, lower, upper };

/// Letters of a range of code points whose lower case lies `distance` behind their upper case, or
/// (distance 1) that alternate, beginning with an upper one where `first` is one.
struct Alphabet {
  u32 first, last, distance;
};

// All within two bytes of UTF-8, so that no change of case changes a length.
constexpr Alphabet alphabets[] = {
    {0xc0, 0xd6, 32},   {0xd8, 0xde, 32},   {0x100, 0x12f, 1},  {0x132, 0x137, 1},
    {0x14a, 0x177, 1},  {0x391, 0x3a1, 32}, {0x3a3, 0x3a9, 32}, {0x400, 0x40f, 80},
    {0x410, 0x42f, 32}, {0x460, 0x481, 1},  {0x48a, 0x4bf, 1},  {0x4d0, 0x52f, 1},
};

u32 changeCase(u32 point, LetterCase to) {
  if (point < 0x80) {
    if (to == lower && point >= 'A' && point <= 'Z')
      return point + 32;
    if (to == upper && point >= 'a' && point <= 'z')
      return point - 32;
    return point;
  }
  for (const Alphabet &each : alphabets) {
    if (each.distance == 1) {
      if (point >= each.first && point <= each.last)
        return to == lower ? point | 1 : point & ~u32(1);
    } else if (to == lower && point >= each.first && point <= each.last) {
      return point + each.distance;
    } else if (to == upper && point >= each.first + each.distance &&
               point <= each.last + each.distance) {
      return point - each.distance;
    }
  }
  return point;
}

/// Writes `text` in another case. Bytes that are no letters of one or two bytes stay.
void writeCase(const lathe_string &text, LetterCase to, char *out) {
  auto *bytes = reinterpret_cast<Bytes>(text.data);
  for (u64 i = 0; i < text.size; ++i) {
    bool pair = (bytes[i] & 0xe0) == 0xc0 && i + 1 < text.size && (bytes[i + 1] & 0xc0) == 0x80;
    if (!pair) {
      out[i] = static_cast<char>(bytes[i] < 0x80 ? changeCase(bytes[i], to) : bytes[i]);
      continue;
    }
    u32 point = changeCase(u32(bytes[i] & 0x1f) << 6 | (bytes[i + 1] & 0x3f), to);
    out[i] = static_cast<char>(0xc0 | point >> 6);
    out[++i] = static_cast<char>(0x80 | (point & 0x3f));
  }
}

/// A copy of all strings in another case; null when memory is refused.
lathe_string *copyCase(lathe_call *call, const lathe_string *texts, i64 count, LetterCase to) {
  u64 bytes = 0;
  for (i64 i = 0; i < count; ++i)
    if (__builtin_add_overflow(bytes, texts[i].size, &bytes))
      return nullptr;
  auto *copies = static_cast<lathe_string *>(allocate(call, u64(count), sizeof(lathe_string)));
  auto *memory = static_cast<char *>(allocate(call, bytes, 1));
  if (!copies || !memory)
    return nullptr;
  for (i64 i = 0; i < count; ++i) {
    if (to != keep)
      writeCase(texts[i], to, memory);
    copies[i] = to == keep ? texts[i] : lathe_string{memory, texts[i].size};
    memory += texts[i].size;
  }
  return copies;
}

} // namespace

// Parameters: the case to give, and whether stop words compare with case.
LATHE_TENSOR_BUILTIN(lathe_text_normalize) {
  auto to = static_cast<LetterCase>(parameters[0]);
  bool caseSensitive = parameters[1] != 0;
  i64 count = countElements(inputs[0]), stops = inputs[1].dims[0];
  const lathe_string *texts = stringsOf(inputs[0]), *stopWords = stringsOf(inputs[1]);
  lathe_string *words = copyCase(call, texts, count, to);
  if (!words)
    return LATHE_CODE_MEMORY;
  const lathe_string *compared = caseSensitive ? texts : copyCase(call, texts, count, lower);
  const lathe_string *against = caseSensitive ? stopWords : copyCase(call, stopWords, stops, lower);
  auto *kept = static_cast<lathe_string *>(allocate(call, u64(count) + 1, sizeof(lathe_string)));
  if (!compared || !against || !kept)
    return LATHE_CODE_MEMORY;
  i64 left = 0;
  for (i64 i = 0; i < count; ++i) {
    bool stop = false;
    if (caseSensitive) {
      i64 place = lowerBound(against, stops, compared[i]);
      stop = place < stops && compareStrings(against[place], compared[i]) == 0;
    } else {
      // Lower case may have changed the order of the stop words.
      for (i64 k = 0; k < stops && !stop; ++k)
        stop = compareStrings(against[k], compared[i]) == 0;
    }
    if (!stop)
      kept[left++] = words[i];
  }
  if (left == 0)
    kept[left++] = {"", 0};
  for (u32 i = 0; i + 1 < inputs[0].rank; ++i)
    results[0].dims[i] = 1;
  results[0].dims[inputs[0].rank - 1] = left;
  results[0].data = kept;
  return LATHE_CODE_OK;
}

// ---- Split -------------------------------------------------------------------------------------

namespace {

bool isSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Calls `take` with each piece of `text`.
template <typename Take>
void forEachPiece(const lathe_string &text, const lathe_string &delimiter, i64 maxSplits,
                  Take take) {
  u64 at = 0, end = text.size;
  i64 splits = 0;
  if (delimiter.size == 0) {
    while (true) {
      while (at < end && isSpace(text.data[at]))
        ++at;
      if (at == end)
        return;
      u64 stop = at;
      if (maxSplits >= 0 && splits == maxSplits)
        stop = end;
      while (stop < end && !isSpace(text.data[stop]))
        ++stop;
      take(lathe_string{text.data + at, stop - at});
      ++splits;
      at = stop;
    }
  }
  for (u64 i = at; i + delimiter.size <= end && (maxSplits < 0 || splits < maxSplits);) {
    lathe_string here{text.data + i, delimiter.size};
    if (compareStrings(here, delimiter) != 0) {
      ++i;
      continue;
    }
    take(lathe_string{text.data + at, i - at});
    ++splits;
    at = i += delimiter.size;
  }
  take(lathe_string{text.data + at, end - at});
}

} // namespace

// Parameters: how often to split, negative for always.
LATHE_TENSOR_BUILTIN(lathe_text_split) {
  i64 *counts = allocateLike<i64>(call, inputs[0], results[1]);
  if (!counts)
    return LATHE_CODE_MEMORY;
  const lathe_string *texts = stringsOf(inputs[0]), &delimiter = *stringsOf(inputs[1]);
  i64 count = countElements(inputs[0]), most = 0;
  for (i64 i = 0; i < count; ++i) {
    counts[i] = 0;
    forEachPiece(texts[i], delimiter, parameters[0], [&](lathe_string) { ++counts[i]; });
    most = counts[i] > most ? counts[i] : most;
  }
  u64 total;
  if (__builtin_mul_overflow(u64(count), u64(most), &total))
    return LATHE_CODE_SIZE;
  auto *pieces = static_cast<lathe_string *>(allocate(call, total, sizeof(lathe_string)));
  if (!pieces)
    return LATHE_CODE_MEMORY;
  results[0].data = pieces;
  for (u32 i = 0; i < inputs[0].rank; ++i)
    results[0].dims[i] = inputs[0].dims[i];
  results[0].dims[inputs[0].rank] = most;
  for (i64 i = 0; i < count; ++i) {
    lathe_string *place = pieces, *behind = pieces += most;
    forEachPiece(texts[i], delimiter, parameters[0], [&](lathe_string piece) { *place++ = piece; });
    while (place < behind)
      *place++ = {"", 0};
  }
  return LATHE_CODE_OK;
}
