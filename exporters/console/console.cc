#include "exporters/console/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "exporters/console/span_line.h"
#include "exporters/console/text.h"

namespace wirespan {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kDefaultWidth = 120;
constexpr std::uint64_t kReadablePerSecond = 20;

std::size_t width_of(int fd, std::size_t wanted) {
  if (wanted != 0) return wanted;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col != 0) return size.ws_col;
  return kDefaultWidth;
}

bool says_utf8(std::string_view locale) {
  std::string lower(locale);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
  return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
}

}  // namespace

ConsoleOptions ConsoleOptions::for_fd(int fd, const Lookup& environment) {
  ConsoleOptions options;
  const bool terminal = ::isatty(fd) == 1;
  const auto set = [&](std::string_view name) { return environment(name).value_or(""); };
  options.colour = terminal && set("NO_COLOR").empty() && set("TERM") != "dumb";
  if (terminal) options.traces_per_second = kReadablePerSecond;
  std::string locale = set("LC_ALL");
  if (locale.empty()) locale = set("LC_CTYPE");
  if (locale.empty()) locale = set("LANG");
  options.unicode = says_utf8(locale);
  return options;
}

ConsoleExporter::ConsoleExporter(FdWriter writer, ConsoleOptions options, Counters& counters)
    : writer_(std::move(writer)),
      options_(options),
      book_(options.limits),
      spans_(counters.get("exporters.console.spans.sent")),
      traces_shown_(counters.get("exporters.console.traces.shown")),
      traces_not_shown_(counters.get("exporters.console.traces.not_shown")),
      write_failed_(counters.get("exporters.console.lost.write_failed")) {}

Status ConsoleExporter::send(std::span<const Span> batch) {
  if (options_.form == ConsoleOptions::Form::kJson) return print_lines(batch);
  const auto now = steady_clock::now();
  for (const Span& span : batch) book_.add(span, now);
  return print(book_.take_due(now));
}

milliseconds ConsoleExporter::idle() {
  if (options_.form == ConsoleOptions::Form::kJson) return kNever;
  // An error here is counted, and the next send says it.
  (void)print(book_.take_due(steady_clock::now()));
  const auto now = steady_clock::now();
  auto next = book_.next_due();
  if (not_shown_ != 0) next = std::min(next, second_ + std::chrono::seconds(1));
  if (next == TraceBook::Time::max()) return kNever;
  return std::max(milliseconds(1), std::chrono::ceil<milliseconds>(std::max(next, now) - now));
}

Status ConsoleExporter::flush() {
  Status status = print(book_.take_all());
  if (status && not_shown_ != 0) {
    say_not_shown(true);
    status = write(text_, 0);
  }
  return status;
}

bool ConsoleExporter::may_show(const ShownTrace& trace) {
  if (options_.traces_per_second == 0) return true;
  const bool error = std::any_of(trace.spans.begin(), trace.spans.end(), [](const ShownSpan& s) { return s.error; });
  std::uint64_t& used = error ? errors_this_second_ : plain_this_second_;
  if (used >= options_.traces_per_second) return false;
  ++used;
  return true;
}

void ConsoleExporter::say_not_shown(bool now) {
  const auto time = steady_clock::now();
  if (!now && time - second_ < std::chrono::seconds(1)) return;
  second_ = time;
  plain_this_second_ = 0;
  errors_this_second_ = 0;
  const std::uint64_t count = std::exchange(not_shown_, 0);
  if (count == 0) return;
  text_ += "  " + std::string(options_.unicode ? "… " : "... ") + count_text(count) + " more " +
           (count == 1 ? "trace" : "traces") + " not shown: too many to read (--json FILE has all of them)\n\n";
}

Status ConsoleExporter::print(std::vector<ShownTrace> traces) {
  constexpr std::size_t kKeep = 1U << 20U;
  if (text_.capacity() > kKeep) text_ = std::string();
  text_.clear();
  const RenderOptions render{
      .width = width_of(writer_.fd(), options_.width), .colour = options_.colour, .unicode = options_.unicode};
  std::size_t spans = 0;
  std::uint64_t shown = 0;
  for (const ShownTrace& trace : traces) {
    say_not_shown(false);
    if (!may_show(trace)) {
      ++not_shown_;
      traces_not_shown_.add();
      continue;
    }
    renderer_.render(trace, render, text_);
    spans += trace.spans.size();
    ++shown;
  }
  if (not_shown_ != 0) say_not_shown(false);
  if (text_.empty()) return {};
  const Status status = write(text_, spans);
  if (status) traces_shown_.add(shown);
  return status;
}

Status ConsoleExporter::print_lines(std::span<const Span> batch) {
  lines_.clear();
  for (const Span& span : batch) append_span_line(span, lines_);
  return write(lines_.view(), batch.size());
}

Status ConsoleExporter::write(std::string_view text, std::size_t spans) {
  const Status status = writer_.write(text);
  (status ? spans_ : write_failed_).add(spans);
  if (status) return {};
  Error error = status.error();
  error.what = "spans not shown, " + error.what;
  return error;
}

}  // namespace wirespan
