#include "agent/protocols/common/http_semantics.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "agent/protocols/common/identifiers.h"
#include "agent/protocols/common/route.h"
#include "agent/protocols/common/text.h"

namespace wirespan::protocols {
namespace {

constexpr std::array<std::string_view, 10> kKnownMethods = {"GET",     "POST",    "PUT",   "DELETE", "HEAD",
                                                            "OPTIONS", "CONNECT", "PATCH", "TRACE",  "QUERY"};
constexpr std::size_t kMaxPath = 2048;
constexpr std::size_t kMaxQuery = 2048;
constexpr std::size_t kMaxParameters = 64;
constexpr std::size_t kMaxHost = 255;  // RFC 1035 2.3.4
constexpr std::size_t kMaxUserAgent = 1024;
constexpr std::size_t kMaxMethod = 64;
constexpr std::size_t kMaxCarriedValue = 4096;
constexpr std::size_t kMaxCarried = 32;
constexpr std::size_t kMaxRoute = 512;

struct HostPort {
  std::string_view host;
  std::uint32_t port = 0;  // 0: not given
};

// RFC 3986 3.2.2, 3.2.3: "[::1]:8080", "example.org", "10.0.0.1:80".
HostPort split_authority(std::string_view authority) {
  HostPort out;
  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return out;
    out.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && port.front() == ':') port.remove_prefix(1);
  } else {
    const std::size_t colon = authority.rfind(':');
    out.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
  }
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  if (error == std::errc() && end == port.data() + port.size() && number > 0 && number <= 65535) out.port = number;
  return out;
}

// First element of a list field.
std::string_view first_of_list(std::string_view value) {
  return trim(value.substr(0, value.find(',')));
}

// `for`, `host` or `proto` of the first element (RFC 7239, section 4), without quotes.
std::string_view forwarded_parameter(std::string_view forwarded, std::string_view wanted) {
  forwarded = forwarded.substr(0, forwarded.find(','));
  while (!forwarded.empty()) {
    const std::size_t end = std::min(forwarded.find(';'), forwarded.size());
    const std::string_view pair = trim(forwarded.substr(0, end));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && equals_lower(trim(pair.substr(0, equals)), wanted)) {
      std::string_view value = trim(pair.substr(equals + 1));
      if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
      return value;
    }
    forwarded.remove_prefix(std::min(end + 1, forwarded.size()));
  }
  return {};
}

// The address in a Forwarded or X-Forwarded-For element, "" when it is none ("unknown", "_hidden").
std::string_view node_address(std::string_view node) {
  const bool ipv6 = std::count(node.begin(), node.end(), ':') > 1 && node.front() != '[';
  const std::string_view host = ipv6 ? node : split_authority(node).host;
  const bool address = !host.empty() && host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string_view::npos &&
                       host.find_first_of(".:") != std::string_view::npos;
  return address ? host : std::string_view();
}

// ";jsessionid=..." is a secret in a path as much as in a query.
void append_path(std::string& out, std::string_view path) {
  while (!path.empty()) {
    const std::size_t parameter = path.find(';');
    append_uri(out, path.substr(0, parameter), kMaxPath);
    if (parameter == std::string_view::npos) return;
    path.remove_prefix(parameter);
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::size_t equals = path.substr(0, end).find('=');
    append_uri(out, path.substr(0, std::min(equals, end)), kMaxPath);
    if (equals != std::string_view::npos) out.append("=REDACTED");
    path.remove_prefix(end);
    if (out.size() > kMaxPath) return;
  }
}

}  // namespace

bool split_target(std::string_view target, HttpRequestFacts& facts) {
  if (target.empty()) return false;
  if (facts.method == "CONNECT") {  // authority-form, RFC 9112 3.2.3
    facts.authority = target;
    return target.find('/') == std::string_view::npos;
  }
  if (target == "*") {  // asterisk-form, RFC 9112 3.2.4
    facts.path = target;
    return true;
  }
  if (target.front() != '/') {  // absolute-form, RFC 9112 3.2.2: its authority replaces Host
    const std::size_t colon = target.find("://");
    if (colon == std::string_view::npos || colon == 0 || !is_alpha(target.front())) return false;
    const std::string_view scheme = target.substr(0, colon);
    facts.scheme = equals_lower(scheme, "https") ? "https" : "http";
    target.remove_prefix(colon + 3);
    const std::size_t end = std::min(target.find_first_of("/?#"), target.size());
    facts.authority = target.substr(0, end);
    if (const std::size_t at = facts.authority.rfind('@'); at != std::string_view::npos) {
      facts.credentials = true;
      facts.authority.remove_prefix(at + 1);
    }
    target.remove_prefix(end);
  }
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  facts.path = target.substr(0, question);
  if (facts.path.empty()) facts.path = "/";
  if (question != std::string_view::npos) facts.query = target.substr(question + 1);
  return true;
}

HttpHeaderList::HttpHeaderList(std::string_view prefix, const std::vector<std::string>& names,
                               const std::vector<std::string>& ids) {
  const auto to_lower = [](std::string& name) { std::transform(name.begin(), name.end(), name.begin(), lower); };
  ids_ = ids;
  for (std::string& name : ids_) to_lower(name);
  for (std::string name : names) {
    to_lower(name);
    std::string attribute_key = std::string(prefix) + name;
    entries_.emplace_back(std::move(name), std::move(attribute_key));
  }
}

std::string_view HttpHeaderList::key(std::string_view name) const {
  for (const auto& [wanted, attribute_key] : entries_) {
    if (equals_lower(name, wanted)) return attribute_key;
  }
  return {};
}

std::string_view HttpHeaderList::id(std::string_view name) const {
  for (const std::string& one : ids_) {
    if (equals_lower(name, one)) return one;
  }
  return {};
}

HttpSemantics::HttpSemantics(const Options& options)
    : request_headers_("http.request.header.", options.request_headers, options.request_id_headers),
      response_headers_("http.response.header.", options.response_headers),
      known_methods_(options.known_methods),
      query_values_(options.query_values) {
  if (known_methods_.empty()) known_methods_.assign(kKnownMethods.begin(), kKnownMethods.end());
}

bool HttpSemantics::known(std::string_view method) const {
  return std::any_of(known_methods_.begin(), known_methods_.end(), [&](const auto& one) { return one == method; });
}

void HttpSemantics::request(Message& m, const HttpRequestFacts& facts) const {
  const bool server = m.direction == Direction::kReceived;
  Attributes& a = m.attributes;
  const bool known_method = known(facts.method);
  const std::string_view method = facts.method.substr(0, kMaxMethod);
  if (!method.empty()) a.set_new("http.request.method", known_method ? method : std::string_view("_OTHER"));
  if (!method.empty() && !known_method) a.set_new("http.request.method_original", method);

  std::string_view scheme = facts.scheme;
  std::string_view authority = facts.authority;
  if (server) {  // what the first client asked for, if a proxy says so (conventions, "HTTP server")
    std::string_view proto = forwarded_parameter(facts.forwarded, "proto");
    if (proto.empty()) proto = first_of_list(facts.x_forwarded_proto);
    if (equals_lower(proto, "http")) scheme = "http";
    if (equals_lower(proto, "https")) scheme = "https";
    std::string_view host = forwarded_parameter(facts.forwarded, "host");
    if (host.empty()) host = first_of_list(facts.x_forwarded_host);
    if (!host.empty()) authority = host;
  }
  HostPort target = split_authority(authority);
  if (target.host.size() > kMaxHost) target = {};
  if (target.port == 0) target.port = scheme == "https" ? 443 : 80;

  url(m, facts, scheme, target.host, target.port);

  if (!target.host.empty()) {
    scratch_.clear();
    append_clean(scratch_, target.host, kMaxHost);
    a.set_new("server.address", scratch_);
    a.set_new("server.port", target.port);
  }
  a.set_new("network.protocol.name", "http");
  if (!facts.version.empty()) a.set_new("network.protocol.version", facts.version);
  if (!facts.user_agent.empty()) {
    scratch_.clear();
    append_clean(scratch_, facts.user_agent, kMaxUserAgent);
    a.set_new("user_agent.original", scratch_);
  }
  if (server) {
    std::string_view client = node_address(forwarded_parameter(facts.forwarded, "for"));
    if (client.empty()) client = node_address(first_of_list(facts.x_forwarded_for));
    if (client.empty()) client = node_address(facts.client);
    if (!client.empty()) a.set_new("client.address", client);
  }

  // "{method} {route}", and "HTTP" for a method not known (conventions, "Name").
  m.name.assign(known_method ? method : std::string_view("HTTP"));
  if (!facts.path.empty() && facts.path.front() == '/') {
    scratch_.clear();
    append_route(scratch_, facts.path);
    if (scratch_.size() > kMaxRoute) scratch_.resize(kMaxRoute);
    // http.route is a SERVER's attribute; url.template is its like for a CLIENT.
    a.set_new(server ? Literal("http.route") : Literal("url.template"), scratch_);
    m.name.push_back(' ');
    m.name.append(scratch_);
    add_rare_tokens(m.rare_values, facts.path);
    add_rare_tokens(m.rare_values, facts.query);
  }
}

void HttpSemantics::url(Message& m, const HttpRequestFacts& facts, std::string_view scheme, std::string_view host,
                        std::uint32_t port) const {
  Attributes& a = m.attributes;
  if (facts.path.empty()) return;  // CONNECT has no URL
  const bool server = m.direction == Direction::kReceived;
  std::string& text = scratch_;
  if (!server) {
    // url.full: scheme://host[:port]path?query (required of a CLIENT).
    text.assign(scheme);
    text.append("://");
    if (facts.credentials) text.append("REDACTED:REDACTED@");
    const std::string fallback = host.empty() ? m.conn->remote.ip_text() : std::string();
    const std::string_view name = host.empty() ? std::string_view(fallback) : host;
    const bool brackets = name.find(':') != std::string_view::npos;
    if (brackets) text.push_back('[');
    append_uri(text, name, kMaxHost);
    if (brackets) text.push_back(']');
    const std::uint32_t shown = host.empty() ? m.conn->remote.port : port;
    if (shown != (scheme == "https" ? 443U : 80U) && shown != 0) {
      text.push_back(':');
      text.append(std::to_string(shown));
    }
  } else {
    text.clear();
  }
  const std::size_t path_at = text.size();
  if (facts.path != "*") append_path(text, facts.path);
  a.set_new("url.path", facts.path == "*" ? facts.path : std::string_view(text).substr(path_at));
  if (!facts.query.empty()) {
    text.push_back('?');
    const std::size_t query_at = text.size();
    append_query(text, facts.query);
    a.set_new("url.query", std::string_view(text).substr(query_at));
  }
  a.set_new("url.scheme", scheme);
  if (!server) a.set_new("url.full", text);
}

void HttpSemantics::append_query(std::string& out, std::string_view query) const {
  if (query_values_) return append_uri(out, query, kMaxQuery);
  const std::size_t limit = out.size() + kMaxQuery;
  for (std::size_t count = 0; !query.empty() && count < kMaxParameters && out.size() < limit; ++count) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    if (count > 0) out.push_back('&');
    const std::size_t equals = parameter.find('=');
    // Without '=' it may be all value ("?token").
    if (equals != std::string_view::npos) {
      append_uri(out, parameter.substr(0, equals), kMaxHost);
      out.push_back('=');
    }
    if (!parameter.empty() && equals + 1 != parameter.size()) out.append("REDACTED");
    query.remove_prefix(std::min(end + 1, query.size()));
  }
}

void HttpSemantics::response(Message& m, unsigned status) const {
  m.attributes.set_new("http.response.status_code", status);
  m.client_error = status >= 400;
  m.server_error = status >= 500;
  if (m.client_error) m.error_type = std::to_string(status);
}

void add_carried(Message& message, std::string_view name, std::string_view value) {
  if (message.carried.size() >= kMaxCarried || value.size() > kMaxCarriedValue) return;
  message.carried.emplace_back(name, value);
  // Others change with every hop, or name a span and not the request, or are better evidence by themselves.
  constexpr std::array<std::string_view, 9> kNoIds = {"traceparent", "tracestate",        "b3",
                                                      "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled",
                                                      "x-b3-flags",  "grpc-trace-bin",    "sw8"};
  if (std::find(kNoIds.begin(), kNoIds.end(), name) == kNoIds.end()) {
    add_rare_tokens(message.rare_values, value);
  } else if (name == "sw8") {
    // SkyWalking: fields in base64 between dashes; the second is the trace, unchanged from hop to hop.
    const std::size_t begin = value.find('-') + 1;
    const std::size_t end = value.find('-', begin);
    if (begin != 0 && end != std::string_view::npos && end - begin >= 16 && message.rare_values.size() < kMaxRareValues)
      message.rare_values.push_back(token_hash(value.substr(begin, end - begin)));
  }
}

}  // namespace wirespan::protocols
