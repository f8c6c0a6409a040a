// Client: what statements do to the session: policy before they run, effects when they are
// complete.
#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Frontend;
using sql::Effect;

bool Client::in_transaction() const {
  return begins_ || begin_lost_ || (lease_ && lease_->status() != pg::TransactionStatus::kIdle);
}

namespace {

/// Whether something is unanswered besides what the proxy has sent ahead of its own accord. To wait
/// for that would be to wait for ever: the lease may end with it, and the next one begin with it.
bool owes_client(InFlight& queue) {
  for (std::size_t i = 0; i < queue.size(); ++i) {
    const bool ahead = queue[i].begins || (queue[i].kind == ReplyKind::kQuery &&
                                           queue[i].action == ReplyAction::kSwallow);
    if (!ahead) return true;
  }
  return false;
}

}  // namespace

/// For a Query or Execute of a text that is not plain. `handled`: it is not to be forwarded.
Client::Step Client::apply_policy(const Message& message, TextInfo& text, bool& handled) {
  const sql::Analysis& analysis = worker_.texts.analysis(text);
  if (analysis.statements.size() == 1) {
    const Step step = clean_up(message, text, analysis.statements.front(), handled);
    if (handled || step != Step::kDone) return step;
  }
  const auto policy = worker_.options->config.local.session_features;
  Findings findings = examine(analysis, policy, in_transaction());
  const bool uncertain = ends_ && lease_ && owes_client(lease_->in_flight());
  if (uncertain && findings.refused != examine(analysis, policy, false).refused) {
    // Allowed in a transaction alone, of which nothing but the origin knows whether it has ended.
    await_replies();
    return Step::kBlocked;
  }
  if (findings.refused) {
    handled = true;
    return refuse(message, text, findings.refusal);
  }
  if (!need_origin()) return Step::kBlocked;
  note(findings);
  return Step::kDone;
}

/// The statement does not run, and its failure has the consequences of any other.
Client::Step Client::refuse(const Message& message, TextInfo& text, const Refused& refusal) {
  const bool simple = message.header.is(Frontend::kQuery);
  if (simple && !lease_ && !begun_) {
    worker_.telemetry.refused(refusal.feature);
    send_error("ERROR", pg::sqlstate::kSystemError, refusal.message, refusal.hint);
    send_ready();
    if (told_of()) tell_refused(text.text, pg::sqlstate::kSystemError, refusal.message);
    return Step::kDone;
  }
  if (!need_origin()) return Step::kBlocked;
  worker_.telemetry.refused(refusal.feature);
  Expected& entry = simple ? poison_query(pg::sqlstate::kSystemError, refusal.message, refusal.hint)
                           : poison(pg::sqlstate::kSystemError, refusal.message, refusal.hint);
  entry.text = TextRef(&text);
  return Step::kDone;
}

void Client::note(const Findings& findings) {
  Leftovers& left = lease_->left;
  left.temporary_objects |= findings.left.temporary_objects;
  left.locks |= findings.left.locks;
  left.listens |= findings.left.listens;
  left.cursors |= findings.left.cursors;
  left.prepared |= findings.left.prepared;
  left.anything |= findings.left.anything;
  left.seed |= findings.left.seed;
  left.beyond_repair |= findings.left.beyond_repair;
  for (const std::string_view name : findings.dirty) lease_->mark_dirty(name);
  note_reading(findings);
  begins_ = begins_ || findings.begins;
  const std::uint16_t fresh = findings.pins & static_cast<std::uint16_t>(~pins_);
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    if ((fresh & bit(feature)) != 0) worker_.telemetry.pinned(feature);
    if ((findings.lost & bit(feature)) != 0) worker_.telemetry.lost(feature);
  }
  pins_ |= findings.pins;
  lost_ |= findings.lost;
}

/// Statements that concern what the proxy keeps for the session: DEALLOCATE and DISCARD ALL. They
/// are answered here where that is possible, else the origin runs them and says what Postgres says.
Client::Step Client::clean_up(const Message& message, TextInfo& text,
                              const sql::Statement& statement, bool& handled) {
  const bool deallocate = statement.effect == Effect::kDeallocate;
  const bool discard = statement.effect == Effect::kDiscard && statement.argument == "ALL";
  if (!deallocate && !discard) return Step::kDone;
  const bool simple = message.header.is(Frontend::kQuery);
  if (lease_ && owes_client(lease_->in_flight())) {
    // Whether it runs at all depends on what is before it.
    await_replies();
    return Step::kBlocked;
  }
  const bool failed = in_failed_transaction();
  // Of a group without a Sync only the origin knows what state it leaves the transaction in.
  const bool ask_status = simple && lease_ && lease_->open();
  if (discard && !lease_ && !begun_ && simple) {
    forget_all();
    handled = true;
    return answer_here(message, "DISCARD ALL");
  }
  if (discard) {
    if (!need_origin()) return Step::kBlocked;
    return Step::kDone;
  }
  if (failed) return Step::kDone;
  if (statement.argument.empty()) {
    names_.clear();
    if ((pins_ & bit(Feature::kPrepare)) != 0 || ask_status) {
      // What is prepared there, by SQL too, goes with everything else.
      lease_->prepared().clear();
      return Step::kDone;
    }
    handled = true;
    return answer_here(message, "DEALLOCATE ALL");
  }
  if (const auto found = names_.find(known_name(statement.argument)); found != names_.end()) {
    const StatementRef statement_there = found->second->statement;
    names_.erase(found);
    handled = true;
    if (simple && lease_ && lease_->prepared().use(statement_there->id) != nullptr) {
      lease_->prepared().remove(statement_there->id);
      return deallocate_there(statement_there->name, text);
    }
    if (ask_status) {
      probe({}, ReplyAction::kSwallow);
      return deallocate_there(kProbe, text);
    }
    return answer_here(message, "DEALLOCATE");
  }
  if (statement.argument.starts_with(kStatementPrefix)) {
    handled = true;
    return refuse_with(message, pg::sqlstate::kUndefinedStatement,
                       "prepared statement \"" + statement.argument + "\" does not exist");
  }
  return Step::kDone;
}

/// Who holds a connection may look into pg_prepared_statements: what was deallocated is gone there.
Client::Step Client::deallocate_there(std::string_view name, TextInfo& text) {
  std::string& out = worker_.scratch;
  pg::append_query(out, "DEALLOCATE " + std::string(name));
  forward(out);
  out.clear();
  lease_->expect(ReplyKind::kQuery).text = TextRef(&text);
  query_sent();
  return Step::kDone;
}

/// lastval() and currval() must not tell what another client did on this connection; without them
/// the origin says that they are not defined in this session, as it says it to a fresh one.
/// Whether that can be had depends on what is before it: a transaction may have failed.
Client::Step Client::own_sequences() {
  if (lease_->sequences_of == serial_) return Step::kDone;
  if (owes_client(lease_->in_flight())) {
    await_replies();
    return Step::kBlocked;
  }
  if (lease_->status() != pg::TransactionStatus::kFailed) forget_sequences();
  return Step::kDone;
}

/// Of several connections that it has moved some on the latest is the one that lastval() means.
void Client::moved_sequences_on(Origin& origin) {
  origin.sequences_of = serial_;
  moved_on_ = &origin;
}

void Client::forget_sequences() {
  if (lease_->sequences_of == serial_) return;
  lease_->sequences_of = serial_;
  constexpr std::string_view kForget = "DISCARD SEQUENCES";
  const bool open = lease_->open();
  if (open || lease_->status() != pg::TransactionStatus::kIdle) {
    // A Query would take the unnamed portal with it.
    lease_->run_in_pipeline(kForget);
    if (!open) lease_->end_own_pipeline();
    return;
  }
  std::string& out = worker_.scratch;
  pg::append_query(out, kForget);
  forward(out);
  out.clear();
  lease_->expect(ReplyKind::kQuery, ReplyAction::kSwallow);
  lease_->unnamed_serial = Origin::kNone;
}

Client::Step Client::refuse_with(const Message& message, std::string_view sqlstate,
                                 const std::string& text) {
  const bool simple = message.header.is(Frontend::kQuery);
  if (simple && !lease_ && !begun_) {
    send_error("ERROR", sqlstate, text);
    send_ready();
    return Step::kDone;
  }
  if (!need_origin()) return Step::kBlocked;
  if (simple) {
    poison_query(sqlstate, text, {});
  } else {
    poison(sqlstate, text);
  }
  return Step::kDone;
}

Expected& Client::poison_query(std::string_view sqlstate, std::string_view text,
                               std::string_view hint) {
  auto payload = std::make_unique<std::string>();
  pg::append_error_response(*payload, {"ERROR", sqlstate, text, {}, hint});
  std::string& out = worker_.scratch;
  pg::append_query(out, "SELECT \"hyperdrive_refused\"");
  forward(out);
  out.clear();
  Expected& entry = lease_->expect(ReplyKind::kQuery);
  entry.poison = true;
  entry.payload = std::move(payload);
  query_sent();
  return entry;
}

/// CommandComplete made here, with ReadyForQuery behind it for a simple Query. The caller has made
/// sure that a Query's answer overtakes nothing; an Execute's waits for its turn.
Client::Step Client::answer_here(const Message& message, std::string_view tag) {
  std::string out;
  pg::append_command_complete(out, tag);
  worker_.telemetry.add(Counter::kQueries);
  if (message.header.is(Frontend::kQuery)) {
    unnamed_ = confirmed_ = {};
    portal_ = {};
    if (!lease_ && settings_ == startup_) append_reports(out, told_at_login_);
    pg::append_ready_for_query(out, status());
    stream_->write(out);
    return Step::kDone;
  }
  if (!lease_) {
    stream_->write(out);
    return Step::kDone;
  }
  if (Portal* portal = portal_named(pg::parse_execute(message.body)->portal)) portal->spent = true;
  lease_->expect(ReplyKind::kExecute, ReplyAction::kFake).payload =
      std::make_unique<std::string>(std::move(out));
  if (lease_->in_flight().size() == 1) lease_->answer_fakes();
  return Step::kDone;
}

/// The unnamed statement is not among what DISCARD ALL drops.
void Client::forget_all() {
  names_.clear();
  settings_ = snapshot_ = startup_;
  sets_date_style_ = false;
  pins_ = unpins_ = 0;
}

void Client::unpin(Feature feature) { pins_ &= static_cast<std::uint16_t>(~bit(feature)); }

/// What a rollback would bring back keeps its connection until there can be none.
void Client::unpin_at_commit(Feature feature) { unpins_ |= bit(feature); }

/// It has been done; whether it pins was said when it was sent.
void Client::keeps(Feature feature) {
  unpins_ &= static_cast<std::uint16_t>(~bit(feature));
  if (features_pin()) pins_ |= bit(feature);
}

void Client::end_unpins(bool committed) {
  if (committed) pins_ &= static_cast<std::uint16_t>(~unpins_);
  unpins_ = 0;
}

// --- effects ------------------------------------------------------------------------------------

void Client::completed(TextInfo& text, std::size_t index, net::Bytes tag_body) {
  recovered_ = true;
  if (text.plain || !text.analysis || index >= text.analysis->statements.size()) return;
  const sql::Statement& statement = text.analysis->statements[index];
  const net::Bytes tag = pg::parse_command_complete(tag_body).value_or(net::Bytes{});
  defined(statement);
  switch (statement.effect) {
    case Effect::kBegin:
      if (session_) session_->savepoints.clear();
      break;
    case Effect::kCommit:
    case Effect::kPrepareTransaction: {
      // Without a BEGIN before it PREPARE TRANSACTION commits, and says ROLLBACK.
      const bool failed = lease_ && lease_->status() == pg::TransactionStatus::kFailed;
      transaction_ended(tag != "ROLLBACK" || !failed);
      break;
    }
    case Effect::kRollback:
      transaction_ended(false);
      break;
    case Effect::kSavepoint:
      if (settings_ != snapshot_ || session_) {
        session().savepoints.emplace_back(statement.argument, settings_);
      }
      break;
    case Effect::kRelease:
      released(statement.argument);
      break;
    case Effect::kRollbackTo:
      end_unpins(false);
      roll_back_to(statement.argument);
      if (lease_) lease_->prepared().doubt_provisional();
      if (lease_) lease_->left.hidden |= reapplied_;
      break;
    case Effect::kReset:
      if (statement.settings.empty()) {
        settings_ = merged(startup_, identity_of(settings_));
        sets_date_style_ = false;
        if (lease_) {
          lease_->expect_reset_all();
          reset_ran_ = true;
          lease_->left.hidden |= lease_->status() != pg::TransactionStatus::kIdle;  // ROLLBACK
          reapplies(startup_ != nullptr);
        }
      }
      break;
    case Effect::kListen:
      keeps(Feature::kListen);
      break;
    case Effect::kCreateTemp:
      keeps(Feature::kTempTable);
      break;
    case Effect::kUnlisten:
      if (statement.argument.empty() || statement.argument == "*") {
        unpin_at_commit(Feature::kListen);
      }
      break;
    case Effect::kClose:
      if (statement.argument.empty()) unpin(Feature::kHoldCursor);
      break;
    case Effect::kDeallocate:
      if (!statement.argument.empty()) break;
      unpin(Feature::kPrepare);
      if (text.analysis->statements.size() > 1) deallocated();
      break;
    case Effect::kDiscard:
      discarded(statement.argument);
      break;
    default:
      break;
  }
  if ((statement.state & sql::state::kAdvisoryUnlockAll) != 0) unpin(Feature::kAdvisoryLock);
  if (features_pin() || statement.effect == Effect::kReset) run_settings(statement);
}

void Client::transaction_ended(bool committed) {
  end_unpins(committed);
  rolled_back_ |= !committed;
  settings_ = committed ? settings_ : snapshot_;
  snapshot_ = settings_;
  if (committed && defines_) worker_.service.note_definitions_changed();
  if (lease_) end_portals();
}

bool Client::changes_definitions(const sql::Statement& statement) {
  // COMMIT PREPARED, ROLLBACK PREPARED
  const bool ends_prepared = statement.unknown_targets && (statement.effect == Effect::kCommit ||
                                                           statement.effect == Effect::kRollback);
  return statement.effect == Effect::kUnknownWrite || ends_prepared;
}

/// For this session since it was sent (redefining_); for others when its transaction has ended.
void Client::defined(const sql::Statement& statement) {
  if (statement.effect == Effect::kCreateTemp) own_definitions_ = own_number();
  defines_ |= changes_definitions(statement);
}

void Client::discarded(std::string_view what) {
  if (what == "TEMP") unpin_at_commit(Feature::kTempTable);
  if (what != "ALL") return;
  forget_all();
  if (!lease_) return;
  reset_ran_ = true;
  reapplies(startup_ != nullptr);
  lease_->expect_discard_all();
}

/// DEALLOCATE ALL among other statements of a text; alone it is clean_up()'s.
void Client::deallocated() {
  if (lease_->in_flight().prepared_uncertain()) {
    lease_->left.beyond_repair = true;
    return;
  }
  lease_->prepared().clear();
  names_.clear();
}

namespace {

bool is_failed_plan(const Expected& entry, const pg::ErrorFields& error) {
  const bool plans = entry.kind == ReplyKind::kBind || entry.kind == ReplyKind::kDescribeStatement;
  return plans && !entry.poison && error.sqlstate.starts_with("42") &&
         error.sqlstate != pg::sqlstate::kInsufficientPrivilege;
}

}  // namespace

/// A statement of the client's has failed. Where the origin could not plan any more what it had
/// once accepted, others who prepare it now get a statement of their own.
void Client::failed(const Expected& entry, net::Bytes error_body) {
  worker_.telemetry.add(Counter::kErrors);
  error_in_group_ = true;
  const auto fields = pg::parse_error_response(error_body);
  if (!fields || !entry.named) return;
  const StatementRef& statement = entry.prepared ? entry.prepared : entry.named->statement;
  if (fields->sqlstate == pg::sqlstate::kFeatureNotSupported &&
      fields->message == "cached plan must not change result type") {
    retire(*statement);
  } else if (redefining_ == 0 && is_failed_plan(entry, *fields)) {
    worker_.service.statements.withdraw(*statement);
  }
}

void Client::ready(pg::TransactionStatus status) {
  if (status == pg::TransactionStatus::kIdle) {
    if (std::exchange(defines_, false)) worker_.service.note_definitions_changed();
    end_unpins(!error_in_group_);
    if (error_in_group_) settings_ = snapshot_;
    learn_date_style();
    snapshot_ = settings_;
    if (std::exchange(reset_ran_, false) && error_in_group_) {
      // It took the RESET back with it: what the connection has now is not what it was believed.
      lease_->left.hidden = true;
      reapplies(true);
    }
    if (std::exchange(reapplied_, false) && (error_in_group_ || rolled_back_)) {
      // Likewise of what was sent behind the RESET.
      lease_->expect_settings_reset();
      lease_->left.hidden = true;
      reapplies(startup_ != nullptr);
    }
    rolled_back_ = false;
    if (lease_->in_flight().empty()) {
      begins_ = ends_ = false;
      redefining_ = 0;
    }
    end_portals();
    if (session_) session_->savepoints.clear();
  }
  if (worker_.gate != nullptr) worker_.gate->ready(*this, status);
  if (tap_ && lease_->in_flight().empty()) {
    ending_tap_ = true;
  }
  recovered_ = false;
  clean_ = !error_in_group_ && status == pg::TransactionStatus::kIdle;
  error_in_group_ = false;
  cancelled_ = false;
}

}  // namespace hyperdrive::proxy::session::postgres
