#include "agent/capture/recording.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wirespan {
namespace {

constexpr std::string_view kMagic = "WSPNREC1";
constexpr std::size_t kMostRecord = 1U << 20U;
constexpr std::size_t kMostConnections = 1U << 20U;
constexpr std::size_t kFlushAt = 256U << 10U;

// Numbers are forever; new ones at the end.
enum class Type : std::uint8_t {
  kHeader,
  kOpened,
  kData,
  kClosed,
  kWake,
  kForked,
  kProcess,
  kProcessExited,
  kThreadExited,
  kLost,
  kTick
};

class Writer {
 public:
  Writer(std::string& out, Type type) : out_(out), begin_(out.size()) {
    u32(0);
    u8(static_cast<std::uint8_t>(type));
  }
  ~Writer() {
    const auto length = static_cast<std::uint32_t>(out_.size() - begin_ - 4);
    for (std::size_t i = 0; i < 4; ++i) out_[begin_ + i] = static_cast<char>(length >> (8 * i));
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void u8(std::uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(std::uint16_t v) { integer(v, 2); }
  void u32(std::uint32_t v) { integer(v, 4); }
  void u64(std::uint64_t v) { integer(v, 8); }
  void time(BootTime t) { u64(t.ns); }
  void bytes(Bytes b) {
    u32(static_cast<std::uint32_t>(b.size()));
    out_.append(as_text(b));
  }
  void text(std::string_view t) { bytes(as_bytes(t)); }
  void texts(const std::vector<std::string>& all) {
    u32(static_cast<std::uint32_t>(all.size()));
    for (const std::string& t : all) text(t);
  }
  void thread(ThreadRef t) {
    u32(t.pid);
    u32(t.tid);
  }
  void actor(const Actor& a) {
    thread(a.thread);
    u32(a.loop);
    u64(a.task);
    u64(a.parent_task);
  }
  void address(const Address& a) {
    u8(static_cast<std::uint8_t>(a.family));
    bytes(a.ip);
    u16(a.port);
    text(a.path);
  }

 private:
  void integer(std::uint64_t v, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out_.push_back(static_cast<char>(v >> (8 * i)));
  }
  std::string& out_;
  std::size_t begin_;
};

// Reads past the end give zeros and are remembered.
class Fields {
 public:
  explicit Fields(Bytes bytes) : reader_(bytes) {}
  [[nodiscard]] bool ok() const { return ok_; }

  std::uint8_t u8() { return take(reader_.u8()); }
  std::uint16_t u16() { return take(reader_.le16()); }
  std::uint32_t u32() { return take(reader_.le32()); }
  std::uint64_t u64() { return take(reader_.le64()); }
  BootTime time() { return {u64()}; }
  Bytes bytes() { return take(reader_.take(u32())); }
  std::string text() { return std::string(as_text(bytes())); }
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    for (std::uint32_t left = u32(); left > 0 && ok_; --left) out.push_back(text());
    return out;
  }
  ThreadRef thread() {
    const std::uint32_t pid = u32();
    return {pid, u32()};
  }
  Actor actor() {
    Actor a;
    a.thread = thread();
    a.loop = u32();
    a.task = u64();
    a.parent_task = u64();
    return a;
  }
  Address address() {
    Address a;
    a.family = static_cast<Address::Family>(std::min<std::uint8_t>(u8(), 3));
    const Bytes ip = bytes();
    std::copy_n(ip.begin(), std::min(ip.size(), a.ip.size()), a.ip.begin());
    a.port = u16();
    a.path = text();
    return a;
  }

 private:
  template <class T>
  T take(std::optional<T> value) {
    if (!value) ok_ = false;
    return value.value_or(T{});
  }
  Reader reader_;
  bool ok_ = true;
};

void write_event(const event::Opened& e, std::string& out) {
  Writer w(out, Type::kOpened);
  const Connection& c = *e.conn;
  w.u64(static_cast<std::uint64_t>(c.id));
  w.u8(static_cast<std::uint8_t>(c.transport));
  w.u8(static_cast<std::uint8_t>(c.side));
  w.u8(c.adopted ? 1 : 0);
  w.u8(c.has_base ? 1 : 0);
  w.u32(c.pid);
  w.address(c.local);
  w.address(c.remote);
  w.u64(c.received_base);
  w.u64(c.sent_base);
  w.time(c.opened);
  w.actor(e.actor);
}
void write_event(const event::Data& e, std::string& out) {
  Writer w(out, Type::kData);
  w.u64(static_cast<std::uint64_t>(e.conn->id));
  w.u8(static_cast<std::uint8_t>(e.direction));
  w.time(e.time);
  w.actor(e.actor);
  w.u64(e.position);
  w.u32(e.length);
  w.bytes(e.captured);
  w.bytes(e.tail);
}
void write_event(const event::Closed& e, std::string& out) {
  Writer w(out, Type::kClosed);
  w.u64(static_cast<std::uint64_t>(e.conn->id));
  w.time(e.time);
  w.u8(static_cast<std::uint8_t>(e.how));
}
void write_event(const event::Wake& e, std::string& out) {
  Writer w(out, Type::kWake);
  w.time(e.time);
  w.actor(e.waker);
  w.thread(e.wakee);
}
void write_event(const event::Forked& e, std::string& out) {
  Writer w(out, Type::kForked);
  w.time(e.time);
  w.thread(e.parent);
  w.thread(e.child);
}
void write_event(const event::Process& e, std::string& out) {
  Writer w(out, Type::kProcess);
  w.time(e.time);
  w.u32(e.pid);
  w.u32(e.parent_pid);
  w.time(e.started);
  for (const std::string* text : {&e.exe, &e.comm, &e.cwd, &e.cgroup, &e.runtime}) w.text(*text);
  w.texts(e.cmdline);
  w.texts(e.otel_env);
  w.u32(static_cast<std::uint32_t>(e.listening.size()));
  for (const std::uint16_t port : e.listening) w.u16(port);
}
void write_event(const event::ProcessExited& e, std::string& out) {
  Writer w(out, Type::kProcessExited);
  w.time(e.time);
  w.u32(e.pid);
}
void write_event(const event::ThreadExited& e, std::string& out) {
  Writer w(out, Type::kThreadExited);
  w.time(e.time);
  w.thread(e.thread);
}
void write_event(const event::Lost& e, std::string& out) {
  Writer w(out, Type::kLost);
  w.time(e.time);
  w.text(e.reason);
  w.u64(e.count);
}
void write_event(const event::Tick& e, std::string& out) {
  Writer w(out, Type::kTick);
  w.time(e.time);
}

ConnectionPtr read_connection(Fields& f) {
  auto c = std::make_shared<Connection>();
  c->id = ConnId{f.u64()};
  c->transport = f.u8() == 0 ? Transport::kTcp : Transport::kUnix;
  c->side = static_cast<TcpSide>(std::min<std::uint8_t>(f.u8(), 2));
  c->adopted = f.u8() != 0;
  c->has_base = f.u8() != 0;
  c->pid = f.u32();
  c->local = f.address();
  c->remote = f.address();
  c->received_base = f.u64();
  c->sent_base = f.u64();
  c->opened = f.time();
  return c;
}

event::Process read_process(Fields& f) {
  event::Process e;
  e.time = f.time();
  e.pid = f.u32();
  e.parent_pid = f.u32();
  e.started = f.time();
  for (std::string* text : {&e.exe, &e.comm, &e.cwd, &e.cgroup, &e.runtime}) *text = f.text();
  e.cmdline = f.texts();
  e.otel_env = f.texts();
  for (std::uint32_t left = f.u32(); left > 0 && f.ok(); --left) e.listening.push_back(f.u16());
  return e;
}

}  // namespace

Result<std::unique_ptr<RecordingWriter>> RecordingWriter::create(const std::string& path, const HostFacts& host,
                                                                 std::int64_t offset_ns, Sink<Event>* next,
                                                                 Counters& counters) {
  // Payload may hold anything: only its owner reads it.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_error("create the recording " + path);
  if (fchmod(fd, 0600) != 0) {
    const Error error = errno_error("restrict the recording " + path);
    ::close(fd);
    return error;
  }
  std::unique_ptr<RecordingWriter> writer(new RecordingWriter(fd, next, counters));
  writer->buffer_ = kMagic;
  Writer w(writer->buffer_, Type::kHeader);
  w.u64(static_cast<std::uint64_t>(offset_ns));
  for (const std::string* fact :
       {&host.name, &host.id, &host.boot_id, &host.arch, &host.os_type, &host.kernel, &host.agent_version}) {
    w.text(*fact);
  }
  return writer;
}

RecordingWriter::~RecordingWriter() {
  if (fd_ >= 0) static_cast<void>(close());
}

void RecordingWriter::accept(const Event& event) {
  std::visit([this](const auto& e) { write_event(e, buffer_); }, event);
  if (buffer_.size() >= kFlushAt) flush();
  if (next_ != nullptr) next_->accept(event);
}

void RecordingWriter::flush() {
  std::string_view left = buffer_;
  while (!left.empty() && error_ == 0) {
    const ssize_t written = ::write(fd_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      error_ = errno;
      break;
    }
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  // A file with a hole in it could not be read: nothing follows a failed write.
  if (error_ != 0) lost_.add(left.size());
  buffer_.clear();
}

Status RecordingWriter::close() {
  flush();
  if (::close(fd_) != 0 && error_ == 0) error_ = errno;
  fd_ = -1;
  if (error_ != 0)
    return Error{"write the recording", error_, "It ends where the disk was full and can be replayed up to there."};
  return {};
}

Result<std::unique_ptr<RecordingSource>> RecordingSource::open(const std::string& path, Counters& counters) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return errno_error("open " + path);
  std::string magic(kMagic.size(), '\0');
  in.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  if (magic != kMagic)
    return Error{path + " is not a wirespan recording", 0, "Make one with `wirespan record -o FILE`."};
  std::unique_ptr<RecordingSource> source(new RecordingSource(std::move(in), path, counters));
  std::vector<std::uint8_t> record;
  auto more = source->next(record);
  if (!more) return more.error();
  Fields f(Bytes(record).subspan(std::min<std::size_t>(record.size(), 1)));
  if (!*more || record.empty() || record[0] != static_cast<std::uint8_t>(Type::kHeader))
    return Error{path + " has no header", 0, {}};
  source->clock_.set_offset_ns(static_cast<std::int64_t>(f.u64()));
  HostFacts& host = source->host_;
  for (std::string* fact :
       {&host.name, &host.id, &host.boot_id, &host.arch, &host.os_type, &host.kernel, &host.agent_version}) {
    *fact = f.text();
  }
  if (!f.ok()) return Error{path + " has a broken header", 0, {}};
  return source;
}

// False at the end; a record cut off by a full disk or a kill is the end too.
Result<bool> RecordingSource::next(std::vector<std::uint8_t>& record) {
  std::array<std::uint8_t, 4> size{};
  in_.read(reinterpret_cast<char*>(size.data()), size.size());  // NOLINT(*-reinterpret-cast)
  if (in_.gcount() != static_cast<std::streamsize>(size.size())) return false;
  const std::uint32_t length = *Reader(size).le32();
  if (length == 0 || length > kMostRecord)
    return Error{path_ + " is broken: a record of " + std::to_string(length) + " bytes", 0, {}};
  record.resize(length);
  in_.read(reinterpret_cast<char*>(record.data()), length);  // NOLINT(*-reinterpret-cast)
  return in_.gcount() == static_cast<std::streamsize>(length);
}

void RecordingSource::deliver(Bytes record, Sink<Event>& sink) {
  Fields f(record.subspan(1));
  const auto give = [&](const Event& event, BootTime time) {
    if (!f.ok()) return skipped_.add();
    if (time > clock_.now()) clock_.set(time);
    sink.accept(event);
  };
  const auto connection = [&]() -> ConnectionPtr {
    const auto it = connections_.find(f.u64());
    return it == connections_.end() ? nullptr : it->second;
  };
  switch (static_cast<Type>(record[0])) {
    case Type::kOpened: {
      event::Opened e{read_connection(f), f.actor()};
      if (!f.ok() || connections_.size() >= kMostConnections) return skipped_.add();
      connections_[static_cast<std::uint64_t>(e.conn->id)] = e.conn;
      return give(e, e.conn->opened);
    }
    case Type::kData: {
      event::Data e;
      e.conn = connection();
      e.direction = f.u8() == 0 ? Direction::kReceived : Direction::kSent;
      e.time = f.time();
      e.actor = f.actor();
      e.position = f.u64();
      e.length = f.u32();
      e.captured = f.bytes();
      e.tail = f.bytes();
      if (!e.conn || e.captured.size() > e.length || e.tail.size() > e.length) return skipped_.add();
      return give(e, e.time);
    }
    case Type::kClosed: {
      event::Closed e;
      e.conn = connection();
      e.time = f.time();
      e.how = static_cast<event::Closed::How>(std::min<std::uint8_t>(f.u8(), 2));
      if (!e.conn) return skipped_.add();
      connections_.erase(static_cast<std::uint64_t>(e.conn->id));
      return give(e, e.time);
    }
    case Type::kWake: {
      event::Wake e;
      e.time = f.time();
      e.waker = f.actor();
      e.wakee = f.thread();
      return give(e, e.time);
    }
    case Type::kForked: {
      event::Forked e;
      e.time = f.time();
      e.parent = f.thread();
      e.child = f.thread();
      return give(e, e.time);
    }
    case Type::kProcess: {
      const event::Process e = read_process(f);
      return give(e, e.time);
    }
    case Type::kProcessExited: {
      event::ProcessExited e;
      e.time = f.time();
      e.pid = f.u32();
      return give(e, e.time);
    }
    case Type::kThreadExited: {
      event::ThreadExited e;
      e.time = f.time();
      e.thread = f.thread();
      return give(e, e.time);
    }
    case Type::kLost: {
      event::Lost e;
      e.time = f.time();
      e.reason = f.text();
      e.count = f.u64();
      return give(e, e.time);
    }
    case Type::kTick: {
      event::Tick e{f.time()};
      return give(e, e.time);
    }
    default:
      skipped_.add();  // of a later version
  }
}

Status RecordingSource::run(Sink<Event>& sink, const std::atomic<bool>& stop) {
  std::vector<std::uint8_t> record;
  while (!stop) {
    const auto more = next(record);
    if (!more) return more.error();
    if (!*more) break;
    deliver(record, sink);
  }
  return {};
}

}  // namespace wirespan
