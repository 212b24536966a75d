// SimpleQueue's functions in real files. Leaves out what is not installed.
#include "agent/capture/python_queue.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace wirespan {
namespace {

// The libraries of the system's interpreters and of pyenv's.
std::vector<std::string> libraries() {
  const char* const home = std::getenv("HOME");
  std::vector<std::filesystem::path> folders{"/usr/lib"};
  std::error_code error;
  const std::filesystem::path versions = std::filesystem::path(home != nullptr ? home : "/root") / ".pyenv/versions";
  for (const auto& entry : std::filesystem::directory_iterator(versions, error))
    folders.push_back(entry.path() / "lib");
  std::vector<std::string> out;
  for (const auto& folder : folders) {
    for (int minor = 8; minor <= 13; ++minor) {
      const auto loaded = folder / ("python3." + std::to_string(minor)) / "lib-dynload";
      for (const auto& entry : std::filesystem::directory_iterator(loaded, error)) {
        if (entry.path().filename().string().starts_with("_queue.")) out.push_back(entry.path());
      }
    }
  }
  return out;
}

std::vector<std::string> interpreters() {
  std::vector<std::string> out;
  std::error_code error;
  for (int minor = 8; minor <= 13; ++minor) {
    const std::string system = "/usr/bin/python3." + std::to_string(minor);
    if (std::filesystem::exists(system, error)) out.push_back(system);
  }
  const char* const home = std::getenv("HOME");
  const std::filesystem::path versions = std::filesystem::path(home != nullptr ? home : "/root") / ".pyenv/versions";
  for (const auto& entry : std::filesystem::directory_iterator(versions, error)) {
    out.push_back(entry.path() / "bin/python3");
    for (const auto& library : std::filesystem::directory_iterator(entry.path() / "lib", error)) {
      if (library.path().filename().string().starts_with("libpython3.")) out.push_back(library.path());
    }
  }
  return out;
}

std::set<int> bytes_at(const std::string& path, const std::vector<std::uint64_t>& offsets) {
  std::set<int> out;
  std::ifstream file(path, std::ios::binary);
  for (const std::uint64_t offset : offsets) {
    file.seekg(static_cast<std::streamoff>(offset));
    out.insert(file.get());
  }
  return out;
}

TEST(PythonQueue, FunctionsOfRealLibraries) {
  const auto found = libraries();
  if (found.empty()) GTEST_SKIP() << "no python3 of 3.8 to 3.13";
  for (const std::string& path : found) {
    SCOPED_TRACE(path);
    const auto queue = read_python_queue(path);
    ASSERT_TRUE(queue) << queue.error().text();
    EXPECT_EQ((*queue).puts.size(), 2U);
    EXPECT_GE((*queue).gets.size(), 1U);
    EXPECT_EQ(bytes_at(path, (*queue).gets), std::set<int>{0xc3});
  }
}

// Of interpreters: their own file, or the library they are in.
TEST(PythonQueue, DequesOfRealInterpreters) {
  std::size_t found = 0;
  for (const std::string& path : interpreters()) {
    SCOPED_TRACE(path);
    const auto deque = read_python_deque(path);
    if (!deque && deque.error().code == ENOENT) continue;  // it is in libpython
    ASSERT_TRUE(deque) << deque.error().text();
    EXPECT_NE((*deque).append, (*deque).popleft);
    ++found;
  }
  if (found == 0) GTEST_SKIP() << "no python3 of 3.8 to 3.13";
}

TEST(PythonQueue, WhatHasNoneSaysSo) {
  for (const char* path : {"/proc/self/exe", "/proc/self/status", "/nonexistent"}) {
    const auto queue = read_python_queue(path);
    EXPECT_FALSE(queue) << path;
    EXPECT_FALSE(read_python_deque(path)) << path;
  }
  EXPECT_EQ(read_python_queue("/proc/self/exe").error().code, ENOENT);
}

}  // namespace
}  // namespace wirespan
