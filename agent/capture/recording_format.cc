#include "agent/capture/recording_format.h"

#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

namespace wirespan::recording {
namespace {

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  Writer& begin(Type type) {
    at_ = out_.size();
    put(std::uint32_t{0});
    put(static_cast<std::uint16_t>(type));
    return *this;
  }
  void end() {
    const auto size = static_cast<std::uint32_t>(out_.size() - at_ - 4);
    for (unsigned i = 0; i < 4; ++i) out_[at_ + i] = static_cast<char>(size >> (8 * i));
  }

  template <class T>
  Writer& put(T value) {
    const auto bits = static_cast<std::uint64_t>(value);
    for (unsigned i = 0; i < sizeof(T); ++i) out_ += static_cast<char>(bits >> (8 * i));
    return *this;
  }
  Writer& put(BootTime time) { return put(time.ns); }
  Writer& put(ThreadRef thread) { return put(thread.pid).put(thread.tid); }
  Writer& put(const Actor& actor) { return put(actor.thread).put(actor.loop).put(actor.task).put(actor.parent_task); }
  Writer& text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
    return *this;
  }
  Writer& put(const Address& address) {
    put(static_cast<std::uint8_t>(address.family));
    for (const std::uint8_t b : address.ip) put(b);
    return put(address.port).text(address.path);
  }

 private:
  std::string& out_;
  std::size_t at_ = 0;
};

// Reads fields in order. Past the end every field keeps its default: an older writer did not have it. What is there but
// cut is damage.
class Fields {
 public:
  explicit Fields(Bytes body) : reader_(body) {}

  [[nodiscard]] bool ok() const { return ok_; }

  template <class T>
    requires(std::is_integral_v<T> || std::is_enum_v<T>)
  Fields& get(T& value) {
    if (!ok_ || reader_.left() == 0) return *this;
    std::uint64_t bits = 0;
    for (unsigned i = 0; i < sizeof(T); ++i) {
      const auto byte = reader_.u8();
      if (!byte) {
        ok_ = false;
        return *this;
      }
      bits |= static_cast<std::uint64_t>(*byte) << (8 * i);
    }
    value = static_cast<T>(bits);
    return *this;
  }
  Fields& get(bool& value) {
    std::uint8_t bits = value ? 1 : 0;
    get(bits);
    value = bits != 0;
    return *this;
  }
  Fields& get(BootTime& time) { return get(time.ns); }
  Fields& get(ThreadRef& thread) { return get(thread.pid).get(thread.tid); }
  Fields& get(Actor& actor) { return get(actor.thread).get(actor.loop).get(actor.task).get(actor.parent_task); }
  Fields& get(Bytes& bytes) {
    std::uint32_t size = 0;
    get(size);
    const auto taken = ok_ ? reader_.take(size) : std::nullopt;
    if (!taken) ok_ = false;
    if (taken) bytes = *taken;
    return *this;
  }
  Fields& get(std::string& text) {
    Bytes bytes;
    get(bytes);
    text.assign(as_text(bytes));
    return *this;
  }
  Fields& get(std::vector<std::string>& texts) {
    std::uint32_t count = 0;
    get(count);
    // Each takes four bytes at least: a count beyond that is damage, and must not be allocated.
    if (count > reader_.left() / 4) ok_ = false;
    for (std::uint32_t i = 0; ok_ && i < count; ++i) get(texts.emplace_back());
    return *this;
  }
  Fields& get(std::vector<std::uint16_t>& numbers) {
    std::uint32_t count = 0;
    get(count);
    if (count > reader_.left() / 2) ok_ = false;
    for (std::uint32_t i = 0; ok_ && i < count; ++i) get(numbers.emplace_back());
    return *this;
  }
  Fields& get(Address& address) {
    get(address.family);
    for (std::uint8_t& b : address.ip) get(b);
    get(address.port).get(address.path);
    if (address.family > Address::Family::kUnix) ok_ = false;
    return *this;
  }
  // An enumerator above `last` is damage: a value no code can handle.
  template <class Enum>
  Fields& get_up_to(Enum& value, Enum last) {
    get(value);
    if (value > last) ok_ = false;
    return *this;
  }

 private:
  Reader reader_;
  bool ok_ = true;
};

std::uint64_t number(const ConnectionPtr& conn) {
  return static_cast<std::uint64_t>(conn->id);
}

void encode(Writer& w, const event::Opened& e) {
  w.begin(Type::kOpened).put(number(e.conn)).put(e.actor).end();
}
void encode(Writer& w, const event::Data& e) {
  w.begin(Type::kData).put(number(e.conn)).put(static_cast<std::uint8_t>(e.direction)).put(e.time).put(e.actor);
  w.put(e.position).put(e.length).text(as_text(e.captured)).text(as_text(e.tail)).end();
}
void encode(Writer& w, const event::Closed& e) {
  w.begin(Type::kClosed).put(number(e.conn)).put(e.time).put(static_cast<std::uint8_t>(e.how)).end();
}
void encode(Writer& w, const event::Wake& e) {
  w.begin(Type::kWake).put(e.time).put(e.waker).put(e.wakee).put(static_cast<std::uint8_t>(e.alone)).end();
}
void encode(Writer& w, const event::Handover& e) {
  w.begin(Type::kHandover).put(e.time).put(e.actor).put(static_cast<std::uint8_t>(e.role)).put(e.object);
  w.put(e.place).put(e.other).put(e.queued).put(e.capacity);
  w.put(e.site).put(static_cast<std::uint8_t>(e.select)).put(e.element).end();
}
void encode(Writer& w, const event::Births& e) {
  w.begin(Type::kBirths).put(e.time).put(e.pid).put(e.task).put(e.count);
  for (std::uint32_t i = 0; i < e.count; ++i) w.put(e.next[i]);
  w.end();
}
void encode(Writer& w, const event::Async& e) {
  w.begin(Type::kAsync).put(e.time).put(e.pid).put(static_cast<std::uint8_t>(e.where));
  w.put(static_cast<std::uint64_t>(e.connection)).put(e.execution).put(e.trigger).put(e.given).put(e.sequence).end();
}
void encode(Writer& w, const event::Leads& e) {
  w.begin(Type::kLeads).put(e.time).put(e.pid).put(static_cast<std::uint64_t>(e.call));
  w.put(static_cast<std::uint64_t>(e.request)).put(e.task).put(e.tid).put(e.worker).end();
}
void encode(Writer& w, const event::Holds& e) {
  w.begin(Type::kHolds).put(e.time).put(e.thread).put(static_cast<std::uint64_t>(e.call)).put(e.collections);
  w.put(e.works_on).put(e.waiters).put(e.count);
  for (std::uint16_t i = 0; i < e.waiters; ++i) w.put(e.waiting[i]);
  for (std::uint16_t i = 0; i < e.count; ++i) w.put(e.futures[i]);
  w.end();
}
void encode(Writer& w, const event::Lineage& e) {
  w.begin(Type::kLineage).put(e.time).put(e.pid).put(e.task).put(e.count);
  for (std::uint32_t i = 0; i < e.count; ++i) w.put(e.ancestors[i]);
  w.end();
}
void encode(Writer& w, const event::Forked& e) {
  w.begin(Type::kForked).put(e.time).put(e.parent).put(e.child).end();
}
void encode(Writer& w, const event::Process& e) {
  w.begin(Type::kProcess).put(e.time).put(e.pid).put(e.parent_pid).put(e.started);
  w.text(e.exe).text(e.comm);
  w.put(static_cast<std::uint32_t>(e.cmdline.size()));
  for (const std::string& argument : e.cmdline) w.text(argument);
  w.text(e.cwd).text(e.cgroup);
  w.put(static_cast<std::uint32_t>(e.otel_env.size()));
  for (const std::string& variable : e.otel_env) w.text(variable);
  w.text(e.runtime).put(static_cast<std::uint32_t>(e.listening.size()));
  for (const std::uint16_t port : e.listening) w.put(port);
  w.end();
}
void encode(Writer& w, const event::ProcessExited& e) {
  w.begin(Type::kProcessExited).put(e.time).put(e.pid).end();
}
void encode(Writer& w, const event::ThreadExited& e) {
  w.begin(Type::kThreadExited).put(e.time).put(e.thread).end();
}
void encode(Writer& w, const event::Lost& e) {
  w.begin(Type::kLost).put(e.time).text(e.reason).put(e.count).end();
}
void encode(Writer& w, const event::Missed& e) {
  w.begin(Type::kMissed).put(e.time).put(e.thread).end();
}
void encode(Writer& w, const event::Window& e) {
  w.begin(Type::kWindow).put(e.time).put(e.open).put(std::bit_cast<std::uint64_t>(e.share)).end();
}
void encode(Writer& w, const event::Unanswered& e) {
  w.begin(Type::kUnanswered).put(e.time).put(static_cast<std::uint64_t>(e.connection)).put(e.pid).end();
}
void encode(Writer& w, const event::Counted& e) {
  w.begin(Type::kCounted).put(e.time).put(e.pid).put(static_cast<std::uint8_t>(e.side)).put(e.requests);
  w.put(e.answers).put(e.answer_ns);
  for (const std::uint64_t slot : e.slots) w.put(slot);
  w.end();
}
void encode(Writer& w, const event::Tick& e) {
  w.begin(Type::kTick).put(e.time).end();
}

template <class Value>
bool finish(const Fields& fields, Value&& value, Event& event) {
  if (!fields.ok()) return false;
  event = std::forward<Value>(value);
  return true;
}

}  // namespace

void encode_clock(std::string& out, std::int64_t offset_ns) {
  Writer(out).begin(Type::kClock).put(offset_ns).end();
}

void encode_host(std::string& out, const HostFacts& host) {
  Writer w(out);
  w.begin(Type::kHost).text(host.name).text(host.id).text(host.boot_id).text(host.arch).text(host.os_type);
  w.text(host.kernel).text(host.agent_version).text(host.agent_cgroup).end();
}

void encode_connection(std::string& out, const Connection& conn) {
  Writer w(out);
  w.begin(Type::kConnection).put(static_cast<std::uint64_t>(conn.id)).put(static_cast<std::uint8_t>(conn.transport));
  w.put(static_cast<std::uint8_t>(conn.side)).put(conn.adopted).put(conn.pid).put(conn.local).put(conn.remote);
  w.put(conn.received_base).put(conn.sent_base).put(conn.has_base).put(conn.opened).end();
}

void encode_event(std::string& out, const Event& event) {
  Writer writer(out);
  std::visit([&](const auto& e) { encode(writer, e); }, event);
}

bool decode_clock(Bytes body, std::int64_t& offset_ns) {
  return Fields(body).get(offset_ns).ok();
}

bool decode_host(Bytes body, HostFacts& host) {
  Fields f(body);
  f.get(host.name).get(host.id).get(host.boot_id).get(host.arch).get(host.os_type);
  return f.get(host.kernel).get(host.agent_version).get(host.agent_cgroup).ok();
}

bool decode_connection(Bytes body, Connection& conn) {
  std::uint64_t id = 0;
  Fields f(body);
  f.get(id).get_up_to(conn.transport, Transport::kUnix).get_up_to(conn.side, TcpSide::kPassive).get(conn.adopted);
  f.get(conn.pid).get(conn.local).get(conn.remote).get(conn.received_base).get(conn.sent_base).get(conn.has_base);
  f.get(conn.opened);
  conn.id = ConnId{id};
  return f.ok();
}

bool decode_event(Type type, Bytes body, Event& event, ConnId& id) {
  Fields f(body);
  std::uint64_t conn = 0;
  switch (type) {
    case Type::kOpened: {
      event::Opened e;
      f.get(conn).get(e.actor);
      id = ConnId{conn};
      return finish(f, std::move(e), event);
    }
    case Type::kData: {
      event::Data e;
      f.get(conn).get_up_to(e.direction, Direction::kSent).get(e.time).get(e.actor);
      f.get(e.position).get(e.length).get(e.captured).get(e.tail);
      id = ConnId{conn};
      // What the stages behind rely on.
      return e.captured.size() <= e.length && e.tail.size() <= 16 && finish(f, std::move(e), event);
    }
    case Type::kClosed: {
      event::Closed e;
      f.get(conn).get(e.time).get_up_to(e.how, event::Closed::How::kForgotten);
      id = ConnId{conn};
      return finish(f, std::move(e), event);
    }
    case Type::kWake: {
      event::Wake e;
      f.get(e.time).get(e.waker).get(e.wakee).get(e.alone);
      return finish(f, e, event);
    }
    case Type::kHandover: {
      event::Handover e;
      f.get(e.time).get(e.actor).get_up_to(e.role, event::Handover::Role::kMayTake).get(e.object);
      f.get(e.place).get(e.other).get(e.queued).get(e.capacity);
      f.get(e.site).get_up_to(e.select, event::Handover::Select::kAnotherDrawn).get(e.element);
      return finish(f, e, event);
    }
    case Type::kBirths: {
      event::Births e;
      f.get(e.time).get(e.pid).get(e.task).get(e.count);
      if (e.count > event::Births::kMost) return false;
      for (std::uint32_t i = 0; i < e.count; ++i) f.get(e.next[i]);
      return finish(f, e, event);
    }
    case Type::kAsync: {
      event::Async e;
      f.get(e.time).get(e.pid).get_up_to(e.where, event::Async::Where::kSets).get(conn);
      f.get(e.execution).get(e.trigger).get(e.given).get(e.sequence);
      e.connection = ConnId{conn};
      return finish(f, e, event);
    }
    case Type::kLeads: {
      event::Leads e;
      std::uint64_t request = 0;
      f.get(e.time).get(e.pid).get(conn).get(request).get(e.task).get(e.tid).get(e.worker);
      e.call = ConnId{conn};
      e.request = ConnId{request};
      return finish(f, e, event);
    }
    case Type::kHolds: {
      event::Holds e;
      f.get(e.time).get(e.thread).get(conn).get(e.collections).get(e.works_on).get(e.waiters).get(e.count);
      if (e.count > event::Holds::kMost || e.waiters > event::Holds::kMostWaiting) return false;
      for (std::uint16_t i = 0; i < e.waiters; ++i) f.get(e.waiting[i]);
      for (std::uint16_t i = 0; i < e.count; ++i) f.get(e.futures[i]);
      e.call = ConnId{conn};
      return finish(f, e, event);
    }
    case Type::kLineage: {
      event::Lineage e;
      f.get(e.time).get(e.pid).get(e.task).get(e.count);
      if (e.count > event::Lineage::kMost) return false;
      for (std::uint32_t i = 0; i < e.count; ++i) f.get(e.ancestors[i]);
      return finish(f, e, event);
    }
    case Type::kForked: {
      event::Forked e;
      f.get(e.time).get(e.parent).get(e.child);
      return finish(f, e, event);
    }
    case Type::kProcess: {
      event::Process e;
      f.get(e.time).get(e.pid).get(e.parent_pid).get(e.started).get(e.exe).get(e.comm).get(e.cmdline);
      f.get(e.cwd).get(e.cgroup).get(e.otel_env).get(e.runtime).get(e.listening);
      return finish(f, std::move(e), event);
    }
    case Type::kProcessExited: {
      event::ProcessExited e;
      f.get(e.time).get(e.pid);
      return finish(f, e, event);
    }
    case Type::kThreadExited: {
      event::ThreadExited e;
      f.get(e.time).get(e.thread);
      return finish(f, e, event);
    }
    case Type::kLost: {
      event::Lost e;
      f.get(e.time).get(e.reason).get(e.count);
      return finish(f, std::move(e), event);
    }
    case Type::kMissed: {
      event::Missed e;
      f.get(e.time).get(e.thread);
      return finish(f, e, event);
    }
    case Type::kWindow: {
      event::Window e;
      std::uint64_t share = 0;
      f.get(e.time).get(e.open).get(share);
      e.share = std::bit_cast<double>(share);
      return e.share >= 0 && e.share <= 1 && finish(f, e, event);
    }
    case Type::kUnanswered: {
      event::Unanswered e;
      f.get(e.time).get(conn).get(e.pid);
      e.connection = ConnId{conn};
      return finish(f, e, event);
    }
    case Type::kCounted: {
      event::Counted e;
      f.get(e.time).get(e.pid).get_up_to(e.side, TcpSide::kPassive).get(e.requests);
      f.get(e.answers).get(e.answer_ns);
      for (std::uint64_t& slot : e.slots) f.get(slot);
      return finish(f, e, event);
    }
    case Type::kTick: {
      event::Tick e;
      f.get(e.time);
      return finish(f, e, event);
    }
    case Type::kClock:
    case Type::kConnection:
    case Type::kHost:
      break;
  }
  return false;
}

}  // namespace wirespan::recording
