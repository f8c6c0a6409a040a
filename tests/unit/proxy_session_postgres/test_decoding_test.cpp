#include "proxy/session/postgres/test_decoding.hpp"

#include <catch2/catch.hpp>

using namespace hyperdrive::proxy::session::postgres;
using Kind = DecodedLine::Kind;
using hyperdrive::proxy::sql::Name;

TEST_CASE("transactions begin and end with their ids") {
  CHECK(parse_decoded_line("BEGIN 725")->kind == Kind::kBegin);
  CHECK(parse_decoded_line("BEGIN 725")->xid == 725);
  CHECK(parse_decoded_line("COMMIT 4294967295")->xid == 4'294'967'295u);
  CHECK(parse_decoded_line("COMMIT 725 (at 2026-11-23 20:00:00+00)")->kind == Kind::kCommit);
}

TEST_CASE("changes name their tables, whatever the names and values hold") {
  const auto plain = parse_decoded_line(
      "table public.products: UPDATE: old-key: id[integer]:1 new-tuple: name[text]:'a: INSERT: b'");
  REQUIRE(plain);
  CHECK(plain->kind == Kind::kChange);
  CHECK(plain->tables == std::vector<Name>{{"public", "products"}});

  const auto odd =
      parse_decoded_line("table \"My \"\"Schema\".\"we: ird, t.x\": INSERT: id[integer]:1");
  REQUIRE(odd);
  CHECK(odd->tables == std::vector<Name>{{"My \"Schema", "we: ird, t.x"}});

  const auto truncate =
      parse_decoded_line("table public.a, \"B\".\"c.d\", public.e: TRUNCATE: restart_seqs cascade");
  REQUIRE(truncate);
  CHECK(truncate->tables == std::vector<Name>{{"public", "a"}, {"B", "c.d"}, {"public", "e"}});

  // A row that is too long to be kept arrives cut.
  CHECK(parse_decoded_line("table public.t: INSERT: body[text]:'xxxx"));
}

TEST_CASE("logical messages change no table; what is not understood is not guessed") {
  CHECK(parse_decoded_line("message: transactional: 1 prefix: p, sz: 3 content:abc")->kind ==
        Kind::kOther);
  for (const char* line :
       {"", "BEGIN", "BEGIN x", "COMMIT ", "COMMIT 12x", "table", "table public", "table public.",
        "table public.t", "table public.t:", "table \"public.t: x", "table public.a, : TRUNCATE: x",
        "streaming changes"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_decoded_line(line));
  }
}
