#include "agent/capture/java_continuations.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <utility>

#include "agent/capture/java_references.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostRead = 40'000;  // objects, on the way to channels: some 0.5 us each
// Those not registered with a selector are not found: so many more objects than led to the last one are looked at.
constexpr std::size_t kMostBeyond = 2;
constexpr std::size_t kFirstBeyond = 1000;
constexpr std::size_t kFewestAccepted = 2;
constexpr int kMostAttempts = 4;  // of a look, as objects are moved
constexpr std::chrono::milliseconds kCollection{10};
constexpr std::int64_t kCheckBetween = 100'000'000;  // of who has too few connections
constexpr int kFirstLooks = 8;                       // that found ways, before they become rarer
constexpr int kMostStale = 2;                        // looks that bring nothing new, before they become rarer
constexpr std::int64_t kMostBetween = 60'000'000'000;
// The first while a service's first calls are under way.
constexpr std::int64_t kBetweenFirstClassLooks = 20'000'000;
constexpr int kFirstClassLooks = 100;
constexpr std::int64_t kBetweenClassLooks = 100'000'000;
constexpr int kMoreClassLooks = 130;  // before they become rarer
constexpr int kMostDoublings = 10;
// After those looks may take a twentieth of a core.
constexpr std::int64_t kPauses = 20;

std::uint64_t inode_of(std::uint32_t pid, std::int32_t fd) {
  std::error_code error;
  const std::string link =
      std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd), error).string();
  constexpr std::string_view kSocket = "socket:[";
  return link.starts_with(kSocket) ? std::strtoull(link.c_str() + kSocket.size(), nullptr, 10) : 0;
}

std::size_t count_of(const ConnSides& sides, TcpSide side) {
  return static_cast<std::size_t>(std::ranges::count_if(sides, [side](const auto& one) { return one.second == side; }));
}

// The channels of a process's connections, from its threads on: selectors know those they wait for.
class Channels {
 public:
  Channels(JavaLearning& learning, const JavaObjects& objects, JavaReferences& references, const ConnSides& sides)
      : learning_(learning), objects_(objects), references_(references), sides_(sides) {}

  // Those of connections the process has made, or that were made to it. Selectors are near their threads: most objects
  // need not be read.
  std::vector<std::uint64_t> find(const std::vector<std::uint64_t>& threads, TcpSide wanted) {
    const std::size_t most = std::min(count_of(sides_, wanted), JavaWays::kMost);
    std::vector<std::uint64_t> out;
    std::unordered_set<std::uint64_t> seen(threads.begin(), threads.end());
    std::vector<std::uint64_t> frontier = threads;
    std::size_t enough = kMostRead;
    while (!frontier.empty() && seen.size() < enough && out.size() < most) {
      std::vector<std::uint64_t> next;
      for (const std::uint64_t object : frontier) {
        if (out.size() == most) break;
        const JavaGraph::Object& read = references_.read(object);
        if (read.named == 0 || references_.layout_of(read.named).code) continue;
        if (is_channel(object, read.named)) {
          if (side(object) != wanted) continue;
          out.push_back(object);
          if (out.size() >= JavaWays::kFewest) enough = std::min(kMostRead, seen.size() * kMostBeyond + kFirstBeyond);
          continue;
        }
        for (const JavaReference& reference : read.references) {
          if (seen.size() < enough && seen.insert(reference.to).second) next.push_back(reference.to);
        }
      }
      frontier = std::move(next);
    }
    return out;
  }

  // Whether it names a thread, which waits.
  bool is_waiter(std::uint64_t object, std::uint32_t named) {
    const auto known = learning_.ends.waiters.find(named);
    if (known != learning_.ends.waiters.end()) return referred(object, known->second) != 0;
    const char* const waits = java_waiter_field(references_.layout_of(named).name);
    const auto at = waits != nullptr ? objects_.field_or_above(named, waits) : std::nullopt;
    const std::uint64_t thread = at ? referred(object, *at) : 0;
    if (thread == 0 || !find_java_thread_fields(objects_, references_.read(thread).named, learning_.ends)) return false;
    learning_.ends.waiters.emplace(named, *at);
    return true;
  }

  // The first one of a sort says what channels of that sort are here. A program may answer on one sort and call on
  // another, of which only those it calls on are looked for.
  bool is_channel(std::uint64_t object, std::uint32_t named) {
    if (learning_.ends.channel(named) != nullptr) return true;
    const std::string& name = references_.layout_of(named).name;
    std::optional<std::uint16_t> descriptor;
    std::uint16_t socket = 0;
    if (name == kJavaChannel) {
      descriptor = objects_.field_or_above(named, kJavaDescriptor);
    } else if (name == kNettyChannel) {
      socket = objects_.field_or_above(named, kNettySocket).value_or(0);
      const std::uint64_t holder = socket != 0 ? referred(object, socket) : 0;
      if (holder != 0) descriptor = objects_.field_or_above(references_.read(holder).named, kNettyDescriptor);
    }
    return descriptor && learning_.ends.add({named, socket, *descriptor});
  }

  TcpSide side(std::uint64_t channel) {
    const JavaChannel* const sort = learning_.ends.channel(references_.read(channel).named);
    if (sort == nullptr) return TcpSide::kUnknown;
    const std::uint64_t socket = sort->socket != 0 ? referred(channel, sort->socket) : channel;
    const std::int32_t fd = socket != 0 ? references_.number(socket, sort->descriptor) : -1;
    const auto [it, fresh] = inodes_.try_emplace(fd);
    if (fresh) it->second = inode_of(learning_.pid, fd);
    const auto found = sides_.find(it->second);
    return found == sides_.end() ? TcpSide::kUnknown : found->second;
  }

 private:
  std::uint64_t referred(std::uint64_t object, std::uint16_t field) {
    const auto& references = references_.read(object).references;
    const auto it = std::ranges::find(references, field, &JavaReference::field);
    return it == references.end() ? 0 : it->to;
  }

  JavaLearning& learning_;
  const JavaObjects& objects_;
  JavaReferences& references_;
  const ConnSides& sides_;
  std::unordered_map<std::int32_t, std::uint64_t> inodes_;
};

}  // namespace

bool look_for_ways(JavaLearning& learning, const ConnSides& sides) {
  const ProcessMemory memory(learning.pid);
  const JavaProcess& process = learning.process;
  const JavaObjects objects(memory, process.table, process.heap);
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    JavaReferences references(memory, process.table, process.heap, learning.layouts);
    if (references.moved()) {
      std::this_thread::sleep_for(kCollection);
      continue;
    }
    Channels channels(learning, objects, references, sides);
    const std::vector<std::uint64_t> begins = channels.find(java_thread_objects(memory, process), TcpSide::kActive);
    const auto end_of = [&](std::uint64_t object, std::uint32_t named) {
      if (channels.is_waiter(object, named)) return JavaWays::End::kAccepted;
      if (!channels.is_channel(object, named)) return JavaWays::End::kNone;
      return channels.side(object) == TcpSide::kPassive ? JavaWays::End::kAccepted : JavaWays::End::kOther;
    };
    if (learning.ways.learn(references, begins, end_of)) return true;
    if (!references.moved()) return false;
  }
  return false;
}

void look_around(JavaLearning& learning, const ConnSides& sides) {
  const ProcessMemory memory(learning.pid);
  const JavaProcess& process = learning.process;
  const JavaObjects objects(memory, process.table, process.heap);
  JavaReferences references(memory, process.table, process.heap, learning.layouts);
  if (references.moved()) return;
  Channels channels(learning, objects, references, sides);
  (void)channels.find(java_thread_objects(memory, process), TcpSide::kPassive);
}

JavaContinuations::JavaContinuations(RuntimeKernel& kernel, Counters& counters, Sides sides)
    : kernel_(kernel),
      sides_(std::move(sides)),
      looks_(counters.get("capture.java.looks_for_ways")),
      learned_(counters.get("capture.java.looks_that_found_ways")),
      took_(counters.get("capture.java.looks_us")) {}

JavaContinuations::~JavaContinuations() {
  if (look_.valid()) look_.wait();
}

void JavaContinuations::found(std::uint32_t pid, const JavaProcess& process) {
  // Compact headers and classes without compression: the kernel side knows classes by 32 bits.
  if (!process.no_contexts.empty() || process.heap.array == 0 || process.heap.begin == 0) return;
  auto learning = std::make_shared<JavaLearning>();
  learning->pid = pid;
  learning->process = process;
  Known& known = known_[pid] = Known{};
  known.learning = std::move(learning);
}

void JavaContinuations::exited(std::uint32_t pid) {
  const auto it = known_.find(pid);
  if (it == known_.end()) return;
  for (const ws_java_class_of& of : it->second.told) kernel_.remove_java_way(of);
  known_.erase(it);
}

// What was learned about a class says more than what it has captured: it may be a library's, with much that all share.
JavaWays::Ways JavaContinuations::beforehand(const Known& known) {
  JavaWays::Ways out = known.beforehand.ways();
  for (const auto& [named, fields] : known.beforehand.captured())
    if (!known.learned.contains(named)) out.emplace(named, fields);
  return out;
}

// False: nothing is new.
bool JavaContinuations::publish(std::uint32_t pid, Known& known, const Told& told) {
  JavaWays::Ways ways = known.learned;
  JavaEnds ends = known.ends;
  const JavaEnds& before_looks = known.beforehand.ends();
  for (const JavaChannel& channel : before_looks.channels)
    if (channel.named != 0) ends.add(channel);
  if (before_looks.begin()) {
    for (const auto& [named, fields] : beforehand(known)) {
      std::vector<std::uint16_t>& all = ways[named];
      for (const std::uint16_t field : fields) {
        if (!known.spoilers.contains(JavaWays::edge(named, field)) && std::ranges::find(all, field) == all.end())
          all.push_back(field);
      }
      std::ranges::sort(all);
    }
    ends.waiters.insert(before_looks.waiters.begin(), before_looks.waiters.end());
    ends.of_tasks = before_looks.of_tasks;
    if (ends.handle == 0) ends.handle = before_looks.handle;
    if (ends.number == 0) ends.number = before_looks.number;
  }
  if (ways == known.ways && ends == known.told_ends) return false;
  const JavaWays::Ways last = std::exchange(known.ways, std::move(ways));
  std::unordered_set<std::uint32_t> before;
  for (const ws_java_class_of& of : std::exchange(known.told, {})) before.insert(of.named);
  for (const auto& [named, fields] : known.ways) {
    ws_java_class_of of{pid, named};
    const auto same = last.find(named);
    if (same != last.end() && same->second == fields && before.contains(named)) {
      known.told.push_back(of);
      continue;
    }
    ws_java_way way{};
    // Where there are more ways on than can be followed, any of them may lead elsewhere.
    if (fields.size() > WS_WAY_FIELDS) continue;
    for (const std::uint16_t field : fields) {
      if (field == JavaReference::kElement) way.is_array = 1;
      way.fields[way.count++] = field;
    }
    if (kernel_.set_java_way(of, way)) known.told.push_back(of);
  }
  const auto tell_waiters = [&](const auto& nodes, ws_way_waits waits) {
    for (const auto& [named, field] : nodes) {
      ws_java_class_of of{pid, named};
      ws_java_way way{};
      way.waits = waits;
      way.fields[0] = field;
      if (kernel_.set_java_way(of, way)) known.told.push_back(of);
    }
  };
  tell_waiters(ends.waiters, WS_WAITS);
  tell_waiters(ends.of_tasks, WS_WAITS_FOR_TASK);
  for (const ws_java_class_of& of : known.told) before.erase(of.named);
  for (const std::uint32_t gone : before) kernel_.remove_java_way({pid, gone});
  known.told_ends = ends;
  if (!known.told.empty() && ends.begin()) told(pid, ends, known.learning->process.heap);
  return true;
}

void JavaContinuations::finish(BootTime now, const Told& told) {
  if (!looked()) return;
  const bool learned = look_.get();
  const std::shared_ptr<JavaLearning> learning = std::exchange(looking_, nullptr);
  const std::int64_t pause = static_cast<std::int64_t>(looking_us_) * 1000 * kPauses;
  looks_.add();
  took_.add(std::exchange(looking_us_, 0));
  const auto it = known_.find(learning->pid);
  if (it == known_.end() || it->second.learning != learning) return;  // it is gone
  Known& known = it->second;
  if (looking_around_) return;
  if (known.looks >= kFirstLooks) learning->layouts.clear();  // classes come and go
  // What is seldom asked for shows later; and many processes will never show anything.
  if (known.looks >= kFirstLooks || ++known.tries > kFirstTries) {
    not_before_ = now + pause;
    known.between = std::min(known.between * 2, kMostBetween);
  }
  if (learned) {
    learned_.add();
    ++known.looks;
  }
  if (learned) {
    known.learned = learning->ways.found();
    known.spoilers = learning->ways.spoilers();
    known.ends = learning->ends;
  }
  if (learned && publish(learning->pid, known, told)) {
    known.stale = 0;
  } else if (!known.told.empty() && ++known.stale > kMostStale) {
    known.between = std::min(known.between * 2, kMostBetween);
  }
  known.due = now + (tries(known) ? kBetweenTries : known.between);
}

bool JavaContinuations::in_a_hurry(BootTime now) const {
  if (looked()) return true;
  const bool may_look = !look_.valid() && now >= not_before_;
  return std::ranges::any_of(known_, [may_look, now](const auto& one) {
    const Known& known = one.second;
    const bool classes = known.talks && known.classes_looked < kFirstClassLooks && now >= known.classes_due;
    return classes || (may_look && tries(known) && now >= known.due);
  });
}

// Classes are loaded when they are first used, those of clients with the first calls.
void JavaContinuations::look_at_classes(BootTime now, std::uint32_t pid, Known& known, const Told& told) {
  if (now < known.classes_due) return;
  const int doublings = std::max(0, ++known.classes_looked - kMoreClassLooks);
  known.classes_due = now + (known.classes_looked <= kFirstClassLooks
                                 ? kBetweenFirstClassLooks
                                 : std::min(kBetweenClassLooks << std::min(doublings, kMostDoublings), kMostBetween));
  if (known.beforehand.look(pid, known.learning->process)) publish(pid, known, told);
}

void JavaContinuations::begin(BootTime now) {
  if (look_.valid() || now < not_before_) return;
  // One a sweep: its connections are looked for among all there are.
  const auto first = std::ranges::min_element(known_, {}, [](const auto& one) { return one.second.due; });
  if (first == known_.end() || now < first->second.due) return;
  auto& [pid, known] = *first;
  ConnSides sides = sides_(pid);
  known.talks = known.talks || !sides.empty();
  const bool serves = count_of(sides, TcpSide::kPassive) >= kFewestAccepted;
  const bool enough = serves && count_of(sides, TcpSide::kActive) >= JavaWays::kFewest;
  if (!enough) {
    if (tries(known)) ++known.checks;
    known.due = now + (tries(known) ? kBetweenTries : kCheckBetween);
    if (!serves || std::exchange(known.looked_around, true)) return;
  }
  if (enough) known.due = now + known.between;
  known.learning->ways.follows(beforehand(known));
  try {
    look_ = std::async(std::launch::async, [this, enough, learning = known.learning, sides = std::move(sides)] {
      const auto from = std::chrono::steady_clock::now();
      if (!enough) look_around(*learning, sides);
      const bool learned = enough && look_for_ways(*learning, sides);
      looking_us_ = static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - from).count());
      return learned;
    });
  } catch (const std::system_error&) {
    return;  // no thread is to be had: later
  }
  looking_ = known.learning;
  looking_around_ = !enough;
}

void JavaContinuations::sweep(BootTime now, const Told& told) {
  finish(now, told);
  begin(now);
  for (auto& [pid, known] : known_) {
    if (known.talks) look_at_classes(now, pid, known, told);
  }
}

std::vector<std::string> JavaContinuations::describe() const {
  std::vector<std::string> out;
  for (const auto& [pid, known] : known_) {
    if (known.told.empty()) continue;
    out.push_back(std::to_string(pid) + " java: which request waits for a call is read from references of " +
                  std::to_string(known.told.size()) + " classes");
  }
  return out;
}

}  // namespace wirespan
