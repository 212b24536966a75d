// Raw events in a file: what a replay, a bug report and the accuracy benchmarks start from.
//
// Format, little-endian: "WSPNREC1", then records of u32 length, u8 type, payload. The first is the header (wall minus
// boot time, facts of the host). Readers pass over types they do not know and bytes behind the fields they know, so old
// recordings keep decoding and new ones decode as far as they go.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/capture/source.h"
#include "base/bytes.h"
#include "base/counters.h"
#include "model/host.h"

namespace wirespan {

// Passes events on (to nobody when `next` is null) and writes each to a file, mode 0600. One thread.
class RecordingWriter : public Sink<Event> {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path, const HostFacts& host,
                                                                       std::int64_t offset_ns, Sink<Event>* next,
                                                                       Counters& counters);
  ~RecordingWriter() override;
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void accept(const Event& event) override;
  // Out of the buffers; the error says that the disk is full.
  Status close();

 private:
  RecordingWriter(int fd, Sink<Event>* next, Counters& counters)
      : fd_(fd), next_(next), lost_(counters.get("recording.lost.write_failed")) {}
  void flush();

  int fd_;
  Sink<Event>* next_;
  std::string buffer_;
  int error_ = 0;
  Counter& lost_;
};

// Events of a recording. Trusts nothing in it.
class RecordingSource : public Source {
 public:
  [[nodiscard]] static Result<std::unique_ptr<RecordingSource>> open(const std::string& path, Counters& counters);

  Status run(Sink<Event>& sink, const std::atomic<bool>& stop) override;
  [[nodiscard]] const Clock& clock() const override { return clock_; }
  [[nodiscard]] const HostFacts& host() const { return host_; }

 private:
  RecordingSource(std::ifstream in, std::string path, Counters& counters)
      : in_(std::move(in)), path_(std::move(path)), skipped_(counters.get("recording.skipped_records")) {}
  Result<bool> next(std::vector<std::uint8_t>& record);
  void deliver(Bytes record, Sink<Event>& sink);

  std::ifstream in_;
  std::string path_;
  ManualClock clock_;
  HostFacts host_;
  std::unordered_map<std::uint64_t, ConnectionPtr> connections_;
  Counter& skipped_;
};

}  // namespace wirespan
