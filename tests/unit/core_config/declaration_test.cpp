#include "core/config/declaration.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/json.hpp"
#include "core/config/settings.hpp"

using namespace hyperdrive::core;

namespace {

Result<Secret> fake(std::string_view reference) {
  if (reference == "env:MISSING") return fail("the environment variable MISSING is not set.");
  if (reference == "env:URL") return Secret("postgresql://u:URLSECRET@h:6000/d?sslmode=require");
  if (reference == "env:EMPTY") return Secret();
  return Secret("SECRET of " + std::string(reference));
}

std::vector<Declared> read_toml(const std::string& text) {
  auto declared = read_declarations(text, DeclarationFormat::kToml, fake);
  INFO((declared ? "" : declared.error().message));
  REQUIRE(declared);
  return std::move(*declared);
}

Error refused(const std::string& text, DeclarationFormat format = DeclarationFormat::kToml) {
  auto declared = read_declarations(text, format, fake);
  INFO(text);
  REQUIRE_FALSE(declared);
  CHECK(declared.error().exit == Exit::kUsage);
  CHECK(declared.error().message.find("SECRET") == std::string::npos);
  return declared.error();
}

const std::string kShop = R"(
[[configs]]
name = "shop"
origin_connection_limit = 10
[configs.origin]
host = "db.example.com"
database = "shop"
user = "app"
password = "env:SHOP"
)";

/// As the registry would hold it after an apply.
Config stored(const Declared& declared) {
  Config config = declared.config;
  config.id = "0123456789abcdef0123456789abcdef";
  config.created_on = config.modified_on = "2026-01-02T03:04:05.678901Z";
  config.local.local_port = 15432;
  config.local.local_password = Secret("local");
  return config;
}

}  // namespace

TEST_CASE("a TOML declaration becomes a config, its secret by reference") {
  const auto declared = read_toml(kShop + R"(
[configs.caching]
max_age = 30
[configs.mtls]
sslmode = "verify-full"
ca_certificate_id = "my-ca"
[configs.local]
invalidation = "writes"
idle_timeout = "5m"
cache_rules = ["orders:max-age=5"]
workers = 2
)");
  REQUIRE(declared.size() == 1);
  const Config& config = declared[0].config;
  CHECK(config.name == "shop");
  CHECK(config.origin.port == 5432);
  CHECK(config.origin.scheme == Scheme::kPostgresql);
  CHECK(config.origin.password.reveal() == "SECRET of env:SHOP");
  CHECK(config.origin_connection_limit == 10);
  CHECK(config.caching.max_age == 30);
  CHECK(config.tls.mode == SslMode::kVerifyFull);
  CHECK(config.tls.ca_certificate_id == "my-ca");
  CHECK(config.local.invalidation == Invalidation::kWrites);
  CHECK(config.local.idle_timeout == std::chrono::minutes(5));
  CHECK(config.local.cache_rules.size() == 1);
  CHECK(config.local.workers == 2);
  CHECK(declared[0].keeps_local_port);
}

TEST_CASE("JSON, a bare list, the output of list --json, and a connection string by reference") {
  const auto json = read_declarations(R"({"configs":[{"name":"a","connection_string":"env:URL"}]})",
                                      DeclarationFormat::kJson, fake);
  REQUIRE(json);
  CHECK((*json)[0].config.origin.host == "h");
  CHECK((*json)[0].config.origin.port == 6000);
  CHECK((*json)[0].config.tls.mode == SslMode::kRequire);
  const auto list = read_declarations(
      R"([{"id":"x","name":"a","origin":{"scheme":"mysql","host":"h","database":"d","user":"u"},
           "origin_connection_limit":20,"created_on":"x","modified_on":"y",
           "caching":{"disabled":false}}])",
      DeclarationFormat::kJson, fake);
  INFO((list ? "" : list.error().message));
  REQUIRE(list);
  CHECK((*list)[0].config.origin.port == 3306);
  CHECK(read_toml("").empty());
  CHECK(read_toml("\xEF\xBB\xBFversion = 1\n").empty());
  CHECK(read_toml("[[config]]" + kShop.substr(kShop.find('\n', 1))
                                     .replace(kShop.find("[configs.origin]") - kShop.find('\n', 1),
                                              16, "[config.origin]"))
            .size() == 1);
}

TEST_CASE("what is wrong in a declaration is named with its place") {
  CHECK_THAT(refused("x = [1").message, Catch::Contains("line 1"));
  CHECK_THAT(refused("{\n \"configs\": [\n}", DeclarationFormat::kJson).message,
             Catch::Contains("line 3, column 1"));
  CHECK_THAT(refused("name = 'x'").message, Catch::Contains("'name'"));
  CHECK_THAT(refused("version = 2").message, Catch::Contains("version"));
  CHECK_THAT(refused("configs = 5").message, Catch::Contains("not a list"));
  CHECK_THAT(refused("configs = [5]").message, Catch::Contains("configs[0]"));
  CHECK_THAT(refused(kShop + "hots = 'x'\n").hint, Catch::Contains("'host'"));
  CHECK_THAT(refused(kShop + "[configs.cache]\n").message, Catch::Contains("'cache'"));
  CHECK_THAT(refused(kShop + "[configs.caching]\nmax_age = 4000\n").message,
             Catch::Contains("'shop': caching.max_age") && Catch::Contains("3600"));
  CHECK_THAT(refused(kShop + "[configs.caching]\nmax_age = '5'\n").message,
             Catch::Contains("max_age"));
  CHECK_THAT(refused(kShop + "[configs.caching]\ndisabled = true\nmax_age = 5\n").message,
             Catch::Contains("disabled"));
  CHECK_THAT(refused(kShop + "[configs.mtls]\nsslmode = 'REQUIRED'\n").hint,
             Catch::Contains("require"));
  CHECK_THAT(refused(kShop + "[configs.local]\nwrokers = 5\n").message,
             Catch::Contains("'shop': local") && Catch::Contains("wrokers"));
  CHECK_THAT(refused(kShop + "[configs.local]\nworkers = 500\n").message,
             Catch::Contains("workers"));
  CHECK_THAT(refused(kShop + kShop).message, Catch::Contains("twice"));
  refused("[[configs]]\nname = 'x'\n");
  refused("[[configs]]\norigin = {host='h',database='d',user='u'}\n");
  CHECK_THAT(
      refused("[[configs]]\nname='x'\nconnection_string='env:URL'\norigin={host='h'}\n").message,
      Catch::Contains("exclude"));
}

TEST_CASE("a number beyond all numbers is refused as what it is") {
  CHECK_THAT(refused("2E2222", DeclarationFormat::kJson).message,
             Catch::Contains("a number that is too large"));
  CHECK_THAT(
      refused(R"({"version": 1, "configs": [{"name": "a", "origin_connection_limit": -1e999}]})",
              DeclarationFormat::kJson)
          .message,
      Catch::Contains("a number that is too large"));
}

TEST_CASE("a secret in the file itself is refused and not repeated; a missing one is named") {
  const auto with = [](const std::string& value) {
    return "[[configs]]\nname='x'\norigin={host='h',database='d',user='u',password='" + value +
           "'}\n";
  };
  CHECK_THAT(refused(with("SECRET")).hint, Catch::Contains("env:NAME"));
  CHECK_THAT(refused(with("env:MISSING")).message, Catch::Contains("MISSING is not set"));
  CHECK_THAT(refused(with("env:EMPTY")).message, Catch::Contains("empty"));
  refused("[[configs]]\nname='x'\nconnection_string='postgres://u:SECRET@h/d'\n");
}

TEST_CASE("references: the environment, and files beside the declaration") {
  std::string name = (std::filesystem::temp_directory_path() / "hd-unit-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(name.data());
  std::ofstream(folder / "password") << "from a file\r\n";
  CHECK(resolve_secret_reference("file:password", folder.string())->reveal() == "from a file");
  CHECK(resolve_secret_reference("file:" + (folder / "password").string(), "/")->reveal() ==
        "from a file");
  CHECK_FALSE(resolve_secret_reference("file:none", folder.string()));
  ::setenv("HD_TEST_SECRET", "from the environment\n", 1);
  CHECK(resolve_secret_reference("env:HD_TEST_SECRET", "/")->reveal() == "from the environment\n");
  ::unsetenv("HD_TEST_SECRET");
  CHECK_FALSE(resolve_secret_reference("env:HD_TEST_SECRET", "/"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("a plan: create what is new, change what differs, keep the rest, name the undeclared") {
  const auto declared = read_toml(kShop);
  const auto fresh = make_plan(declared, {});
  REQUIRE(fresh);
  REQUIRE(fresh->steps.size() == 1);
  CHECK(fresh->steps[0].action == PlannedAction::kCreate);
  Config present[] = {stored(declared[0]), stored(declared[0])};
  present[1].name = "other";
  const auto same = make_plan(declared, present);
  REQUIRE(same);
  CHECK(same->steps[0].action == PlannedAction::kKeep);
  CHECK(same->steps[0].differences.empty());
  REQUIRE(same->undeclared.size() == 1);
  CHECK(same->undeclared[0].name == "other");
  present[0].origin.host = "old.example.com";
  present[0].caching.max_age = 5;
  present[0].local.workers = 3;
  present[0].origin.password = Secret("another SECRET");
  const auto changed = make_plan(declared, present);
  REQUIRE(changed);
  CHECK(changed->steps[0].action == PlannedAction::kUpdate);
  std::string all;
  for (const Difference& difference : changed->steps[0].differences)
    all += difference.field + ":" + difference.before + ">" + difference.after + ";";
  CHECK(all ==
        "origin.host:old.example.com>db.example.com;caching.max_age:5>;local.workers:3>;"
        "origin.password:(sealed)>(another);");
  CHECK(changed->steps[0].config.id == present[0].id);
  CHECK(changed->steps[0].config.local.local_port == 15432);
  CHECK(changed->steps[0].config.local.local_password.reveal() == "local");
}

TEST_CASE("a declaration without a password keeps the stored one, but a new config needs it") {
  const auto declared = read_toml(
      "[[configs]]\nname='shop'\norigin={host='h2',database='d',user='u'}\nlocal={local_port=2000}"
      "\n");
  const auto fresh = make_plan(declared, {});
  REQUIRE_FALSE(fresh);
  CHECK_THAT(fresh.error().message, Catch::Contains("'shop'"));
  Config present = stored(declared[0]);
  present.origin.password = Secret("kept");
  const auto plan = make_plan(declared, {&present, 1});
  REQUIRE(plan);
  CHECK(plan->steps[0].config.origin.password.reveal() == "kept");
  CHECK(plan->steps[0].config.local.local_port == 2000);
}

TEST_CASE("what is exported applies without a difference, as TOML and as JSON") {
  Config config = stored(read_toml(kShop)[0]);
  config.name = "odd \"name\" \\ ü\t";
  config.origin.application_name = "it's \"mine\"";
  config.tls = Tls{SslMode::kVerifyCa, "c", "m"};
  config.caching.max_age = 0;
  config.origin.password = Secret("SECRET");
  for (const auto& [key, value] :
       {std::pair("cache_rules", "a:max-age=1\nb.*:no-cache"), std::pair("workers", "3"),
        std::pair("cache_size", "1GiB"), std::pair("drain_timeout", "1500ms")})
    REQUIRE(find_setting(key)->set(config.local, value));
  Config mysql = stored(read_toml(kShop)[0]);
  mysql.name = "my";
  mysql.origin.scheme = Scheme::kMysql;
  mysql.tls.mode = SslMode::kVerifyFull;
  Config service = stored(read_toml(kShop)[0]);
  service.name = "vpc";
  service.origin.host.clear();
  service.origin.port = 0;
  service.origin.service_id = "0191-abc";
  config.name = "odd \"name\" \\ ü";
  const Config all[] = {config, mysql, service};
  const std::string toml = export_toml(all);
  const std::string json = export_json(all).dump(2);
  CHECK(toml.find("SECRET") == std::string::npos);
  CHECK(json.find("SECRET") == std::string::npos);
  std::string pieces = "{\n  \"version\": 1,\n  \"configs\": [";
  for (const Config& one : all) {
    pieces += &one == all ? "\n    " : ",\n    ";
    append_declared_json(one, 4, pieces);
  }
  CHECK(pieces + "\n  ]\n}" == json);
  Config tiered = config;
  REQUIRE(find_setting("cache_url")->set(tiered.local, "redis://:SECRET@h:1/0"));
  CHECK(export_toml({&tiered, 1}).find("SECRET") == std::string::npos);
  for (const auto& [text, format] :
       {std::pair(toml, DeclarationFormat::kToml), std::pair(json, DeclarationFormat::kJson)}) {
    const auto declared = read_declarations(text, format, fake);
    INFO(text << (declared ? "" : declared.error().message));
    REQUIRE(declared);
    const auto plan = make_plan(*declared, all);
    REQUIRE(plan);
    REQUIRE(plan->steps.size() == 3);
    for (const PlannedStep& step : plan->steps) {
      std::string differences;
      for (const Difference& d : step.differences) differences += d.field + " ";
      INFO(step.config.name << ": " << differences);
      CHECK(step.action == PlannedAction::kKeep);
    }
    CHECK(plan->undeclared.empty());
  }
}
