// A string that must not be seen: wiped on destruction, never printable by accident.
//
// There is no operator<< and no fmt formatter on purpose; `reveal()` is the only way in, so that
// `grep reveal` lists every place where a secret is used.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace hyperdrive::core {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      value_ = other.value_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  std::string_view reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  friend bool operator==(const Secret&, const Secret&) = default;

 private:
  void wipe() noexcept {
    volatile char* p = value_.data();
    for (std::size_t i = 0, n = value_.capacity(); i < n; ++i) p[i] = 0;
    value_.clear();
  }
  std::string value_;
};

}  // namespace hyperdrive::core
