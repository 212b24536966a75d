#include "agent/capture/recording.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "agent/capture/recording_format.h"

namespace wirespan {
namespace {

namespace format = recording;

constexpr std::size_t kBuffer = 64U << 10U;
constexpr std::size_t kRecordHeader = 6;  // size and type
constexpr std::int64_t kFlushNs = 1'000'000'000;
constexpr std::int64_t kClockStepNs = 1'000'000;
// Far more than one host has open at once; a hostile file must not make us remember without bound.
constexpr std::size_t kMostConnections = 1U << 20U;

Result<int> open_new(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno_error("create " + path);
  struct stat info{};
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && fchmod(fd, 0600) != 0) {
    const Error error = errno_error("make " + path + " its owner's only");
    close(fd);
    return error;
  }
  return fd;
}

template <class T>
T little_endian(const char* from) {
  T value = 0;
  for (unsigned i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<unsigned char>(from[i])) << (8 * i));
  }
  return value;
}

BootTime time_of(const Event& event) {
  return std::visit(
      [](const auto& e) {
        if constexpr (requires { e.time; })
          return e.time;
        else
          return e.conn->opened;
      },
      event);
}

std::shared_ptr<const Connection> connection_of(const Event& event) {
  return std::visit(
      [](const auto& e) -> std::shared_ptr<const Connection> {
        if constexpr (requires { e.conn; })
          return e.conn;
        else
          return nullptr;
      },
      event);
}

void set_connection(Event& event, const std::shared_ptr<Connection>& conn) {
  std::visit(
      [&](auto& e) {
        if constexpr (requires { e.conn; }) e.conn = conn;
      },
      event);
}

}  // namespace

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path, const HostFacts& host,
                                                                 Sink<Event>* next, Counters& counters,
                                                                 std::uint64_t max_bytes) {
  auto fd = open_new(path);
  if (!fd) return fd.error();
  return std::unique_ptr<RecordingWriter>(new RecordingWriter(*fd, host, next, counters, max_bytes));
}

RecordingWriter::RecordingWriter(int fd, const HostFacts& host, Sink<Event>* next, Counters& counters,
                                 std::uint64_t max_bytes)
    : fd_(fd), next_(next), max_bytes_(max_bytes), lost_(counters.get("recording.lost")) {
  buffer_.reserve(kBuffer + (64U << 10U));
  buffer_.append(format::kMagic);
  buffer_ += {static_cast<char>(format::kVersion & 0xffU), static_cast<char>(format::kVersion >> 8U), 0, 0};
  offset_ns_ = SystemClock::offset_ns();
  format::encode_clock(buffer_, offset_ns_);
  format::encode_host(buffer_, host);
}

RecordingWriter::~RecordingWriter() {
  (void)flush();
  close(fd_);
}

Status RecordingWriter::flush() {
  std::size_t done = 0;
  while (status_ && done < buffer_.size()) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      status_ = errno_error("write the recording");
    } else {
      done += static_cast<std::size_t>(n);
    }
  }
  written_ += done;
  buffer_.clear();
  return status_;
}

void RecordingWriter::know(const Connection& conn) {
  const auto [it, fresh] = known_.try_emplace(static_cast<std::uint64_t>(conn.id), conn.has_base);
  if (!fresh && it->second == conn.has_base) return;
  it->second = conn.has_base;
  format::encode_connection(buffer_, conn);
}

void RecordingWriter::keep_clock(BootTime now) {
  const std::int64_t offset = SystemClock::offset_ns();
  if (std::abs(offset - offset_ns_) > kClockStepNs) {
    offset_ns_ = offset;
    format::encode_clock(buffer_, offset);
  }
  if (now - flushed_ >= kFlushNs) {
    flushed_ = now;
    (void)flush();
  }
}

void RecordingWriter::write(const Event& event) {
  if (!status_) return lost_.add();
  if (max_bytes_ != 0 && written_ + buffer_.size() > max_bytes_) {
    (void)flush();
    status_ = Error{"the recording reached its limit of " + std::to_string(max_bytes_) + " bytes", 0, {}};
    return lost_.add();
  }
  if (const auto conn = connection_of(event)) know(*conn);
  format::encode_event(buffer_, event);
  if (const auto* closed = std::get_if<event::Closed>(&event)) {
    known_.erase(static_cast<std::uint64_t>(closed->conn->id));
  }
  if (buffer_.size() >= kBuffer) (void)flush();
  if (const auto* tick = std::get_if<event::Tick>(&event)) keep_clock(tick->time);
}

void RecordingWriter::accept(const Event& event) {
  write(event);
  if (next_ != nullptr) next_->accept(event);
}

Result<std::unique_ptr<RecordingSource>> RecordingSource::open(const std::string& path, Counters& counters) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error("open " + path);
  std::unique_ptr<RecordingSource> source(new RecordingSource(fd, counters));
  if (!source->fill(format::kFileHeader) || !std::string_view(source->buffer_).starts_with(format::kMagic)) {
    return Error{path + " is not a wirespan recording", 0, {}};
  }
  const auto version = little_endian<std::uint16_t>(source->buffer_.data() + format::kMagic.size());
  if (version == 0 || version > format::kVersion) {
    return Error{path + " has format version " + std::to_string(version) + ", this wirespan reads up to " +
                     std::to_string(format::kVersion),
                 0, "Replay it with the version that recorded it, or a newer one"};
  }
  source->at_ = format::kFileHeader;
  if (const Status read = source->read_preamble(); !read) return read.error();
  return source;
}

RecordingSource::RecordingSource(int fd, Counters& counters)
    : fd_(fd), skipped_(counters.get("replay.unknown_records")), cut_(counters.get("replay.cut_records")) {}

RecordingSource::~RecordingSource() {
  close(fd_);
}

// True: `wanted` bytes are in the buffer from at_ on.
bool RecordingSource::fill(std::size_t wanted) {
  if (buffer_.size() - at_ >= wanted) return true;
  consumed_ += at_;
  buffer_.erase(0, at_);
  at_ = 0;
  while (!end_ && buffer_.size() < wanted) {
    const std::size_t had = buffer_.size();
    // Grows with what is really there: a size field alone allocates nothing.
    buffer_.resize(had + kBuffer);
    const ssize_t n = read(fd_, buffer_.data() + had, kBuffer);
    buffer_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n <= 0) end_ = true;
  }
  return buffer_.size() >= wanted;
}

Error RecordingSource::damaged(const char* what) const {
  return Error{std::string("the recording is damaged at byte ") + std::to_string(consumed_ + at_) + ": " + what, 0, {}};
}

Result<std::optional<RecordingSource::Record>> RecordingSource::next() {
  if (!fill(4)) return std::optional<Record>();
  const auto size = little_endian<std::uint32_t>(buffer_.data() + at_);
  if (size < 2 || size > format::kMostRecord) return damaged("impossible record size");
  if (!fill(4 + std::size_t{size})) return std::optional<Record>();
  return std::optional<Record>({little_endian<std::uint16_t>(buffer_.data() + at_ + 4),
                                as_bytes(std::string_view(buffer_).substr(at_ + kRecordHeader, size - 2))});
}

// Whoever makes the spans must know the host before the first event comes.
Status RecordingSource::read_preamble() {
  for (;;) {
    const auto record = next();
    if (!record) return record.error();
    if (!*record) return {};
    const auto type = static_cast<format::Type>((*record)->type);
    if (type == format::Type::kHost) {
      if (!format::decode_host((*record)->body, host_.emplace())) return damaged("host");
    } else if (type == format::Type::kClock) {
      std::int64_t offset = 0;
      if (!format::decode_clock((*record)->body, offset)) return damaged("clock");
      clock_.set_offset_ns(offset);
    } else {
      return {};
    }
    at_ += kRecordHeader + (*record)->body.size();
  }
}

Status RecordingSource::run(Sink<Event>& sink, const std::atomic<bool>& stop) {
  while (!stop.load(std::memory_order_relaxed)) {
    const auto record = next();
    if (!record) return record.error();
    if (!*record) {
      if (buffer_.size() != at_) cut_.add();
      return {};
    }
    const Bytes body = (*record)->body;
    if (Status delivered = deliver((*record)->type, body, sink); !delivered) return delivered;
    at_ += kRecordHeader + body.size();
  }
  return {};
}

Status RecordingSource::deliver(std::uint16_t type, Bytes body, Sink<Event>& sink) {
  const auto known_type = static_cast<format::Type>(type);
  if (type == 0 || known_type > format::kLastType) {
    skipped_.add();
    return {};
  }
  if (known_type == format::Type::kClock) {
    std::int64_t offset = 0;
    if (!format::decode_clock(body, offset)) return damaged("clock");
    clock_.set_offset_ns(offset);
    return {};
  }
  // Too late to matter: the spans' host was settled before the first event.
  if (known_type == format::Type::kHost) return {};
  if (known_type == format::Type::kConnection) {
    Connection conn;
    if (!format::decode_connection(body, conn)) return damaged("connection");
    if (conns_.size() >= kMostConnections) return damaged("more connections than a host can have");
    auto& kept = conns_[static_cast<std::uint64_t>(conn.id)];
    // In place: whoever holds it sees its base, as in the live run.
    if (kept)
      *kept = std::move(conn);
    else
      kept = std::make_shared<Connection>(std::move(conn));
    return {};
  }
  Event event;
  ConnId id{};
  if (!format::decode_event(known_type, body, event, id)) return damaged("event");
  const bool of_connection =
      known_type == format::Type::kOpened || known_type == format::Type::kData || known_type == format::Type::kClosed;
  if (of_connection) {
    const auto it = conns_.find(static_cast<std::uint64_t>(id));
    if (it == conns_.end()) return damaged("event of a connection that was not described");
    set_connection(event, it->second);
  }
  clock_.set(std::max(clock_.now(), time_of(event)));
  sink.accept(event);
  if (known_type == format::Type::kClosed) conns_.erase(static_cast<std::uint64_t>(id));
  return {};
}

}  // namespace wirespan
