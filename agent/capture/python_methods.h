// Where the functions of a type of Python's standard library are that is written in C, without symbols: by the table
// that names its methods to Python (struct PyMethodDef[]). Trusts no length in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/elf_file.h"

namespace wirespan {

class PythonMethods {
 public:
  // The names of a table's methods, from its first on and in its order, and which of them is the rarest in programs.
  PythonMethods(const ElfFile& file, std::span<const char* const> names, std::size_t rarest);

  // False: there is no such table, or more than one.
  [[nodiscard]] bool found() const { return table_ != 0; }
  // Its address. 0: it is not in the table.
  [[nodiscard]] std::uint64_t function(std::size_t method) const;

 private:
  void find_names();
  void read_relocations();
  void find_words();
  void find_table();
  void note(std::uint64_t slot, std::uint64_t word);
  [[nodiscard]] std::uint64_t word(std::uint64_t address) const;
  [[nodiscard]] bool is_table(std::uint64_t table) const;

  const ElfFile& file_;
  std::span<const char* const> methods_;
  std::size_t rarest_;
  std::uint64_t table_ = 0;
  std::vector<std::uint64_t> names_;  // addresses of the rarest name
  std::vector<std::uint64_t> slots_;  // of words that point to one
  std::unordered_map<std::uint64_t, std::uint64_t> relocated_;
};

}  // namespace wirespan
