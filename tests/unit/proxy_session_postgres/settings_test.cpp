#include "proxy/session/postgres/settings.hpp"

#include <catch2/catch.hpp>

#include "proxy/wire/postgres/build.hpp"

using namespace hyperdrive::proxy::session::postgres;
namespace pg = hyperdrive::proxy::wire::postgres;

namespace {

SettingsRef set(std::vector<SettingSet::Pair> pairs) { return intern(std::move(pairs)); }

pg::StartupParameters startup(std::vector<std::pair<pg::Bytes, pg::Bytes>> values) {
  return {pg::kVersion30, std::move(values), {}};
}

}  // namespace

TEST_CASE("equal sets are one object, whatever their order") {
  CHECK(set({{"b", "2"}, {"a", "1"}}) == set({{"a", "1"}, {"b", "2"}}));
  CHECK(set({{"a", "1"}}) != set({{"a", "2"}}));
  CHECK(set({}) == nullptr);
  CHECK(without(set({{"a", "1"}}), "a") == nullptr);
  CHECK(with(nullptr, "a", "1") == set({{"a", "1"}}));
}

TEST_CASE("of a setting given twice the last value counts") {
  CHECK(*set({{"a", "1"}, {"a", "2"}})->find("a") == "2");
}

TEST_CASE("nothing is sent where nothing differs") {
  const auto some = set({{"timezone", "UTC"}});
  CHECK(settings_diff(some, some, {}).empty());
  CHECK(settings_diff(nullptr, nullptr, {}).empty());
}

TEST_CASE("what the connection has and the session does not want is reset") {
  CHECK(settings_diff(set({{"timezone", "UTC"}}), nullptr, {}) == "RESET \"timezone\";");
  CHECK(settings_diff(nullptr, nullptr, {"app.user"}) == "RESET \"app\".\"user\";");
}

TEST_CASE("a dirty setting is set again although its value seems right") {
  const auto wants = set({{"timezone", "UTC"}});
  CHECK(settings_diff(wants, wants, {"timezone"}) ==
        "SELECT pg_catalog.set_config(E'timezone',E'UTC',false);");
}

TEST_CASE("a role is given up first and taken last") {
  const std::string back = settings_diff(set({{"role", "other"}}), nullptr, {});
  CHECK(back.starts_with("RESET SESSION AUTHORIZATION;RESET ROLE;"));
  const std::string there =
      settings_diff(nullptr, set({{"role", "other"}, {"timezone", "UTC"}}), {});
  CHECK(there.ends_with("SELECT pg_catalog.set_config(E'role',E'other',false);"));
}

TEST_CASE("a change behind a role becomes ourselves, changes, and takes the role again") {
  const auto before = set({{"role", "other"}});
  const auto after = set({{"role", "other"}, {"timezone", "UTC"}});
  const std::string sql = settings_diff(before, after, {});
  CHECK(sql.starts_with("RESET SESSION AUTHORIZATION;RESET ROLE;"));
  CHECK(sql.ends_with("SELECT pg_catalog.set_config(E'role',E'other',false);"));
}

TEST_CASE("values cannot leave their quotes") {
  CHECK(quote_literal("it's \\ here") == "E'it''s \\\\ here'");
  CHECK(quote_identifier("a\"b") == "\"a\"\"b\"");
}

TEST_CASE("startup parameters and options become settings") {
  const auto read =
      startup_settings(startup({{"user", "u"},
                                {"database", "d"},
                                {"TimeZone", "UTC"},
                                {"options", "-c a.b=1 -csearch-path=x\\ y --geqo=off"}}));
  REQUIRE(read);
  CHECK(*read == set({{"a.b", "1"}, {"search_path", "x y"}, {"geqo", "off"}, {"timezone", "UTC"}}));
  CHECK_FALSE(startup_settings(startup({{"options", "-c nothing"}})));
  CHECK_FALSE(startup_settings(startup({{"options", "-B 5"}})));
}

TEST_CASE("statements differ by what their text is understood under") {
  CHECK(parse_fingerprint(set({{"search_path", "a"}})) !=
        parse_fingerprint(set({{"search_path", "b"}})));
  CHECK(parse_fingerprint(set({{"timezone", "UTC"}})) != parse_fingerprint(nullptr));
  CHECK(parse_fingerprint(set({{"xmloption", "document"}})) != parse_fingerprint(nullptr));
  CHECK(parse_fingerprint(set({{"application_name", "a"}, {"work_mem", "4MB"}})) == 0);
}
