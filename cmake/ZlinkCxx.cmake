# SPDX-License-Identifier: MPL-2.0
# zlink_check_cxx(): CMAKE_CXX_COMPILER is the C++ compiler, or false. CMake looks
# for one once and remembers that there was none; this looks again, as one may have
# been installed since, or the one that was there removed.
include(CheckLanguage)
macro(zlink_check_cxx)
  set(zlink_known_cxx "$CACHE{CMAKE_CXX_COMPILER}")
  if(zlink_known_cxx MATCHES "NOTFOUND$"
      OR (IS_ABSOLUTE "${zlink_known_cxx}" AND NOT EXISTS "${zlink_known_cxx}"))
    unset(CMAKE_CXX_COMPILER CACHE)
  endif()
  if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CXX_COMPILER)
    set(CMAKE_CXX_COMPILER OFF) # the one that would be found is this machine's
  else()
    check_language(CXX)
  endif()
endmacro()
