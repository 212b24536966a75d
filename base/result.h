// Errors are values; exceptions end start-up only. gcc 12 in C++20 mode has no std::expected.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace wirespan {

// What happened, why (errno when a system call said so) and what the user can do about it.
struct Error {
  std::string what;
  int code = 0;      // errno, 0 when none
  std::string hint;  // one imperative sentence, may be empty

  [[nodiscard]] std::string text() const;
};

// "open /x: No such file or directory"; reads errno.
[[nodiscard]] Error errno_error(std::string_view what);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)), failed_(true) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return !failed_; }
  [[nodiscard]] const Error& error() const { return error_; }

 private:
  Error error_;
  bool failed_ = false;
};

}  // namespace wirespan
