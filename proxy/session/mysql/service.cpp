#include "proxy/session/mysql/worker.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace {

/// Origins count their connections from 1; whoever sees an id above this knows it for ours.
constexpr std::uint32_t kFirstId = 1u << 30;
constexpr std::uint32_t kIdRange = 1u << 29;

}  // namespace

Service::Service(Telemetry& telemetry_in, OptionsRef options)
    : telemetry(telemetry_in), options_(std::move(options)) {}

OptionsRef Service::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}

void Service::set_options(OptionsRef options) {
  const std::lock_guard lock(mutex_);
  options_ = std::move(options);
}

OriginFacts Service::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

ProfileRef Service::profile() const {
  const std::lock_guard lock(mutex_);
  return profile_;
}

sql::MysqlServer Service::server() const {
  const std::lock_guard lock(mutex_);
  return profile_ ? profile_->server : sql::MysqlServer();
}

void Service::learn(const OriginSession& session) {
  auto profile = std::make_shared<OriginProfile>();
  profile->server_version = session.server_version;
  profile->capabilities = session.server_capabilities;
  profile->server = {session.is_mariadb(), session.version_number()};
  profile->autocommit = (session.status & wire::mysql::status::kAutocommit) != 0;
  profile->mode_flags = session.status & wire::mysql::status::kModes;
  kinds_offered_.store(session.server_capabilities & kKindMask, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  autocommits_.store(profile->autocommit, std::memory_order_relaxed);
  constexpr unsigned kKeepsTypesSince = 80022;
  keeps_types_.store(!session.is_mariadb() && session.version_number() >= kKeepsTypesSince,
                     std::memory_order_relaxed);
  facts_ = {std::string(session.version()), session.progress.tls_info.version};
  profile_ = std::move(profile);
}

void Service::renew_connections() {
  origin_number.fetch_add(1, std::memory_order_acq_rel);
  knows_init_connect.store(false, std::memory_order_relaxed);
  pool->renew();
}

void Service::give_up_statements() {
  constexpr std::chrono::seconds kPause{10};
  {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const bool lately = gave_up_statements_ != std::chrono::steady_clock::time_point{} &&
                        now < gave_up_statements_ + kPause;
    if (lately) return;
    gave_up_statements_ = now;
  }
  pool->renew();
}

void Service::forget_origin() {
  origin_number.fetch_add(1, std::memory_order_acq_rel);
  knows_init_connect.store(false, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  autocommits_.store(true, std::memory_order_relaxed);
  profile_ = nullptr;
}

std::uint32_t Service::next_client_id(std::size_t worker) {
  const std::uint32_t count = next_id_.fetch_add(1, std::memory_order_relaxed);
  const auto stride = static_cast<std::uint32_t>(workers.size());
  return kFirstId + (count % (kIdRange / stride)) * stride + static_cast<std::uint32_t>(worker);
}

Worker* Service::worker_of(std::uint32_t client_id) {
  if (client_id < kFirstId) return nullptr;
  return workers[(client_id - kFirstId) % workers.size()].get();
}

void Service::end_a_linger_beside(const Worker& worker) {
  for (const auto& other : workers) {
    if (other.get() == &worker || !other->has_lingerers()) continue;
    other->loop.post([there = other.get()] { there->end_a_linger(); });
    return;
  }
}

}  // namespace hyperdrive::proxy::session::mysql
