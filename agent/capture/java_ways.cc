#include "agent/capture/java_ways.h"

#include <algorithm>
#include <array>
#include <utility>

namespace wirespan {
namespace {

constexpr std::size_t kMostReached = 4000;  // objects by a search; some 350 once what is shared is known
constexpr std::size_t kMostAhead = 1500;
constexpr std::size_t kMostTried = 80'000;  // objects, some 1 us each
constexpr std::size_t kEnough = 24;
constexpr std::size_t kMostClasses = 1024;
constexpr std::size_t kMostDepth = 160;
constexpr int kMostRounds = 200;
constexpr std::size_t kMostEdges = 4096;
constexpr std::uint32_t kFewestWays = 3;  // a reference must be on
constexpr std::uint32_t kRareWays = 200;  // and on one in so many, or it is an accident
// So many searches have an object in common, or (0) a third of all: most calls may be idle, so that few get far, and
// many may be of one request. So each in turn, as looks go by.
constexpr std::array<std::size_t, 3> kSharing{3, 6, 0};
constexpr std::size_t kFewestSharing = 3;

}  // namespace

// One step in all directions. False: there is none.
bool JavaWays::grow(Look& look, Search& search) {
  std::vector<std::uint64_t> next;
  for (const std::uint64_t object : std::exchange(search.frontier, {})) {
    const JavaGraph::Object& read = look.graph.read(object);
    if (read.named == 0 || look.shared.contains(object) || look.graph.is_shared(read.named)) continue;
    const End end = object == search.begin ? End::kNone : look.end_of(object, read.named);
    if (end == End::kAccepted) search.ends.push_back(object);
    if (end != End::kNone) continue;
    for (const JavaReference& reference : read.references) {
      if (search.reached.size() >= kMostReached) break;
      if (!search.reached.try_emplace(reference.to, Step{object, edge(read.named, reference.field)}).second) continue;
      next.push_back(reference.to);
      ++look.reached[reference.to];
    }
  }
  search.frontier = std::move(next);
  return !search.frontier.empty();
}

// False: something more is shared, and what was found behind it is nothing.
bool JavaWays::search_all(Look& look, std::vector<Search>& searches) {
  look.reached.clear();
  bool grows = true;
  for (std::size_t depth = 0; depth < kMostDepth && grows; ++depth) {
    grows = false;
    for (Search& search : searches) grows = grow(look, search) || grows;
    bool clean = true;
    for (const Search& search : searches) {
      for (const std::uint64_t object : search.frontier) {
        if (look.reached[object] < look.many || look.shared.contains(object)) continue;
        // What refers to nothing harms nobody, and an end is one.
        const JavaGraph::Object& read = look.graph.read(object);
        if (read.references.empty() || look.end_of(object, read.named) != End::kNone) continue;
        look.shared.insert(object);
        clean = false;
      }
    }
    if (!clean) return false;
  }
  return true;
}

// All that one search may want, as it is now: the searches go on side by side, and calls do not wait for them. Whether
// an accepted connection is among it.
bool JavaWays::read_ahead(JavaGraph& graph, std::uint64_t begin, std::size_t& read,
                          const std::function<End(std::uint64_t, std::uint32_t)>& end_of) const {
  std::unordered_set<std::uint64_t> seen{begin};
  std::vector<std::uint64_t> queue{begin};
  bool ends = false;
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const JavaGraph::Object& object = graph.read(queue[i]);
    if (object.named == 0 || is_shared(object.named) || graph.is_shared(object.named)) continue;
    const End end = i == 0 ? End::kNone : end_of(queue[i], object.named);
    ends = ends || end == End::kAccepted;
    if (end != End::kNone) continue;
    for (const JavaReference& reference : object.references) {
      if (queue.size() < kMostAhead && seen.insert(reference.to).second) queue.push_back(reference.to);
    }
  }
  read += queue.size();
  return ends;
}

// Most connections wait for nothing, most of the time: looks at each over and over, and keeps what leads somewhere.
// All, as long as next to nothing is known to be shared.
std::vector<std::uint64_t> JavaWays::harvest(JavaGraph& graph, const std::vector<std::uint64_t>& begins,
                                             const std::function<End(std::uint64_t, std::uint32_t)>& end_of) const {
  std::vector<std::uint64_t> left = begins;
  left.resize(std::min(left.size(), kMost));
  std::vector<std::uint64_t> out;
  std::size_t read = 0;
  if (shared_.empty()) {
    for (const std::uint64_t begin : left) {
      graph.refresh();
      (void)read_ahead(graph, begin, read, end_of);
      graph.keep();
    }
    return left;
  }
  for (std::size_t i = 0; !left.empty() && read < kMostTried && out.size() < kEnough;) {
    i %= left.size();
    graph.refresh();
    if (!read_ahead(graph, left[i], read, end_of)) {
      ++i;
      continue;
    }
    graph.keep();
    out.push_back(left[i]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
  }
  graph.refresh();
  return out;
}

void JavaWays::remember_shared(Look& look, const std::vector<Search>& searches) {
  std::unordered_map<std::uint32_t, bool> all;
  for (const std::uint64_t object : look.shared) all[look.graph.read(object).named] = true;
  for (const Search& search : searches) {
    for (const auto& [object, step] : search.reached) {
      const auto it = all.find(look.graph.read(object).named);
      if (it != all.end() && !look.shared.contains(object)) it->second = false;
    }
  }
  for (const auto& [named, shared] : all) {
    if (shared_.size() < kMostClasses || shared_.contains(named)) shared_[named] += shared ? 1 : -2;
  }
}

void JavaWays::remember(const Search& search) {
  ++ways_;
  std::unordered_set<Edge> on;
  for (std::uint64_t at = search.ends.front(); at != search.begin;) {
    const Step& step = search.reached.at(at);
    on.insert(step.by);
    at = step.from;
  }
  for (const Edge by : on) {
    if (used_.size() < kMostEdges || used_.contains(by)) ++used_[by];
  }
}

bool JavaWays::learn(JavaGraph& graph, const std::vector<std::uint64_t>& channels,
                     const std::function<End(std::uint64_t object, std::uint32_t named)>& end_of) {
  const std::vector<std::uint64_t> begins = harvest(graph, channels, end_of);
  if (begins.size() < kFewest) {
    // Perhaps what only the calls of one request shared is taken for what all do, and no search passes it.
    if (ways_ == 0) shared_.clear();
    return false;
  }
  const std::size_t count = begins.size();
  const std::size_t sharing = kSharing[looks_++ % kSharing.size()];
  Look look{graph, end_of, sharing != 0 ? sharing : std::max(kFewestSharing, count / 3), {}, {}};
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<Search> searches(count);
    for (std::size_t i = 0; i < count; ++i) {
      searches[i].begin = begins[i];
      searches[i].frontier = {begins[i]};
      searches[i].reached[begins[i]] = {};
    }
    if (!search_all(look, searches)) continue;
    remember_shared(look, searches);
    used_before_ = used_;
    ways_before_ = ways_;
    for (const Search& search : searches) {
      if (search.ends.size() == 1) remember(search);
    }
    return ways_ != ways_before_;
  }
  return false;
}

std::map<std::uint32_t, std::vector<std::uint16_t>> JavaWays::found() const {
  std::map<std::uint32_t, std::vector<std::uint16_t>> out;
  for (const auto& [by, count] : used_) {
    if (count < kFewestWays || count < ways_ / kRareWays) continue;
    out[static_cast<std::uint32_t>(by >> 16U)].push_back(static_cast<std::uint16_t>(by & 0xffffU));
  }
  for (auto& [named, fields] : out) std::ranges::sort(fields);
  return out;
}

}  // namespace wirespan
