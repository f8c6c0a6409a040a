#include "proxy/session/mysql/opener.hpp"

#include "proxy/session/mysql/origin.hpp"
#include "proxy/wire/mysql/response.hpp"

namespace hyperdrive::proxy::session::mysql {
namespace {

pool::Refusal refusal_of(LoginFailure failure) {
  pool::Refusal refusal;
  refusal.why = failure.origin_error.empty() ? pool::Refusal::Why::kUnreachable
                                             : pool::Refusal::Why::kRefused;
  if (const auto said = wire::mysql::parse_err(failure.origin_error)) {
    constexpr std::uint16_t kConCountError = 1040, kTooManyUserConnections = 1203;
    refusal.full = said->code == kConCountError || said->code == kTooManyUserConnections;
  }
  refusal.origin_error = told_to_clients(failure);
  refusal.error = std::move(failure.error);
  refusal.transient = failure.transient;
  return refusal;
}

}  // namespace

OriginOpener::OriginOpener(Service& service) : service_(service) {}
OriginOpener::~OriginOpener() = default;

void OriginOpener::open(std::size_t index, Done done) {
  Worker& worker = *service_.workers[index];
  Attempts::iterator at;
  {
    const std::lock_guard lock(mutex_);
    at = attempts_.insert(attempts_.end(), nullptr);
  }
  const std::uint32_t number = service_.origin_number.load(std::memory_order_acquire);
  auto finish = [this, &worker, at, number, done = std::move(done)](LoginResult result) {
    if (result) {
      worker.telemetry.add(Counter::kOriginConnects);
      service_.learn(*result);
      auto origin = std::make_unique<Origin>(worker, std::move(*result));
      origin->origin_number = number;
      done(std::unique_ptr<pool::OriginConnection>(std::move(origin)));
    } else {
      worker.telemetry.add(Counter::kOriginConnectFailures);
      if (service_.telemetry.listening()) {
        service_.telemetry.sink()->publish(
            OriginEvent{std::chrono::system_clock::now(), "connect_failed", result.error().error});
      }
      done(tl::unexpected(refusal_of(std::move(result.error()))));
    }
    finished(worker, at);
  };
  LoginWishes wishes;
  wishes.capabilities = kUsualCapabilities | service_.wanted_kind.load(std::memory_order_relaxed);
  // The service's options, not the worker's, which hears of a reload a moment later: what is opened
  // after Pool::renew() belongs to the new origin.
  *at = log_in(worker.loop, service_.options()->target, std::move(wishes), std::move(finish));
}

/// The handle is destroyed later: this runs inside its own callback.
void OriginOpener::finished(Worker& worker, Attempts::iterator attempt) {
  worker.loop.post([this, attempt] {
    std::unique_ptr<OriginLogin> gone;
    const std::lock_guard lock(mutex_);
    gone = std::move(*attempt);
    attempts_.erase(attempt);
  });
}

}  // namespace hyperdrive::proxy::session::mysql
