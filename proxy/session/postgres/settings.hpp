// Session settings as immutable, interned values: what a session wants, what an origin connection
// has. Two sets are equal exactly when their pointers are, so the clean path compares two pointers.
//
// A null set is the baseline: whatever the origin gives to a fresh login of ours. Interning is
// process-wide under one mutex and happens at logins and SETs only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.hpp"
#include "proxy/wire/postgres/frontend.hpp"

namespace hyperdrive::proxy::session::postgres {

class SettingSet {
 public:
  using Pair = std::pair<std::string, std::string>;  ///< lower-case name, value

  const std::vector<Pair>& pairs() const { return pairs_; }  ///< sorted by name
  const std::string* find(std::string_view name) const;

 private:
  friend class SettingTable;
  std::vector<Pair> pairs_;
};
/// Null: no settings.
using SettingsRef = std::shared_ptr<const SettingSet>;

SettingsRef intern(std::vector<SettingSet::Pair> pairs);
SettingsRef with(const SettingsRef& base, std::string_view name, std::string_view value);
SettingsRef without(const SettingsRef& base, std::string_view name);
/// `base`, but of `names` what `values` has.
SettingsRef with_those_of(SettingsRef base, const SettingsRef& values,
                          const std::vector<std::string>& names);
/// `over` wins.
SettingsRef merged(const SettingsRef& base, const SettingsRef& over);

/// What a session keeps by name (shared/proxy.md). Custom settings (`app.user`) are not among them.
bool is_tracked(std::string_view name);
/// Whom the session acts as: what RESET ALL leaves alone.
bool is_identity(std::string_view name);
SettingsRef identity_of(const SettingsRef& settings);
/// Whether every origin has this setting and lets every role reset it.
bool may_be_reset_by_name(std::string_view name);

/// Whether it may decide how a text is understood: what its names mean (search_path, role …), what
/// its literals are (TimeZone, DateStyle, client_encoding, standard_conforming_strings …), or what
/// a plan takes for constant. All do that are not known not to.
bool decides_reading(std::string_view name);
/// Statements parsed under different ones are different statements. 0 when none is set that counts.
std::uint64_t parse_fingerprint(const SettingsRef& settings);

/// Text of a simple Query that takes a connection from `has` to `wants`, also correcting the names
/// in `dirty`, whose value there is unknown. Empty: nothing to do.
std::string settings_diff(const SettingsRef& has, const SettingsRef& wants,
                          const std::vector<std::string>& dirty);
/// The same as statements that take no snapshot, for the midst of a pipeline; nothing where that
/// cannot be said so: names that must be reset, values in other letters than ASCII's.
std::optional<std::vector<std::string>> settings_statements(const SettingsRef& has,
                                                            const SettingsRef& wants,
                                                            const std::vector<std::string>& dirty);
/// Whether a failure of that diff must be known before the client's statement may run.
bool must_be_confirmed(const SettingsRef& wants);

/// The settings of a startup packet: every parameter that is one, and `-c` in `options`.
core::Result<SettingsRef> startup_settings(const wire::postgres::StartupParameters& startup);

std::string quote_literal(std::string_view text);
std::string quote_identifier(std::string_view name);

/// Whether a statement_timeout, as Postgres reads it, could end a statement of the proxy's own; so
/// could one that is not understood here.
bool is_short_timeout(std::string_view value);

}  // namespace hyperdrive::proxy::session::postgres
