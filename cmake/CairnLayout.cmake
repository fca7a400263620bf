# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
#
# Where the parts of Cairn's shared libraries lie. A process that Cairn serves has the pages of the library that it
# touches in its resident memory, and the system maps the 64 KiB around a page of a file that is touched. So segments
# start at multiples of 64 KiB, what every process needs lies together, and what few need apart from it (layout.ld.in):
#   - code in the order of the sources: what requests need, then what the start needs, then the rest; the constants of
#     the first beside the tables that the dynamic linker searches, those of the others behind them;
#   - variables in the order of the sources, large ones behind the others.

include_guard(GLOBAL)
include(CheckLinkerFlag)

set(CAIRN_SOURCES_OF_REQUESTS
    src/heap/owner.c src/heap/request.c src/malloc/malloc.c src/python/domains.c src/heap/large.c src/heap/hole.c
    src/heap/hole_quick.c src/heap/hole_index.c src/heap/hole_tree.c src/heap/hole_pages.c src/heap/arena.c src/heap/owned.c
    src/heap/sweep.c src/heap/pagemap.c src/heap/meta.c src/heap/foreign.c src/heap/thread.c src/heap/supply.c
    src/os/os_linux.c src/os/os_posix.c src/os/os_file.c src/malloc/start.c) # these two give back what lies behind
set(CAIRN_SOURCES_OF_START
    src/heap/remote.c src/heap/envelope.c src/heap/region.c src/heap/heap.c src/heap/options.c src/heap/geometry.c
    src/heap/text.c src/malloc/program.c src/malloc/idle.c src/malloc/children.c src/malloc/operators.c
    src/malloc/exit.c
    src/observe/report_file.c src/python/command_line.c src/python/waiting.c src/python/snapshot.c
    src/malloc/report.c src/malloc/leak_check.c src/python/pauses.c src/python/trace.c)

# Sets `result` to lines of a linker script that take these sections of the objects of the sources given.
function(cairn_script_lines result sections)
  set(lines "")
  foreach(name IN LISTS ARGN)
    string(APPEND lines "        *${name}.o(${sections})\n")
  endforeach()
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

cairn_script_lines(CAIRN_LAYOUT_CONSTANTS ".rodata .rodata.*" ${CAIRN_SOURCES_OF_REQUESTS})
cairn_script_lines(CAIRN_LAYOUT_CODE ".text .text.startup" ${CAIRN_SOURCES_OF_REQUESTS})
cairn_script_lines(CAIRN_LAYOUT_START ".text" ${CAIRN_SOURCES_OF_START})
configure_file(${CMAKE_CURRENT_LIST_DIR}/layout.ld.in ${PROJECT_BINARY_DIR}/layout.ld @ONLY)
set(CAIRN_LAYOUT "LINKER:-T,${PROJECT_BINARY_DIR}/layout.ld,-z,max-page-size=65536")
check_linker_flag(C "${CAIRN_LAYOUT}" CAIRN_CAN_LAYOUT)

# Sets `result` to the source files given, in that order; start.c, whose constructor is to run last, at the end.
function(cairn_in_order result)
  set(ordered "")
  foreach(name IN LISTS CAIRN_SOURCES_OF_REQUESTS CAIRN_SOURCES_OF_START)
    if("${PROJECT_SOURCE_DIR}/${name}" IN_LIST ARGN)
      list(APPEND ordered "${PROJECT_SOURCE_DIR}/${name}")
    endif()
  endforeach()
  list(APPEND ordered ${ARGN})
  set(last "${PROJECT_SOURCE_DIR}/src/malloc/start.c")
  if(last IN_LIST ordered)
    list(REMOVE_ITEM ordered "${last}")
    list(APPEND ordered "${last}")
  endif()
  list(REMOVE_DUPLICATES ordered)
  set(${result} ${ordered} PARENT_SCOPE)
endfunction()

# Lays out a shared library, if the linker is one that can be told how.
function(cairn_lay_out target)
  if(CAIRN_CAN_LAYOUT AND NOT CAIRN_SANITIZE)
    target_link_options(${target} PRIVATE ${CAIRN_LAYOUT})
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${PROJECT_BINARY_DIR}/layout.ld)
  endif()
endfunction()
