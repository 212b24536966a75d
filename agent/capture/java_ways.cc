#include "agent/capture/java_ways.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <unordered_set>
#include <utility>

#include "bpf/abi/maps.h"

namespace wirespan {
namespace {

constexpr std::size_t kMostReached = 4000;  // objects by a search; some 350 once what is shared is known
constexpr std::size_t kMostAhead = 1500;
constexpr std::size_t kMostTried = 80'000;  // objects, some 1 us each
constexpr std::size_t kEnough = 24;
// After so many fewer will do: a service's first requests are waiting for what is learned.
constexpr std::size_t kTriedForAll = 20'000;
constexpr std::size_t kWillDo = 8;
constexpr std::size_t kMostClasses = 1024;
constexpr std::size_t kMostNodes = 100'000;    // objects of a look
constexpr std::size_t kMostSteps = 1'000'000;  // of all searches with one sharing: some 20 ns each
constexpr std::size_t kMostEdges = 4096;
constexpr std::size_t kMostDropped = 8;   // in a look
constexpr std::uint32_t kFewestWays = 3;  // a reference must be on
constexpr std::uint32_t kRareWays = 200;  // and on one in so many, or it is an accident
// So many searches have an object in common, or (0) a third of all: most calls may be idle, so that few get far, and
// many may be of one request. The first is the most cautious: what it finds shared is.
constexpr std::array<std::size_t, 3> kSharing{0, 6, 3};
constexpr std::size_t kFewestSharing = 3;

}  // namespace

struct JavaWays::Found {
  std::uint64_t request = 0;
  bool several = false;
  std::set<Edge> on;
};

struct JavaWays::Search {
  struct Step {
    std::uint32_t node = 0;
    std::uint32_t from = 0;  // place in `reached`
    Edge by = 0;
  };

  enum class Been : std::uint8_t { kNo, kReached, kPassed };

  explicit Search(std::uint32_t first) : begin(first) { restart(); }
  void restart() {
    reached.assign(1, Step{begin, 0, 0});
    been.assign(been.size(), Been::kNo);
    at(begin) = Been::kReached;
    grown = 0;
    ends.clear();
  }
  Been& at(std::uint32_t node) {
    if (node >= been.size()) been.resize(node + 1);
    return been[node];
  }

  std::uint32_t begin;
  std::vector<Step> reached;      // in this order
  std::vector<Been> been;         // by node
  std::size_t grown = 0;          // so many of those reached were gone on from
  std::vector<std::size_t> ends;  // accepted: places in `reached`
};

// The objects of a look, by small numbers, and searches among them.
class JavaWays::Look {
 public:
  struct Node {
    std::uint64_t object = 0;
    std::uint32_t named = 0;
    End end = End::kNone;
    bool read = false;
    bool shared = false;  // by many of the searches
    bool shared_by_nature = false;
    std::size_t reached = 0;                                          // by so many searches
    std::vector<std::pair<std::uint32_t, std::uint16_t>> references;  // node and field
  };

  Look(JavaGraph& graph, const EndOf& end_of, const std::vector<std::uint64_t>& begins)
      : graph_(graph), end_of_(end_of) {
    for (const std::uint64_t begin : begins) searches_.emplace_back(number(begin));
  }

  // With what `many` searches reach for shared. False: it takes too long.
  bool search(std::size_t many);
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  // The accepted connection that search found, if just one, and what leads to it, added to `on`; else 0.
  std::uint64_t found(std::size_t search, std::set<Edge>& on) const;
  // Whether these ways lead from where that search began to this accepted connection, and to no other.
  [[nodiscard]] bool leads(std::size_t search, const Ways& ways, std::uint64_t request);

 private:
  std::uint32_t number(std::uint64_t object) {
    const auto [it, fresh] = numbers_.try_emplace(object, static_cast<std::uint32_t>(nodes_.size()));
    if (fresh) nodes_.emplace_back().object = object;
    return it->second;
  }
  const Node& read(std::uint32_t at);
  void grow(Search& search);
  void share(std::size_t many, const std::vector<std::size_t>& from);
  void begin_anew(Search& search);

  JavaGraph& graph_;
  const EndOf& end_of_;
  std::unordered_map<std::uint64_t, std::uint32_t> numbers_;
  std::vector<Node> nodes_;
  std::vector<Search> searches_;
};

const JavaWays::Look::Node& JavaWays::Look::read(std::uint32_t at) {
  if (nodes_[at].read) return nodes_[at];
  nodes_[at].read = true;
  const JavaGraph::Object& object = graph_.read(nodes_[at].object);
  nodes_[at].named = object.named;
  if (object.named == 0) return nodes_[at];
  nodes_[at].shared_by_nature = graph_.is_shared(object.named);
  nodes_[at].end = end_of_(nodes_[at].object, object.named);
  for (const JavaReference& reference : object.references) {
    if (nodes_.size() >= kMostNodes && !numbers_.contains(reference.to)) continue;
    const std::uint32_t to = number(reference.to);  // nodes_ may move
    nodes_[at].references.emplace_back(to, reference.field);
  }
  return nodes_[at];
}

std::uint64_t JavaWays::Look::found(std::size_t search, std::set<Edge>& on) const {
  const Search& by = searches_[search];
  if (by.ends.size() != 1) return 0;
  for (std::size_t place = by.ends.front(); place != 0; place = by.reached[place].from) on.insert(by.reached[place].by);
  return nodes_[by.reached[by.ends.front()].node].object;
}

// One step in all directions.
void JavaWays::Look::grow(Search& search) {
  for (const std::size_t last = search.reached.size(); search.grown < last; ++search.grown) {
    const std::uint32_t at = search.reached[search.grown].node;
    const Node& node = read(at);
    if (node.named == 0 || node.shared || node.shared_by_nature) continue;
    const End end = at == search.begin ? End::kNone : node.end;
    if (end == End::kAccepted) search.ends.push_back(search.grown);
    if (end != End::kNone) continue;
    search.at(at) = Search::Been::kPassed;
    for (const auto& [to, field] : node.references) {
      if (search.reached.size() >= kMostReached) break;
      if (search.at(to) != Search::Been::kNo) continue;
      search.at(to) = Search::Been::kReached;
      search.reached.push_back({to, static_cast<std::uint32_t>(search.grown), edge(node.named, field)});
      ++nodes_[to].reached;
    }
  }
}

void JavaWays::Look::begin_anew(Search& search) {
  for (const Search::Step& step : search.reached) {
    if (step.node != search.begin) --nodes_[step.node].reached;
  }
  search.restart();
}

// Of what searches have reached from these places on. Those that went past what turns out to be shared begin anew, as
// what they found behind it is nothing.
void JavaWays::Look::share(std::size_t many, const std::vector<std::size_t>& from) {
  std::vector<std::uint32_t> fresh;
  for (std::size_t i = 0; i < searches_.size(); ++i) {
    for (std::size_t place = from[i]; place < searches_[i].reached.size(); ++place) {
      const std::uint32_t at = searches_[i].reached[place].node;
      if (nodes_[at].reached < many || nodes_[at].shared) continue;
      // What refers to nothing harms nobody, and an end is one.
      const Node& node = read(at);
      if (node.references.empty() || node.end != End::kNone) continue;
      nodes_[at].shared = true;
      fresh.push_back(at);
    }
  }
  for (Search& search : searches_) {
    const auto passed = [&search](std::uint32_t node) { return search.at(node) == Search::Been::kPassed; };
    if (std::ranges::any_of(fresh, passed)) begin_anew(search);
  }
}

bool JavaWays::Look::search(std::size_t many) {
  for (Node& node : nodes_) {
    node.reached = 0;
    node.shared = false;
  }
  for (Search& search : searches_) search.restart();
  std::vector<std::size_t> from(searches_.size());
  for (std::size_t steps = 0, grown = 1; grown != 0; steps += grown) {
    if (steps > kMostSteps) return false;
    grown = 0;
    for (std::size_t i = 0; i < searches_.size(); ++i) {
      Search& search = searches_[i];
      from[i] = search.reached.size();
      grown += from[i] - search.grown;
      grow(search);
    }
    share(many, from);
  }
  return true;
}

// All that one search may want, as it is now: the searches go on side by side, and calls do not wait for them. Whether
// an accepted connection is among it.
JavaWays::Ahead JavaWays::read_ahead(JavaGraph& graph, std::uint64_t begin, const EndOf& end_of) const {
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
  return {queue.size(), ends};
}

// Most connections wait for nothing, most of the time: looks at each over and over, and keeps what leads somewhere.
std::vector<std::uint64_t> JavaWays::harvest(JavaGraph& graph, const std::vector<std::uint64_t>& begins,
                                             const EndOf& end_of) const {
  std::vector<std::uint64_t> left = begins;
  left.resize(std::min(left.size(), kMost));
  std::vector<std::uint64_t> out;
  std::size_t read = 0;
  for (std::size_t i = 0; !left.empty() && read < kMostTried;) {
    if (out.size() >= (read < kTriedForAll ? kEnough : kWillDo)) break;
    // Nothing waits yet, and by then there may be more connections.
    if (out.empty() && ways_ == 0 && read > kTriedForAll) break;
    i %= left.size();
    graph.refresh();
    if (graph.moved()) return {};
    const Ahead ahead = read_ahead(graph, left[i], end_of);
    read += ahead.read;
    if (!ahead.ends) {
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

void JavaWays::remember_shared(const Look& look) {
  std::unordered_map<std::uint32_t, bool> all;
  for (const Look::Node& node : look.nodes()) {
    if (node.reached == 0 || !node.read) continue;
    if (node.shared) all.try_emplace(node.named, true);
  }
  for (const Look::Node& node : look.nodes()) {
    if (node.reached == 0 || node.shared) continue;
    const auto it = all.find(node.named);
    if (it != all.end()) it->second = false;
  }
  for (const auto& [named, shared] : all) {
    if (shared_.size() < kMostClasses || shared_.contains(named)) shared_[named] += shared ? 1 : -2;
  }
}

// As the kernel side does (bpf/core/continuation.h).
bool JavaWays::Look::leads(std::size_t search, const Ways& ways, std::uint64_t request) {
  const std::uint32_t begin = searches_[search].begin;
  std::vector<std::uint32_t> pending{begin};
  std::unordered_set<std::uint32_t> seen{begin};
  bool found = false;
  for (std::size_t step = 0; !pending.empty(); ++step) {
    const std::uint32_t at = pending.back();
    const Node& node = read(at);
    pending.pop_back();
    if (step == WS_WAY_STEPS) return false;
    if (at != begin && node.end == End::kAccepted && node.object != request) return false;
    found = found || node.object == request;
    const auto way = ways.find(node.named);
    if (way == ways.end() || way->second.size() > WS_WAY_FIELDS || (at != begin && node.end != End::kNone)) continue;
    const auto follow = [&way](const auto& reference) {
      return std::ranges::find(way->second, reference.second) != way->second.end();
    };
    const auto from = pending.size();
    for (const auto& reference : node.references) {
      if (follow(reference) && seen.insert(reference.first).second) pending.push_back(reference.first);
    }
    if (pending.size() > WS_WAY_PENDING || pending.size() - from > WS_WAY_ELEMENTS) return false;
  }
  return found;
}

std::size_t JavaWays::led(Look& look, const std::vector<Found>& found, const Ways& ways) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].request != 0 && !found[i].several && look.leads(i, ways, found[i].request)) ++count;
  }
  return count;
}

// One reference into what requests share, seen by accident, and most calls lead to several.
void JavaWays::drop_spoilers(Look& look, const std::vector<Found>& found) {
  for (std::size_t dropped = 0; dropped < kMostDropped; ++dropped) {
    Ways ways = this->found();
    std::size_t best = led(look, found, ways);
    std::optional<Edge> spoiler;
    for (auto& [named, fields] : ways) {
      const std::vector<std::uint16_t> all = fields;
      for (const std::uint16_t field : all) {
        std::erase(fields, field);
        const std::size_t without = led(look, found, ways);
        fields = all;
        if (without <= best) continue;
        best = without;
        spoiler = edge(named, field);
      }
    }
    if (!spoiler || spoilers_.size() >= kMostEdges) return;
    spoilers_.insert(*spoiler);
  }
}

// Those with which fewer calls lead to their request alone than with what was learned.
void JavaWays::drop_beforehand(Look& look, const std::vector<Found>& found) {
  Ways ways = this->found();
  std::size_t best = led(look, found, ways);
  if (best == 0) return;
  std::unordered_set<std::uint32_t> met;
  for (const Look::Node& node : look.nodes()) met.insert(node.named);
  for (const auto& [named, fields] : beforehand_) {
    if (!met.contains(named)) continue;
    std::vector<std::uint16_t>& all = ways[named];
    const std::vector<std::uint16_t> before = all;
    for (const std::uint16_t field : fields) {
      if (std::ranges::find(before, field) == before.end() && !spoilers_.contains(edge(named, field)))
        all.push_back(field);
    }
    if (all == before) continue;
    const std::size_t with = led(look, found, ways);
    if (with >= best) {
      best = with;
      continue;
    }
    for (std::size_t i = before.size(); i < all.size() && spoilers_.size() < kMostEdges; ++i)
      spoilers_.insert(edge(named, all[i]));
    all = before;
  }
}

bool JavaWays::search(JavaGraph& graph, const std::vector<std::uint64_t>& begins, const EndOf& end_of) {
  std::vector<Found> found(begins.size());
  Look look(graph, end_of, begins);
  const std::size_t third = std::max(kFewestSharing, begins.size() / 3);
  for (const std::size_t sharing : kSharing) {
    if (sharing == third || sharing >= begins.size()) continue;
    if (!look.search(sharing == 0 ? third : sharing) || graph.moved()) return false;
    if (sharing == 0) remember_shared(look);
    for (std::size_t i = 0; i < found.size(); ++i) {
      std::set<Edge> on;
      const std::uint64_t request = look.found(i, on);
      if (request == 0) continue;
      found[i].several = found[i].several || (found[i].request != 0 && found[i].request != request);
      // The fewer have to share what no search goes past, the less of what is shared is on the way.
      found[i] = {request, found[i].several, std::move(on)};
    }
  }
  if (graph.moved()) return false;
  const std::uint32_t before = ways_;
  for (const Found& one : found) {
    if (one.request == 0 || one.several) continue;
    ++ways_;
    for (const Edge by : one.on) {
      if (used_.size() < kMostEdges || used_.contains(by)) ++used_[by];
    }
  }
  drop_spoilers(look, found);
  drop_beforehand(look, found);
  return ways_ != before;
}

bool JavaWays::learn(JavaGraph& graph, const std::vector<std::uint64_t>& channels, const EndOf& end_of) {
  bool learned = false;
  if (shared_.empty() && channels.size() >= kFewest) {
    // As they are just now: to learn what is shared few of them need to wait for anything.
    std::vector<std::uint64_t> all = channels;
    all.resize(std::min(all.size(), kEnough));
    for (const std::uint64_t begin : all) {
      graph.refresh();
      (void)read_ahead(graph, begin, end_of);
      graph.keep();
    }
    learned = search(graph, all, end_of);
    graph.forget();
    // Enough to begin with: calls go by while more are waited for.
    if (learned && !found().empty()) return true;
  }
  const std::vector<std::uint64_t> begins = harvest(graph, channels, end_of);
  if (begins.size() >= kFewest) return search(graph, begins, end_of) || learned;
  // Perhaps what only the calls of one request shared is taken for what all do, and no search passes it.
  if (ways_ == 0 && !graph.moved()) shared_.clear();
  return learned;
}

JavaWays::Ways JavaWays::found() const {
  Ways out;
  for (const auto& [by, count] : used_) {
    if (count < kFewestWays || count < ways_ / kRareWays || spoilers_.contains(by)) continue;
    out[static_cast<std::uint32_t>(by >> 16U)].push_back(static_cast<std::uint16_t>(by & 0xffffU));
  }
  for (auto& [named, fields] : out) std::ranges::sort(fields);
  return out;
}

}  // namespace wirespan
