// wgmma of NVIDIA's sm_90a, written from PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate Instructions" and "Async proxy", and not from the compiler. Until a thread
// has waited for a product it has a mark in place of each sum, which is no number: only another
// product and the wait know what it stands for. Licensed under Apache-2.0 WITH LLVM-exception.
#include "runtime/Emulator/Products.h"
#include "lathe/ArtifactFormat.h"
#include "runtime/Emulator/Block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

namespace lathe::emulator {

// "Matrix Descriptor Format": all in units of 16 bytes.
SharedMatrix::SharedMatrix(uint64_t descriptor)
    : start((descriptor & 0x3fff) << 4), leading((descriptor >> 16 & 0x3fff) << 4),
      stride((descriptor >> 32 & 0x3fff) << 4), baseOffset(descriptor >> 49 & 7) {
  constexpr uint64_t modes[] = {16, 128, 64, 32}; // bytes of a line
  swizzle = modes[descriptor >> 62];
}

// "Strides": matrices are made of pieces of eight lines. Lines hold what lies together. Without a
// swizzle, the next along a line is by the leading offset where lines run along the depth, by the
// stride where they run across; with one it is always by the leading offset.
uint64_t SharedMatrix::find(uint32_t across, uint32_t depth, bool isTransposed) const {
  uint32_t along = isTransposed ? across : depth, line = isTransposed ? depth : across;
  uint32_t numbers = uint32_t(swizzle) / 2;
  bool isSwapped = swizzle == 16 && isTransposed;
  uint64_t nextLines = isSwapped ? leading : stride, nextAlong = isSwapped ? stride : leading;
  // Along the depth a swizzled line holds all 16 numbers, wherever in it they begin.
  uint64_t inLine = swizzle != 16 && !isTransposed
                        ? uint64_t(along) * 2
                        : along / numbers * nextAlong + along % numbers * 2;
  uint64_t address = start + line / 8 * nextLines + line % 8 * swizzle + inLine;
  // "Swizzling modes": bits 4 to 6 of an address (4 and 5, 4) change by those three further up.
  return address ^ (address >> 3 & (swizzle - 16) & 0x70);
}

// "Register Fragments": "Matrix fragments for accumulator D".
void findSum(uint32_t thread, uint32_t i, uint32_t &row, uint32_t &column) {
  uint32_t warp = thread / 32, lane = thread % 32;
  row = 16 * warp + (lane >> 2) + 8 * (i >> 1 & 1);
  column = 8 * (i >> 2) + (lane & 3) * 2 + (i & 1);
}

/// What stands for sum number `i` of a product: a quiet NaN that no computation gives.
static constexpr uint32_t markBits = 0xffc00000, markNumbers = 1 << 15, mostSums = 128;

static float makeMark(uint32_t number, uint32_t i) {
  uint32_t bits = markBits | number * mostSums | i;
  float mark;
  memcpy(&mark, &bits, sizeof(mark));
  return mark;
}

/// The number of the product; 0: it is none of ours.
static uint32_t readMark(float value, uint32_t &i) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  i = bits % mostSums;
  return (bits & markBits) == markBits ? (bits & ~markBits) / mostSums : 0;
}

static float convert(uint16_t bits, bool isBF16) {
  if (!isBF16) {
    _Float16 half;
    memcpy(&half, &bits, sizeof(half));
    return float(half);
  }
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof(value));
  return value;
}

/// Register fragment of a left operand: row and depth of number `i` of a thread.
static void findLeft(uint32_t thread, uint32_t i, uint32_t &row, uint32_t &depth) {
  uint32_t lane = thread % 32;
  row = 16 * (thread / 32) + (lane >> 2) + 8 * (i >> 1 & 1);
  depth = (lane & 3) * 2 + (i & 1) + 8 * (i >> 2);
}

int32_t BlockRunner::multiplyShared(lathe_emulated_thread *given, uint32_t columns, uint32_t flags,
                                    uint64_t left, uint64_t right, const float *sums,
                                    float *result) {
  auto &thread = *static_cast<Thread *>(given);
  if (!thread.runner->stacks) {
    thread.runner->launch.fail(thread, "it multiplies what is in shared memory, of which it has "
                                       "none");
    return 0;
  }
  thread.unit = multiplying;
  thread.product = {columns, flags, left, right, sums, result};
  return meet(thread);
}

// The sums that a thread brings: marks of the product that last added to an accumulator, or null
// for numbers.
Accumulator *BlockRunner::findSums(size_t first, size_t number, const ProductCall &call) {
  uint32_t i, product = readMark(call.sums[0], i);
  for (Accumulator &known : accumulators)
    if (known.first == first && known.columns == call.columns && product &&
        std::count(known.numbers.begin(), known.numbers.end(), product)) {
      for (uint32_t sum = 0; sum < call.columns / 2; ++sum)
        if (readMark(call.sums[sum], i) != known.numbers.back() || i != sum) {
          launch.fail(threads[number], "it adds to sums of a product that are not where that left "
                                       "them");
          return nullptr;
        }
      return &known;
    }
  return nullptr;
}

// Up to which stretches all threads of a group know what was done; empty without phases.
Clocks BlockRunner::knownToAll(size_t first) const {
  Clocks all = threads[first].known;
  for (size_t i = first; i < first + groupThreads; ++i)
    for (size_t who = 0; who < all.size(); ++who)
      all[who] = std::min(all[who], threads[i].known[who]);
  return all;
}

/// Where the numbers of an operand are, of which a group knows as much as `known`; null, or why
/// they cannot be there.
const char *BlockRunner::findBytes(const Clocks &known, const ProductCall &call, bool isRight,
                                   uint32_t count, std::vector<uint32_t> &bytes,
                                   uint32_t &odd) const {
  SharedMatrix matrix(isRight ? call.right : call.left);
  bool isTransposed =
      call.flags & (isRight ? LATHE_PRODUCT_RIGHT_TRANSPOSED : LATHE_PRODUCT_LEFT_TRANSPOSED);
  if (matrix.baseOffset)
    return "is described with a base offset";
  for (uint32_t across = 0; across < count; ++across)
    for (uint32_t depth = 0; depth < groupDepth; ++depth) {
      uint64_t place = matrix.find(across, depth, isTransposed);
      if (place + 2 > sharedBytes)
        return "is not all in shared memory";
      bytes.push_back(uint32_t(place));
    }
  for (uint32_t place : bytes)
    for (odd = place; odd < place + 2; ++odd) {
      const Shadow &byte = shadow[odd];
      if (byte.copier == isPhases)
        return "has a byte that is of a barrier";
      if (byte.copier)
        return "has a byte to which a copy is under way";
      if (!byte.writeEpoch)
        return "has a byte that nobody has written";
      if (known.empty() ? byte.writeEpoch == epoch : byte.writeEpoch > known[byte.writer])
        return "has a byte that was written without a barrier between";
      if (byte.writtenAt && byte.writtenAt > threads[byte.writer].fencedAt)
        return "has a byte that was written without a fence for products (fence.proxy.async) "
               "between";
    }
  return nullptr;
}

// A warpgroup is together at a product.
void BlockRunner::beginProducts(size_t first) {
  const ProductCall &call = threads[first].product;
  auto refuse = [&](size_t thread, const char *what) { launch.fail(threads[thread], what); };
  bool isInRegisters = call.flags & LATHE_PRODUCT_LEFT_REGISTERS;
  if (call.columns < 8 || call.columns > 2 * mostSums || call.columns % 8)
    return refuse(first, "its product has no such number of columns");
  Accumulator *to = findSums(first, first, call);
  for (size_t i = first; i < first + groupThreads; ++i) {
    const ProductCall &other = threads[i].product;
    if (other.columns != call.columns || other.flags != call.flags || other.right != call.right ||
        (!isInRegisters && other.left != call.left))
      return refuse(i, "not all threads of its warpgroup multiply the same matrices");
    if (findSums(first, i, other) != to || !goesOn())
      return refuse(i, "not all threads of its warpgroup add to the same sums");
    if ((!to || isInRegisters) && !threads[i].fenced)
      return refuse(i, "it multiplies what it has in registers without a fence (wgmma.fence)");
  }
  Product product{first, call.columns, call.flags,     to,   {}, {}, {},
                  {},    groupThreads, ++productCount, false};
  Clocks known = knownToAll(first);
  for (bool isRight : {false, true}) {
    if (!isRight && isInRegisters)
      continue;
    uint32_t odd = 0;
    const char *fault = findBytes(known, call, isRight, isRight ? call.columns : groupRows,
                                  isRight ? product.right : product.left, odd);
    if (!fault)
      continue;
    char what[200];
    snprintf(what, sizeof(what), "the %s operand of its product %s (byte %u)",
             isRight ? "right" : "left", fault, odd);
    return refuse(first, what);
  }
  if (!to) {
    // What nobody waits for stays a while.
    constexpr size_t most = 64;
    if (accumulators.size() >= most)
      for (auto old = accumulators.begin(); old != accumulators.end(); ++old)
        if (std::none_of(products.begin(), products.end(),
                         [&](const Product &other) { return other.to == &*old; })) {
          accumulators.erase(old);
          break;
        }
    accumulators.push_back({first, call.columns, {}, {}});
    product.to = to = &accumulators.back();
    to->sums.resize(groupRows * call.columns);
  }
  lastProduct = lastProduct % (markNumbers - 1) + 1;
  if (isInRegisters)
    product.leftNumbers.resize(groupRows * groupDepth);
  for (uint32_t thread = 0; thread < groupThreads; ++thread) {
    const ProductCall &own = threads[first + thread].product;
    product.groups[thread] = threads[first + thread].productGroup;
    uint32_t row, column;
    for (uint32_t i = 0; i < call.columns / 2; ++i) {
      findSum(thread, i, row, column);
      if (to->numbers.empty())
        to->sums[row * call.columns + column] = own.sums[i];
      own.result[i] = makeMark(lastProduct, i);
    }
    for (uint32_t i = 0; isInRegisters && i < 8; ++i) {
      uint16_t bits;
      memcpy(&bits, reinterpret_cast<const char *>(own.left) + 2 * i, sizeof(bits));
      findLeft(thread, i, row, column);
      product.leftNumbers[row * groupDepth + column] =
          convert(bits, call.flags & LATHE_PRODUCT_BF16);
    }
  }
  to->numbers.push_back(lastProduct);
  for (const std::vector<uint32_t> *places : {&product.left, &product.right})
    for (uint32_t place : *places) {
      ++shadow[place].products;
      ++shadow[place + 1].products;
    }
  products.push_back(std::move(product));
  landProducts(first);
}

// Some of the products of a group are done by now, the oldest first.
void BlockRunner::landProducts(size_t first) {
  for (const Product &product : products)
    if (product.first == first && !product.isDone) {
      if (scatter(++chance) % 3)
        return;
      finishProducts(first, &product);
    }
}

// Those of a group are done in order.
void BlockRunner::finishProducts(size_t first, const Product *last) {
  for (Product &product : products) {
    if (product.first == first && !product.isDone) {
      bool isBF16 = product.flags & LATHE_PRODUCT_BF16;
      auto load = [&](uint32_t place) {
        uint16_t bits;
        memcpy(&bits, shared.get() + place, sizeof(bits));
        return convert(bits, isBF16);
      };
      uint32_t columns = product.columns;
      std::vector<float> right(groupDepth * columns);
      for (uint32_t column = 0; column < columns; ++column)
        for (uint32_t k = 0; k < groupDepth; ++k)
          right[k * columns + column] = load(product.right[column * groupDepth + k]);
      for (uint32_t row = 0; row < groupRows; ++row) {
        float *sums = &product.to->sums[row * columns];
        for (uint32_t k = 0; k < groupDepth; ++k) {
          uint32_t number = row * groupDepth + k;
          float left = product.leftNumbers.empty() ? load(product.left[number])
                                                   : product.leftNumbers[number];
          for (uint32_t column = 0; column < columns; ++column)
            sums[column] += left * right[k * columns + column];
        }
      }
      product.isDone = true;
    }
    if (&product == last)
      return;
  }
}

int32_t BlockRunner::fenceProducts(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  thread.fenced = true;
  return thread.runner->goesOn();
}

int32_t BlockRunner::fenceShared(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  thread.fencedAt = thread.runner->moment++;
  return thread.runner->goesOn();
}

int32_t BlockRunner::commitProducts(lathe_emulated_thread *given) {
  auto &thread = *static_cast<Thread *>(given);
  ++thread.productGroup;
  return thread.runner->goesOn();
}

// The last thread of its group has waited. Its operands are as if all had read them just now or,
// with phases, as if the warps had when they waited: what one lane knows of that holds for all.
void BlockRunner::noteProductReads(const Thread &last, const Product &product) {
  // The lists with the group's threads, by who and when was in place of them.
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> lists;
  auto join = [&](const Shadow &byte) {
    auto [known, isNew] = lists.try_emplace({byte.reader, byte.readEpoch}, 0);
    if (!isNew)
      return known->second;
    uint32_t list = 0, other;
    if (!knowsReads(last, byte, &other))
      list = byte.reader == several ? byte.readEpoch : readers.add(byte.reader, byte.readEpoch, 0);
    for (uint32_t i = 0; i < groupThreads; i += warpLanes)
      list = readers.add(productClock(product.first + i), product.order, list);
    return known->second = list;
  };
  for (const std::vector<uint32_t> *places : {&product.left, &product.right})
    for (uint32_t place : *places)
      for (uint32_t i = place; i < place + 2; ++i) {
        Shadow &byte = shadow[i];
        --byte.products;
        byte.readEpoch = hasPhases() ? join(byte) : epoch;
        byte.reader = several;
      }
}

int32_t BlockRunner::waitProducts(lathe_emulated_thread *given, uint32_t groups, uint32_t count,
                                  float *sums) {
  auto &thread = *static_cast<Thread *>(given);
  if (!thread.runner->stacks)
    return thread.runner->goesOn();
  thread.unit = waiting;
  thread.wait = {groups, count, sums};
  return meet(thread);
}

// A thread of a warp that is together at its wait: wgmma.wait_group.sync.aligned.
void BlockRunner::waitProducts(Thread &thread) {
  auto [groups, count, sums] = thread.wait;
  size_t first = thread.thread / groupThreads * groupThreads, number = thread.thread - first;
  for (auto next = products.begin(); next != products.end();) {
    auto product = next++;
    if (product->first != first || product->groups[number] == Product::waited ||
        product->groups[number] + uint64_t(groups) >= thread.productGroup)
      continue;
    finishProducts(first, &*product);
    product->groups[number] = Product::waited;
    if (hasPhases())
      thread.known[productClock(thread.thread)] = product->order;
    if (--product->threads)
      continue;
    noteProductReads(thread, *product);
    products.erase(product);
  }
  Accumulator *found = nullptr;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t sum, mark = readMark(sums[i], sum);
    if (!mark)
      continue;
    if (!found || found->numbers.back() != mark) {
      auto known =
          std::find_if(accumulators.begin(), accumulators.end(), [&](const Accumulator &other) {
            return other.first == first && other.numbers.back() == mark &&
                   std::none_of(products.begin(), products.end(), [&](const Product &product) {
                     return product.to == &other && product.groups[number] != Product::waited;
                   });
          });
      if (known == accumulators.end())
        continue;
      found = &*known;
    }
    uint32_t row, column;
    findSum(uint32_t(number), sum, row, column);
    if (column < found->columns)
      sums[i] = found->sums[row * found->columns + column];
  }
  thread.fenced = false;
}

} // namespace lathe::emulator
