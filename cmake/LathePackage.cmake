# What `cmake --install` puts where, find_package(Lathe), pkg-config, and the packages of CPack:
#   cmake --install build --prefix DIR [--component runtime|compiler|sign]
#   cpack --config build/CPackConfig.cmake -G DEB     lathe-runtime, lathe-compiler, lathe-sign .deb
# Components: `runtime` is liblathe, its headers, the emulator of GPUs and the `lathe` command;
# `compiler` lathe-compile beside it; `sign` what needs libcrypto.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(lathe liblathe-static PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>;$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
set_target_properties(liblathe-static PROPERTIES EXPORT_NAME lathe-static)
set_target_properties(lathe-emulator PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS lathe liblathe-static lathe-emulator EXPORT LatheTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime)
install(DIRECTORY include/lathe-c include/lathe-cpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        COMPONENT runtime PATTERN Sign.h EXCLUDE)
install(FILES include/lathe/ArtifactFormat.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lathe
        COMPONENT runtime)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Lathe)
configure_package_config_file(cmake/LatheConfig.cmake.in ${PROJECT_BINARY_DIR}/LatheConfig.cmake
                              INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/LatheConfigVersion.cmake
                                 COMPATIBILITY SameMajorVersion)
install(EXPORT LatheTargets NAMESPACE Lathe:: DESTINATION ${config_dir} COMPONENT runtime)
install(FILES ${PROJECT_BINARY_DIR}/LatheConfig.cmake
              ${PROJECT_BINARY_DIR}/LatheConfigVersion.cmake
        DESTINATION ${config_dir} COMPONENT runtime)
# lathe.pc finds everything from where it lies, so that the prefix may be moved.
file(RELATIVE_PATH PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" PC_TO_PREFIX "${PC_TO_PREFIX}")
configure_file(cmake/lathe.pc.in ${PROJECT_BINARY_DIR}/lathe.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lathe.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT runtime)

# The commands find liblathe beside their folder, wherever that is.
function(lathe_install_command target component)
  if(TARGET ${target})
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT ${component})
  endif()
endfunction()
lathe_install_command(lathe-tool runtime)
lathe_install_command(lathe-compile compiler)
if(TARGET lathe-compile)
  # Debian keeps libMLIR where the loader does not look.
  set_property(TARGET lathe-compile APPEND PROPERTY INSTALL_RPATH ${LLVM_LIBRARY_DIRS})
endif()
lathe_install_command(lathe-sign-tool sign)
set(components runtime)
if(TARGET lathe-compile)
  list(APPEND components compiler)
endif()
if(TARGET lathe-sign)
  list(APPEND components sign)
  set_target_properties(lathe-sign PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS lathe-sign LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sign)
  install(FILES include/lathe-c/Sign.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lathe-c
          COMPONENT sign)
endif()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lathe)
set(CPACK_PACKAGE_VENDOR "The Lathe project")
set(CPACK_PACKAGE_CONTACT "The Lathe project <maintainers@lathe.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "ML compiler and runtime: a model becomes a binary")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# liblathe itself is in the package, or in the one that is depended on by name.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
foreach(component runtime compiler sign)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME lathe-${component})
  if(NOT component STREQUAL runtime)
    set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "lathe-runtime (= ${PROJECT_VERSION})")
  endif()
endforeach()
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
    "liblathe, its headers, the emulator of GPUs and the lathe command")
set(CPACK_COMPONENT_COMPILER_DESCRIPTION "the compiler behind lathe compile")
set(CPACK_COMPONENT_SIGN_DESCRIPTION "signatures of artifacts")
include(CPack)
