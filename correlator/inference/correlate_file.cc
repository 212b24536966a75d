#include "correlator/inference/correlate_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
namespace wirespan::inference {
namespace {

enum class What : std::uint8_t { kRequestStart, kCallStart, kCallEnd, kRequestEnd };

struct Moment {
  std::int64_t us;
  std::uint32_t span;
  What what;
};

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};

}  // namespace

void play(const SpanFile& file, Inference& inference) {
  const std::vector<FileSpan>& spans = file.spans;
  // The order of lines must not matter: equal times are ordered by what happens, then by the span's other time and id.
  std::vector<Moment> moments;
  moments.reserve(spans.size() * 2);
  for (std::uint32_t i = 0; i < spans.size(); ++i) {
    const bool client = spans[i].client;
    moments.push_back({spans[i].start_us, i, client ? What::kCallStart : What::kRequestStart});
    moments.push_back({std::max(spans[i].end_us, spans[i].start_us), i, client ? What::kCallEnd : What::kRequestEnd});
  }
  std::sort(moments.begin(), moments.end(), [&](const Moment& a, const Moment& b) {
    if (a.us != b.us) return a.us < b.us;
    if (a.what != b.what) return a.what < b.what;
    const FileSpan& x = spans[a.span];
    const FileSpan& y = spans[b.span];
    if (x.start_us != y.start_us) return x.start_us < y.start_us;
    if (x.end_us != y.end_us) return x.end_us < y.end_us;
    return x.id < y.id;
  });

  for (const Moment& m : moments) {
    const FileSpan& s = spans[m.span];
    const std::int64_t ns = m.us * 1000;
    const std::uint64_t id = m.span + 1U;
    switch (m.what) {
      case What::kRequestStart:
        inference.request_started(inference.process(s.service, s.instance), id, s.op, ns);
        break;
      case What::kCallStart:
        inference.call_started(inference.process(s.service, s.instance), id, s.peer_service, s.op, ns);
        break;
      case What::kCallEnd:
        inference.call_ended(id, ns);
        break;
      case What::kRequestEnd:
        inference.request_ended(id, ns);
        break;
    }
  }
  inference.finish();
}

Status correlate_file(const std::string& in, const std::string& out, const Options& options, Counters& counters) {
  auto file = read_span_file(in);
  if (!file) return file.error();
  const std::unique_ptr<std::FILE, CloseFile> to(std::fopen(out.c_str(), "wb"));
  if (!to) return errno_error("create " + out);

  const std::vector<FileSpan>& spans = file->spans;
  std::string line;
  auto sink = [&](const Decision& d) {
    line.assign(R"({"span_id":")").append(spans[d.call - 1].id).append(R"(","parent_span_id":)");
    if (d.parent == 0) {
      line.append("null");
    } else {
      line.append(1, '"').append(spans[d.parent - 1].id).append(1, '"');
    }
    std::array<char, 48> number{};
    std::snprintf(number.data(), number.size(), R"(,"confidence":%.4f,"candidates":[)",
                  static_cast<double>(d.confidence));
    line.append(number.data());
    bool first = true;
    for (const Candidate& c : d.candidates) {
      if (!first) line.append(1, ',');
      first = false;
      line.append(1, '"').append(spans[c.request - 1].id).append(1, '"');
    }
    line.append("]}\n");
    std::fwrite(line.data(), 1, line.size(), to.get());
  };

  Inference inference(options, counters, sink);
  play(*file, inference);
  if (std::fflush(to.get()) != 0) return errno_error("write " + out);
  return {};
}

}  // namespace wirespan::inference
