#include "core/cloudflare/shapes.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/cloudflare/answer.hpp"
#include "core/cloudflare/client.hpp"

using namespace hyperdrive::core;
using namespace hyperdrive::core::cloudflare;
using Json = nlohmann::ordered_json;

namespace {

Config config_of(const char* host = "db.example.com") {
  Config config;
  config.name = "test123";
  config.origin.host = host;
  config.origin.port = 5432;
  config.origin.database = "neondb";
  config.origin.user = "test";
  config.origin.password = Secret("password");
  config.origin_connection_limit = 60;
  return config;
}

Reply reply_of(long status, std::string body) {
  Reply reply;
  reply.status = status;
  reply.body = std::move(body);
  return reply;
}

}  // namespace

TEST_CASE("a body for POST has the recorded shape and order") {
  CHECK(
      create_body(config_of()).dump() ==
      R"({"name":"test123","origin":{"host":"db.example.com","port":5432,"scheme":"postgresql",)"
      R"("database":"neondb","user":"test","password":"password"},"origin_connection_limit":60})");
}

TEST_CASE("a body of a VPC service has neither host nor port") {
  Config config = config_of("");
  config.origin.port = 0;
  config.origin.service_id = "0191-abc";
  CHECK(create_body(config)["origin"].dump() ==
        R"({"scheme":"postgresql","database":"neondb","user":"test","password":"password",)"
        R"("service_id":"0191-abc"})");
}

TEST_CASE("equal configs differ in nothing, defaults counted") {
  const Json remote = Json::parse(
      R"({"id":"1","name":"test123","origin":{"scheme":"postgres","host":"db.example.com",
      "port":5432,"database":"neondb","user":"test"},"caching":{"disabled":false},
      "origin_connection_limit":60})");
  CHECK(differences(config_of(), remote).empty());
  Config changed = config_of();
  changed.caching.max_age = 5;
  const auto found = differences(changed, remote);
  REQUIRE(found.size() == 1);
  CHECK(found[0].field == "caching.max_age");
  CHECK(patch_body(changed, found, Password::kLeave).dump() ==
        R"({"caching":{"disabled":false,"max_age":5}})");
  CHECK(patch_body(config_of(), {}, Password::kLeave).empty());
  CHECK(patch_body(config_of(), {}, Password::kSend).dump() ==
        R"({"origin":{"password":"password"}})");
}

TEST_CASE("a port goes with its host") {
  Config changed = config_of();
  const Json remote = create_body(changed);
  changed.origin.port = 6543;
  CHECK(patch_body(changed, differences(changed, remote), Password::kLeave).dump() ==
        R"({"origin":{"host":"db.example.com","port":6543}})");
}

TEST_CASE("a body read gives the config back") {
  Config config;
  REQUIRE(apply_body(config, create_body(config_of()), Meaning::kCreate));
  CHECK(create_body(config) == create_body(config_of()));
  REQUIRE(apply_body(config, {{"origin", {{"service_id", "s"}}}}, Meaning::kPatch));
  CHECK(config.origin.host.empty());
  CHECK(config.origin.port == 0);
  REQUIRE(apply_body(config, {{"caching", {{"disabled", true}, {"max_age", 9}}}}, Meaning::kPatch));
  CHECK_FALSE(config.caching.max_age);
}

TEST_CASE("an answer without a password is enough for a pull only") {
  Json body = create_body(config_of());
  body["origin"].erase("password");
  Config config;
  CHECK_FALSE(apply_body(config, body, Meaning::kCreate));
  CHECK(apply_body(config, body, Meaning::kPulled));
}

TEST_CASE("addresses are public or not") {
  for (const char* address : {"1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111"}) {
    CHECK(is_public_address(address));
  }
  for (const char* address :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.0.1",
        "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1",
        "::ffff:10.0.0.1", "2001:db8::1", "no address"}) {
    INFO(address);
    CHECK_FALSE(is_public_address(address));
  }
  CHECK(check_public(config_of("10.0.0.1").origin).error().code == code::kNotPublic);
}

TEST_CASE("answers are judged by what may have happened") {
  Reply refused;
  refused.never_sent = true;
  CHECK(judge(refused) == Verdict::kLater);
  CHECK(judge(Reply{}) == Verdict::kUnknown);
  CHECK(judge(reply_of(429, "{}")) == Verdict::kLater);
  CHECK(judge(reply_of(500, "<html>")) == Verdict::kUnknown);
  CHECK(judge(reply_of(200, R"({"result":{"id")")) == Verdict::kUnknown);
  CHECK(judge(reply_of(204, "")) == Verdict::kDone);
  CHECK(judge(reply_of(400, "{}")) == Verdict::kRefused);
}

TEST_CASE("errors are worded as Cloudflare's, with their codes") {
  const auto answer = read_answer(
      reply_of(400, R"({"success":false,"errors":[{"code":6003,"message":"Invalid request headers",
      "error_chain":[{"code":6111,"message":"Invalid format for Authorization header"}]}],
      "messages":[],"result":null})"),
      "GET", "/accounts/a/hyperdrive/configs");
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == 6003);
  CHECK(answer.error().message ==
        "A request to the Cloudflare API (/accounts/a/hyperdrive/configs) failed: Invalid request "
        "headers [code: 6003]; Invalid format for Authorization header [code: 6111]");
  const auto html = read_answer(reply_of(500, "<html>\x1b[31m</html>"), "GET", "/x");
  REQUIRE_FALSE(html);
  CHECK(html.error().message.find('\x1b') == std::string::npos);
  CHECK(read_answer(reply_of(204, ""), "GET", "/x"));
}

TEST_CASE("an account needs a token, and a clean one") {
  const auto account = [](const char* token) {
    return account_from([=](std::string_view name) -> std::optional<std::string> {
      if (name == "CF_API_TOKEN") return token;
      return {};
    });
  };
  CHECK(account("tt")->token == Secret("tt"));
  CHECK_FALSE(account(""));
  CHECK_FALSE(account("two\r\nX-Other: header"));
}
