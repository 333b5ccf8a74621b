# SPDX-License-Identifier: MPL-2.0
# Headers, library, CMake package and pkg-config files, and the target uninstall. The
# descriptions find the rest relative to themselves, so an installed tree can be moved.
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
foreach(zlink_pc_name zlink libzlink)
  configure_file(cmake/zlink.pc.in "${PROJECT_BINARY_DIR}/cmake/${zlink_pc_name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/cmake/${zlink_pc_name}.pc" DESTINATION "${zlink_pc_dir}")
endforeach()

install(FILES "${zlink_header}" include/zlink_services.h include/zlink_utils.h bindings/cpp/include/zlink.hpp
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(PROGRAMS "${zlink_lib_dir}/${zlink_file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${zlink_lib_dir}/${zlink_soname}" "${zlink_lib_dir}/libzlink.so"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# CMake strips what it has linked itself only.
install(CODE "
  if(CMAKE_INSTALL_DO_STRIP)
    execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-unneeded
      \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}/${zlink_file}\"
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR \"cannot strip ${zlink_file}\")
    endif()
  endif()")
install(FILES
  "${PROJECT_BINARY_DIR}/cmake/zlinkConfig.cmake"
  "${PROJECT_BINARY_DIR}/cmake/zlinkConfigVersion.cmake"
  DESTINATION "${zlink_cmake_dir}")

if(is_top_level)
  add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} "-DMANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt"
      -P "${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake"
    VERBATIM)
endif()
