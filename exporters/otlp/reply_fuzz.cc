// libFuzzer: any answer of a receiver. "status\nheader: value\n...\n\nbody"; gRPC's trailers are headers here. A
// verdict is always reached, its words are bounded, and a wait is never negative.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "exporters/otlp/verdict.h"

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

std::string_view line(std::string_view& rest) {
  const auto end = rest.find('\n');
  const std::string_view out = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return out;
}

void check(const wirespan::OtlpVerdict& verdict) {
  require(!verdict.wait || verdict.wait->count() >= 0);
  require(verdict.why.size() < 4096 && verdict.hint.size() < 4096);
  require(verdict.what == wirespan::OtlpVerdict::What::kAccepted || verdict.rejected_spans == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace wirespan;
  std::string_view rest = as_text({data, size});
  HttpReply reply;
  reply.status = std::atoi(std::string(line(rest)).c_str());
  for (std::string_view header = line(rest); !header.empty(); header = line(rest)) {
    const auto colon = header.find(": ");
    if (colon == std::string_view::npos) continue;
    reply.headers.emplace_back(header.substr(0, colon), header.substr(colon + 2));
  }
  reply.body = rest;
  constexpr std::time_t kNow = 1'700'000'000;
  check(judge_http(reply, OtlpProtocol::kHttpProtobuf, kNow));
  check(judge_http(reply, OtlpProtocol::kHttpJson, kNow));
  check(judge_grpc(reply));
  return 0;
}
