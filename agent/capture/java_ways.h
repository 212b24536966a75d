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
  // And that as well.
  virtual void forget() {}
  // Whether objects have been moved: what was read is nothing.
  [[nodiscard]] virtual bool moved() { return false; }
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
  using EndOf = std::function<End(std::uint64_t object, std::uint32_t named)>;

  // From these channels, of connections the process has made. False: they were too few, or none has found its request,
  // or objects were moved meanwhile.
  bool learn(JavaGraph& graph, const std::vector<std::uint64_t>& channels, const EndOf& end_of);

  // References that were on enough ways, by class.
  using Ways = std::map<std::uint32_t, std::vector<std::uint16_t>>;
  [[nodiscard]] Ways found() const;
  // Those that are followed as well, whatever is learned: from now on looked at for spoilers too.
  void follows(const Ways& beforehand) { beforehand_ = beforehand; }
  // References that lead to other requests as well.
  using Edge = std::uint64_t;  // class and field
  using Edges = std::unordered_set<Edge>;
  static Edge edge(std::uint32_t named, std::uint16_t field) { return std::uint64_t{named} << 16U | field; }
  [[nodiscard]] const Edges& spoilers() const { return spoilers_; }

 private:
  class Look;
  struct Search;
  struct Found;

  [[nodiscard]] bool is_shared(std::uint32_t named) const {
    const auto it = shared_.find(named);
    return it != shared_.end() && it->second > 0;
  }
  struct Ahead {
    std::size_t read = 0;  // objects
    bool ends = false;     // an accepted connection is among them
  };
  Ahead read_ahead(JavaGraph& graph, std::uint64_t begin, const EndOf& end_of) const;
  [[nodiscard]] std::vector<std::uint64_t> harvest(JavaGraph& graph, const std::vector<std::uint64_t>& begins,
                                                   const EndOf& end_of) const;
  // Whether a request was found.
  bool search(JavaGraph& graph, const std::vector<std::uint64_t>& begins, const EndOf& end_of);
  void remember_shared(const Look& look);
  static std::size_t led(Look& look, const std::vector<Found>& found, const Ways& ways);
  void drop_spoilers(Look& look, const std::vector<Found>& found);
  void drop_beforehand(Look& look, const std::vector<Found>& found);

  std::unordered_map<std::uint32_t, int> shared_;  // classes, by how often all of their objects reached were shared
  std::unordered_map<Edge, std::uint32_t> used_;   // on how many ways
  Edges spoilers_;
  Ways beforehand_;
  std::uint32_t ways_ = 0;
};

}  // namespace wirespan
