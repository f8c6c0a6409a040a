#include <algorithm>

#include "proxy/sql/resolver.hpp"

namespace hyperdrive::proxy::sql {
namespace {

bool defines(const Statement& statement) {
  return statement.effect == Effect::kUnknownWrite ||
         (statement.effect == Effect::kCommit && statement.unknown_targets);
}

bool calls(const Analysis& analysis, std::string_view builtin) {
  return std::any_of(analysis.functions.begin(), analysis.functions.end(), [&](const Call& call) {
    return call.name.name == builtin &&
           (call.name.schema.empty() || call.name.schema == "pg_catalog");
  });
}

void judge(const Analysis& analysis, const Resolver& resolver, Resolution& resolution) {
  resolution.status = analysis.status;
  resolution.reason = analysis.reason;
  // Statuses in the order of precedence; `volatile` comes before `uncacheable`.
  if (analysis.status != CacheStatus::kMiss) return;
  if (!resolver.volatile_reason().empty()) {
    resolution.status = CacheStatus::kVolatile;
    resolution.reason = resolver.volatile_reason();
  } else if (!analysis.uncacheable.empty()) {
    resolution.status = CacheStatus::kUncacheable;
    resolution.reason = analysis.uncacheable;
  } else if (!resolver.uncacheable_reason().empty()) {
    resolution.status = CacheStatus::kUncacheable;
    resolution.reason = resolver.uncacheable_reason();
  }
}

}  // namespace

Resolution Catalog::resolve(const Analysis& analysis, const Context& context) const {
  Resolver resolver(*data_, parse_search_path(context));
  resolver.read(analysis);
  Resolution resolution;
  for (const Statement& statement : analysis.statements) {
    const auto reach =
        statement.only_adds ? Resolver::Reach::kAddsOnly : Resolver::Reach::kCascades;
    for (const Name& target : statement.writes) resolver.write(target, reach);
    if (statement.unknown_targets) {
      resolution.writes_everything = true;
      if (resolution.writes_reason.empty()) {
        resolution.writes_reason = statement.command + " may write anything";
      }
    }
    if (defines(statement)) resolution.changes_catalog = true;
  }
  // EXPLAIN plans, VACUUM, ANALYZE and their like look into indexes: both run what is not VOLATILE,
  // and nothing here names it.
  const bool runs_unnamed = std::any_of(
      analysis.statements.begin(), analysis.statements.end(), [](const Statement& statement) {
        return statement.effect == Effect::kExplain || statement.effect == Effect::kOther;
      });
  if (runs_unnamed && data_->has_lying_writer) {
    resolution.writes_everything = true;
    resolution.writes_reason =
        "it may run functions that are called STABLE or IMMUTABLE, but write";
  }
  // New defaults for all sessions: another search_path makes names mean something else.
  if (calls(analysis, "pg_reload_conf")) {
    resolution.writes_everything = resolution.changes_catalog = true;
    resolution.writes_reason = "pg_reload_conf() may change every session's settings";
  }
  if (!resolver.anything_reason().empty()) {
    resolution.writes_everything = true;
    if (resolution.writes_reason.empty()) resolution.writes_reason = resolver.anything_reason();
  }
  judge(analysis, resolver, resolution);
  resolution.tables.assign(resolver.reads().begin(), resolver.reads().end());
  resolution.writes.assign(resolver.writes().begin(), resolver.writes().end());
  resolution.reads_unlogged = resolver.reads_unlogged();
  return resolution;
}

std::vector<Oid> Catalog::reach(std::string_view schema, std::string_view table) const {
  Resolver resolver(*data_, {});
  resolver.write(Name{std::string(schema), std::string(table)}, Resolver::Reach::kCascades);
  return {resolver.writes().begin(), resolver.writes().end()};
}

}  // namespace hyperdrive::proxy::sql
