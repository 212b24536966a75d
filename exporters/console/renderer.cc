#include "exporters/console/renderer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "exporters/console/text.h"
#include "exporters/console/tree.h"

namespace wirespan {
namespace {

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kBold = "\x1b[1m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kBoldRed = "\x1b[1;31m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kYellow = "\x1b[33m";
// Told apart on dark and light ground; red and yellow have a meaning already.
constexpr std::array<std::string_view, 9> kServices = {"\x1b[36m",      "\x1b[35m",       "\x1b[34m",
                                                       "\x1b[32m",      "\x1b[38;5;208m", "\x1b[38;5;141m",
                                                       "\x1b[38;5;73m", "\x1b[38;5;168m", "\x1b[38;5;107m"};
constexpr std::size_t kMostServices = 256;
constexpr std::size_t kMostDepth = 16;
constexpr std::size_t kGap = 2;
constexpr std::size_t kDuration = 9;
// Below this a doubtful link goes to a line of its own.
constexpr std::size_t kRoomForLinks = 100;

struct Glyphs {
  TreeGlyphs tree;
  std::string_view dot;
  std::string_view arrow;  // before the name of a client span
  std::string_view ellipsis;
  std::string_view micro;
  std::string_view up;    // a parent that was not seen
  std::string_view note;  // any other line below
  std::string_view server;
  std::array<std::string_view, 7> server_end;  // an eighth to seven eighths of a cell
  std::string_view client;
  std::string_view client_left;   // only the left half of a cell
  std::string_view client_right;  // only the right half
};

constexpr Glyphs kUnicode = {.tree = {"├ ", "└ ", "│ ", "  ", "⋯ "},
                             .dot = "●",
                             .arrow = "→ ",
                             .ellipsis = "…",
                             .micro = "µ",
                             .up = "↑ ",
                             .note = "↪ ",
                             .server = "█",
                             .server_end = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"},
                             .client = "━",
                             .client_left = "╸",
                             .client_right = "╺"};
constexpr Glyphs kAscii = {.tree = {"|-", "`-", "| ", "  ", "+ "},
                           .dot = "*",
                           .arrow = "> ",
                           .ellipsis = "~",
                           .micro = "u",
                           .up = "^ ",
                           .note = "- ",
                           .server = "#",
                           .server_end = {"#", "#", "#", "#", "#", "#", "#"},
                           .client = "=",
                           .client_left = "=",
                           .client_right = "="};

struct Widths {
  std::size_t service;
  std::size_t name;
  std::size_t bar;
  std::size_t status;
};

class Painter {
 public:
  Painter(std::string& out, bool colour) : out_(out), colour_(colour) {}
  void put(std::string_view text) { out_.append(text); }
  void put(std::string_view code, std::string_view text) {
    if (!colour_ || code.empty() || text.empty()) return put(text);
    out_.append(code).append(text).append(kReset);
  }
  void blanks(std::size_t count) { out_.append(count, ' '); }
  void end_line() {
    while (!out_.empty() && out_.back() == ' ') out_.pop_back();
    out_.push_back('\n');
  }

 private:
  std::string& out_;
  bool colour_;
};

std::string wall_time(std::uint64_t ns) {
  const auto seconds = static_cast<std::time_t>(ns / 1'000'000'000U);
  std::tm local{};
  localtime_r(&seconds, &local);
  std::array<char, 16> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%02u:%02u:%02u.%03u", static_cast<unsigned>(local.tm_hour) % 100,
                static_cast<unsigned>(local.tm_min) % 100, static_cast<unsigned>(local.tm_sec) % 100,
                static_cast<unsigned>(ns / 1'000'000U % 1000));
  return buffer.data();
}

std::string repeat(std::string_view text, std::size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) out.append(text);
  return out;
}

// A server's bar is solid, with an end to the eighth of a cell; a client's is a line, to the half: what waits looks
// thinner than what works.
std::string bar(const ShownSpan& span, std::uint64_t from, std::uint64_t to, std::size_t width, const Glyphs& glyphs) {
  const double total = static_cast<double>(std::max<std::uint64_t>(1, to - from));
  const double cells = static_cast<double>(width);
  const double left = static_cast<double>(span.start_ns - from) / total * cells;
  const double right = static_cast<double>(span.end_ns - from) / total * cells;
  if (span.client) {
    auto first = static_cast<std::size_t>(std::floor(2 * left));
    auto last = static_cast<std::size_t>(std::ceil(2 * right));
    first = std::min(first, 2 * width - 1);
    last = std::clamp(last, first + 1, 2 * width);
    std::string out(first / 2, ' ');
    if (first % 2 == 1) out.append(glyphs.client_right), ++first;
    if (last > first) {
      out.append(repeat(glyphs.client, (last - first) / 2));
      if ((last - first) % 2 == 1) out.append(glyphs.client_left);
    }
    return out;
  }
  const std::size_t first = std::min(static_cast<std::size_t>(std::floor(left)), width - 1);
  const auto eighths = static_cast<std::size_t>(std::lround((right - static_cast<double>(first)) * 8));
  const std::size_t shown = std::clamp<std::size_t>(eighths, 1, 8 * (width - first));
  std::string out(first, ' ');
  out.append(repeat(glyphs.server, shown / 8));
  if (shown % 8 != 0) out.append(glyphs.server_end[shown % 8 - 1]);
  return out;
}

std::string count_of(std::size_t count, const std::string& what) {
  return count_text(count) + " " + what + (count == 1 ? "" : "s");
}

std::string label(const TreeRow& row, const Glyphs& glyphs) {
  const ShownSpan& span = *row.span;
  std::string out = row.prefix;
  if (span.client) out.append(glyphs.arrow);
  out.append(span.name);
  // Where a call went is worth its room where nothing below shows it.
  if (span.client && row.leaf && !span.peer.empty()) out.append("  ").append(span.peer);
  return out;
}

Widths fit_columns(const std::vector<TreeRow>& rows, std::size_t shown, std::size_t width, const Glyphs& glyphs) {
  constexpr std::size_t kLeastName = 16;
  constexpr std::size_t kLeastBar = 10;
  constexpr std::size_t kMostBar = 80;
  constexpr std::size_t kMostService = 24;
  constexpr std::size_t kMostStatus = 24;
  Widths widths{.service = 4, .name = 8, .bar = kLeastBar, .status = 3};
  std::size_t tail = widths.status;
  for (std::size_t i = 0; i < shown; ++i) {
    const ShownSpan& span = *rows[i].span;
    widths.service = std::max(widths.service, std::min(kMostService, columns(span.service)));
    widths.name = std::max(widths.name, columns(label(rows[i], glyphs)));
    const std::size_t status = std::min(kMostStatus, columns(span.status));
    const bool link = width >= kRoomForLinks && !span.link.empty();
    widths.status = std::max(widths.status, status);
    tail = std::max(tail, status + (link ? kGap + columns(span.link) : 0));
  }
  const std::size_t fixed = kGap + widths.service + kGap + kGap + kDuration + kGap + tail;
  const std::size_t left = std::max(width, fixed + kGap + kLeastName + kLeastBar) - fixed - kGap;
  // Names first, where there is little room.
  widths.name = std::min(widths.name, left - std::max(left < 60 ? left / 4 : left / 3, kLeastBar));
  widths.bar = std::min(left - widths.name, kMostBar);
  return widths;
}

}  // namespace

std::string_view Renderer::colour_of(const std::string& service) {
  const auto found = colours_.find(service);
  if (found != colours_.end()) return kServices[found->second % kServices.size()];
  if (colours_.size() >= kMostServices) return kServices.back();
  return kServices[colours_.emplace(service, colours_.size()).first->second % kServices.size()];
}

void Renderer::render(const ShownTrace& trace, const RenderOptions& options, std::string& out) {
  if (trace.spans.empty()) return;
  const Glyphs& glyphs = options.unicode ? kUnicode : kAscii;
  const std::vector<TreeRow> rows = tree_rows(trace, glyphs.tree, kMostDepth);
  const std::size_t shown = std::min(rows.size(), options.rows);
  const Widths widths = fit_columns(rows, shown, options.width, glyphs);

  std::uint64_t from = UINT64_MAX;
  std::uint64_t to = 0;
  std::size_t errors = 0;
  std::vector<std::string_view> services;
  for (const ShownSpan& span : trace.spans) {
    from = std::min(from, span.start_ns);
    to = std::max(to, span.end_ns);
    errors += span.error ? 1 : 0;
    services.push_back(span.service);
  }
  std::sort(services.begin(), services.end());
  services.erase(std::unique(services.begin(), services.end()), services.end());

  Painter paint(out, options.colour);
  paint.put(errors != 0 ? kRed : kGreen, glyphs.dot);
  paint.put(" ");
  paint.put(kBold, rows.front().span->name);
  paint.put("  ");
  paint.put(kBold, duration_text(to - from, glyphs.micro));
  paint.put("  " + count_of(trace.spans.size(), "span") + "  " + count_of(services.size(), "service"));
  if (errors != 0) {
    paint.put("  ");
    paint.put(kBoldRed, count_of(errors, "error"));
  }
  paint.put("  ");
  paint.put(kDim, wall_time(from) + "  trace " + trace.id.hex());
  if (trace.continued) paint.put(kYellow, "  continued: a part of it was shown before");
  if (trace.cut_short) paint.put(kYellow, "  more may follow");
  paint.end_line();

  for (std::size_t i = 0; i < shown; ++i) {
    const TreeRow& row = rows[i];
    const ShownSpan& span = *row.span;
    const std::string_view colour = colour_of(span.service);
    paint.blanks(kGap);
    paint.put(colour, fit(span.service, widths.service, glyphs.ellipsis));
    paint.blanks(kGap);
    const std::string name = fit(label(row, glyphs), widths.name, glyphs.ellipsis);
    const std::size_t branches = std::min(row.prefix.size(), name.size());
    if (name.compare(0, branches, row.prefix) == 0) {
      paint.put(kDim, std::string_view(name).substr(0, branches));
      paint.put(span.error ? kRed : std::string_view(), std::string_view(name).substr(branches));
    } else {
      paint.put(name);
    }
    paint.blanks(kGap);
    const std::string drawn = bar(span, from, to, widths.bar, glyphs);
    paint.put(span.error ? kRed : colour, drawn);
    paint.blanks(widths.bar - std::min(widths.bar, columns(drawn)));
    paint.blanks(kGap);
    const std::string time = duration_text(span.end_ns - span.start_ns, glyphs.micro);
    paint.blanks(kDuration - std::min(kDuration, columns(time)));
    paint.put(time);
    paint.blanks(kGap);
    const std::string status =
        columns(span.status) <= widths.status ? span.status : fit(span.status, widths.status, glyphs.ellipsis);
    paint.put(span.error ? kBoldRed : std::string_view(), status);
    const bool link_beside = options.width >= kRoomForLinks;
    if (!span.link.empty() && link_beside) {
      paint.blanks(kGap);
      paint.put(kYellow, span.link);
    }
    paint.end_line();

    const auto below = [&](std::string_view mark, const std::string& text) {
      paint.blanks(kGap + widths.service + kGap);
      const std::string branch = row.below + std::string(row.leaf ? glyphs.tree.blank : glyphs.tree.pipe);
      const std::size_t used = kGap + widths.service + kGap + columns(branch) + columns(mark);
      const std::size_t room = options.width > used + 20 ? options.width - used : 20;
      paint.put(kDim, branch);
      paint.put(kDim, std::string(mark) + (columns(text) > room ? fit(text, room, glyphs.ellipsis) : text));
      paint.end_line();
    };
    if (row.parent_missing) {
      below(glyphs.up, "its parent " + span.parent.hex() +
                           (span.parent_method.empty() ? "" : " (" + span.parent_method + ")") + " was not seen here");
    }
    if (!span.link.empty() && !link_beside) below(glyphs.note, "parent by " + span.link);
    for (const std::string& note : span.notes) below(glyphs.note, note);
  }
  if (shown < rows.size()) {
    paint.blanks(kGap);
    paint.put(kDim, "and " + count_of(rows.size() - shown, "more span") + " (--json FILE has all of them)");
    paint.end_line();
  }
  out.push_back('\n');
}

}  // namespace wirespan
