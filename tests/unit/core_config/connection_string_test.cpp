#include "core/config/connection_string.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::core;

namespace {

Origin origin_of(const std::string& text) {
  const auto parsed = parse_connection_string(text);
  INFO(text << ": " << (parsed ? "" : parsed.error().message));
  REQUIRE(parsed);
  return parsed->origin;
}

void check(const std::string& text, const std::string& user, const std::string& password,
           const std::string& host, int port, const std::string& database) {
  const Origin origin = origin_of(text);
  INFO(text);
  CHECK(origin.user == user);
  CHECK(origin.password.reveal() == password);
  CHECK(origin.host == host);
  CHECK(origin.port == port);
  CHECK(origin.database == database);
}

Error error_of(const std::string& text) {
  const auto parsed = parse_connection_string(text);
  INFO(text);
  REQUIRE_FALSE(parsed);
  return parsed.error();
}

}  // namespace

// Each of these was given to wrangler 4.164; what it sent to the API is the expectation.
TEST_CASE("what wrangler accepts is accepted with the same meaning") {
  check("postgresql://test:password@db.example.com:5432/neondb", "test", "password",
        "db.example.com", 5432, "neondb");
  check("postgres://u:p@ss@h:5432/db", "u", "p@ss", "h", 5432, "db");
  check("postgres://u:p^|<>s@h:5432/db", "u", "p^|<>s", "h", 5432, "db");
  check("postgres://u:p$&!*s@h:5432/db", "u", "p$&!*s", "h", 5432, "db");
  check("postgres://u:p@127.0.0.1:5432/db", "u", "p", "127.0.0.1", 5432, "db");
  check("postgres://u+1:p+2@h:5432/db", "u+1", "p+2", "h", 5432, "db");
  check("postgres://u:p ss@h:5432/db", "u", "p ss", "h", 5432, "db");
  check("  postgres://u:p@h:5432/db  ", "u", "p", "h", 5432, "db");
  check("postgres://u:p@my_host:5432/db", "u", "p", "my_host", 5432, "db");
  check("postgres://ü:pä@höst.example:5432/dbé", "ü", "pä", "h%C3%B6st.example", 5432, "dbé");
  check("mysql://test:password@db.example.com/neondb", "test", "password", "db.example.com", 3306,
        "neondb");
  check("postgres://a:b@c:1/d", "a", "b", "c", 1, "d");
  CHECK(origin_of("postgres://u:p@h/d").scheme == Scheme::kPostgres);
  CHECK(origin_of("POSTGRESQL://u:p@h/d").scheme == Scheme::kPostgresql);
  CHECK(origin_of("mysql://u:p@h/d").scheme == Scheme::kMysql);
}

TEST_CASE("a scheme that only begins like ours is taken for it, with a warning, as wrangler does") {
  const auto parsed = parse_connection_string("postgresqlx://u:p@h:5432/db");
  REQUIRE(parsed);
  CHECK(parsed->origin.scheme == Scheme::kPostgresql);
  CHECK(parsed->origin.scheme_text == "postgresqlx");
  CHECK(parsed->warnings.size() == 1);
  CHECK(error_of("mysqlfoo://u:p@h/db").message.find("port") != std::string::npos);
}

TEST_CASE("escapes are decoded, IPv6 loses its brackets, default ports come in") {
  check("postgres://us%40er:p%2Fw%23%3f%25@h/d%20b", "us@er", "p/w#?%", "h", 5432, "d b");
  check("postgres://u:p@[2001:db8::1]:6000/db", "u", "p", "2001:db8::1", 6000, "db");
  check("postgres://u:p@[::1]/db", "u", "p", "::1", 5432, "db");
  check("postgres://u:p@h:/db", "u", "p", "h", 5432, "db");
  check("postgres://u:a:b:c@h/db", "u", "a:b:c", "h", 5432, "db");
  check("postgres://u:p@h:05432/db", "u", "p", "h", 5432, "db");
  check("postgres://u:p\n@h:5432/db\n", "u", "p", "h", 5432, "db");
  check("postgres://u:p@h/a/b", "u", "p", "h", 5432, "a/b");
  check("postgres://u:%F0%9F%98%80@h/db", "u", "\xF0\x9F\x98\x80", "h", 5432, "db");
}

TEST_CASE("query parameters are read, unknown ones are named") {
  const auto parsed = parse_connection_string(
      "postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=7&"
      "application_name=my%20app&pgbouncer=true&x");
  REQUIRE(parsed);
  CHECK(parsed->ssl_mode == SslMode::kVerifyFull);
  CHECK(parsed->ssl_root_certificate == "/etc/ca.pem");
  CHECK(parsed->connect_timeout == std::chrono::seconds(7));
  CHECK(parsed->origin.application_name == "my app");
  REQUIRE(parsed->warnings.size() == 2);
  CHECK(parsed->warnings[0].find("'pgbouncer'") != std::string::npos);
  CHECK(parsed->warnings[0].find("true") == std::string::npos);
  CHECK(parse_connection_string("mysql://u:p@h/d?ssl-mode=required")->ssl_mode ==
        SslMode::kRequire);
  CHECK(parse_connection_string("postgres://u:p@h/d?sslmode=no-verify")->ssl_mode ==
        SslMode::kRequire);
  CHECK(parse_connection_string("postgres://u:p@h/d?connect_timeout=0")->connect_timeout ==
        std::nullopt);
  CHECK(parse_connection_string("postgres://u:p@h/d")->ssl_mode == SslMode::kDefault);
}

TEST_CASE("values that cannot be are errors") {
  CHECK(error_of("postgres://u:p@h/d?sslmode=REQUIRED").hint.find("require") != std::string::npos);
  CHECK(error_of("mysql://u:p@h/d?ssl-mode=verify-full").hint.find("VERIFY_IDENTITY") !=
        std::string::npos);
  error_of("postgres://u:p@h/d?sslmode=maybe");
  error_of("postgres://u:p@h/d?connect_timeout=soon");
  error_of("postgres://u:p@h/d?application_name=%zz");
}

TEST_CASE("a raw special character in the password: which one, and how to write it") {
  for (const auto& [text, escape] : {std::pair("postgres://u:p#ss@h:5432/db", "'#' as %23"),
                                     std::pair("postgres://u:p/ss@h:5432/db", "'/' as %2F"),
                                     std::pair("postgres://u:p?ss@h:5432/db", "'?' as %3F"),
                                     std::pair("postgres://u:12#ss@h:5432/db", "'#' as %23"),
                                     std::pair("postgres://u:12/ss@h:5432/db", "'/' as %2F"),
                                     std::pair("postgres://u:p@s#s@h:5432/db", "'#' as %23"),
                                     std::pair("postgres://u:p@s?s@h:5432/db", "'?' as %3F"),
                                     std::pair("postgres://u:p%zz@h:5432/db", "'%' itself as %25"),
                                     std::pair("postgres://u:p%ss@h:5432/db", "'%' itself as %25"),
                                     std::pair("postgres://u:p%@h:5432/db", "'%' itself as %25"),
                                     std::pair("postgres://u:p%ff@h:5432/db", "'%' itself as %25")})
    CHECK_THAT(error_of(text).hint, Catch::Contains(escape));
}

TEST_CASE("what wrangler refuses is refused, with exit code 64") {
  for (const char* text : {"postgres://u:p@h:99999/db",
                           "mongodb://u:p@h:5432/db",
                           "postgres://u:@h:5432/db",
                           "db.example.com",
                           "postgres://u:p@/db",
                           "postgres:///db",
                           "postgres://u@h:5432/db",
                           "postgres://u:p@h:5432",
                           "user:pass@host:5432/db",
                           "not a url",
                           "\"postgres://u:p@h:5432/db\"",
                           "",
                           "postgres://",
                           "postgres:u:p@h/db",
                           "postgres://:p@h/db",
                           "postgres://u:p@h:0/db",
                           "postgres://u:p@h:x/db",
                           "postgres://u:p@h h/db",
                           "postgres://u:p@[::1/db",
                           "postgres://u:p@[fe80::1%25eth0]/db",
                           "postgres://u:p@::1/db",
                           "postgres://u:p@h/",
                           "jdbc:postgresql://h/db",
                           "host=h user=u password=p dbname=d",
                           "postgres://u:\xff@h/db"}) {
    INFO(text);
    CHECK(error_of(text).exit == Exit::kUsage);
    CHECK_FALSE(error_of(text).message.empty());
  }
}

TEST_CASE("several hosts and unix sockets are refused in words") {
  CHECK_THAT(error_of("postgres://u:p@a:1,b:2/db").message, Catch::Contains("several hosts"));
  CHECK_THAT(error_of("postgres://u:p@a,b/db").message, Catch::Contains("several hosts"));
  CHECK_THAT(error_of("postgres://u:p@%2Fvar%2Frun/db").message, Catch::Contains("Unix sockets"));
  CHECK_THAT(error_of("postgres:///db?host=/tmp").message, Catch::Contains("Unix sockets"));
  CHECK_THAT(error_of("mysql://u:p@h/db?socket=/tmp/m.sock").message,
             Catch::Contains("Unix sockets"));
}

TEST_CASE("no error and no warning repeats any part of a password") {
  for (const char* text :
       {"postgres://u:SECRET1@h:99999/db", "postgres://u:SECRET1#SECRET2@h/db",
        "postgres://u:SECRET1/SECRET2@h/db", "postgres://u:SECRET1?SECRET2=3@h/db",
        "postgres://u:SECRET1%SECRET2@h/db", "mongodb://u:SECRET1@h/db", "u:SECRET1@h/db",
        "postgres://u:x@SECRET1/SECRET2@h/db", "postgres://u:x@SECRET1 SECRET2@ h/db", "SECRET1",
        "\"postgres://u:SECRET1@h/db\"", "postgres://u:SECRET1@h:5432/",
        "postgres://u:p@h/db?password=SECRET1", "postgres://u:p@h/db#SECRET1",
        "postgres://u:1@[SECRET1/db"}) {
    INFO(text);
    const auto parsed = parse_connection_string(text);
    if (!parsed) {
      CHECK((parsed.error().message + parsed.error().hint).find("SECRET") == std::string::npos);
    } else {
      for (const std::string& warning : parsed->warnings)
        CHECK(warning.find("SECRET") == std::string::npos);
    }
  }
}

TEST_CASE("a connection string made from an origin reads back the same") {
  Origin origin;
  origin.scheme = Scheme::kMysql;
  origin.host = "2001:db8::7";
  origin.port = 4000;
  origin.user = "us@er:x";
  origin.password = Secret("p@s:s/w?o#r%d \xC3\xA4");
  origin.database = "d b/c";
  const std::string text(connection_string(origin).reveal());
  check(text, origin.user, std::string(origin.password.reveal()), origin.host, 4000,
        origin.database);
}

TEST_CASE("the local connection string") {
  Config config;
  config.origin.database = "shop";
  config.local.local_port = 15432;
  config.local.local_password = Secret("abcDEF123");
  CHECK(local_connection_string(config).reveal() ==
        "postgresql://hyperdrive:abcDEF123@127.0.0.1:15432/shop");
  CHECK(local_address(config) == "postgresql://127.0.0.1:15432/shop");
  config.origin.scheme = Scheme::kMysql;
  config.origin.database = "my shop";
  CHECK(local_connection_string(config).reveal() ==
        "mysql://hyperdrive:abcDEF123@127.0.0.1:15432/my%20shop");
  config.local.listen = "::1";
  CHECK(local_address(config) == "mysql://[::1]:15432/my%20shop");
  config.local.listen = "0.0.0.0";
  CHECK(local_address(config) == "mysql://127.0.0.1:15432/my%20shop");
}

TEST_CASE("two connection strings in one are told of without their passwords") {
  for (const char* text : {"postgres://a:b@h/d?sslmode=requirepostgres://a:s3cret@h/d",
                           "postgres://a:b@h/d?x=1&postgres://a:s3cret@h/d",
                           "mysql://a:b@h/d?connect_timeout=1mysql://a:s3cret@h/d"}) {
    const auto read = parse_connection_string(text);
    std::string told;
    if (read) {
      for (const std::string& warning : read->warnings) told += warning;
    } else {
      told = read.error().message + read.error().hint;
    }
    CHECK_FALSE(told.empty());
    CHECK(told.find("s3cret") == std::string::npos);
  }
}
