#include "agent/protocols/fastcgi/head.h"

#include <algorithm>
#include <charconv>

#include "agent/protocols/common/text.h"
#include "base/bytes.h"

namespace wirespan::fastcgi {
namespace {

using protocols::trim;

// Longer names of fields mean nothing to us.
constexpr std::size_t kMaxFieldName = 128;
constexpr std::string_view kFieldPrefix = "HTTP_";

std::optional<std::uint64_t> number(std::string_view text) {
  text = trim(text);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // 2^62, as for HTTP/1's lengths.
  if (error != std::errc() || end != text.data() + text.size() || value >> 62U != 0) return std::nullopt;
  return value;
}

// One byte, or four with the highest bit set (FastCGI 3.4).
std::optional<std::size_t> length(Reader& reader) {
  const auto first = reader.u8();
  if (!first || *first < 0x80) return first;
  const auto high = reader.u8();
  const auto low = reader.be16();
  if (!high || !low) return std::nullopt;
  return (*first & 0x7fU) << 24U | static_cast<std::size_t>(*high) << 16U | *low;
}

std::string_view version_of(std::string_view protocol) {
  if (protocol == "HTTP/1.1") return "1.1";
  if (protocol == "HTTP/1.0") return "1.0";
  if (protocol == "HTTP/2.0" || protocol == "HTTP/2") return "2";
  if (protocol == "HTTP/3.0" || protocol == "HTTP/3") return "3";
  return "";
}

struct Variables {
  std::string_view request_uri;
  std::string_view document_uri;  // nginx's, without query
  std::string_view script_name;
  std::string_view path_info;
  std::string_view query;
  std::string_view server_name;
  std::string_view server_port;
};

void add_variable(std::string_view name, std::string_view value, Variables& v, RequestHead& head) {
  if (name == "REQUEST_METHOD") head.facts.method = value;
  if (name == "REQUEST_URI") v.request_uri = value;
  if (name == "DOCUMENT_URI") v.document_uri = value;
  if (name == "SCRIPT_NAME") v.script_name = value;
  if (name == "PATH_INFO") v.path_info = value;
  if (name == "QUERY_STRING") v.query = value;
  if (name == "SERVER_NAME") v.server_name = value;
  if (name == "SERVER_PORT") v.server_port = value;
  if (name == "SERVER_PROTOCOL") head.facts.version = version_of(value);
  if (name == "REMOTE_ADDR") head.facts.client = value;
  if (name == "CONTENT_LENGTH") head.content_length = number(value);
  const bool secure = (name == "REQUEST_SCHEME" && value == "https") ||
                      (name == "HTTPS" && !value.empty() && !protocols::equals_lower(value, "off"));
  if (secure) head.facts.scheme = "https";
}

// HTTP_USER_AGENT is the field User-Agent (RFC 3875 4.1.18).
void add_field(std::string_view name, std::string_view value, const protocols::HttpHeaderList& wanted,
               RequestHead& head) {
  if (name.size() > kMaxFieldName) return;
  std::array<char, kMaxFieldName> field{};
  std::transform(name.begin(), name.end(), field.begin(), [](char c) { return c == '_' ? '-' : protocols::lower(c); });
  protocols::add_http_field({field.data(), name.size()}, value, wanted, head);
}

void set_target(const Variables& v, RequestHead& head) {
  if (protocols::split_target(v.request_uri, head.facts)) return;
  head.facts.path = v.document_uri;
  if (head.facts.path.empty()) {
    head.scratch_path.assign(v.script_name).append(v.path_info);
    head.facts.path = head.scratch_path;
  }
  if (!head.facts.path.starts_with('/')) head.facts.path = {};
  if (!head.facts.path.empty()) head.facts.query = v.query;
}

void set_authority(const Variables& v, RequestHead& head) {
  // "_" is what nginx's configurations call a server without a name.
  if (!head.facts.authority.empty() || v.server_name.empty() || v.server_name == "_") return;
  const bool brackets = v.server_name.find(':') != std::string_view::npos && v.server_name.front() != '[';
  head.scratch_authority.assign(brackets ? "[" : "").append(v.server_name).append(brackets ? "]" : "");
  if (!v.server_port.empty()) head.scratch_authority.append(":").append(v.server_port);
  head.facts.authority = head.scratch_authority;
}

}  // namespace

void parse_params(std::string_view text, const protocols::HttpHeaderList& wanted, RequestHead& head) {
  protocols::clear(head);
  head.content_length.reset();
  head.facts.scheme = "http";
  Variables variables;
  Reader reader(as_bytes(text));
  while (true) {
    const auto name_size = length(reader);
    const auto value_size = name_size ? length(reader) : std::nullopt;
    const auto name = value_size ? reader.take(*name_size) : std::nullopt;
    const auto value = name ? reader.take(*value_size) : std::nullopt;
    if (!value) break;
    if (as_text(*name).starts_with(kFieldPrefix)) {
      add_field(as_text(*name).substr(kFieldPrefix.size()), as_text(*value), wanted, head);
      continue;
    }
    add_variable(as_text(*name), as_text(*value), variables, head);
    // The two fields that come without the prefix.
    if (as_text(*name) == "CONTENT_TYPE" && !value->empty()) add_field(as_text(*name), as_text(*value), wanted, head);
    if (as_text(*name) == "CONTENT_LENGTH" && !value->empty()) add_field(as_text(*name), as_text(*value), wanted, head);
  }
  set_authority(variables, head);
  set_target(variables, head);
}

void parse_response(std::string_view text, bool complete, const protocols::HttpHeaderList& wanted, ResponseHead& head) {
  protocols::clear(head);
  head.status = 0;
  head.content_length.reset();
  bool redirects = false;
  protocols::HttpFieldLines fields(text);
  while (fields.next()) {
    const protocols::HttpField field = protocols::add_http_field(fields.name(), fields.value(), wanted, head);
    if (field == protocols::HttpField::kContentLength) head.content_length = number(fields.value());
    if (protocols::equals_lower(fields.name(), "location")) redirects = true;
    if (!protocols::equals_lower(fields.name(), "status")) continue;
    const auto status = number(fields.value().substr(0, 3));
    if (status && *status >= 100 && *status <= 599) head.status = static_cast<unsigned>(*status);
  }
  // RFC 3875 6.2: without Status it is 200, or 302 with Location.
  if (head.status == 0 && complete) head.status = redirects ? 302 : 200;
}

}  // namespace wirespan::fastcgi
