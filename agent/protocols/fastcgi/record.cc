#include "agent/protocols/fastcgi/record.h"

#include <algorithm>

namespace wirespan::fastcgi {
namespace {

// A stream of so many records, for what others say in one or two, is sent to cost us time.
constexpr unsigned kMaxJoined = 64;
// Before a BEGIN_REQUEST: an application that reads no body leaves one.
constexpr std::size_t kMaxEmptyBefore = 2;

bool is_management(const Header& h) {
  return h.id == 0;
}

// FCGI_NULL_REQUEST_ID is for management records, and for them only (section 3.3).
bool fits(const Header& h) {
  const bool management =
      h.type == Type::kGetValues || h.type == Type::kGetValuesResult || h.type == Type::kUnknownType;
  return management == is_management(h);
}

}  // namespace

bool Header::from_server() const {
  switch (type) {
    case Type::kBeginRequest:
      return fits(*this) && content == kBodySize;
    case Type::kAbortRequest:
      return fits(*this) && content == 0;
    case Type::kParams:
    case Type::kStdin:
    case Type::kData:
    case Type::kGetValues:
      return fits(*this);
    default:
      return is_management(*this);  // to be answered with UNKNOWN_TYPE (section 4.2)
  }
}

bool Header::from_application() const {
  switch (type) {
    case Type::kEndRequest:
    case Type::kUnknownType:
      return fits(*this) && content == kBodySize;
    case Type::kStdout:
    case Type::kStderr:
    case Type::kGetValuesResult:
      return fits(*this);
    default:
      return false;
  }
}

std::optional<Header> header(Bytes bytes) {
  Reader reader(bytes);
  const auto version = reader.u8();
  const auto type = reader.u8();
  const auto id = reader.be16();
  const auto content = reader.be16();
  const auto padding = reader.u8();
  if (!version || *version != 1 || !reader.u8()) return std::nullopt;
  return Header{static_cast<Type>(*type), *id, *content, *padding};
}

std::optional<Role> begin_body(Bytes bytes) {
  Reader reader(bytes);
  const auto role = reader.be16();
  const auto flags = reader.u8();
  const auto reserved = reader.take(5);
  if (!role || !flags || !reserved) return std::nullopt;
  if (*role < 1 || *role > 3 || *flags > 1) return std::nullopt;
  if (std::any_of(reserved->begin(), reserved->end(), [](auto byte) { return byte != 0; })) return std::nullopt;
  return static_cast<Role>(*role);
}

std::optional<ProtocolStatus> end_body(Bytes bytes) {
  Reader reader(bytes);
  (void)reader.be32();  // appStatus: what an exit code of 0 or 1 means is the application's own affair
  const auto status = reader.u8();
  if (!status || *status > 3 || reader.left() < 3) return std::nullopt;
  return static_cast<ProtocolStatus>(*status);
}

std::optional<std::uint16_t> end_record(Bytes bytes) {
  if (bytes.size() != kEndSize) return std::nullopt;
  const auto h = header(bytes);
  const bool end = h && h->type == Type::kEndRequest && h->from_application() && h->padding == 0 && bytes[7] == 0;
  const Bytes reserved = bytes.last(3);
  const bool clean = std::all_of(reserved.begin(), reserved.end(), [](auto byte) { return byte == 0; });
  if (!end || !clean || !end_body(bytes.subspan(kHeaderSize))) return std::nullopt;
  return h->id;
}

Began begins_request(Bytes bytes, bool sure) {
  Began out;
  // Byte by byte as far as they are there: a first byte that is not ours must not wait for more.
  const auto plausible = [](Bytes at) { return at.empty() || at[0] == 1; };
  for (std::size_t empty = 0;; ++empty) {
    const Bytes at = bytes.subspan(out.before);
    if (!plausible(at)) return {};
    if (at.size() >= 2 && at[1] != static_cast<std::uint8_t>(Type::kBeginRequest) &&
        at[1] != static_cast<std::uint8_t>(Type::kStdin)) {
      return {};
    }
    const auto h = header(at);
    if (!h) {
      out.beginning = Beginning::kPartial;
      return out;
    }
    if (!h->from_server()) return {};
    if (h->type == Type::kBeginRequest) break;
    if (h->content != 0 || empty == kMaxEmptyBefore) return {};
    out.before += kHeaderSize + h->padding;
    if (out.before > bytes.size()) {
      out.before = bytes.size();
      out.beginning = Beginning::kPartial;
      return out;
    }
  }
  const Bytes at = bytes.subspan(out.before);
  const auto h = header(at);
  out.beginning = Beginning::kPartial;
  if (at.size() < kHeaderSize + kBodySize) return out;
  if (!begin_body(at.subspan(kHeaderSize, kBodySize))) return {};
  out.beginning = Beginning::kYes;
  if (!sure) return out;
  const std::size_t next_at = kHeaderSize + kBodySize + h->padding;
  const auto next = header(at.subspan(std::min(next_at, at.size())));
  if (!next) {
    out.beginning = at.size() < next_at + kHeaderSize ? Beginning::kPartial : Beginning::kNo;
  } else if (!next->from_server() || next->type != Type::kParams || next->id != h->id) {
    out.beginning = Beginning::kNo;
  }
  return out;
}

Joined join(Bytes bytes, const Header& first, std::string& scratch) {
  Joined out;
  std::size_t content = first.content;
  std::size_t padding = first.padding;
  for (unsigned records = 0;; ++records) {
    const std::size_t part = std::min(content, bytes.size() - out.bytes);
    const std::string_view text = as_text(bytes.subspan(out.bytes, part));
    if (records == 0) {
      out.text = text;
    } else {
      if (records == 1) scratch.assign(out.text);
      scratch.append(text);
      out.text = scratch;
    }
    const std::size_t behind = out.bytes + content + padding;
    if (behind > bytes.size()) {
      const std::size_t part_of_padding = bytes.size() - out.bytes - part;
      out.left = content - part;
      out.padding = padding - part_of_padding;
      out.bytes = bytes.size();
      return out;
    }
    out.bytes = behind;
    const auto next = header(bytes.subspan(behind));
    if (!next) {
      // Eight bytes that are no header of ours end the stream as another record would.
      if (behind + kHeaderSize <= bytes.size()) out.end = Joined::End::kInterrupted;
      return out;
    }
    if (next->type != first.type || next->id != first.id || records == kMaxJoined) {
      out.end = Joined::End::kInterrupted;
      return out;
    }
    if (next->content == 0) {
      if (behind + kHeaderSize + next->padding > bytes.size()) return out;
      out.bytes = behind + kHeaderSize + next->padding;
      out.end = Joined::End::kEnded;
      return out;
    }
    out.bytes = behind + kHeaderSize;
    content = next->content;
    padding = next->padding;
  }
}

}  // namespace wirespan::fastcgi
