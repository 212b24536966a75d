// FastCGI's records (FastCGI 1.0, sections 3.3, 5 and 8). Pure functions over bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace wirespan::fastcgi {

enum class Type : std::uint8_t {
  kBeginRequest = 1,
  kAbortRequest = 2,
  kEndRequest = 3,
  kParams = 4,
  kStdin = 5,
  kStdout = 6,
  kStderr = 7,
  kData = 8,
  kGetValues = 9,
  kGetValuesResult = 10,
  kUnknownType = 11,
};
enum class Role : std::uint16_t { kResponder = 1, kAuthorizer = 2, kFilter = 3 };
enum class ProtocolStatus : std::uint8_t { kRequestComplete = 0, kCantMpxConn = 1, kOverloaded = 2, kUnknownRole = 3 };

constexpr std::size_t kHeaderSize = 8;
constexpr std::size_t kBodySize = 8;  // of BEGIN_REQUEST and END_REQUEST
constexpr std::size_t kEndSize = kHeaderSize + kBodySize;

struct Header {
  Type type{};
  std::uint16_t id = 0;  // 0: of the connection itself, a management record
  std::uint16_t content = 0;
  std::uint8_t padding = 0;
  // What a record of this type looks like, on the way it may go.
  [[nodiscard]] bool from_server() const;  // the web server, which asks
  [[nodiscard]] bool from_application() const;
};
// nullopt when these are not 8 bytes that begin with version 1.
[[nodiscard]] std::optional<Header> header(Bytes bytes);

// The body of BEGIN_REQUEST; nullopt unless its role and its flags are of the specification.
[[nodiscard]] std::optional<Role> begin_body(Bytes bytes);
// That of END_REQUEST; nullopt when it is not 8 bytes with a status of the specification.
[[nodiscard]] std::optional<ProtocolStatus> end_body(Bytes bytes);
// The id, when these are a whole END_REQUEST record without padding, as applications send it behind the last output.
[[nodiscard]] std::optional<std::uint16_t> end_record(Bytes bytes);

enum class Beginning : std::uint8_t { kNo, kPartial, kYes };
// Does a web server begin a request here? Empty STDIN records may stand before: applications leave the last one of the
// request before unread. `sure`: the record behind BEGIN_REQUEST must be seen too, and fit.
struct Began {
  Beginning beginning = Beginning::kNo;
  std::size_t before = 0;  // bytes of the empty records
};
[[nodiscard]] Began begins_request(Bytes bytes, bool sure);

// A stream of one request as far as it lies in `bytes`, which begin with `content` bytes of a record and its padding.
struct Joined {
  enum class End : std::uint8_t {
    kOpen,         // more bytes are needed
    kEnded,        // by the stream's empty record; `bytes` behind it
    kInterrupted,  // by another record, or there are too many; `bytes` before it
  } end = End::kOpen;
  std::string_view text;  // in `bytes`, or in `scratch` when several records had to be joined
  std::size_t bytes = 0;
  std::size_t left = 0;  // kOpen: what of the last record, and of the padding behind it, is not there
  std::size_t padding = 0;
};
[[nodiscard]] Joined join(Bytes bytes, const Header& first, std::string& scratch);

}  // namespace wirespan::fastcgi
