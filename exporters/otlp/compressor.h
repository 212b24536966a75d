// Compresses one request body at a time; contexts and buffers are reused.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "exporters/otlp/options.h"

namespace wirespan {

// One thread. Both at their fastest level: the agent shares its cores with the services it watches.
class Compressor {
 public:
  explicit Compressor(OtlpCompression compression);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // `input` itself for kNone; else valid until the next call.
  [[nodiscard]] Result<std::string_view> compress(std::string_view input);

 private:
  struct Contexts;
  OtlpCompression compression_;
  std::unique_ptr<Contexts> contexts_;
  std::string out_;
};

}  // namespace wirespan
