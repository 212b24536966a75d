# wirespan_bpf_skeleton(NAME OBJECT object SOURCES x.bpf.c ... [DEFINES ...]): compiles each source for the kernel, links them to one
# object and generates its skeleton; NAME is an interface library giving #include "OBJECT.skel.h".
#
# vmlinux.h, the kernel's own types, is generated from BTF: of the running kernel, or -DWIRESPAN_BTF=FILE. The programs
# are CO-RE: any kernel's BTF does to build, whatever kernel they will run on.

find_program(WIRESPAN_BPF_CLANG NAMES clang-19 clang-18 clang DOC "clang with the bpf target, 18 or newer")
find_program(WIRESPAN_BPFTOOL NAMES bpftool PATHS /usr/sbin DOC "bpftool 7 or newer")
set(WIRESPAN_BTF "" CACHE FILEPATH "BTF (or vmlinux with BTF) to generate vmlinux.h from; default: the running kernel's")

function(wirespan_find_btf OUT)
  if(WIRESPAN_BTF)
    if(NOT EXISTS ${WIRESPAN_BTF})
      message(FATAL_ERROR "WIRESPAN_BTF: ${WIRESPAN_BTF} does not exist")
    endif()
    set(${OUT} ${WIRESPAN_BTF} PARENT_SCOPE)
    return()
  endif()
  file(GLOB candidates /sys/kernel/btf/vmlinux /usr/lib/debug/boot/vmlinux-* /usr/lib/debug/lib/modules/*/vmlinux
       /usr/lib/modules/*/build/vmlinux /boot/vmlinux-*)
  foreach(candidate ${candidates})
    execute_process(COMMAND ${WIRESPAN_BPFTOOL} btf dump file ${candidate} format c OUTPUT_QUIET ERROR_QUIET RESULT_VARIABLE failed)
    if(NOT failed)
      set(${OUT} ${candidate} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR
    "No kernel type information (BTF) to build the BPF programs with: /sys/kernel/btf/vmlinux is missing and no vmlinux "
    "with BTF lies in /boot, /usr/lib/debug or /usr/lib/modules. Build on a kernel with CONFIG_DEBUG_INFO_BTF=y (every "
    "current distribution), or copy /sys/kernel/btf/vmlinux from such a machine of the same architecture and configure "
    "with -DWIRESPAN_BTF=that-file; or configure with -DWIRESPAN_BPF=OFF for everything but live capture.")
endfunction()

function(wirespan_bpf_skeleton NAME)
  cmake_parse_arguments(ARG "" "OBJECT" "SOURCES;DEFINES" ${ARGN})
  list(TRANSFORM ARG_DEFINES PREPEND -D)
  foreach(tool WIRESPAN_BPF_CLANG WIRESPAN_BPFTOOL)
    if(NOT ${tool})
      message(FATAL_ERROR "${tool} not found: install clang-19 and bpftool, or configure with -DWIRESPAN_BPF=OFF")
    endif()
  endforeach()
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    set(arch x86)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(arch arm64)
  else()
    message(FATAL_ERROR "wirespan's BPF programs know x86-64 and arm64, not ${CMAKE_SYSTEM_PROCESSOR}")
  endif()

  set(out ${CMAKE_CURRENT_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out})
  wirespan_find_btf(btf)
  set(vmlinux ${out}/vmlinux.h)
  # sysfs files have the time of their first look-up: not a dependency, or every boot would rebuild.
  if(NOT TARGET vmlinux_h)
    add_custom_command(OUTPUT ${vmlinux}
      COMMAND ${WIRESPAN_BPFTOOL} btf dump file ${btf} format c > ${vmlinux}.new
      COMMAND ${CMAKE_COMMAND} -E rename ${vmlinux}.new ${vmlinux}
      COMMENT "vmlinux.h from ${btf}" VERBATIM)
    add_custom_target(vmlinux_h DEPENDS ${vmlinux})
  endif()

  get_target_property(libbpf_includes PkgConfig::LIBBPF INTERFACE_INCLUDE_DIRECTORIES)
  set(includes)
  foreach(directory ${libbpf_includes})
    if(directory)
      list(APPEND includes -isystem ${directory})
    endif()
  endforeach()

  set(objects)
  foreach(source ${ARG_SOURCES})
    get_filename_component(stem ${source} NAME_WLE)
    set(object ${out}/${ARG_OBJECT}.${stem}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${WIRESPAN_BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${arch} -Wall -Wextra -Werror
        -Wno-unused-parameter # of BPF_PROG's generated wrappers
        ${ARG_DEFINES}
        -I${CMAKE_SOURCE_DIR} -isystem ${out} ${includes} -MD -MF ${object}.d -MT ${object}
        -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${source} ${vmlinux} DEPFILE ${object}.d COMMENT "BPF ${source}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()

  set(linked ${out}/${ARG_OBJECT}.o)
  set(skeleton ${out}/${ARG_OBJECT}.skel.h)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${WIRESPAN_BPFTOOL} gen object ${linked} ${objects}
    COMMAND ${WIRESPAN_BPFTOOL} gen skeleton ${linked} name ${ARG_OBJECT} > ${skeleton}.new
    COMMAND ${CMAKE_COMMAND} -E rename ${skeleton}.new ${skeleton}
    DEPENDS ${objects} COMMENT "BPF skeleton ${ARG_OBJECT}" VERBATIM)
  add_custom_target(${NAME}_generate DEPENDS ${skeleton})
  add_library(${NAME} INTERFACE)
  add_dependencies(${NAME} ${NAME}_generate)
  target_include_directories(${NAME} SYSTEM INTERFACE ${out})
  target_link_libraries(${NAME} INTERFACE PkgConfig::LIBBPF)
endfunction()
