#include "proxy/session/telemetry.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::session;

TEST_CASE("counters and reasons of all workers add up") {
  Telemetry telemetry(2);
  telemetry.worker(0).add(Counter::kQueries);
  telemetry.worker(1).add(Counter::kQueries, 4);
  telemetry.worker(1).refused(Feature::kListen);
  telemetry.worker(0).production_refuses(Feature::kUse);
  const TelemetrySnapshot sum = telemetry.snapshot();
  CHECK(sum[Counter::kQueries] == 5);
  CHECK(sum.refusals[static_cast<std::size_t>(Feature::kListen)] == 1);
  CHECK(sum.refusals[static_cast<std::size_t>(Feature::kUse)] == 0);
  CHECK(sum.production_refusals[static_cast<std::size_t>(Feature::kUse)] == 1);
  CHECK(name(Counter::kBeginsFolded) == "begins_folded");
  CHECK(name(Feature::kUnknown) == "unknown");
}

TEST_CASE("a quantile is right within an eighth") {
  Telemetry telemetry(1);
  for (std::uint64_t value = 1; value <= 10'000; ++value) telemetry.worker(0).query.add(value);
  const HistogramSum sum = telemetry.snapshot().query;
  CHECK(sum.count == 10'000);
  CHECK(sum.sum == 50'005'000);
  CHECK(sum.max == 10'000);
  for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99}) {
    const double truth = share * 10'000 + 1;
    CHECK(sum.quantile(share) >= truth * 0.999);
    CHECK(sum.quantile(share) <= truth * 1.13 + 1);
  }
  CHECK(sum.quantile(1.0) == 10'000);
}

TEST_CASE("a histogram takes any duration") {
  Telemetry telemetry(1);
  telemetry.worker(0).query.add(~std::uint64_t{0} >> 1);
  CHECK(telemetry.snapshot().query.count == 1);
}
