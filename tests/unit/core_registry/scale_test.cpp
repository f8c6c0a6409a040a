// 10,000 configs: each operation within a few milliseconds of CPU time, which other processes do
// not take. The limits are wide (sanitizers); what they catch is a full scan or a parse of every
// row.
#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>

#include "core/registry/registry.hpp"
#include "scratch.hpp"

using namespace hyperdrive::core;

namespace {

template <class Work>
double milliseconds(Work&& work) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const std::clock_t begin = std::clock();
    work();
    best = std::min(best, static_cast<double>(std::clock() - begin) * 1e3 / CLOCKS_PER_SEC);
  }
  return best;
}

}  // namespace

TEST_CASE("10,000 configs: opening, finding, creating, updating, deleting do not grow with them") {
  Scratch scratch;
  {
    auto registry = Registry::open(scratch.home());
    REQUIRE(registry);
    REQUIRE(registry->atomically([&]() -> Result<void> {
      for (int i = 0; i < 10'000; ++i) {
        Config config = sample("config-" + std::to_string(i));
        config.local.local_port = static_cast<std::uint16_t>(15'432 + i);
        if (auto created = registry->create(config); !created)
          return tl::unexpected(created.error());
      }
      return {};
    }));
  }
  const double open = milliseconds([&] { REQUIRE(Registry::open(scratch.home())); });
  auto registry = Registry::open(scratch.home());
  REQUIRE(registry);
  int next = 0;
  const double find = milliseconds([&] { REQUIRE(registry->find("config-7777")); });
  const double launch = milliseconds([&] { REQUIRE(registry->launch("config-5")); });
  const double missing = milliseconds([&] { REQUIRE_FALSE(registry->find("konfig-77777")); });
  const double create =
      milliseconds([&] { REQUIRE(registry->create(sample("new-" + std::to_string(next++)))); });
  const double update = milliseconds([&] {
    REQUIRE(registry->update("config-9", [](Config& config) -> Result<void> {
      config.origin_connection_limit = 9;
      return {};
    }));
  });
  const double remove =
      milliseconds([&] { REQUIRE(registry->remove("config-" + std::to_string(100 + next++))); });
  const double list = milliseconds([&] { REQUIRE(registry->list()); });
  WARN("open " << open << " find " << find << " launch " << launch << " missing " << missing
               << " create " << create << " update " << update << " remove " << remove << " list "
               << list << " ms");
  CHECK(open < 30);
  CHECK(find < 10);
  CHECK(launch < 10);
  CHECK(missing < 100);
  CHECK(create < 50);
  CHECK(update < 50);
  CHECK(remove < 50);
  CHECK(list < 500);
}
