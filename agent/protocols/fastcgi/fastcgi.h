// FastCGI 1.0: how web servers ask applications that stay alive, as PHP-FPM does. What it carries is HTTP (CGI,
// RFC 3875), so its messages say what HTTP's say.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "agent/protocols/common/http_semantics.h"
#include "agent/protocols/fastcgi/head.h"
#include "agent/protocols/protocol.h"

namespace wirespan::fastcgi {

constexpr std::string_view kProtocol = "fastcgi";

// What the conversations of one agent share. One thread.
struct Shared {
  explicit Shared(const protocols::Options& options) : semantics(options) {}
  protocols::HttpSemantics semantics;
  RequestHead request;  // scratch, as the others
  ResponseHead response;
  std::string text;
};

class FastCgi : public protocols::Protocol {
 public:
  explicit FastCgi(const protocols::Options& options);
  [[nodiscard]] std::string_view name() const override;
  [[nodiscard]] protocols::Likeness recognise(const protocols::Opening& opening) const override;
  [[nodiscard]] std::unique_ptr<protocols::Conversation> start(const protocols::Opening& opening) override;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace wirespan::fastcgi
