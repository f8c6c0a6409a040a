// A plane put together from a protocol's parts: service, workers, opener, pool and cache. What is
// the protocol's own comes from `Protocol`, a struct with the types Options, Service, Worker,
// Opener, Cache, and how the local login is verified (verifier) and the origin found (target).
// Included by plane.cpp of each protocol, and nowhere else.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/pool/pool.hpp"
#include "proxy/session/client_tls.hpp"
#include "proxy/session/plane.hpp"

namespace hyperdrive::proxy::session {

template <class Protocol>
class ProtocolPlane final : public Plane {
  using OptionsRef = std::shared_ptr<const typename Protocol::Options>;

 public:
  static core::Result<std::unique_ptr<Plane>> make(const core::Launch& launch, Telemetry& telemetry,
                                                   const std::vector<net::Loop*>& loops) {
    auto options = make_options(launch);
    if (!options) return tl::unexpected(options.error());
    return std::unique_ptr<Plane>(
        new ProtocolPlane(launch.config, std::move(*options), telemetry, loops));
  }

  ~ProtocolPlane() override {
    cache_->detach();
    service_.pool.reset();
    service_.workers.clear();
  }

  core::Result<void> start() override { return cache_->start(); }
  PlaneWorker& worker(std::size_t index) override { return *service_.workers[index]; }
  pool::Pool& pool() override { return *service_.pool; }
  OriginFacts facts() const override { return service_.facts(); }

  void follow(std::shared_ptr<core::Predecessor> predecessor) override {
    if constexpr (Protocol::kPassesCancels) service_.predecessor = std::move(predecessor);
  }
  void cancel(std::string_view request) override {
    if constexpr (Protocol::kPassesCancels) service_.cancel_passed(request);
  }

  core::Result<void> reload(const core::Launch& launch, bool new_origin) override {
    auto options = make_options(launch);
    if (!options) return tl::unexpected(options.error());
    const bool other_connections =
        connections_differ(service_.options()->config.local, launch.config.local);
    if (new_origin) cache_->leave_origin();
    service_.set_options(*options);
    for (const auto& worker : service_.workers) {
      worker->loop.post([target = worker.get(), fresh = *options] { target->options = fresh; });
    }
    service_.pool->configure(pool_options(launch.config));
    // First the connections: an answer of an old one that is dispatched from now on is known for
    // what it is, one dispatched before is older than what the cache forgets behind.
    if (new_origin) service_.forget_origin();
    if (new_origin || other_connections) service_.pool->renew();
    if (new_origin) cache().purge_all();
    cache_->reload(launch.config, new_origin);
    return {};
  }

  void set_alone(bool alone) override { cache_->set_alone(alone); }

  cache::Cache& cache() override { return cache_->cache(); }
  std::uint64_t purges() const override { return cache_->purges(); }
  std::vector<std::string> warnings() const override { return cache_->warnings(); }
  cache::Purged purge_all() override { return cache_->purge_all(); }
  cache::Purged purge_tag(const std::string& tag) override { return cache_->purge_tag(tag); }
  cache::Purged purge_query(const std::string& sql) override { return cache_->purge_query(sql); }
  core::Result<cache::Purged> purge_table(const std::string& table) override {
    return cache_->purge_table(table);
  }
  core::Result<sql::Explanation> explain(const std::string& sql) override {
    return cache_->explain(sql);
  }

 private:
  ProtocolPlane(const core::Config& config, OptionsRef options, Telemetry& telemetry,
                const std::vector<net::Loop*>& loops)
      : service_(telemetry, std::move(options)), opener_(service_) {
    for (std::size_t i = 0; i < loops.size(); ++i) {
      service_.workers.push_back(
          std::make_unique<typename Protocol::Worker>(i, *loops[i], service_));
    }
    service_.pool = std::make_unique<pool::Pool>(loops, opener_, pool_options(config));
    cache_ = std::make_unique<typename Protocol::Cache>(service_, config);
    cache_->attach();
  }

  /// Derives the local login's keys (for Postgres 1 ms at 4096 rounds) and reads all certificates.
  static core::Result<OptionsRef> make_options(const core::Launch& launch) {
    auto options = std::make_shared<typename Protocol::Options>();
    options->config = launch.config;
    const core::LocalSettings& local = launch.config.local;
    if (local.local_password.empty()) {
      return core::fail("The config has no local password.", "Create it again.");
    }
    auto target = Protocol::target(launch.config, launch.certificates);
    if (!target) return tl::unexpected(target.error());
    options->target = std::move(*target);
    auto tls = make_client_tls(local);
    if (!tls) return tl::unexpected(tls.error());
    options->client_tls = std::move(*tls);
    options->verifier = Protocol::verifier(local);
    return OptionsRef(std::move(options));
  }

  /// Whether connections are made otherwise from now on: those that are there would keep what they
  /// were opened with, an hour long.
  static bool connections_differ(const core::LocalSettings& a, const core::LocalSettings& b) {
    return a.idle_timeout != b.idle_timeout || a.max_lifetime != b.max_lifetime ||
           a.prepared_statements != b.prepared_statements;
  }

  static pool::PoolOptions pool_options(const core::Config& config) {
    const int own = Protocol::Cache::own_connections(config);
    return {std::max(config.origin_connection_limit - own, 1), config.local.idle_timeout,
            config.local.max_lifetime, config.local.wait_timeout};
  }

  typename Protocol::Service service_;
  typename Protocol::Opener opener_;
  std::unique_ptr<typename Protocol::Cache> cache_;
};

}  // namespace hyperdrive::proxy::session
