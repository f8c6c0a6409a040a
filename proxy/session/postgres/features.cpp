#include "proxy/session/postgres/features.hpp"

#include "proxy/session/postgres/setting_text.hpp"

namespace hyperdrive::proxy::session::postgres {
namespace {

using sql::Effect;

constexpr std::string_view kHint =
    "The proxy lends a connection for one transaction at a time, as Hyperdrive does. `hyperdrive "
    "update <config> --session-features pin` lets such a session keep its connection; or connect "
    "to the origin directly.";

class Examiner {
 public:
  Examiner(core::SessionFeatures policy, bool in_transaction)
      : pins_(policy == core::SessionFeatures::kPin), in_transaction_(in_transaction) {}

  void look_at(const sql::Statement& statement) {
    follow_transaction(statement);
    settings(statement);
    rereading(statement);
    feature(statement);
    functions(statement);
  }

  Findings take() {
    if (!knows_rereading_ || findings_.ends) findings_.rereading = 0;
    return std::move(findings_);
  }

 private:
  void follow_transaction(const sql::Statement& statement) {
    switch (statement.effect) {
      case Effect::kBegin:
        in_transaction_ = findings_.begins = true;
        break;
      case Effect::kRollbackTo:
        findings_.ends = true;
        break;
      case Effect::kCommit:
      case Effect::kRollback:
      case Effect::kPrepareTransaction:
        in_transaction_ = statement.transaction.chain;
        findings_.ends = true;
        break;
      default:
        break;
    }
  }

  void settings(const sql::Statement& statement) {
    bool all_tracked = true;
    bool any = false;
    for (const sql::Setting& setting : statement.settings) {
      if (setting.is_local) continue;
      any = true;
      findings_.dirty.push_back(setting.name);
      all_tracked = all_tracked && can_be_kept(setting.name, setting.value);
    }
    if (!any || statement.effect == Effect::kReset) return;
    const Feature feature = statement.effect == Effect::kSet ? Feature::kSet : Feature::kSetConfig;
    if (!pins_) {
      findings_.lost |= bit(feature);
    } else if (!all_tracked) {
      findings_.pins |= bit(feature);
    }
  }

  void rereading(const sql::Statement& statement) {
    const bool resets = statement.settings.empty() && statement.effect == Effect::kReset;
    const bool discards = statement.effect == Effect::kDiscard && statement.argument == "ALL";
    if (resets || discards) {
      findings_.rereads = true;
      knows_rereading_ = false;
    }
    // What set_config() does depends on whether it is reached.
    const bool surely = statement.effect == Effect::kSet || statement.effect == Effect::kSetLocal;
    std::uint64_t& hash = findings_.rereading;
    for (const sql::Setting& setting : statement.settings) {
      const bool custom = setting.name.find('.') != std::string::npos;
      if (custom || !decides_reading(setting.name)) continue;
      findings_.rereads = true;
      knows_rereading_ = knows_rereading_ && surely;
      hash = mix(hash, std::hash<std::string>{}(setting.name));
      hash = mix(hash, setting.is_default ? 1 : std::hash<std::string>{}(setting.value));
    }
  }

  void feature(const sql::Statement& statement) {
    switch (statement.effect) {
      case Effect::kListen:
        findings_.left.listens = true;
        return keep_or_refuse(Feature::kListen, "LISTEN");
      case Effect::kPrepare:
        findings_.left.prepared = true;
        return keep_or_refuse(Feature::kPrepare, "PREPARE");
      case Effect::kCreateTemp:
        return temporary();
      default:
        return;
    }
  }

  void temporary() {
    findings_.left.temporary_objects = true;
    if (!pins_ && in_transaction_) {
      findings_.lost |= bit(Feature::kTempTable);
      return;
    }
    keep_or_refuse(Feature::kTempTable, "a temporary table outside a transaction");
  }

  void functions(const sql::Statement& statement) {
    const std::uint16_t state = statement.state;
    if ((state & sql::state::kTempObject) != 0 && statement.effect != Effect::kCreateTemp) {
      temporary();
    }
    if ((state & sql::state::kAdvisoryLock) != 0) {
      findings_.left.locks = true;
      if (!pins_ && in_transaction_) {
        findings_.lost |= bit(Feature::kAdvisoryLock);
      } else {
        keep_or_refuse(Feature::kAdvisoryLock, "a session-level advisory lock");
      }
    }
    if ((state & sql::state::kHoldCursor) != 0) {
      findings_.left.cursors = true;
      keep_or_refuse(Feature::kHoldCursor, "a cursor WITH HOLD");
    }
    if ((state & sql::state::kUnknownSetting) != 0) {
      findings_.left.anything = true;
      keep_or_lose(Feature::kSetConfig);
    }
    if ((state & sql::state::kLoad) != 0) {
      findings_.left.beyond_repair = true;
      keep_or_lose(Feature::kLoad);
    }
    if ((state & sql::state::kSeed) != 0) findings_.left.seed = true;
    if ((state & sql::state::kUnknown) != 0) findings_.left.anything = true;
  }

  void keep_or_lose(Feature feature) { (pins_ ? findings_.pins : findings_.lost) |= bit(feature); }

  void keep_or_refuse(Feature feature, std::string_view what) {
    if (pins_) {
      findings_.pins |= bit(feature);
      return;
    }
    if (findings_.refused) return;
    findings_.refused = true;
    findings_.refusal = {feature, "Unsupported in a pooled connection: " + std::string(what) + ".",
                         std::string(kHint)};
  }

  const bool pins_;
  bool in_transaction_;
  bool knows_rereading_ = true;
  Findings findings_;
};

}  // namespace

Findings examine(const sql::Analysis& analysis, core::SessionFeatures policy, bool in_transaction) {
  Examiner examiner(policy, in_transaction);
  for (const sql::Statement& statement : analysis.statements) examiner.look_at(statement);
  return examiner.take();
}

}  // namespace hyperdrive::proxy::session::postgres
