// HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112).
#pragma once

#include <memory>
#include <string_view>

#include "agent/protocols/common/http_semantics.h"
#include "agent/protocols/http1/head.h"
#include "agent/protocols/protocol.h"

namespace wirespan::http1 {

constexpr std::string_view kProtocol = "http";

// What the conversations of one agent share. One thread.
struct Shared {
  explicit Shared(const protocols::Options& options) : semantics(options) {}
  protocols::HttpSemantics semantics;
  Head head;  // scratch
};

class Http1 : public protocols::Protocol {
 public:
  explicit Http1(const protocols::Options& options);
  [[nodiscard]] std::string_view name() const override;
  [[nodiscard]] protocols::Likeness recognise(const protocols::Opening& opening) const override;
  [[nodiscard]] std::unique_ptr<protocols::Conversation> start(const protocols::Opening& opening) override;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace wirespan::http1
