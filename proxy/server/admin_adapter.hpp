// The proxy as the admin API sees it.
#pragma once

#include <chrono>
#include <functional>

#include "proxy/admin/backend.hpp"
#include "proxy/server/proxy.hpp"
#include "proxy/session/telemetry.hpp"

namespace hyperdrive::proxy::server {

class AdminAdapter final : public admin::AdminBackend {
 public:
  explicit AdminAdapter(Proxy& proxy) : proxy_(proxy) {}

  admin::Status status() override;
  admin::Readiness readiness() override;
  admin::Stats stats() override;
  std::string config_json() override;
  core::Result<admin::Explanation> explain(const std::string& sql) override;
  core::Result<admin::Purged> purge(const admin::Purge& purge) override;
  core::Result<admin::Reloaded> reload(std::string_view launch_json) override;
  void drain(std::optional<std::chrono::milliseconds> timeout) override;

 private:
  admin::Gauges gauges();

  Proxy& proxy_;
  const admin::Clock::time_point started_at_ = admin::Clock::now();
};

}  // namespace hyperdrive::proxy::server
