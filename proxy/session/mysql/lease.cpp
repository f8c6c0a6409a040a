// Client: the connection for a command, and what has to hold on it first.
#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using my::Command;

bool Client::need_origin(TextInfo* text) {
  if (reopening_) return false;
  if (lease_ && lingers_ && lease_->is_of_the_past()) give_up_linger();
  if (!lease_) {
    auto origin = worker_.pool().acquire(*this);
    // Of the past: the pool has not closed it yet, and will now.
    while (origin && static_cast<Origin&>(*origin).is_of_the_past()) {
      worker_.pool().release(std::move(origin));
      origin = worker_.pool().acquire(*this);
    }
    if (origin) {
      attach(std::unique_ptr<Origin>(static_cast<Origin*>(origin.release())));
    } else {
      block(Block::kLease);
      if (phase_ != Phase::kReady) return false;
      if (!worker_.end_a_linger()) worker_.service.end_a_linger_beside(worker_);
      if (!lease_) return false;
    }
    worker_.telemetry.add(Counter::kRoundTrips);
  }
  if (lingers_) {
    lingers_ = may_linger_ = false;
    worker_.stop_lingering(*this);
  }
  return prepare_lease(text);
}

/// Sends what has to hold before the command may run; false: its replies are awaited.
bool Client::prepare_lease(TextInfo* text) {
  if (lease_->busy()) {
    block(Block::kPrelude);
    return false;
  }
  Origin& origin = *lease_;
  // Once it is in a database, only a new login is in none.
  const bool leaves_database = state_->database.empty() && origin.database != state_->database;
  const bool is_looked_at = text != nullptr && (text->analysis || last_.asks_sequences);
  const bool fresh_needed =
      is_looked_at && !origin.virgin && !origin.in_transaction() && needs_fresh(*text);
  if (origin.kind() != kind() || leaves_database || (fresh_needed && !origin.can_be_reset())) {
    reopen();
    return false;
  }
  const Expected prelude{Reply::kOk, Purpose::kPrelude, 1, false, nullptr};
  if (!worker_.service.knows_init_connect.exchange(true, std::memory_order_relaxed)) {
    origin.send(Command::kQuery, "SELECT 1 FROM DUAL WHERE @@global.init_connect <> ''",
                {Reply::kQuery, Purpose::kInitConnect, 1, false, nullptr});
  }
  if (fresh_needed) origin.reset();
  if (origin.multi_statements != multi_statements_) {
    const char option[2] = {static_cast<char>(multi_statements_ ? 0 : 1), 0};
    origin.send(Command::kSetOption, net::Bytes(option, 2), prelude);
    origin.multi_statements = multi_statements_;
  }
  if (origin.applied != state_) {
    if (!same(origin.applied, state_)) {
      const std::string sql = difference(origin.applied, state_, origin.baseline());
      if (!sql.empty()) {
        origin.send(Command::kQuery, sql, prelude);
        worker_.telemetry.add(Counter::kSettingsApplied);
      }
    }
    origin.applied = state_;
    origin.dirty = origin.dirty || state_->find("insert_id") != nullptr;
  }
  const std::uint32_t altered = worker_.service.databases_altered.load(std::memory_order_relaxed);
  const bool outdated =
      origin.databases_seen != altered && origin.last_client != id_ && !state_->database.empty();
  if (outdated) {
    // Entering the database that it is in already would be nothing to the server.
    origin.send(Command::kInitDb, "information_schema", prelude);
    origin.database = "information_schema";
  }
  if (origin.database != state_->database) {
    origin.send(Command::kInitDb, state_->database, prelude);
    origin.database = state_->database;
    origin.databases_seen = altered;
  }
  if (text != nullptr && text->analysis) {
    if (!has_kept_ && uses_user_variables(*text)) bring_kept();
    recall(*text);
  }
  // Whoever had it has left without telling; an INSERT may leave it as it is.
  const bool may_insert = text != nullptr && !text->read_only;
  if (may_insert && !origin.insert_id && !insert_id_open_) recall_insert_id();
  if (may_insert && may_confuse_ids(*text)) recall_insert_id();
  // A stored function may ask for it.
  if (text != nullptr && text->hidden && text->plain && !insert_id_open_) recall_insert_id();
  if (!origin.busy()) return pending_error_.empty();
  block(Block::kPrelude);
  return false;
}

/// The connection was opened for clients of another kind, or its database is of no use: it logs in
/// anew, in its place.
void Client::reopen() {
  block(Block::kPrelude);
  LoginWishes wishes;
  wishes.capabilities = kUsualCapabilities | (capabilities_ & kKindMask);
  if (state_->database.empty()) wishes.database.emplace();
  lease_->close_stream();
  lease_->origin_number = worker_.service.origin_number.load(std::memory_order_acquire);
  reopening_ = log_in(worker_.loop, worker_.service.options()->target, wishes,
                      [this](LoginResult result) { reopened(std::move(result)); });
}

void Client::reopened(LoginResult result) {
  worker_.bury_login(std::move(reopening_));
  if (result) {
    worker_.telemetry.add(Counter::kOriginConnects);
    const bool is_in_none = state_->database.empty();
    lease_->take_session(std::move(*result),
                         is_in_none ? std::string() : worker_.options->target->database);
    return unblock(Block::kPrelude);
  }
  worker_.telemetry.add(Counter::kOriginConnectFailures);
  worker_.bury(std::move(lease_));
  worker_.pool().discard(nullptr);
  const LoginFailure& failure = result.error();
  pending_error_ = failure.origin_error.empty()
                       ? my::build_err({2003, "HY000", failure.error.message})
                       : told_to_clients(failure);
  unblock(Block::kPrelude);
}

}  // namespace hyperdrive::proxy::session::mysql
