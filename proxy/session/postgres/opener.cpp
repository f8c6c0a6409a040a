#include "proxy/session/postgres/opener.hpp"

#include "proxy/session/postgres/origin.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/wire/postgres/sqlstate.hpp"

namespace hyperdrive::proxy::session::postgres {

struct OriginOpener::Attempt {
  std::unique_ptr<OriginLogin> login;
};

OriginOpener::OriginOpener(Service& service) : service_(service) {}
OriginOpener::~OriginOpener() = default;

namespace {

pool::Refusal refusal_of(LoginFailure failure) {
  pool::Refusal refusal;
  refusal.why = failure.origin_error.empty() ? pool::Refusal::Why::kUnreachable
                                             : pool::Refusal::Why::kRefused;
  refusal.error = std::move(failure.error);
  refusal.origin_error = std::move(failure.origin_error);
  refusal.transient = failure.transient;
  refusal.full = failure.sqlstate == wire::postgres::sqlstate::kTooManyConnections;
  return refusal;
}

std::unique_ptr<Origin> origin_of(Worker& worker, OriginSession session,
                                  std::shared_ptr<const OriginTarget> target) {
  std::vector<SettingSet::Pair> reports;
  for (auto& [name, value] : session.parameters) reports.emplace_back(name, value);
  OriginFacts facts{session.parameter("server_version"), session.progress.tls_info.version};
  worker.service.set_facts(std::move(facts));
  Origin::Identity identity{session.process_id, std::move(session.cancel_key),
                            intern(std::move(reports)), std::move(target)};
  worker.service.profiles.learn_baseline(identity.reports);
  return std::make_unique<Origin>(worker, std::move(session.stream), std::move(identity));
}

}  // namespace

void OriginOpener::open(std::size_t index, Done done) {
  Worker& worker = *service_.workers[index];
  std::list<std::unique_ptr<Attempt>>::iterator at;
  {
    const std::lock_guard lock(mutex_);
    at = attempts_.insert(attempts_.end(), std::make_unique<Attempt>());
  }
  // The service's options, not the worker's, which hears of a reload a moment later: what is opened
  // after Pool::renew() belongs to the new origin.
  auto target = service_.options()->target;
  auto finish = [this, &worker, at, target, done = std::move(done)](LoginResult result) {
    if (result) {
      worker.telemetry.add(Counter::kOriginConnects);
      auto origin = origin_of(worker, std::move(*result), target);
      origin->stream().resume_reading();
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
  (*at)->login = log_in(worker.loop, std::move(target), {}, std::move(finish));
}

/// The handle is destroyed later: this runs inside its own callback.
void OriginOpener::finished(Worker& worker, std::list<std::unique_ptr<Attempt>>::iterator attempt) {
  worker.loop.post([this, attempt] {
    std::unique_ptr<Attempt> gone;
    const std::lock_guard lock(mutex_);
    gone = std::move(*attempt);
    attempts_.erase(attempt);
  });
}

}  // namespace hyperdrive::proxy::session::postgres
