#include "core/config/json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/config/settings.hpp"

using namespace hyperdrive::core;

namespace {

Config sample() {
  Config config;
  config.id = "11111111111111111111111111111111";
  config.name = "pg-main";
  config.origin.host = "db.example.com";
  config.origin.port = 5432;
  config.origin.database = "neondb";
  config.origin.user = "test";
  config.origin.password = Secret("TOPSECRET");
  config.local.local_password = Secret("TOPSECRET2");
  config.local.cache_password = Secret("TOPSECRET3");
  config.origin_connection_limit = 25;
  config.created_on = config.modified_on = "2026-01-02T03:04:05.678901Z";
  config.caching.max_age = 60;
  config.caching.stale_while_revalidate = 15;
  return config;
}

}  // namespace

// Recorded from wrangler 4.164 (`get`, `update`).
TEST_CASE("the public shape is Cloudflare's, field for field and in its order") {
  CHECK(
      public_json(sample()).dump() ==
      R"({"id":"11111111111111111111111111111111","name":"pg-main","origin":{"scheme":"postgresql",)"
      R"("host":"db.example.com","port":5432,"database":"neondb","user":"test"},)"
      R"("origin_connection_limit":25,"created_on":"2026-01-02T03:04:05.678901Z",)"
      R"("modified_on":"2026-01-02T03:04:05.678901Z",)"
      R"("caching":{"disabled":false,"max_age":60,"stale_while_revalidate":15}})");
}

TEST_CASE("the public shape as text is what dump(2) prints of the document") {
  Config config = sample();
  const auto same = [&config] {
    std::string text;
    append_public_json(config, 0, text);
    return text == public_json(config).dump(2, ' ', false,
                                            nlohmann::ordered_json::error_handler_t::replace);
  };
  CHECK(same());
  config.caching.disabled = true;
  config.tls = Tls{SslMode::kVerifyFull, "1234", "5678"};
  config.origin.database = "a\"b\\c\n\x01 d\xff ü😀\x7f";
  config.origin.port = 0;
  config.origin.access_client_id = "abc";
  CHECK(same());
  config.origin.service_id = "svc";
  CHECK(same());
  std::string text;
  append_public_json(config, 2, text);
  CHECK(text.starts_with("{\n    \"id\": "));
  CHECK(text.ends_with("\n  }"));
}

TEST_CASE("optional parts of the public shape") {
  Config config = sample();
  config.caching = Caching{};
  CHECK(public_json(config)["caching"].dump() == R"({"disabled":false})");
  config.caching.disabled = true;
  CHECK(public_json(config)["caching"].dump() == R"({"disabled":true})");
  CHECK_FALSE(public_json(config).contains("mtls"));
  config.tls = Tls{SslMode::kVerifyFull, "1234", "5678"};
  CHECK(public_json(config)["mtls"].dump() ==
        R"({"ca_certificate_id":"1234","mtls_certificate_id":"5678","sslmode":"verify-full"})");
  config.origin.scheme = Scheme::kMysql;
  CHECK(public_json(config)["mtls"]["sslmode"] == "VERIFY_IDENTITY");
  config.origin.access_client_id = "abc.access";
  config.origin.access_client_secret = Secret("TOPSECRET4");
  config.origin.port = 0;
  CHECK(public_json(config)["origin"].dump() ==
        R"({"scheme":"mysql","host":"db.example.com","database":"neondb","user":"test",)"
        R"("access_client_id":"abc.access"})");
  Config service = sample();
  service.origin.service_id = "0191-aaaa";
  service.origin.host.clear();
  service.origin.port = 0;
  CHECK(public_json(service)["origin"].dump() ==
        R"({"scheme":"postgresql","service_id":"0191-aaaa","database":"neondb","user":"test"})");
}

TEST_CASE("get --all has every setting with value and default, and no secret") {
  Config config = sample();
  config.local.workers = 2;
  const auto json = all_json(config);
  for (const Setting& setting : settings()) {
    INFO(setting.key);
    REQUIRE(json["local"].contains(std::string(setting.key)));
    CHECK(json["local"][std::string(setting.key)].contains("value"));
    CHECK(json["local"][std::string(setting.key)].contains("default"));
  }
  CHECK(json["local"]["workers"].dump() == R"({"value":2,"default":0})");
  CHECK(json["mtls"]["sslmode"] == "require");
  CHECK(json.dump().find("TOPSECRET") == std::string::npos);
  CHECK(public_json(config).dump().find("TOPSECRET") == std::string::npos);
}

TEST_CASE("a launch document comes back whole, secrets included") {
  Launch launch;
  launch.config = sample();
  launch.config.origin.scheme_text = "postgresqlx";
  launch.config.origin.application_name = "app";
  launch.config.origin.access_client_id = "i";
  launch.config.origin.access_client_secret = Secret("TOPSECRET4");
  launch.config.tls = Tls{SslMode::kVerifyCa, "c", "m"};
  launch.config.remote_id = "r";
  launch.config.local.local_port = 15432;
  launch.config.local.cache_rules = {CacheRule{"t", 5, 6, false}};
  launch.config.local.drain_timeout = std::chrono::milliseconds(1234);
  launch.certificates = Certificates{"CA", "CLIENT", Secret("KEY")};
  launch.admin_socket = "/a.sock";
  launch.handover_socket = "/a.hand";
  launch.log_file = "/a.log";
  launch.exit_with_parent = true;
  launch.listen_fds = {7, 8};
  launch.handover_fd = 9;
  launch.lock_fd = 10;
  const Secret text = launch_json(launch);
  const auto again = parse_launch(text.reveal());
  INFO((again ? "" : again.error().message));
  REQUIRE(again);
  CHECK(launch_json(*again) == text);
  CHECK(again->config.origin.password.reveal() == "TOPSECRET");
  CHECK(again->config.local.cache_password.reveal() == "TOPSECRET3");
  CHECK(again->config.local.drain_timeout == std::chrono::milliseconds(1234));
  CHECK(again->config.caching.max_age == 60);
  CHECK(again->listen_fds == std::vector<int>{7, 8});
}

TEST_CASE("a broken launch document is an error that repeats nothing of it") {
  const std::string good(launch_json(Launch{sample(), {}, "", "", false, {}, -1, -1, ""}).reveal());
  std::vector<std::string> broken = {"",
                                     "x",
                                     "[]",
                                     "{}",
                                     R"({"config":5})",
                                     R"({"config":{"origin":{"password":5,"host":"TOPSECRET"}}})"};
  for (std::size_t length = 0; length < good.size(); length += 7)
    broken.push_back(good.substr(0, length));
  for (const std::string& text : broken) {
    const auto parsed = parse_launch(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message.find("TOPSECRET") == std::string::npos);
  }
}

TEST_CASE("the ready line") {
  const auto ready = parse_ready(ready_line(Ready{true, 15432, {}, ""}));
  REQUIRE(ready);
  CHECK(ready->ready);
  CHECK(ready->port == 15432);
  const auto failed = parse_ready(
      ready_line(Ready{false, 0, Error{"what", "do", 2013, Exit::kError}, "port_in_use"}));
  REQUIRE(failed);
  CHECK_FALSE(failed->ready);
  CHECK(failed->error.message == "what");
  CHECK(failed->error.hint == "do");
  CHECK(failed->error.code == 2013);
  CHECK(failed->reason == "port_in_use");
  for (const char* text : {"", "{}", "nonsense", R"({"ready":"yes"})"})
    CHECK_FALSE(parse_ready(text));
}
