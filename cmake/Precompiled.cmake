# Half of a build would be spent on making the tests' own code fast; what they test is a library.
function(wirespan_test_flags NAME)
  target_compile_options(${NAME} PRIVATE $<$<CONFIG:Release>:-O0 -U_FORTIFY_SOURCE>)
endfunction()

# What nearly every file includes, read once a build: half of a build's time went into reading it again. Standard and
# test headers only, so that a change of the project's own never rebuilds everything for this reason; each file still
# includes what it uses (the fuzz preset builds without).
option(WIRESPAN_PRECOMPILE "Precompile the standard headers" ON)
if(WIRESPAN_PRECOMPILE)
  set(standard <algorithm> <array> <charconv> <chrono> <cstdint> <deque> <filesystem> <fstream> <functional> <map> <memory>
      <mutex> <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <tuple> <unordered_map>
      <unordered_set> <utility> <variant> <vector>)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/precompiled.cc CONTENT "// A target has a source.\n")
  add_library(wirespan_precompiled OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  target_link_libraries(wirespan_precompiled PRIVATE wirespan_options)
  target_precompile_headers(wirespan_precompiled PRIVATE ${standard})
  add_library(wirespan_precompiled_tests OBJECT ${CMAKE_BINARY_DIR}/precompiled.cc)
  wirespan_test_flags(wirespan_precompiled_tests)
  target_link_libraries(wirespan_precompiled_tests PRIVATE wirespan_options GTest::gmock GTest::gtest)
  target_precompile_headers(wirespan_precompiled_tests PRIVATE ${standard} <gmock/gmock.h> <gtest/gtest.h>)
endif()

function(wirespan_precompiled NAME HEADERS)
  if(WIRESPAN_PRECOMPILE)
    target_precompile_headers(${NAME} REUSE_FROM ${HEADERS})
  endif()
endfunction()
