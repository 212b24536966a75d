#include "exporters/otlp/backlog.h"

#include <malloc.h>
#include <zstd.h>

#include <algorithm>
#include <new>
#include <utility>

namespace wirespan {

namespace {

constexpr std::size_t kWorthTrimming = 1U << 20U;

template <class T>
T* existing(T* context) {
  return context != nullptr ? context : throw std::bad_alloc();
}

}  // namespace

struct Backlog::Zstd {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> pack{existing(ZSTD_createCCtx()), &ZSTD_freeCCtx};
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> unpack{existing(ZSTD_createDCtx()), &ZSTD_freeDCtx};
  std::string buffer;
};

Backlog::Backlog(std::size_t max_bytes, Packing packing) : max_bytes_(max_bytes), packing_(packing) {}

Backlog::~Backlog() = default;

Backlog::Zstd& Backlog::zstd() {
  if (!zstd_) zstd_ = std::make_unique<Zstd>();
  return *zstd_;
}

Backlog::Request Backlog::packed(std::string_view body) {
  Request request;
  if (packing_ == Packing::kZstd) {
    auto& [pack, unpack, buffer] = zstd();
    buffer.resize(ZSTD_compressBound(body.size()));
    const std::size_t size =
        ZSTD_compressCCtx(pack.get(), buffer.data(), buffer.size(), body.data(), body.size(), /*compressionLevel=*/1);
    if (ZSTD_isError(size) == 0 && size < body.size()) {
      request.body.assign(buffer, 0, size);
      request.unpacked = body.size();
      return request;
    }
  }
  request.body.assign(body);
  return request;
}

std::uint64_t Backlog::push(std::string_view body, std::uint64_t spans, Time give_up) {
  Request request = packed(body);
  request.spans = spans;
  request.give_up = give_up;
  std::uint64_t dropped = 0;
  while (!requests_.empty() && bytes_ + request.bytes() > max_bytes_) {
    dropped += oldest_spans();
    pop();
  }
  spans_ += spans;
  bytes_ += request.bytes();
  most_bytes_ = std::max(most_bytes_, bytes_);
  requests_.push_back(std::move(request));
  return dropped;
}

Result<std::string_view> Backlog::body() {
  const Request& oldest = requests_.front();
  if (oldest.unpacked == 0) return std::string_view(oldest.body);
  auto& [pack, unpack, buffer] = zstd();
  buffer.resize(oldest.unpacked);
  const std::size_t size =
      ZSTD_decompressDCtx(unpack.get(), buffer.data(), buffer.size(), oldest.body.data(), oldest.body.size());
  if (ZSTD_isError(size) != 0) return Error{std::string("zstd: ") + ZSTD_getErrorName(size), 0, {}};
  return std::string_view(buffer);
}

void Backlog::pop() {
  spans_ -= requests_.front().spans;
  bytes_ -= requests_.front().bytes();
  requests_.pop_front();
  if (requests_.empty()) clear();
}

void Backlog::clear() {
  // A deque and a string keep what they once needed.
  std::deque<Request>().swap(requests_);
  zstd_.reset();
  spans_ = 0;
  bytes_ = 0;
  // Many small pieces stay with the heap, of which two thirds were still resident after an outage.
  if (std::exchange(most_bytes_, 0) >= kWorthTrimming) malloc_trim(0);
}

}  // namespace wirespan
