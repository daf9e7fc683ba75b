// What copies to shared memory, and loads of matrices from there, refuse.
// RUN: %lathe-opt %s --split-input-file --verify-diagnostics
func.func @three(%from: memref<64xf16>, %to: memref<64xf16>, %at: index) {
  // expected-error @+1 {{copies 4, 8 or 16 bytes, got 3 of 'f16'}}
  rt.copy_async %from[%at], %to[%at] count 3 : memref<64xf16>, memref<64xf16>
  return
}

// -----
func.func @types(%from: memref<64xf16>, %to: memref<64xf32>, %at: index) {
  // expected-error @+1 {{copies 'f16' to memory of another type, 'memref<64xf32>'}}
  rt.copy_async %from[%at], %to[%at] count 2 : memref<64xf16>, memref<64xf32>
  return
}

// -----
func.func @wide(%part: memref<64xf32>, %at: index) {
  // expected-error @+1 {{loads numbers of 16 bits, got 'vector<8xf32>' from 'memref<64xf32>'}}
  %0 = rt.load_matrices %part[%at] : memref<64xf32> -> vector<8xf32>
  return
}

// -----
func.func @many(%part: memref<64xf16>, %at: index) {
  // expected-error @+1 {{gives each lane two numbers of 1, 2 or 4 matrices, got 'vector<6xf16>'}}
  %0 = rt.load_matrices %part[%at] : memref<64xf16> -> vector<6xf16>
  return
}
