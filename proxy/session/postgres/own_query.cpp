#include "proxy/session/postgres/own_query.hpp"

#include <string_view>
#include <utility>

namespace hyperdrive::proxy::session::postgres {

/// ReadyForQuery is the last thing in the write that ends an answer.
void OwnQuery::write(net::Bytes bytes) {
  constexpr std::string_view kReady("Z\0\0\0\5", 5);
  const bool ends = bytes.size() > kReady.size() &&
                    bytes.substr(bytes.size() - kReady.size() - 1, kReady.size()) == kReady;
  if (!ends || !over_) return;
  loop_.defer(std::exchange(over_, nullptr));
}

char* OwnQuery::reserve(std::size_t size) {
  reserved_.resize(size);
  return reserved_.data();
}

void OwnQuery::resume_reading() {
  paused_ = false;
  if (std::exchange(presenting_, true)) return;
  loop_.defer([self = self_] {
    if (*self != nullptr) (*self)->present();
  });
}

void OwnQuery::present() {
  presenting_ = false;
  if (paused_ || handler_ == nullptr || group_.empty()) return;
  const auto self = self_;
  const std::size_t used = handler_->on_data(group_);
  if (*self != nullptr) group_.erase(0, used);
}

}  // namespace hyperdrive::proxy::session::postgres
