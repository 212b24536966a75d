find_program(CCACHE ccache)
if(CCACHE)
  # Else it keeps nothing that was compiled with precompiled headers (its manual, "Precompiled headers").
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

add_library(wirespan_options INTERFACE)
target_compile_options(wirespan_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wcast-align -Wundef -Wvla -Werror -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(wirespan_options INTERFACE $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # gcc 12 sees copies in std::string's operator+ that overlap or are too long where there are none (gcc bug 105651).
  target_compile_options(wirespan_options INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread
                         -Wno-array-bounds)
endif()
target_include_directories(wirespan_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})

if(WIRESPAN_SANITIZE)
  target_compile_options(wirespan_options INTERFACE -fsanitize=${WIRESPAN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(wirespan_options INTERFACE -fsanitize=${WIRESPAN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 takes what the instrumentation reads for uninitialised; the sanitizers see the real ones.
    target_compile_options(wirespan_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
if(WIRESPAN_FUZZ)
  target_compile_options(wirespan_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(wirespan_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
