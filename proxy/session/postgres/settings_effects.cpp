// Client: the session's settings as its own statements change them: SET, savepoints that bring
// settings back, and RESET, behind which what the session began with is set again.
#include <algorithm>

#include "proxy/session/postgres/client.hpp"
#include "proxy/session/postgres/setting_text.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;

namespace {
constexpr std::string_view kDateStyle = "datestyle";
}  // namespace

/// Policy `pin`: tracked settings belong to the session. In both, RESET goes back to its startup.
void Client::run_settings(const sql::Statement& statement) {
  for (const sql::Setting& setting : statement.settings) {
    const std::string* initial = startup_ ? startup_->find(setting.name) : nullptr;
    const bool brings_back = setting.is_default && initial != nullptr;
    if (setting.is_local || (!brings_back && !can_be_kept(setting.name, setting.value))) continue;
    if (setting.name == kDateStyle) sets_date_style_ = !setting.is_default;
    if (!setting.is_default) {
      settings_ = with(settings_, setting.name, setting.value);
    } else if (brings_back) {
      settings_ = with(settings_, setting.name, *initial);
      // Unless everything is to come back anyway.
      if (!reapply_ || !reset_names_.empty()) reset_names_.push_back(setting.name);
      reapply_ = true;
    } else {
      settings_ = without(settings_, setting.name);
    }
  }
}

/// Its SET may have said a part of it. What it has become by that the origin reports before it says
/// that the transaction has ended.
void Client::learn_date_style() {
  if (!std::exchange(sets_date_style_, false) || reapply_) return;
  const std::string* now = lease_->reports() ? lease_->reports()->find("DateStyle") : nullptr;
  if (now != nullptr && settings_ && settings_->find(kDateStyle) != nullptr) {
    settings_ = with(settings_, kDateStyle, *now);
  }
}

/// With all that were set behind it. What is not in the stack was set before the first SET.
void Client::released(std::string_view savepoint) {
  if (!session_) return;
  auto& stack = session_->savepoints;
  std::size_t kept = stack.size();
  while (kept > 0 && stack[kept - 1].first != savepoint) --kept;
  stack.resize(kept > 0 ? kept - 1 : 0);
}

void Client::roll_back_to(std::string_view savepoint) {
  if (!session_) {
    settings_ = snapshot_;
    return;
  }
  auto& stack = session_->savepoints;
  for (std::size_t i = stack.size(); i-- > 0;) {
    if (stack[i].first != savepoint) continue;
    settings_ = stack[i].second;
    stack.resize(i + 1);
    return;
  }
  settings_ = snapshot_;  // it was set before the first SET
}

/// A RESET that takes away what the startup packet has asked for.
bool Client::resets(const sql::Statement& statement) const {
  if (statement.effect == sql::Effect::kDiscard) return statement.argument == "ALL";
  if (statement.effect == sql::Effect::kReset && statement.settings.empty()) {
    return statement.argument.empty();
  }
  return startup_ && std::any_of(statement.settings.begin(), statement.settings.end(),
                                 [&](const sql::Setting& setting) {
                                   return setting.is_default && !setting.is_local &&
                                          startup_->find(setting.name) != nullptr;
                                 });
}

void Client::reapplies(bool everything) {
  reapply_ = everything;
  reset_names_.clear();
}

/// What the session began with, behind a RESET that took it away. Where that named its settings,
/// all others stay as they are: the transaction may have its own. RESET ALL leaves whom it has
/// become.
void Client::reapply() {
  const bool all = reset_names_.empty();
  const std::vector<std::string> others =
      all ? lease_->set_identity_aside() : lease_->set_dirty_aside(reset_names_);
  const SettingsRef wants = all ? with_those_of(settings_, lease_->applied(), others)
                                : with_those_of(lease_->applied(), settings_, reset_names_);
  const bool open = lease_->open();
  const bool in_transaction = lease_->status() != pg::TransactionStatus::kIdle;
  // A Query would take the unnamed portal of the transaction with it.
  if ((open || in_transaction) && lease_->apply_in_pipeline(wants)) {
    if (!open) lease_->end_own_pipeline();
    reapplied_ = true;
    reapplies(false);
    if (must_be_confirmed(wants) && !lease_->in_flight().empty()) await_replies();
  } else if (!open) {
    reapplied_ = in_transaction;
    reapplies(false);
    if (lease_->apply(wants) && must_be_confirmed(wants)) block(Block::kSettings);
  }
  // A savepoint would bring back what was before.
  lease_->left.hidden |= in_transaction;
  for (const std::string& name : others) lease_->mark_dirty(name);
}

}  // namespace hyperdrive::proxy::session::postgres
