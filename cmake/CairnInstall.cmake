# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
#
# What `make install` lays down: header, libraries, preload (in LIBDIR/cairn, where the command looks for it), command,
# man pages, find_package(cairn) and pkg-config. The package files hold no absolute path: the tree may move.

include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

install(TARGETS cairn-shared cairn-static EXPORT cairn-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS cairn-preload cairn-record LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/cairn)
install(TARGETS cairn RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES include/cairn.h include/cairn_handle.h include/cairn_object.h include/cairn_kinds.h
              include/cairn_python.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

foreach(section IN ITEMS 1 3)
  file(GLOB pages CONFIGURE_DEPENDS docs/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# ---- find_package(cairn) ----

set(cairn_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cairn)
configure_package_config_file(cmake/cairnConfig.cmake.in ${PROJECT_BINARY_DIR}/cmake/cairnConfig.cmake
                              INSTALL_DESTINATION ${cairn_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/cairnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT cairn-targets NAMESPACE cairn:: FILE cairnTargets.cmake DESTINATION ${cairn_package_dir})
install(FILES ${PROJECT_BINARY_DIR}/cmake/cairnConfig.cmake ${PROJECT_BINARY_DIR}/cmake/cairnConfigVersion.cmake
        DESTINATION ${cairn_package_dir})

# ---- pkg-config ----

# Sets `result` to an install folder as cairn.pc writes it: relative to ${prefix} unless the user chose an absolute one.
function(cairn_pkgconfig_dir result dir)
  if(IS_ABSOLUTE "${dir}")
    set(${result} "${dir}" PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${dir}" PARENT_SCOPE)
  endif()
endfunction()

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(cairn_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  cairn_relative_path(cairn_pc_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" cairn_pc_prefix "\${pcfiledir}/${cairn_pc_prefix}")
endif()
cairn_pkgconfig_dir(cairn_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
cairn_pkgconfig_dir(cairn_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
set(cairn_pc_private "")
if(CAIRN_WITH_GMP)
  set(cairn_pc_private " -lgmp")
endif()
configure_file(cmake/cairn.pc.in ${PROJECT_BINARY_DIR}/cmake/cairn.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/cairn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
