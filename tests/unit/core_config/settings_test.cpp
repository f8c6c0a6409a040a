#include "core/config/settings.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "core/config/json.hpp"
#include "core/config/validate.hpp"

using namespace hyperdrive::core;
using namespace std::chrono_literals;

namespace {

/// A value other than the default for each kind of setting.
std::string another(const Setting& setting) {
  if (setting.key == "cache_rules") return "orders:max-age=5\naudit.*:no-cache";
  if (setting.key == "cache_url") return "redis://127.0.0.1:6379/1";
  if (setting.key == "listen") return "10.0.0.1";
  switch (setting.kind) {
    case SettingKind::kInteger:
      return "17";
    case SettingKind::kNumber:
      return "0.25";
    case SettingKind::kBoolean:
      return "true";
    case SettingKind::kDuration:
      return "77s";
    case SettingKind::kSize:
      return "128MiB";
    case SettingKind::kChoice:
      return std::string(setting.range.substr(setting.range.rfind('|') + 1));
    default:
      return "/some/file.pem";
  }
}

Config valid() {
  Config config;
  config.name = "shop";
  config.origin.host = "db.example.com";
  config.origin.port = 5432;
  config.origin.database = "shop";
  config.origin.user = "app";
  return config;
}

}  // namespace

TEST_CASE("every setting prints what it reads, and refuses nonsense") {
  for (const Setting& setting : settings()) {
    INFO(setting.key);
    LocalSettings local;
    const std::string value = another(setting);
    REQUIRE(setting.set(local, value));
    CHECK(setting.get(local) == value);
    CHECK(value != default_text(setting));
    LocalSettings again;
    REQUIRE(setting.set(again, default_text(setting)));
    CHECK(setting.get(again) == default_text(setting));
    if (setting.kind == SettingKind::kText || setting.kind == SettingKind::kPath) {
      CHECK_FALSE(setting.set(local, std::string("a\nb")));
    } else {
      const auto refused = setting.set(local, "nonsense");
      REQUIRE_FALSE(refused);
      CHECK(refused.error().exit == Exit::kUsage);
    }
    CHECK(setting.get(local) == value);
  }
}

TEST_CASE("settings are found by key, flag and camel case; names are unique") {
  CHECK(find_setting("idle_timeout")->flag == "idle-timeout");
  CHECK(find_setting("idle-timeout") == find_setting("idleTimeout"));
  CHECK(find_setting("cache-rule") == find_setting("cache_rules"));
  CHECK(find_setting("nope") == nullptr);
  std::set<std::string_view> names;
  for (const Setting& setting : settings()) {
    CHECK(names.insert(setting.key).second);
    CHECK(setting.help.ends_with('.'));
  }
}

TEST_CASE("settings travel through JSON; only what differs from the default is stored") {
  LocalSettings local;
  CHECK(settings_json(local).empty());
  for (const Setting& setting : settings()) REQUIRE(setting.set(local, another(setting)));
  const auto json = settings_json(local);
  CHECK(json.size() == settings().size());
  CHECK(json["idle_timeout"] == "77s");
  CHECK(json["workers"] == 17);
  CHECK(json["fold_begin"] == true);
  CHECK(json["cache_rules"].size() == 2);
  LocalSettings again;
  REQUIRE(read_settings(again, nlohmann::ordered_json::parse(json.dump())));
  for (const Setting& setting : settings()) CHECK(setting.get(again) == setting.get(local));
}

TEST_CASE("wrong settings in JSON are errors that name the key") {
  const auto error = [](const char* text) {
    LocalSettings local;
    const auto read = read_settings(local, nlohmann::ordered_json::parse(text));
    REQUIRE_FALSE(read);
    return read.error().message;
  };
  CHECK_THAT(error(R"({"idle_timeot":"5s"})"), Catch::Contains("idle_timeot"));
  CHECK_THAT(error(R"({"workers":"many"})"), Catch::Contains("workers"));
  CHECK_THAT(error(R"({"workers":null})"), Catch::Contains("workers"));
  CHECK_THAT(error(R"({"workers":1.5})"), Catch::Contains("workers"));
  error("[1]");
}

TEST_CASE("the password of a cache URL goes its own way") {
  LocalSettings local;
  const Setting& setting = *find_setting("cache-url");
  REQUIRE(setting.set(local, "redis://user:s%40cret@cache.example.com:6380/2"));
  CHECK(setting.get(local) == "redis://user@cache.example.com:6380/2");
  CHECK(local.cache_password.reveal() == "s@cret");
  REQUIRE(setting.set(local, setting.get(local)));
  CHECK(local.cache_password.reveal() == "s@cret");
  REQUIRE(setting.set(local, "redis://elsewhere/0"));
  CHECK(local.cache_password.empty());
  for (const char* wrong : {"redis://", "http://h/0", "redis://:p@/0", "redis://h/0?x=secret"})
    CHECK_FALSE(setting.set(local, wrong));
  CHECK(setting.set(local, ""));
}

TEST_CASE("what a config may be") {
  CHECK(validate(valid())->empty());
  const auto refused = [](auto&& change) {
    Config config = valid();
    change(config);
    const auto result = validate(config);
    REQUIRE_FALSE(result);
    CHECK(result.error().exit == Exit::kUsage);
    return result.error().message;
  };
  CHECK_THAT(refused([](Config& c) { c.name = ""; }), Catch::Contains("empty"));
  CHECK_THAT(refused([](Config& c) { c.name = std::string(64, 'x'); }), Catch::Contains("63"));
  refused([](Config& c) { c.name = "a\nb"; });
  refused([](Config& c) { c.name = "a\xff"; });
  CHECK_THAT(refused([](Config& c) { c.caching.max_age = 3601; }), Catch::Contains("3600"));
  refused([](Config& c) { c.caching.max_age = -1; });
  refused([](Config& c) { c.caching.stale_while_revalidate = -1; });
  CHECK_THAT(refused([](Config& c) {
               c.caching.disabled = true;
               c.caching.max_age = 10;
             }),
             Catch::Contains("disabled"));
  refused([](Config& c) { c.origin_connection_limit = 0; });
  refused([](Config& c) { c.origin_connection_limit = 1001; });
  refused([](Config& c) { c.origin.host = ""; });
  refused([](Config& c) { c.origin.host = "a b"; });
  refused([](Config& c) { c.origin.port = 0; });
  refused([](Config& c) { c.origin.database = ""; });
  refused([](Config& c) { c.origin.user = ""; });
  refused([](Config& c) { c.origin.service_id = "s"; });
  refused([](Config& c) { c.origin.access_client_secret = Secret("s"); });
  refused([](Config& c) { c.origin.password = Secret(std::string("a\0b", 3)); });
  refused([](Config& c) { c.origin.password = Secret("a\xff"); });
  refused([](Config& c) {
    c.origin.scheme = Scheme::kMysql;
    c.tls.mode = SslMode::kAllow;
  });
  CHECK_THAT(refused([](Config& c) { c.local.listen = "0.0.0.0"; }), Catch::Contains("TLS"));
  refused([](Config& c) { c.local.tls_cert_file = "c.pem"; });
  refused([](Config& c) { c.local.scram_rounds = 0; });
  refused([](Config& c) { c.local.cache_size = 5; });
  CHECK_THAT(refused([](Config& c) { c.local.cache_url = "redis://h:70000/0"; }),
             Catch::Contains("65535"));
  refused([](Config& c) { c.local.admin_port = c.local.local_port = 9000; });
}

TEST_CASE("the edges of the ranges are inside, Cloudflare's limits are a warning") {
  Config config = valid();
  config.name = std::string(63, 'x');
  config.caching.max_age = 3600;
  config.caching.stale_while_revalidate = 0;
  for (const int limit : {1, 4, 101, 1000}) {
    config.origin_connection_limit = limit;
    REQUIRE(validate(config));
    CHECK(validate(config)->size() == 1);
  }
  for (const int limit : {5, 20, 100}) {
    config.origin_connection_limit = limit;
    CHECK(validate(config)->empty());
  }
  config.local.listen = "0.0.0.0";
  config.local.tls_cert_file = "c";
  config.local.tls_key_file = "k";
  CHECK(validate(config));
  Config service = valid();
  service.origin.host.clear();
  service.origin.port = 0;
  service.origin.service_id = "0191-abc";
  CHECK(validate(service));
  CHECK_FALSE(only_from_cloudflare(service.origin).empty());
  CHECK(only_from_cloudflare(valid().origin).empty());
}

TEST_CASE("docs/configuration.md holds the table of settings as it is") {
  std::ifstream file(HYPERDRIVE_SOURCE_DIR "/docs/configuration.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const std::string table = settings_markdown();
  INFO("expected:\n" << table);
  CHECK(page.find(table) != std::string::npos);
}
