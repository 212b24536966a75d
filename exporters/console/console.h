// --console: every trace as a tree once it is complete, for a person; or every span as one line of JSON, for jq.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/counters.h"
#include "exporters/console/renderer.h"
#include "exporters/console/trace_book.h"
#include "exporters/encode/byte_buffer.h"
#include "exporters/output/fd_writer.h"
#include "exporters/queue/exporter.h"

namespace wirespan {

struct ConsoleOptions {
  enum class Form : std::uint8_t { kTree, kJson } form = Form::kTree;
  bool colour = false;
  bool unicode = true;
  // Columns; 0: the terminal's, asked for each time, 120 where there is none.
  std::size_t width = 0;
  // Trees a second, and the same number again of trees with an error in them: more than that nobody reads, and printing
  // it would take the cores from the services. 0: no limit. What is not shown is counted and said.
  std::uint64_t traces_per_second = 0;
  TraceBookLimits limits{};

  // What suits `fd`: on a terminal colours (unless NO_COLOR is set, no-color.org), its width and a limit; Unicode where
  // LC_ALL, LC_CTYPE or LANG, in that order, say UTF-8.
  using Lookup = std::function<std::optional<std::string>(std::string_view name)>;
  [[nodiscard]] static ConsoleOptions for_fd(int fd, const Lookup& environment);
};

// Counters: exporters.console.{spans.sent,traces.shown,traces.not_shown,lost.write_failed}.
class ConsoleExporter : public Exporter {
 public:
  ConsoleExporter(FdWriter writer, ConsoleOptions options, Counters& counters);

  [[nodiscard]] std::string_view name() const override { return "console"; }
  Status send(std::span<const Span> batch) override;
  std::chrono::milliseconds idle() override;
  Status flush() override;
  void interrupt() override { writer_.interrupt(); }

 private:
  Status print_lines(std::span<const Span> batch);
  Status print(std::vector<ShownTrace> traces);
  Status write(std::string_view text, std::size_t spans);
  [[nodiscard]] bool may_show(const ShownTrace& trace);
  void say_not_shown(bool now);

  FdWriter writer_;
  ConsoleOptions options_;
  TraceBook book_;
  Renderer renderer_;
  std::string text_;
  ByteBuffer lines_;
  std::chrono::steady_clock::time_point second_{};
  std::uint64_t plain_this_second_ = 0;
  std::uint64_t errors_this_second_ = 0;
  std::uint64_t not_shown_ = 0;
  Counter& spans_;
  Counter& traces_shown_;
  Counter& traces_not_shown_;
  Counter& write_failed_;
};

}  // namespace wirespan
