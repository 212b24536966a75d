#include "exporters/otlp/compressor.h"

#include <zlib.h>
#include <zstd.h>

namespace wirespan {
namespace {

constexpr int kGzipWindow = 15 + 16;  // 32 KiB, with gzip's header (zlib.h, deflateInit2)
constexpr int kMemoryLevel = 8;

}  // namespace

struct Compressor::Contexts {
  z_stream gzip{};
  bool gzip_ready = false;
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> zstd{nullptr, &ZSTD_freeCCtx};

  ~Contexts() {
    if (gzip_ready) deflateEnd(&gzip);
  }
};

Compressor::Compressor(OtlpCompression compression)
    : compression_(compression), contexts_(std::make_unique<Contexts>()) {
  if (compression_ == OtlpCompression::kGzip) {
    contexts_->gzip_ready =
        deflateInit2(&contexts_->gzip, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, kMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  if (compression_ == OtlpCompression::kZstd) contexts_->zstd.reset(ZSTD_createCCtx());
}

Compressor::~Compressor() = default;

Result<std::string_view> Compressor::compress(std::string_view input) {
  if (compression_ == OtlpCompression::kNone) return input;
  if (compression_ == OtlpCompression::kGzip) {
    z_stream& stream = contexts_->gzip;
    if (!contexts_->gzip_ready || deflateReset(&stream) != Z_OK) return Error{"gzip: out of memory", 0, {}};
    out_.resize(deflateBound(&stream, static_cast<uLong>(input.size())));
    // zlib does not write through next_in; its type is older than const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));  // NOLINT
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(out_.data());  // NOLINT(*-reinterpret-cast)
    stream.avail_out = static_cast<uInt>(out_.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return Error{"gzip failed", 0, {}};
    return std::string_view(out_).substr(0, stream.total_out);
  }
  if (!contexts_->zstd) return Error{"zstd: out of memory", 0, {}};
  out_.resize(ZSTD_compressBound(input.size()));
  const std::size_t size =
      ZSTD_compressCCtx(contexts_->zstd.get(), out_.data(), out_.size(), input.data(), input.size(), 1);
  if (ZSTD_isError(size) != 0) return Error{std::string("zstd: ") + ZSTD_getErrorName(size), 0, {}};
  return std::string_view(out_).substr(0, size);
}

}  // namespace wirespan
