// What tensor maps, and what works with them, refuse.
// RUN: %lathe-opt %s --split-input-file --verify-diagnostics
func.func @ranks(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{has 1 to 5 sizes, as many numbers of the box, and a stride less, got 2, 1 and 1}}
  %0 = rt.tensor_map %base sizes(%size, %size) strides(%size) box [8] of f16 : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @element(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{is of elements of 1, 2, 4 or 8 bytes, got 'i1'}}
  %0 = rt.tensor_map %base sizes(%size) strides() box [8] of i1 : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @box(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{has boxes of 1 to 256 elements in each dimension, got 8, 257}}
  %0 = rt.tensor_map %base sizes(%size, %size) strides(%size) box [8, 257] of f16 : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @swizzle(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{has a swizzle of 0, 32, 64 or 128 bytes, got 16}}
  %0 = rt.tensor_map %base sizes(%size) strides() box [8] of f16 {swizzle = 16 : i64} : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @rows(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{has rows of a multiple of 16 bytes, and of its swizzle, got 16}}
  %0 = rt.tensor_map %base sizes(%size) strides() box [8] of f16 {swizzle = 128 : i64} : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @offset(%base: !llvm.ptr, %size: index) {
  // expected-error @+1 {{begins at element -8}}
  %0 = rt.tensor_map %base sizes(%size) strides() box [8] of f16 {offset = -8 : i64} : !llvm.ptr -> !llvm.ptr
  return
}

// -----
func.func @barrier(%barriers: memref<4xi32>, %at: index) {
  // expected-error @+1 {{needs a barrier of 64 bits, got one of 'memref<4xi32>'}}
  rt.wait_phase %barriers[%at] parity %at : memref<4xi32>
  return
}

// -----
func.func @arrivals(%barriers: memref<4xi64>, %at: index) {
  // expected-error @+1 {{takes 1 to 1048575 arrivals, got 0}}
  rt.init_phases %barriers[%at] count 0 : memref<4xi64>
  return
}

// -----
func.func @bytes(%barriers: memref<4xi64>, %at: index) {
  // expected-error @+1 {{expects up to 1048575 bytes, got -1}}
  rt.arrive %barriers[%at] expect -1 : memref<4xi64>
  return
}

// -----
func.func @coordinates(%map: !llvm.ptr, %part: memref<64xf16>, %barriers: memref<4xi64>, %at: index) {
  // expected-error @+1 {{has 1 to 5 coordinates, got 0}}
  rt.copy_tensor %map[], %part[%at], %barriers[%at] : !llvm.ptr, memref<64xf16>, memref<4xi64>
  return
}
