#include "core/config/text.hpp"

#include <catch2/catch.hpp>

#include "core/config/percent.hpp"
#include "core/config/suggest.hpp"

using namespace hyperdrive::core;
using namespace std::chrono_literals;

TEST_CASE("durations") {
  const auto read = [](const char* text) { return parse_duration(text, "x"); };
  CHECK(read("500ms") == 500ms);
  CHECK(read("30s") == 30s);
  CHECK(read("5m") == 5min);
  CHECK(read("1h") == 1h);
  CHECK(read("1m30s") == 90s);
  CHECK(read("1.5s") == 1500ms);
  CHECK(read("15") == 15s);
  CHECK(read("0") == 0ms);
  for (const char* wrong : {"", "s", "5x", "-5s", "1h2", "5 5", "1e9h", ".", "5s!", "99999999h"})
    CHECK_FALSE(read(wrong));
  for (const std::chrono::milliseconds value :
       std::initializer_list<std::chrono::milliseconds>{0ms, 1ms, 1500ms, 15s, 90s, 10min, 36h})
    CHECK(read(print_duration(value).c_str()) == value);
  CHECK(print_duration(90s) == "90s");
  CHECK(print_duration(10min) == "10m");
}

TEST_CASE("sizes") {
  const auto read = [](const char* text) { return parse_size(text, "x"); };
  CHECK(read("64MiB") == 64u << 20);
  CHECK(read("64 mib") == 64u << 20);
  CHECK(read("512KiB") == 512u << 10);
  CHECK(read("1GiB") == 1u << 30);
  CHECK(read("64MB") == 64'000'000u);
  CHECK(read("1.5KiB") == 1536u);
  CHECK(read("4096") == 4096u);
  for (const char* wrong : {"", "MiB", "-1", "5XiB", "1e99", "99999999GiB"})
    CHECK_FALSE(read(wrong));
  CHECK(print_size(64u << 20) == "64MiB");
  CHECK(print_size(1000) == "1000");
  CHECK(print_size(0) == "0");
}

TEST_CASE("whole numbers: what JavaScript's Number takes as well, but nothing else") {
  const auto read = [](const char* text) { return parse_integer(text, "--max-age", 0, 3600); };
  CHECK(read("60") == 60);
  CHECK(read("0060") == 60);
  CHECK(read("60.0") == 60);
  CHECK(read("1e2") == 100);
  CHECK(read("0x10") == 16);
  CHECK(read("+5") == 5);
  CHECK(read(" 5\t") == 5);
  CHECK(read("0b101") == 5);
  CHECK(read("0O17") == 15);
  for (const char* wrong : {"abc", "1.5", "-5", "999999", "", " ", "5 5", "5s", "nan", "inf", "--5",
                            "0b", "0b2", "0b-1", "-0b1", "0o8", "99999999999999999999", "1e400"}) {
    INFO(wrong);
    CHECK_FALSE(read(wrong));
  }
  CHECK_THAT(read("abc").error().message, Catch::Contains("--max-age") && Catch::Contains("3600"));
}

TEST_CASE("sslmode: the words of each protocol, the other's refused with the right one") {
  CHECK(parse_ssl_mode("require", Scheme::kPostgres) == SslMode::kRequire);
  CHECK(parse_ssl_mode("disable", Scheme::kPostgresql) == SslMode::kDisable);
  CHECK(parse_ssl_mode("allow", Scheme::kPostgresql) == SslMode::kAllow);
  CHECK(parse_ssl_mode("prefer", Scheme::kPostgresql) == SslMode::kPrefer);
  CHECK(parse_ssl_mode("verify_identity", Scheme::kMysql) == SslMode::kVerifyFull);
  CHECK(parse_ssl_mode("PREFERRED", Scheme::kMysql) == SslMode::kPrefer);
  CHECK_FALSE(parse_ssl_mode("REQUIRE", Scheme::kPostgres));
  CHECK_FALSE(parse_ssl_mode("", Scheme::kPostgres));
  const auto wrong = parse_ssl_mode("verify-full", Scheme::kMysql);
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().hint, Catch::Contains("VERIFY_IDENTITY"));
  CHECK_THAT(parse_ssl_mode("required", Scheme::kPostgres).error().hint,
             Catch::Contains("require"));
  CHECK_THAT(parse_ssl_mode("allow", Scheme::kMysql).error().hint, Catch::Contains("PREFERRED"));
  CHECK(ssl_mode_name(SslMode::kVerifyFull, Scheme::kMysql) == "VERIFY_IDENTITY");
  CHECK(ssl_mode_name(SslMode::kDefault, Scheme::kMysql).empty());
}

TEST_CASE("TLS defaults: prefer for loopback, require elsewhere") {
  for (const char* host :
       {"localhost", "127.0.0.1", "127.1.2.3", "::1", "db.localhost", "LOCALHOST"})
    CHECK(is_loopback(host));
  for (const char* host : {"127.example.com", "10.0.0.1", "localhost.example.com", "", "::2"})
    CHECK_FALSE(is_loopback(host));
  Config config;
  config.origin.host = "localhost";
  CHECK(effective_ssl_mode(config) == SslMode::kPrefer);
  config.origin.host = "db.example.com";
  CHECK(effective_ssl_mode(config) == SslMode::kRequire);
  config.tls.mode = SslMode::kDisable;
  CHECK(effective_ssl_mode(config) == SslMode::kDisable);
}

TEST_CASE("cache rules") {
  const auto rule = parse_cache_rule("shop.orders:max-age=5,swr=0");
  REQUIRE(rule);
  CHECK(rule->table == "shop.orders");
  CHECK(rule->max_age == 5);
  CHECK(rule->stale_while_revalidate == 0);
  CHECK(print_cache_rule(*rule) == "shop.orders:max-age=5,swr=0");
  CHECK(parse_cache_rule("audit_*:no-cache")->no_cache);
  for (const char* text : {"a:max-age=1", "a:swr=2", "a:no-cache", "a.*:max-age=1,swr=2"})
    CHECK(print_cache_rule(*parse_cache_rule(text)) == text);
  for (const char* wrong :
       {"", "orders", ":max-age=5", "orders:", "orders:max-age", "a:max-age=9999", "a:max-age=-1",
        "a:ttl=5", "a:no-cache,max-age=5", "a:no-cache=1", "a:swr=x"}) {
    INFO(wrong);
    CHECK_FALSE(parse_cache_rule(wrong));
  }
}

TEST_CASE("the host to resolve has its escapes undone") {
  Origin origin;
  origin.host = "h%C3%B6st.example";
  CHECK(resolvable_host(origin) == "höst.example");
  origin.host = "100%";
  CHECK(resolvable_host(origin) == "100%");
  origin.host = "%zz.example";
  CHECK(resolvable_host(origin) == "%zz.example");
}

TEST_CASE("UTF-8 is checked as RFC 3629 says") {
  for (const char* good : {"", "abc", "ä", "€", "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xEE\x80\x80"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82"})
    CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("did you mean") {
  const std::vector<std::string> names = {"prod-db", "staging", "products", "x"};
  CHECK(nearest("prdo-db", names) == std::vector<std::string>{"prod-db"});
  CHECK(nearest("stagin", names) == std::vector<std::string>{"staging"});
  CHECK(nearest("prod", names) == std::vector<std::string>{"prod-db", "products"});
  CHECK(nearest("zzzzzz", names).empty());
  CHECK(did_you_mean("stagign", names) == "Did you mean 'staging'?");
  CHECK(did_you_mean("qqqqqq", names).empty());
  CHECK(edit_distance("kitten", "sitting", 10) == 3);
  CHECK(edit_distance("ab", "ba", 10) == 1);
  CHECK(edit_distance("", "abc", 10) == 3);
  CHECK(edit_distance("abcdefgh", "zzzzzzzz", 2) == 3);
}
