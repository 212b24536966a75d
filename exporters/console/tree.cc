#include "exporters/console/tree.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace wirespan {
namespace {

struct Open {
  std::size_t span;
  std::size_t depth;
  bool last;
};

}  // namespace

std::vector<TreeRow> tree_rows(const ShownTrace& trace, const TreeGlyphs& glyphs, std::size_t max_depth) {
  const std::vector<ShownSpan>& spans = trace.spans;
  std::vector<std::size_t> by_start(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) by_start[i] = i;
  // A server span that begins with its client's comes after it, whatever the clock's grain.
  std::sort(by_start.begin(), by_start.end(), [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) {
      return std::tuple(spans[i].start_ns, ~spans[i].end_ns, !spans[i].client, spans[i].id);
    };
    return key(a) < key(b);
  });

  std::unordered_map<SpanId, std::size_t> by_id;
  for (const std::size_t i : by_start) by_id.emplace(spans[i].id, i);
  std::vector<std::vector<std::size_t>> children(spans.size());
  std::vector<std::size_t> roots;
  std::vector<bool> parent_missing(spans.size(), false);
  for (const std::size_t i : by_start) {
    const auto parent = spans[i].parent.valid() ? by_id.find(spans[i].parent) : by_id.end();
    if (parent != by_id.end() && parent->second != i) {
      children[parent->second].push_back(i);
    } else {
      roots.push_back(i);
      parent_missing[i] = spans[i].parent.valid();
    }
  }

  std::vector<TreeRow> rows;
  rows.reserve(spans.size());
  std::vector<bool> done(spans.size(), false);
  std::vector<std::string> below_of_depth;
  std::vector<Open> stack;
  const auto draw_from = [&](std::size_t root) {
    stack.push_back({root, 0, true});
    while (!stack.empty()) {
      const Open open = stack.back();
      stack.pop_back();
      if (done[open.span]) continue;
      done[open.span] = true;

      TreeRow row{.span = &spans[open.span], .prefix = {}, .below = {}};
      row.parent_missing = open.depth == 0 && parent_missing[open.span];
      row.leaf = children[open.span].empty();
      below_of_depth.resize(std::max(below_of_depth.size(), open.depth + 1));
      if (open.depth > 0) {
        const std::string& above = below_of_depth[open.depth - 1];
        row.prefix = above;
        row.below = above;
        if (open.depth < max_depth) {
          row.prefix += open.last ? glyphs.corner : glyphs.tee;
          row.below += open.last ? glyphs.blank : glyphs.pipe;
        } else if (open.depth == max_depth) {
          row.prefix += glyphs.deep;
          row.below += glyphs.blank;
        } else {
          // All deeper levels share one column.
          row.prefix.replace(row.prefix.size() - glyphs.blank.size(), std::string::npos, glyphs.deep);
        }
      }
      below_of_depth[open.depth] = row.below;
      const auto& below = children[open.span];
      for (std::size_t k = below.size(); k > 0; --k) stack.push_back({below[k - 1], open.depth + 1, k == below.size()});
      rows.push_back(std::move(row));
    }
  };
  for (const std::size_t root : roots) draw_from(root);
  // What is left hangs from a circle: cut it at its earliest span.
  for (const std::size_t i : by_start) {
    if (done[i]) continue;
    parent_missing[i] = true;
    draw_from(i);
  }
  return rows;
}

}  // namespace wirespan
