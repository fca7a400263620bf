# SPDX-License-Identifier: MIT
# Copyright (c) 2026 The Cairn authors
#
# How Cairn's C is compiled and linked. Every target of the project goes through cairn_target().

include_guard(GLOBAL)
include(${CMAKE_CURRENT_LIST_DIR}/CairnLayout.cmake)

set(CAIRN_WARNINGS -Wall -Wextra -Wundef -Wshadow -Wconversion -Wmissing-prototypes -Werror)

# Where malloc is being defined, the compiler must not know what malloc is: it would turn malloc and memset into a
# call of calloc, inside calloc, and drop pairs of malloc and free.
set(CAIRN_NO_BUILTIN_MALLOC "")
foreach(name IN ITEMS malloc calloc realloc free aligned_alloc memalign posix_memalign)
  list(APPEND CAIRN_NO_BUILTIN_MALLOC -fno-builtin-${name})
endforeach()

# Compiles `target` as C17 with Cairn's flags, include paths and definitions.
function(cairn_target target)
  set_target_properties(${target} PROPERTIES C_STANDARD 17 C_STANDARD_REQUIRED ON C_EXTENSIONS ON)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE ${CAIRN_WARNINGS} -fvisibility=hidden -fno-plt -fno-semantic-interposition)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
  if(CAIRN_DEBUG)
    target_compile_definitions(${target} PRIVATE CAIRN_DEBUG=1)
  endif()
  if(CAIRN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CAIRN_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${CAIRN_SANITIZE})
  endif()
endfunction()

# Links a shared library of Cairn: calls inside it are bound inside it, everything is resolved at load time, and it
# stays loaded for good, as threads that end and forks call into it. (A sanitizer's own symbols come from the program.)
function(cairn_shared_link target)
  target_link_options(${target} PRIVATE -Wl,-z,nodelete -Wl,-z,now -Wl,-z,relro -Wl,--as-needed
                                        -Wl,-Bsymbolic-functions)
  cairn_lay_out(${target})
  if(CAIRN_SANITIZE)
    target_link_options(${target} PRIVATE -fsanitize=${CAIRN_SANITIZE})
  else()
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
endfunction()

# Sets `result` to the path of folder `to` seen from folder `from` (both absolute).
function(cairn_relative_path result from to)
  file(RELATIVE_PATH path "${from}" "${to}")
  set(${result} "${path}" PARENT_SCOPE)
endfunction()
