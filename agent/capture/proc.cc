#include "agent/capture/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <unordered_map>

#include "agent/capture/runtime.h"

namespace wirespan::proc {
namespace {

constexpr std::size_t kMostText = 64U << 10U;  // of one file: a command line or an environment may be a megabyte

struct CloseDirectory {
  void operator()(DIR* d) const { closedir(d); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string path_of(std::uint32_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

std::string read_file(const std::string& path, std::size_t most = kMostText) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string out;
  std::size_t size = 0;
  while (size < most) {
    // `most` is for the worst case: little is cleared for nothing.
    if (size == out.size()) out.resize(std::min(most, std::max<std::size_t>(4096, 2 * size)));
    const ssize_t n = read(fd, out.data() + size, out.size() - size);
    if (n <= 0) break;
    size += static_cast<std::size_t>(n);
  }
  close(fd);
  out.resize(size);
  return out;
}

std::string read_link(const std::string& path) {
  std::array<char, 4096> target{};
  const ssize_t n = readlink(path.c_str(), target.data(), target.size());
  return n <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(n));
}

template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Pieces between `separator`, empty ones left out.
std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0) out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// Fields of /proc/PID/stat from the third on: the second, the command, may hold anything (proc_pid_stat(5)).
std::vector<std::string_view> stat_fields(std::string_view stat) {
  const std::size_t end = stat.rfind(')');
  return end == std::string_view::npos ? std::vector<std::string_view>() : split(stat.substr(end + 1), ' ');
}

// The unified hierarchy's path ("0::"), or systemd's own where that is the only one with names, or the longest.
std::string cgroup_path(const std::string& file) {
  std::string unified;
  std::string named;
  std::string longest;
  for (const std::string_view line : split(file, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string path(line.substr(second + 1));
    if (controllers.empty()) unified = path;
    if (controllers == "name=systemd") named = path;
    if (path.size() > longest.size()) longest = path;
  }
  for (const std::string& path : {unified, named}) {
    if (path.size() > 1) return path;
  }
  return longest;
}

std::uint64_t clock_ticks_to_ns(std::uint64_t ticks) {
  static const auto per_second = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  return ticks * (1'000'000'000U / per_second);
}

std::vector<std::uint32_t> numeric_entries(const std::string& directory) {
  std::vector<std::uint32_t> out;
  const Directory d(opendir(directory.c_str()));
  if (!d) return out;
  while (const dirent* entry = readdir(d.get())) {
    if (const auto n = number<std::uint32_t>(entry->d_name)) out.push_back(*n);
  }
  return out;
}

void read_cgroup(const std::string& directory, std::size_t limit, int depth, std::vector<std::uint32_t>& out) {
  static constexpr int kMostDepth = 16;
  const std::string procs = read_file(directory + "/cgroup.procs", 4U << 20U);
  for (const std::string_view line : split(procs, '\n')) {
    if (out.size() >= limit) return;
    if (const auto pid = number<std::uint32_t>(line)) out.push_back(*pid);
  }
  if (depth >= kMostDepth) return;
  const Directory d(opendir(directory.c_str()));
  if (!d) return;
  while (const dirent* entry = readdir(d.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      read_cgroup(directory + "/" + entry->d_name, limit, depth + 1, out);
    }
  }
}

// inode -> port of every listening TCP socket in the process's network namespace.
std::unordered_map<std::uint64_t, std::uint16_t> listening_sockets(std::uint32_t pid) {
  std::unordered_map<std::uint64_t, std::uint16_t> out;
  for (const char* file : {"net/tcp", "net/tcp6"}) {
    const std::string text = read_file(path_of(pid, file), 16U << 20U);
    for (const std::string_view line : split(text, '\n')) {
      // sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
      const auto fields = split(line, ' ');
      if (fields.size() < 10 || fields[3] != "0A") continue;
      const std::size_t colon = fields[1].rfind(':');
      if (colon == std::string_view::npos) continue;
      const auto port = number<std::uint16_t>(fields[1].substr(colon + 1), 16);
      const auto inode = number<std::uint64_t>(fields[9]);
      if (port && inode) out.emplace(*inode, *port);
    }
  }
  return out;
}

}  // namespace

std::optional<event::Process> read_process(std::uint32_t pid) {
  const std::string stat = read_file(path_of(pid, "stat"), 4096);
  const auto fields = stat_fields(stat);
  // A zombie has nothing left to tell.
  if (fields.size() < 20 || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  event::Process out;
  out.pid = pid;
  out.parent_pid = number<std::uint32_t>(fields[1]).value_or(0);
  out.started = BootTime{clock_ticks_to_ns(number<std::uint64_t>(fields[19]).value_or(0))};
  out.exe = exe_of(pid);
  out.comm = read_file(path_of(pid, "comm"), 64);
  while (!out.comm.empty() && out.comm.back() == '\n') out.comm.pop_back();
  const std::string cmdline = read_file(path_of(pid, "cmdline"));
  for (std::size_t at = 0; at < cmdline.size();) {
    const std::size_t end = std::min(cmdline.find('\0', at), cmdline.size());
    out.cmdline.push_back(cmdline.substr(at, end - at));
    at = end + 1;
  }
  out.cwd = read_link(path_of(pid, "cwd"));
  out.cgroup = cgroup_path(read_file(path_of(pid, "cgroup")));
  const std::string environ = read_file(path_of(pid, "environ"), 1U << 20U);
  for (const std::string_view variable : split(environ, '\0')) {
    if (variable.starts_with("OTEL_SERVICE_NAME=") || variable.starts_with("OTEL_RESOURCE_ATTRIBUTES=")) {
      out.otel_env.emplace_back(variable);
    }
  }
  out.runtime = runtime_of(pid, out.exe);
  return out;
}

std::vector<std::uint32_t> all_pids() {
  return numeric_entries("/proc");
}

std::uint32_t parent_of(std::uint32_t pid) {
  const std::string stat = read_file(path_of(pid, "stat"), 4096);
  const auto fields = stat_fields(stat);
  return fields.size() < 2 ? 0 : number<std::uint32_t>(fields[1]).value_or(0);
}

std::string exe_of(std::uint32_t pid) {
  std::string exe = read_link(path_of(pid, "exe"));
  static constexpr std::string_view kDeleted = " (deleted)";
  if (exe.ends_with(kDeleted)) exe.resize(exe.size() - kDeleted.size());
  return exe;
}

bool has_epoll(std::uint32_t pid) {
  constexpr std::size_t kMostLookedAt = 4096;
  const std::string fds = path_of(pid, "fd");
  const auto numbers = numeric_entries(fds);
  if (numbers.size() > kMostLookedAt) return true;
  return std::any_of(numbers.begin(), numbers.end(), [&](std::uint32_t fd) {
    return read_link(fds + "/" + std::to_string(fd)) == "anon_inode:[eventpoll]";
  });
}

std::string cgroups_of(std::uint32_t pid) {
  return read_file(path_of(pid, "cgroup"), 65'536);
}

std::vector<std::uint32_t> pids_of_cgroup(const std::string& directory, std::size_t limit) {
  std::vector<std::uint32_t> out;
  read_cgroup(directory, limit, 0, out);
  return out;
}

std::vector<Listener> listeners(const std::vector<std::uint32_t>& pids) {
  std::vector<Listener> out;
  std::map<std::string, std::unordered_map<std::uint64_t, std::uint16_t>> by_namespace;
  for (const std::uint32_t pid : pids) {
    const std::string net = read_link(path_of(pid, "ns/net"));
    if (net.empty()) continue;
    auto [sockets, added] = by_namespace.try_emplace(net);
    if (added) sockets->second = listening_sockets(pid);
    if (sockets->second.empty()) continue;
    std::set<std::uint16_t> ports;
    const std::string fds = path_of(pid, "fd");
    for (const std::uint32_t fd : numeric_entries(fds)) {
      const std::string target = read_link(fds + "/" + std::to_string(fd));
      static constexpr std::string_view kSocket = "socket:[";
      if (!target.starts_with(kSocket)) continue;
      const auto inode =
          number<std::uint64_t>(std::string_view(target).substr(kSocket.size(), target.size() - kSocket.size() - 1));
      const auto found = inode ? sockets->second.find(*inode) : sockets->second.end();
      if (found != sockets->second.end()) ports.insert(found->second);
    }
    for (const std::uint16_t port : ports) out.push_back({pid, port});
  }
  return out;
}

}  // namespace wirespan::proc
