// Reads the lines of Postgres's `test_decoding` output plugin: which tables a transaction changed.
//
//   BEGIN 725
//   table public.products: UPDATE: id[integer]:1 price[numeric]:2.50
//   table public.a, public."B.c": TRUNCATE: restart_seqs cascade
//   COMMIT 725
//
// It is in every Postgres's contrib, needs no publication, and so cannot break anybody's writes.
// Values are not looked at. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::session::postgres {

struct DecodedLine {
  enum class Kind : std::uint8_t {
    kBegin,
    kChange,  ///< of rows, or TRUNCATE: `tables`
    kCommit,
    kOther,  ///< logical messages: nothing that a table holds
  } kind = Kind::kOther;
  std::uint32_t xid = 0;  ///< kBegin, kCommit
  std::vector<sql::Name> tables;
};

/// Nothing if the line is none that the plugin writes: then the stream must not be trusted.
std::optional<DecodedLine> parse_decoded_line(std::string_view line);

}  // namespace hyperdrive::proxy::session::postgres
