#include "agent/capture/python_executable.h"

#include <gtest/gtest.h>

#include "agent/capture/python_probes.h"

namespace wirespan {
namespace {

TEST(PythonExecutable, ReleasesByTheNamesOfFiles) {
  EXPECT_EQ(python_minor_of("python3.11"), 11U);
  EXPECT_EQ(python_minor_of("libpython3.12.so.1.0"), 12U);
  EXPECT_EQ(python_minor_of("libpython3.7m.so.1.0"), 7U);
  for (const char* other : {"", "python", "python3", "python3.", "libpython3.so", "python3.13t", "libpython3.8d.so.1.0",
                            "python3.99999999999"}) {
    EXPECT_EQ(python_minor_of(other), 0U) << other;
  }
}

TEST(PythonExecutable, OffsetsOfKnownReleasesAndNoOthers) {
  ASSERT_TRUE(python_offsets_of(8) && python_offsets_of(11) && python_offsets_of(13));
  EXPECT_EQ(python_offsets_of(8)->context, 240);
  EXPECT_EQ(python_offsets_of(11)->context, 224);
  EXPECT_EQ(python_offsets_of(13)->thread_id, 152);
  EXPECT_FALSE(python_offsets_of(0) || python_offsets_of(7) || python_offsets_of(14));
}

TEST(PythonExecutable, WhatIsNoPythonSaysSo) {
  EXPECT_FALSE(read_python_executable("/proc/self/exe", 11));
  EXPECT_FALSE(read_python_executable("/proc/self/status", 11));
  EXPECT_FALSE(read_python_executable("/nonexistent", 11));
}

TEST(PythonMapping, TheLibraryBeforeTheExecutable) {
  const std::string maps =
      "555500000000-555500001000 r--p 00000000 fe:01 77 /opt/app\n"
      "7f0000000000-7f0000001000 r--p 00000000 fe:01 88 /usr/lib/libpython3.11.so.1.0\n"
      "7f0000001000-7f0000009000 r-xp 00001000 fe:01 88 /usr/lib/libpython3.11.so.1.0\n"
      "7f0000010000-7f0000011000 r--p 00000000 fe:01 99 /v/gevent/_gevent_c_hub_local.cpython-311.so\n";
  const PythonMapping found = python_mapping(1, maps);
  EXPECT_EQ(found.start, 0x7f0000000000U);
  EXPECT_EQ(found.inode, 88U);
  EXPECT_EQ(found.name, "/usr/lib/libpython3.11.so.1.0");
  EXPECT_TRUE(found.gevent);
  EXPECT_TRUE(python_mapping(1, "nonsense\n\n7f- /libpython3.so\n").path.empty());
}

}  // namespace
}  // namespace wirespan
