// RUN: %lathe-opt %s --canonicalize --schedule-form-dispatches --canonicalize --schedule-plan-memory | FileCheck %s

// A builtin gets contiguous tensors and makes its results, whose size is known afterwards.
// CHECK-LABEL: func.func @run
// CHECK-DAG:     %[[X:.*]] = rt.input
// CHECK-DAG:     %[[COPY:.*]] = rt.arena
// CHECK:         rt.dispatch @{{.*}} buffers(%{{.*}}, %[[COPY]])
// CHECK:         %[[MADE:.*]], %[[SIZES:.*]]:2 = rt.invoke "lathe_text_split"({{.*}}) buffers(%[[COPY]]) sizes(%c3)
// CHECK-SAME:      ranks = array<i64: 1>, result_ranks = array<i64: 2>
// CHECK:         rt.allocate_output %{{.*}}[0] dims(%c3, %[[SIZES]]#1)
// CHECK:         rt.dispatch @{{.*}} buffers(%[[MADE]]
func.func @main(%x: tensor<6xi128>) -> tensor<3x?xi128> {
  %part = tensor.extract_slice %x[0] [3] [2] : tensor<6xi128> to tensor<3xi128>
  %made, %size = rt.call "lathe_text_split"(%part) [-1], "failed" : (tensor<3xi128>) -> (tensor<3x?xi128>) sizes(index)
  return %made : tensor<3x?xi128>
}
