// lathe-opt: runs passes on .mlir text, for tests and for kernel authors.
// Apache-2.0 WITH LLVM-exception
#include "dialects/Graph/Graph.h"
#include "dialects/Rt/Rt.h"
#include "dialects/Sched/Sched.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#ifdef LATHE_HAS_GRAPH
#include "lathe/Graph.h"
#endif
#ifdef LATHE_HAS_GRAPH_TO_LINALG
#include "lathe/GraphToLinalg.h"
#endif
#ifdef LATHE_HAS_SCHEDULE
#include "lathe/Schedule.h"
#endif

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<lathe::graph::GraphDialect, lathe::rt::RtDialect, lathe::sched::SchedDialect>();
  mlir::registerAllPasses();
#ifdef LATHE_HAS_GRAPH
  lathe::graph::registerGraphPasses();
#endif
#ifdef LATHE_HAS_GRAPH_TO_LINALG
  lathe::registerGraphToLinalgPasses();
#endif
#ifdef LATHE_HAS_SCHEDULE
  lathe::schedule::registerPasses();
#endif
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Lathe's optimizer driver\n", registry));
}
