# lathe_add_compiler_library(NAME sources... [LINK libs...] [DEPENDS targets...])
#   A static library of the compiler: no RTTI (as LLVM), MLIR's headers precompiled.
# lathe_add_tablegen(NAME file.td  out1 -gen-... [out2 -gen-...])
include_guard()

# lathe_set_compiler_flags(NAME): what the sources of such a library are built with.
function(lathe_set_compiler_flags name)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}
                                            ${PROJECT_BINARY_DIR})
  target_include_directories(${name} SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_precompile_headers(${name} REUSE_FROM lathe-pch)
endfunction()

function(lathe_add_compiler_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  lathe_set_compiler_flags(${name})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# Generates into the build tree at the same relative path, so that sources include
# "dialects/Graph/GraphOps.h.inc".
function(lathe_add_tablegen name td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  list(LENGTH ARGN count)
  math(EXPR last "${count} - 1")
  foreach(i RANGE 0 ${last} 2)
    math(EXPR j "${i} + 1")
    list(GET ARGN ${i} out)
    list(GET ARGN ${j} gens)
    separate_arguments(gens)
    mlir_tablegen(${out} ${gens} EXTRA_INCLUDES ${MLIR_INCLUDE_DIRS} ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include)
  endforeach()
  add_public_tablegen_target(${name})
endfunction()
