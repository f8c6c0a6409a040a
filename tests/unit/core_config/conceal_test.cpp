#include "core/config/conceal.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::core;

TEST_CASE("the password of a URL is not repeated") {
  CHECK(concealed("Unknown argument: postgres://u:s3cret@h/d") ==
        "Unknown argument: postgres://u:***@h/d");
  CHECK(concealed("'mysql://u:a/b#c?d@h:3306/d' and 'redis://:x@h'") ==
        "'mysql://u:***@h:3306/d' and 'redis://:***@h'");
  CHECK(concealed("postgres://u:p@ss@h/d") == "postgres://u:***@h/d");
  CHECK(concealed("postgres://u:with blanks 'and quotes'@h/d") == "postgres://u:***@h/d");
  CHECK(concealed("host=h password=s3cret user=u") == "host=h password=*** user=u");
}

TEST_CASE("what is no password stays") {
  for (const char* text :
       {"", "plain words", "postgresql://127.0.0.1:28437/shop", "postgres://user@h:5432/d",
        "Write it as postgresql://user:password@db.example.com:5432/database.",
        "http://127.0.0.1:8790/client/v4 was asked by me@example.com",
        "Give it with --origin-password=mypassword", "https://developers.cloudflare.com/x"}) {
    CHECK(concealed(text) == text);
  }
}

TEST_CASE("where a URL's password begins") {
  CHECK(url_password("postgres://u:s3cret@h/d") == 13);
  CHECK(url_password("--foo=redis://:s3cret@h") == 15);
  CHECK_FALSE(url_password("prod-db"));
  CHECK_FALSE(url_password("postgres://h:5432/d"));
}
