#include "proxy/session/postgres/test_decoding.hpp"

#include <charconv>

namespace hyperdrive::proxy::session::postgres {

namespace {

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<std::uint32_t> read_xid(std::string_view text) {
  std::uint32_t xid = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), xid);
  // "COMMIT 725 (at …)" with include-timestamp
  if (error != std::errc() || (stop != text.data() + text.size() && *stop != ' ')) {
    return std::nullopt;
  }
  return xid;
}

/// An identifier as quote_identifier() writes it.
std::optional<std::string> take_identifier(std::string_view& text) {
  std::string name;
  if (!take(text, "\"")) {
    const auto end = text.find_first_of(".:, ");
    if (end == 0 || end == std::string_view::npos) return std::nullopt;
    name = text.substr(0, end);
    text.remove_prefix(end);
    return name;
  }
  while (true) {
    const auto quote = text.find('"');
    if (quote == std::string_view::npos) return std::nullopt;
    name += text.substr(0, quote);
    text.remove_prefix(quote + 1);
    if (!take(text, "\"")) return name;
    name += '"';
  }
}

std::optional<std::vector<sql::Name>> take_tables(std::string_view& text) {
  std::vector<sql::Name> tables;
  do {
    auto schema = take_identifier(text);
    if (!schema || !take(text, ".")) return std::nullopt;
    auto table = take_identifier(text);
    if (!table) return std::nullopt;
    tables.push_back({std::move(*schema), std::move(*table)});
  } while (take(text, ", "));
  if (!take(text, ": ")) return std::nullopt;
  return tables;
}

}  // namespace

std::optional<DecodedLine> parse_decoded_line(std::string_view line) {
  DecodedLine decoded;
  const bool begins = take(line, "BEGIN ");
  if (begins || take(line, "COMMIT ")) {
    const auto xid = read_xid(line);
    if (!xid) return std::nullopt;
    decoded.kind = begins ? DecodedLine::Kind::kBegin : DecodedLine::Kind::kCommit;
    decoded.xid = *xid;
    return decoded;
  }
  if (line.starts_with("message: ")) return decoded;
  if (!take(line, "table ")) return std::nullopt;
  auto tables = take_tables(line);
  if (!tables) return std::nullopt;
  decoded.kind = DecodedLine::Kind::kChange;
  decoded.tables = std::move(*tables);
  return decoded;
}

}  // namespace hyperdrive::proxy::session::postgres
