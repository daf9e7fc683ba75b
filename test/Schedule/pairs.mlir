// RUN: %python -c "import sys; print(open(sys.argv[1]).read().replace('HAL''VES', '003F803F' * 1024))" %s > %t.mlir
// RUN: %lathe-opt %t.mlir --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=256 dot-i16=llvm.x86.avx2.pmadd.wd" --canonicalize --schedule-plan-memory | FileCheck %s --check-prefixes=CHECK,V3
// RUN: %lathe-opt %t.mlir --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=512 vector-registers=32 dot-i16=llvm.x86.avx512.pmaddw.d.512 dot-bf16=llvm.x86.avx512bf16.dpbf16ps.512" --canonicalize --schedule-plan-memory | FileCheck %s --check-prefixes=CHECK,V4
// RUN: %lathe-opt %t.mlir --split-input-file --canonicalize --schedule-form-dispatches="vector-bits=512 vector-registers=32 dot-i16=llvm.x86.avx512.pmaddw.d.512 dot-bf16=llvm.x86.avx512bf16.dpbf16ps.512 matrix-bf16=llvm.x86.tdpbf16ps" --canonicalize --schedule-plan-memory | FileCheck %s --check-prefixes=CHECK,AMX

// Three products are a pair and one by itself; the weights [3][4] lie as [2 pairs][32 lanes][2], and
// the second half of the last pair is 0. The epilogue runs on the sums.
// CHECK-LABEL: func.func @run
// CHECK:         rt.weight_address {{.*}} : tensor<128xi8>
// CHECK-NOT:     rt.arena
// CHECK:       func.func private @tile
// V3:            vector.load {{.*}} vector<16xi8>
// V3:            arith.extsi {{.*}} : vector<16xi8> to vector<16xi16>
// V3:            vector.load {{.*}} vector<2xi16>
// V3:            llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"({{.*}}) : (vector<16xi16>, vector<16xi16>) -> vector<8xi32>
// V3:            memref.load {{.*}} : memref<{{.*}}xi16>
// V3:            arith.extui {{.*}} : i16 to i32
// V3:            llvm.call_intrinsic "llvm.x86.avx2.pmadd.wd"
// V3:            arith.addi {{.*}} : vector<8xi32>
// V4:            llvm.call_intrinsic "llvm.x86.avx512.pmaddw.d.512"({{.*}}) : (vector<32xi16>, vector<32xi16>) -> vector<16xi32>
// CHECK:         arith.sitofp
// CHECK:         vector.maskedstore
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @main(%x: tensor<1x3xi16>) -> tensor<1x4xf32> {
  %zero = arith.constant 0 : i32
  %w = arith.constant dense<[[1, -2, 5, 6], [3, 4, 7, 8], [-128, 127, 9, 10]]> : tensor<3x4xi8>
  %e = tensor.empty() : tensor<1x4xi32>
  %init = linalg.fill ins(%zero : i32) outs(%e : tensor<1x4xi32>) -> tensor<1x4xi32>
  %sums = linalg.generic {indexing_maps = [#a, #b, #c],
                          iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<1x3xi16>, tensor<3x4xi8>) outs(%init : tensor<1x4xi32>) {
  ^bb0(%l: i16, %r: i8, %sum: i32):
    %0 = arith.extsi %l : i16 to i32
    %1 = arith.extsi %r : i8 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %sum, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<1x4xi32>
  %ef = tensor.empty() : tensor<1x4xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%sums : tensor<1x4xi32>) outs(%ef : tensor<1x4xf32>) {
  ^bb0(%l: i32, %out: f32):
    %0 = arith.sitofp %l : i32 to f32
    linalg.yield %0 : f32
  } -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}

// -----

// bf16 in pairs: one instruction, or two multiply-adds on halves that are widened in registers.
// CHECK-LABEL: func.func @run
// CHECK:       func.func private @tile
// CHECK:         scf.for
// V3:            vector.load {{.*}} vector<16xbf16>
// V3:            arith.shli {{.*}} : vector<8xi32>
// V3-COUNT-2:    vector.fma {{.*}} : vector<8xf32>
// V4:            vector.load {{.*}} vector<32xbf16>
// V4:            llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"({{.*}}) : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
// Tiles of 16 x 16 sums: two side by side, of 8 rows, and 32 numbers a step. The sums go through memory to the rest.
// AMX:           llvm.call_intrinsic "llvm.x86.ldtilecfg"
// AMX-COUNT-2:   llvm.call_intrinsic "llvm.x86.tilezero"
// AMX-NOT:       tilezero
// AMX:           scf.for {{.*}} step %c32
// AMX-COUNT-2:     llvm.call_intrinsic "llvm.x86.tileloadd64"
// AMX:             llvm.call_intrinsic "llvm.x86.tileloadd64"
// AMX-COUNT-2:     llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// AMX-COUNT-2:   llvm.call_intrinsic "llvm.x86.tilestored64"
// AMX:           scf.for
// AMX-COUNT-2:     vector.load
// AMX:           llvm.call_intrinsic "llvm.x86.tilerelease"
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<8x64xbf16>) -> tensor<8x32xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<"0xHALVES"> : tensor<64x32xbf16>
  %e = tensor.empty() : tensor<8x32xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %sums = linalg.generic {indexing_maps = [#a, #b, #c],
                          iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xbf16>, tensor<64x32xbf16>) outs(%init : tensor<8x32xf32>) {
  ^bb0(%l: bf16, %r: bf16, %sum: f32):
    %0 = arith.extf %l : bf16 to f32
    %1 = arith.extf %r : bf16 to f32
    %2 = arith.mulf %0, %1 fastmath<reassoc,contract> : f32
    %3 = arith.addf %sum, %2 fastmath<reassoc,contract> : f32
    linalg.yield %3 : f32
  } -> tensor<8x32xf32>
  return %sums : tensor<8x32xf32>
}

// -----

// Weights that are known when running only do not lie in pairs.
// CHECK-LABEL: func.func @run
// CHECK-NOT:     llvm.call_intrinsic
#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
func.func @main(%x: tensor<8x64xi16>, %w: tensor<64x32xi16>) -> tensor<8x32xi32> {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<8x32xi32>
  %init = linalg.fill ins(%zero : i32) outs(%e : tensor<8x32xi32>) -> tensor<8x32xi32>
  %sums = linalg.generic {indexing_maps = [#a, #b, #c],
                          iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<8x64xi16>, tensor<64x32xi16>) outs(%init : tensor<8x32xi32>) {
  ^bb0(%l: i16, %r: i16, %sum: i32):
    %0 = arith.extsi %l : i16 to i32
    %1 = arith.extsi %r : i16 to i32
    %2 = arith.muli %0, %1 : i32
    %3 = arith.addi %sum, %2 : i32
    linalg.yield %3 : i32
  } -> tensor<8x32xi32>
  return %sums : tensor<8x32xi32>
}
