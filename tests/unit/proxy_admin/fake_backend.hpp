// A proxy without a data plane: what the admin API is tested against.
#pragma once

#include <atomic>
#include <string>

#include "proxy/admin/backend.hpp"

namespace hyperdrive::tests {

namespace admin = hyperdrive::proxy::admin;

class FakeBackend : public admin::AdminBackend {
 public:
  admin::Status status() override {
    admin::Status status;
    status.id = "0123456789abcdef0123456789abcdef";
    status.name = "prod-db";
    status.origin.host = "db.example.com";
    status.origin.last_error = {{"refused", "start it", 2011}, admin::Clock::time_point()};
    return status;
  }
  admin::Readiness readiness() override { return {ready, "draining"}; }
  admin::Stats stats() override {
    admin::Stats stats;
    stats.gauges = {3, 2, 1, 0};
    stats.counters = {{"queries", 250}, {"transactions", 0}, {"origin_connects", 0}};
    stats.query = {250, 77'500, 310, 520, 1'900, 2'500};
    stats.pins = {{"listen", 1}};
    stats.cache.by_status[0] = 200;
    stats.cache.stale_hits = 7;
    return stats;
  }
  std::string config_json() override { return R"({"name":"prod-db"})"; }
  core::Result<admin::Explanation> explain(const std::string& sql) override {
    if (sql == "broken") return core::fail("no");
    return admin::Explanation{false,   "volatile", "now() is STABLE", {},
                              {"now"}, {},         "volatile",        ""};
  }
  core::Result<admin::Purged> purge(const admin::Purge& purge) override {
    purged = purge;
    return admin::Purged{5, purge.name == "half" ? "the shared cache could not be told" : ""};
  }
  core::Result<proxy::admin::Reloaded> reload(std::string_view launch_json) override {
    if (launch_json != "{}") return core::fail("the port cannot change while it runs", "restart");
    return proxy::admin::Reloaded{{"caching"}, {"workers"}};
  }
  void drain(std::optional<std::chrono::milliseconds> timeout) override {
    drained = true;
    drain_timeout = timeout;
  }

  std::atomic<bool> ready = true;
  std::atomic<bool> drained = false;
  admin::Purge purged;
  std::optional<std::chrono::milliseconds> drain_timeout;
};

}  // namespace hyperdrive::tests
