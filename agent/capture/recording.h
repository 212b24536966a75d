// wirespan record and replay: see recording_format.h for the file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "agent/capture/source.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/result.h"
#include "model/event.h"
#include "model/host.h"
#include "model/sink.h"

namespace wirespan {

// Writes what passes through it. Recordings hold what services said to each other: the file is its owner's only (0600).
// One thread. A full disk ends the recording, never the tracing: status() then says so.
class RecordingWriter : public Sink<Event> {
 public:
  // `host` is where the events happen. `next` may be null. max_bytes: 0, no limit.
  [[nodiscard]] static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path, const HostFacts& host,
                                                                       Sink<Event>* next, Counters& counters,
                                                                       std::uint64_t max_bytes = 0);
  ~RecordingWriter() override;
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void accept(const Event& event) override;
  // Everything accepted so far is in the file when it returns well.
  [[nodiscard]] Status flush();
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  RecordingWriter(int fd, const HostFacts& host, Sink<Event>* next, Counters& counters, std::uint64_t max_bytes);
  void know(const Connection& conn);
  void keep_clock(BootTime now);
  void write(const Event& event);

  int fd_;
  Sink<Event>* next_;
  std::uint64_t max_bytes_;
  std::uint64_t written_ = 0;
  std::int64_t offset_ns_ = 0;
  BootTime flushed_{};
  std::string buffer_;
  std::unordered_map<std::uint64_t, bool> known_;  // connections in the file: with their base, or still without
  Status status_;
  Counter& lost_;
};

// Gives a recording's events, byte for byte what was recorded. Needs no rights. A hostile file is refused or gives
// nonsense events, never more than that.
class RecordingSource : public Source {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RecordingSource>> open(const std::string& path, Counters& counters);
  ~RecordingSource() override;
  RecordingSource(const RecordingSource&) = delete;
  RecordingSource& operator=(const RecordingSource&) = delete;

  // Ends with an error at damage in the middle; a last record cut short (the recorder was killed) is only counted.
  Status run(Sink<Event>& sink, const std::atomic<bool>& stop) override;
  // Of the host that was recorded; nullopt in recordings made before these were kept.
  [[nodiscard]] const std::optional<HostFacts>& host() const { return host_; }
  // Shows the time of the event being delivered; wall times are those of the recording.
  [[nodiscard]] const Clock& clock() const override { return clock_; }

 private:
  RecordingSource(int fd, Counters& counters);
  // A record's type and body at at_; nullopt: the file ends here.
  struct Record {
    std::uint16_t type;
    Bytes body;
  };
  [[nodiscard]] Result<std::optional<Record>> next();
  Status read_preamble();
  [[nodiscard]] bool fill(std::size_t wanted);
  Status deliver(std::uint16_t type, Bytes body, Sink<Event>& sink);
  [[nodiscard]] Error damaged(const char* what) const;

  int fd_;
  ManualClock clock_;
  std::optional<HostFacts> host_;
  std::string buffer_;
  std::size_t at_ = 0;          // in buffer_
  std::uint64_t consumed_ = 0;  // of the file
  bool end_ = false;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> conns_;
  Counter& skipped_;
  Counter& cut_;
};

}  // namespace wirespan
