# SPDX-License-Identifier: MPL-2.0
# Header, library, CMake package and pkg-config file. The two descriptions find
# the rest relative to themselves, so an installed tree can be moved.
include(CMakePackageConfigHelpers)

set(zlink_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/zlink")
set(zlink_pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
file(RELATIVE_PATH zlink_pc_to_prefix
  "${CMAKE_INSTALL_PREFIX}/${zlink_pc_dir}" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" zlink_pc_to_prefix "${zlink_pc_to_prefix}")

configure_package_config_file(
  cmake/zlinkConfig.cmake.in "${PROJECT_BINARY_DIR}/cmake/zlinkConfig.cmake"
  INSTALL_DESTINATION "${zlink_cmake_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/cmake/zlinkConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
configure_file(cmake/zlink.pc.in "${PROJECT_BINARY_DIR}/cmake/zlink.pc" @ONLY)

install(FILES "${zlink_header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(PROGRAMS "${zlink_lib_dir}/${zlink_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${zlink_lib_dir}/${zlink_soname}" "${zlink_lib_dir}/libzlink.so"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES
  "${PROJECT_BINARY_DIR}/cmake/zlinkConfig.cmake"
  "${PROJECT_BINARY_DIR}/cmake/zlinkConfigVersion.cmake"
  DESTINATION "${zlink_cmake_dir}")
install(FILES "${PROJECT_BINARY_DIR}/cmake/zlink.pc" DESTINATION "${zlink_pc_dir}")
