# SPDX-License-Identifier: MPL-2.0
# cmake -DMANIFEST=FILE -P uninstall.cmake: removes the files that the last install has
# noted in FILE, below DESTDIR as an install does, and the folders named zlink that this
# leaves empty.
if(NOT EXISTS "${MANIFEST}")
  message(FATAL_ERROR "nothing was installed from here: there is no ${MANIFEST}")
endif()

file(STRINGS "${MANIFEST}" installed)
set(folders "")
foreach(file IN LISTS installed)
  set(file "$ENV{DESTDIR}${file}")
  if(EXISTS "${file}" OR IS_SYMLINK "${file}")
    message(STATUS "Removing: ${file}")
    file(REMOVE "${file}")
  else()
    message(STATUS "Not there: ${file}")
  endif()
  get_filename_component(folder "${file}" DIRECTORY)
  if(folder MATCHES "/zlink$")
    list(APPEND folders "${folder}")
  endif()
endforeach()

list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
  file(GLOB left "${folder}/*")
  if(NOT left)
    file(REMOVE_RECURSE "${folder}")
  endif()
endforeach()
file(REMOVE "${MANIFEST}")
