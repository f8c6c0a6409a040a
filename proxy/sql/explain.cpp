// What `cache explain` says, and how Cloudflare's cache differs. Its documentation: functions that
// Postgres calls volatile or stable are not cached; names in comments count as calls, and texts
// sent by postgres.js with `prepare: false` are never cached
// (developers.cloudflare.com/hyperdrive/concepts/query-caching).
#include "proxy/sql/builtins.hpp"
#include "proxy/sql/catalog_data.hpp"
#include "proxy/sql/lexer.hpp"

namespace hyperdrive::proxy::sql {
namespace {

char builtin_volatility(const CatalogData& data, std::string_view name) {
  const auto found = data.functions.find(name);
  if (found == data.functions.end()) return 'i';
  char worst = 'i';
  for (const Function& function : found->second) {
    if (function.schema == "pg_catalog") worst = std::max(worst, function.volatility);
  }
  return worst;
}

/// The first word of a comment that names a function which is not cached.
std::string function_in_comment(const CatalogData& data, std::string_view text) {
  Lexer lexer(text);
  for (Token token = lexer.next(); token.kind != TokenKind::kEnd; token = lexer.next()) {
    if (token.kind != TokenKind::kBlockComment && token.kind != TokenKind::kLineComment) continue;
    if (token.text.find("yperdrive") != std::string_view::npos) continue;
    Lexer words(token.text.substr(2));
    for (Token word = words.next(); word.kind != TokenKind::kEnd; word = words.next()) {
      if (word.kind != TokenKind::kWord) continue;
      std::string name(word.text);
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
      }
      if (builtin_volatility(data, name) != 'i' && !cacheable_stable(name, -1)) return name;
    }
  }
  return {};
}

std::string difference(const CatalogData& data, const Analysis& analysis, std::string_view text) {
  for (const Call& call : analysis.functions) {
    if (builtin_volatility(data, call.name.name) == 's') {
      return "would not cache it: " + call.name.name + "() is STABLE";
    }
  }
  const std::string name = function_in_comment(data, text);
  if (!name.empty()) {
    return "would not cache it: it takes " + name + " in a comment for a call";
  }
  return {};
}

}  // namespace

Explanation explain(const Analysis& analysis, std::string_view text, const Catalog& catalog,
                    const Context& context) {
  const Resolution resolution = catalog.resolve(analysis, context);
  Explanation explanation;
  explanation.status = resolution.status;
  explanation.reason = resolution.reason;
  for (const Oid table : resolution.tables) {
    explanation.tables.push_back(catalog.table_name(table));
  }
  for (const Call& call : analysis.functions) {
    explanation.functions.push_back(
        call.name.schema.empty() ? call.name.name : call.name.schema + "." + call.name.name);
  }
  explanation.hints = analysis.hints;
  if (resolution.status == CacheStatus::kMiss) {
    explanation.cloudflare = difference(*catalog.data_, analysis, text);
  }
  return explanation;
}

}  // namespace hyperdrive::proxy::sql
