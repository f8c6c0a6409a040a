// Session features under a policy: what a text would leave behind, and whether it may run.
//
// Pure: an Analysis, the policy and whether a transaction is open go in, a decision comes out
// (shared/proxy.md, Postgres, `session_features`).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/session/postgres/origin.hpp"
#include "proxy/session/telemetry.hpp"
#include "proxy/sql/analysis.hpp"

namespace hyperdrive::proxy::session::postgres {

struct Refused {
  Feature feature = Feature::kUnknown;
  std::string message;
  std::string hint;
};

struct Findings {
  bool refused = false;
  Refused refusal;
  std::uint16_t pins = 0;               ///< bits by Feature: the session keeps its connection
  std::uint16_t lost = 0;               ///< bits by Feature: ends with the transaction
  Leftovers left;                       ///< what the connection must be cleaned of
  std::vector<std::string_view> dirty;  ///< settings whose value there is unknown afterwards
  bool begins = false;
  /// A setting that decides how texts are understood may change, until the end of the transaction
  /// or for longer.
  bool rereads = false;
  /// The same for the same SETs, which therefore do the same where the same was before; 0: what
  /// they do cannot be told, or a transaction or savepoint ends in the text.
  std::uint64_t rereading = 0;
  bool ends = false;  ///< a transaction or a savepoint: what was set in it may be undone
};

Findings examine(const sql::Analysis& analysis, core::SessionFeatures policy, bool in_transaction);

inline std::uint16_t bit(Feature feature) {
  return static_cast<std::uint16_t>(1u << static_cast<unsigned>(feature));
}

}  // namespace hyperdrive::proxy::session::postgres
