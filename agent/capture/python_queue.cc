#include "agent/capture/python_queue.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "agent/capture/elf_file.h"
#include "agent/capture/probe_site.h"
#include "agent/capture/python_methods.h"
#include "agent/capture/returns.h"

namespace wirespan {
namespace {

// Where the methods stand in the tables of every release: 3.7 to 3.13.
constexpr std::array<const char*, 6> kQueueMethods{"empty", "get", "get_nowait", "put", "put_nowait", "qsize"};
enum QueueMethod : std::size_t { kGet = 1, kGetNowait = 2, kPut = 3, kPutNowait = 4 };
constexpr std::array<const char*, 12> kDequeMethods{"append", "appendleft", "clear", "__copy__", "copy", "count",
                                                    "extend", "extendleft", "index", "insert",   "pop",  "popleft"};
enum DequeMethod : std::size_t { kAppend = 0, kPopleft = 11 };

constexpr std::size_t kMostFunctions = 8;

Error not_understood(const std::string& why) {
  return Error{"its queue is not understood: " + why, ENOTSUP, {}};
}

// get_nowait() may end in a function that get() calls: what is taken is told where that returns, once.
Result<std::vector<std::uint64_t>> returns_of_gets(std::vector<std::uint64_t> functions, const ReadCode& read) {
  std::vector<WaysOut> ways;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    auto out = ways_out_of(functions[i], 0, read);
    if (!out) return not_understood(out.error().what);
    for (const std::uint64_t exit : (*out).exits) {
      if (std::ranges::find(functions, exit) == functions.end()) functions.push_back(exit);
    }
    if (functions.size() > kMostFunctions) return not_understood("it ends in other functions");
    ways.push_back(*std::move(out));
  }
  std::vector<std::uint64_t> returns;
  for (const WaysOut& way : ways) {
    const bool passes_on = std::ranges::any_of(way.calls, [&](std::uint64_t call) {
      return std::ranges::any_of(ways, [&](const WaysOut& of) { return std::ranges::binary_search(of.code, call); });
    });
    if (!passes_on) returns.insert(returns.end(), way.returns.begin(), way.returns.end());
  }
  std::ranges::sort(returns);
  returns.erase(std::unique(returns.begin(), returns.end()), returns.end());
  if (returns.empty()) return not_understood("it never returns");
  return returns;
}

// Where a method's first arguments are still in place, as an offset in the file. 0: it is nowhere.
std::uint64_t entry_of(const ElfFile& elf, std::uint64_t function, std::size_t arguments) {
  const std::uint64_t entry = elf.offset_of(function);
  return entry == 0 ? 0 : entry + probe_site(elf.read_at(entry, kProbeSiteCode), arguments);
}

}  // namespace

Result<PythonQueue> read_python_queue(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  const ElfFile& elf = **file;
  if (elf.arm64()) return Error{"Python's queues are only found on amd64", ENOTSUP, {}};
  const PythonMethods methods(elf, kQueueMethods, kGetNowait);
  if (!methods.found()) return Error{"it has no table of SimpleQueue's methods", ENOENT, {}};
  const ReadCode read = [&elf](std::uint64_t address, std::size_t size) {
    const std::uint64_t offset = elf.offset_of(address);
    return offset == 0 ? std::vector<std::uint8_t>() : elf.read_at(offset, size);
  };
  PythonQueue out;
  for (const QueueMethod put : {kPut, kPutNowait}) {
    out.puts.push_back(entry_of(elf, methods.function(put), 2));
    if (out.puts.back() == 0) return not_understood("a function of its table is nowhere");
  }
  auto returns = returns_of_gets({methods.function(kGet), methods.function(kGetNowait)}, read);
  if (!returns) return returns.error();
  for (const std::uint64_t address : *returns) out.gets.push_back(elf.offset_of(address));
  return out;
}

Result<PythonDeque> read_python_deque(const std::string& path) {
  auto file = ElfFile::open(path);
  if (!file) return file.error();
  const ElfFile& elf = **file;
  if (elf.arm64()) return Error{"Python's queues are only found on amd64", ENOTSUP, {}};
  const PythonMethods methods(elf, kDequeMethods, kPopleft);
  if (!methods.found()) return Error{"it has no table of deque's methods", ENOENT, {}};
  const PythonDeque out{entry_of(elf, methods.function(kAppend), 2), entry_of(elf, methods.function(kPopleft), 1)};
  if (out.append == 0 || out.popleft == 0) return not_understood("a function of its table is nowhere");
  return out;
}

}  // namespace wirespan
