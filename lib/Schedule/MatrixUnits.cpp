// What lies in which lane: PTX ISA 9.0, "Matrix Fragments for mma.m16n8k16 with floating point
// type", "Register Fragments" of wgmma; AMD's matrix instruction calculator for CDNA 2 and 3; RDNA
// 3 and RDNA 4 ISA, "WMMA". Apache-2.0 WITH LLVM-exception
#include "MatrixUnits.h"

using namespace lathe::schedule;

static constexpr int64_t zeros[16] = {};
static constexpr int64_t counted[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static constexpr int64_t evens[8] = {0, 2, 4, 6, 8, 10, 12, 14};
static constexpr int64_t mmaRows[8] = {0, 0, 8, 8, 0, 0, 8, 8};
static constexpr int64_t mmaDepths[8] = {0, 1, 0, 1, 8, 9, 8, 9};
static constexpr int64_t mmaPairs[4] = {0, 1, 8, 9};

static llvm::ArrayRef<int64_t> first(const int64_t *values, size_t count) {
  return {values, count};
}

// Smaller tiles read operands more often, and fill more processors. Those of wgmma have so many
// stages that, but for the largest, two blocks fit into the shared memory of a processor.
static constexpr TileShape warpTiles[] = {
    {128, 128, 8, 3, 100}, {64, 64, 4, 4, 65}, {32, 64, 4, 4, 40}};
static constexpr TileShape waveTiles[] = {{64, 64, 2, 1, 65}, {32, 64, 2, 1, 40}};
static constexpr TileShape wmmaTiles[] = {{64, 64, 4, 1, 65}, {32, 64, 4, 1, 40}};
static constexpr TileShape groupTiles[] = {
    {128, 256, 8, 4, 100}, {128, 128, 8, 3, 85}, {64, 128, 4, 4, 65}, {64, 64, 4, 4, 45}};

const MatrixUnit *lathe::schedule::findMatrixUnit(llvm::StringRef name) {
  constexpr int64_t all = 64; // lanes, so that nothing wraps
  static const MatrixUnit units[] = {
      {"mma.sync",
       32,
       16,
       8,
       16,
       {{4, 8, 1, mmaRows}, {1, 4, 2, mmaDepths}},
       {{4, 8, 1, first(zeros, 4)}, {1, 4, 2, mmaPairs}},
       {{4, 8, 1, first(mmaRows, 4)}, {1, 4, 2, first(mmaDepths, 4)}},
       true,
       32,
       warpTiles},
      // Of a warp of the group, and of 8 columns. The right operand is never in registers.
      {"wgmma",
       32,
       16,
       8,
       16,
       {{4, 8, 1, mmaRows}, {1, 4, 2, mmaDepths}},
       {},
       {{4, 8, 1, first(mmaRows, 4)}, {1, 4, 2, first(mmaDepths, 4)}},
       false,
       64,
       groupTiles,
       4},
      {"mfma",
       64,
       16,
       16,
       16,
       {{1, 16, 1, first(zeros, 4)}, {16, all, 4, first(counted, 4)}},
       {{1, 16, 1, first(zeros, 4)}, {16, all, 4, first(counted, 4)}},
       {{16, all, 4, first(counted, 4)}, {1, 16, 1, first(zeros, 4)}},
       false,
       32,
       waveTiles},
      {"wmma",
       32,
       16,
       16,
       16,
       {{1, 16, 1, first(zeros, 16)}, {1, 1, 0, first(counted, 16)}},
       {{1, 16, 1, first(zeros, 16)}, {1, 1, 0, first(counted, 16)}},
       {{16, all, 1, evens}, {1, 16, 1, first(zeros, 8)}},
       false,
       32,
       wmmaTiles},
      {"wmma.gfx12",
       32,
       16,
       16,
       16,
       {{1, 16, 1, first(zeros, 8)}, {16, all, 8, first(counted, 8)}},
       {{1, 16, 1, first(zeros, 8)}, {16, all, 8, first(counted, 8)}},
       {{16, all, 8, first(counted, 8)}, {1, 16, 1, first(zeros, 8)}},
       false,
       32,
       wmmaTiles},
  };
  for (const MatrixUnit &unit : units)
    if (unit.name == name)
      return &unit;
  return nullptr;
}
