// Which references lead from the connection of a call that waits for its response to the connection of the request
// that waits for the call, in a process whose objects can be read. Learned from the process itself, by looks at it,
// each with searches from many connections at once:
//
// What many of them reach is what all requests share (a client, its pool of connections), and no search goes past it.
// Where no more such is found, a search that has reached exactly one accepted connection has found its request, and
// the references on the shortest way there are those to follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace wirespan {

struct JavaReference {
  static constexpr std::uint16_t kElement = 0xffff;  // of an array
  std::uint16_t field = 0;
  std::uint64_t to = 0;
};

class JavaGraph {
 public:
  struct Object {
    std::uint32_t named = 0;  // its class, as its header names it; 0: not readable
    std::vector<JavaReference> references;
  };
  virtual ~JavaGraph() = default;
  // Valid as long as the graph.
  [[nodiscard]] virtual const Object& read(std::uint64_t object) = 0;
  // What is read next is to be what is there now: a call may be over in a millisecond. What was read since this was
  // called last is forgotten, unless it was to be kept.
  virtual void refresh() {}
  virtual void keep() {}
  // Whether objects of the class serve all requests by their nature: threads, executors.
  [[nodiscard]] virtual bool is_shared(std::uint32_t named) = 0;
};

// One thread. Bounded memory.
class JavaWays {
 public:
  // With fewer nobody can tell what all share from what calls of one request do.
  static constexpr std::size_t kFewest = 4;
  static constexpr std::size_t kMost = 96;  // searches of a look

  // What an object is, besides one to go on from.
  enum class End : std::uint8_t { kNone, kAccepted, kOther };

  // From these channels, of connections the process has made. False: they were too few, or none has found its request.
  bool learn(JavaGraph& graph, const std::vector<std::uint64_t>& channels,
             const std::function<End(std::uint64_t object, std::uint32_t named)>& end_of);

  // What was read was not what it seemed to be: forgets the ways found by the last look.
  void take_back() {
    used_ = used_before_;
    ways_ = ways_before_;
  }

  // References that were on enough ways, by class.
  [[nodiscard]] std::map<std::uint32_t, std::vector<std::uint16_t>> found() const;

 private:
  using Edge = std::uint64_t;  // class and field
  struct Step {
    std::uint64_t from = 0;
    Edge by = 0;
  };
  struct Search {
    std::uint64_t begin = 0;
    std::unordered_map<std::uint64_t, Step> reached;
    std::vector<std::uint64_t> frontier;
    std::vector<std::uint64_t> ends;  // accepted
  };
  struct Look {
    JavaGraph& graph;
    const std::function<End(std::uint64_t, std::uint32_t)>& end_of;
    std::size_t many = 0;
    std::unordered_set<std::uint64_t> shared;                  // objects
    std::unordered_map<std::uint64_t, std::uint32_t> reached;  // by how many searches
  };

  static Edge edge(std::uint32_t named, std::uint16_t field) { return std::uint64_t{named} << 16U | field; }
  [[nodiscard]] bool is_shared(std::uint32_t named) const {
    const auto it = shared_.find(named);
    return it != shared_.end() && it->second > 0;
  }
  // `read`: counts objects.
  bool read_ahead(JavaGraph& graph, std::uint64_t begin, std::size_t& read,
                  const std::function<End(std::uint64_t, std::uint32_t)>& end_of) const;
  [[nodiscard]] std::vector<std::uint64_t> harvest(
      JavaGraph& graph, const std::vector<std::uint64_t>& begins,
      const std::function<End(std::uint64_t, std::uint32_t)>& end_of) const;
  void remember_shared(Look& look, const std::vector<Search>& searches);
  static bool grow(Look& look, Search& search);
  static bool search_all(Look& look, std::vector<Search>& searches);
  void remember(const Search& search);

  std::unordered_map<std::uint32_t, int> shared_;  // classes, by how often all of their objects reached were shared
  std::unordered_map<Edge, std::uint32_t> used_;   // on how many ways
  std::uint32_t ways_ = 0;
  std::unordered_map<Edge, std::uint32_t> used_before_;  // the last look
  std::uint32_t ways_before_ = 0;
  std::uint32_t looks_ = 0;
};

}  // namespace wirespan
