// Origin: the packets of a reply. What differs between the two ends is translated packet by packet.
#include <algorithm>
#include <utility>

#include "proxy/session/mysql/client.hpp"
#include "proxy/session/mysql/origin.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
namespace capability = my::capability;

namespace {

/// Flags that say something of the reply they stand in, not of the session.
constexpr std::uint16_t kOfOneReply =
    my::status::kMoreResultsExists | my::status::kSessionStateChanged | my::status::kCursorExists |
    my::status::kLastRowSent | my::status::kNoIndexUsed | my::status::kNoGoodIndexUsed |
    my::status::kQueryWasSlow | my::status::kPsOutParams | my::status::kMetadataChanged;

/// ER_QUERY_INTERRUPTED, of KILL QUERY.
constexpr std::uint16_t kQueryInterrupted = 1317;
/// ER_MAX_PREPARED_STMT_COUNT_REACHED
constexpr std::uint16_t kTooManyPrepared = 1461;

constexpr std::uint8_t first_byte(net::Bytes payload) {
  return payload.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(payload[0]);
}

}  // namespace

bool Origin::row() {
  if (continued_) {
    continued_ = header_.continues();
    pass();
    return true;
  }
  if (header_.length > 0) {
    if (data_.size() - at_ <= my::kHeaderSize) return false;
    const auto first = static_cast<std::uint8_t>(data_[at_ + my::kHeaderSize]);
    const bool eof = first == my::reply::kEof &&
                     (origin_has(capability::kDeprecateEof) ? header_.length < my::kMaxPayload
                                                            : header_.length == 5);
    if (eof || first == my::reply::kErr) {
      if (data_.size() - at_ < header_.size()) return false;
      rows_end();
      return true;
    }
  }
  if (eof_owed_) {
    eof_owed_ = false;
    insert(columns_eof());
  }
  if (queue_.front().purpose == Purpose::kValues && owner_ != nullptr) {
    if (data_.size() - at_ < header_.size()) return false;
    owner_->take_values(data_.substr(at_ + my::kHeaderSize, header_.length));
  }
  if (queue_.front().purpose == Purpose::kWarnings && owner_ != nullptr) {
    if (data_.size() - at_ < header_.size()) return false;
    owner_->take_warnings(data_.substr(at_ + my::kHeaderSize, header_.length), true);
  }
  ++outcome_.rows;
  continued_ = header_.continues();
  pass();
  return true;
}

void Origin::head() {
  if (!begun_) {
    begun_ = true;
    sequence_ = header_.sequence;
    delta_ = static_cast<std::uint8_t>(queue_.front().client_sequence - header_.sequence);
  }
  if (header_.continues()) return broken();  // no such packet is that long
  switch (phase_) {
    case Phase::kFirst:
      return first();
    case Phase::kParameters:
    case Phase::kColumns:
      return column();
    case Phase::kParametersEnd:
    case Phase::kColumnsEnd:
      return columns_end();
    case Phase::kInfile:
      return infile_failed();
    case Phase::kRows:
      return broken();
  }
}

/// The origin does not want the rest of the file (a packet too large, or out of order), and closes.
void Origin::infile_failed() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  if (first_byte(payload) == my::reply::kErr) replace(payload);
  phase_ = Phase::kFirst;
  broken();
}

void Origin::first() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  const std::uint8_t first = first_byte(payload);
  if (first == my::reply::kErr) return err_packet(payload);
  switch (queue_.front().reply) {
    case Reply::kOk:
      if (payload.empty() || (first != my::reply::kOk && first != my::reply::kEof)) return broken();
      return ok_packet(payload, first == my::reply::kEof);
    case Reply::kQuery:
      return first_of_query();
    case Reply::kPrepare:
      return first_of_prepare();
    case Reply::kFetch:
      phase_ = Phase::kRows;
      return;  // looked at again as a row
    case Reply::kFieldList:
      return field_list();
    case Reply::kStatistics:
      outcome_.status = status_;
      return end_reply(payload);
  }
}

void Origin::first_of_query() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  switch (my::reply_kind(payload)) {
    case my::ReplyKind::kOk:
      return ok_packet(payload, false);
    case my::ReplyKind::kLocalInfile:
      return local_infile();
    case my::ReplyKind::kResultSet: {
      const auto count = my::parse_column_count(payload, identity_.capabilities);
      if (!count || count->columns > 0xffff) return broken();
      left_ = static_cast<std::uint32_t>(count->columns);
      phase_ = Phase::kColumns;
      return pass();
    }
    case my::ReplyKind::kErr:
    case my::ReplyKind::kMalformed:
      return broken();
  }
}

void Origin::first_of_prepare() {
  const auto prepared = my::parse_prepare_ok(data_.substr(at_ + my::kHeaderSize, header_.length));
  if (!prepared) return broken();
  outcome_.prepared = *prepared;
  outcome_.status = status_;
  outcome_.warnings = prepared->warnings;
  my::PrepareOk told = *prepared;
  const bool last = prepared->parameters == 0 && prepared->columns == 0;
  if (forwards()) told.statement = owner_->prepared(*prepared);
  if (last) return end_reply(my::build_prepare_ok(told));
  replace(my::build_prepare_ok(told));
  left_ = prepared->parameters;
  phase_ = Phase::kParameters;
  if (left_ == 0) {
    left_ = prepared->columns;
    phase_ = Phase::kColumns;
  }
}

void Origin::column() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  if (queue_.front().purpose == Purpose::kWarnings && owner_ != nullptr) {
    owner_->take_warnings(payload, false);
  }
  --left_;
  const bool last = left_ == 0;
  const bool prepare = queue_.front().reply == Reply::kPrepare;
  const bool more = prepare && phase_ == Phase::kParameters && outcome_.prepared.columns > 0;
  const bool legacy_origin = !origin_has(capability::kDeprecateEof);
  const bool strips = origin_has(capability::kMariadbExtendedMetadata) &&
                      !client_has(capability::kMariadbExtendedMetadata);
  std::string built;
  if (strips && forwards()) {
    const auto column = my::parse_column_definition(payload, identity_.capabilities);
    if (!column) return broken();
    built = my::build_column_definition(
        *column, identity_.capabilities & ~capability::kMariadbExtendedMetadata);
  }
  const bool ends_here =
      last && prepare && !more && !legacy_origin && client_has(capability::kDeprecateEof);
  if (ends_here) return end_reply(built.empty() ? payload : net::Bytes(built));
  if (built.empty()) {
    pass();
  } else {
    replace(built);
  }
  if (last) columns_over();
}

/// Behind the last definition: where the origin sends an EOF it is yet to come.
void Origin::columns_over() {
  if (!origin_has(capability::kDeprecateEof)) {
    phase_ = phase_ == Phase::kParameters ? Phase::kParametersEnd : Phase::kColumnsEnd;
    return;
  }
  const bool wants_eof = !client_has(capability::kDeprecateEof);
  if (queue_.front().reply != Reply::kPrepare) {
    phase_ = Phase::kRows;
    eof_owed_ = wants_eof;
    return;
  }
  const bool more = phase_ == Phase::kParameters && outcome_.prepared.columns > 0;
  const std::string eof = my::build_eof({0, status_});
  if (more) {
    if (wants_eof) {
      // As if a packet had come.
      flush();
      emit(eof, static_cast<std::uint8_t>(sequence_ + delta_));
      ++delta_;
    }
    left_ = outcome_.prepared.columns;
    phase_ = Phase::kColumns;
    return;
  }
  end_behind(wants_eof ? net::Bytes(eof) : net::Bytes());
}

/// The origin's EOF behind definitions.
void Origin::columns_end() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  if (first_byte(payload) == my::reply::kErr) return err_packet(payload);
  const auto eof = my::parse_eof(payload);
  if (!eof) return broken();
  status_ = static_cast<std::uint16_t>(eof->status & ~kOfOneReply);
  const bool prepare = queue_.front().reply == Reply::kPrepare;
  const bool parameters = phase_ == Phase::kParametersEnd;
  const bool more = prepare && parameters && outcome_.prepared.columns > 0;
  const bool keeps = !client_has(capability::kDeprecateEof);
  // With a cursor nothing follows: this EOF is the end.
  if (!prepare && (eof->status & my::status::kCursorExists) != 0) {
    return ok_packet(payload, true);
  }
  if (prepare && !more) {
    outcome_.status = eof->status;
    if (keeps) return end_reply(payload);
    drop();
    return end_behind({});
  }
  if (keeps) {
    replace(payload);
  } else {
    drop();
  }
  if (more) {
    left_ = outcome_.prepared.columns;
    phase_ = Phase::kColumns;
  } else {
    phase_ = Phase::kRows;
  }
}

void Origin::field_list() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  if (my::ends_rows(payload, identity_.capabilities)) return ok_packet(payload, true);
  if (origin_has(capability::kMariadbExtendedMetadata) &&
      !client_has(capability::kMariadbExtendedMetadata)) {
    const auto column = my::parse_column_definition(payload, identity_.capabilities);
    if (!column) return broken();
    const auto caps = identity_.capabilities & ~capability::kMariadbExtendedMetadata;
    std::string built = my::build_column_definition(*column, caps);
    // The default value stands behind the definition.
    const std::size_t tail = my::build_column_definition(*column, identity_.capabilities).size();
    if (tail < payload.size()) built.append(payload.substr(tail));
    return replace(built);
  }
  pass();
}

void Origin::rows_end() {
  const net::Bytes payload = data_.substr(at_ + my::kHeaderSize, header_.length);
  if (first_byte(payload) == my::reply::kErr) {
    if (std::exchange(eof_owed_, false)) insert(columns_eof());
    return err_packet(payload);
  }
  ok_packet(payload, true);
}

void Origin::local_infile() {
  Expected& entry = queue_.front();
  const bool wanted = forwards() && client_has(capability::kLocalFiles);
  if (wanted) {
    pass();
    phase_ = Phase::kInfile;
    flush();
    owner_->infile_begins(static_cast<std::uint8_t>(sequence_ + delta_));
    return;
  }
  // An empty packet says that there is no file.
  entry.client_sequence = client_sequence();
  flush();
  at_ += header_.size();
  run_ = at_;
  scratch_.clear();
  my::append_packet(scratch_, static_cast<std::uint8_t>(header_.sequence + 1), {});
  write(scratch_);
  entry.refuses_infile = true;
  begun_ = false;
}

void Origin::infile_ended(std::uint8_t client_sequence) {
  queue_.front().client_sequence = client_sequence;
  phase_ = Phase::kFirst;
  begun_ = false;
}

/// The EOF behind the columns, which the origin does not send. libmariadb asks it, not the one
/// behind the rows, whether more results follow.
std::string Origin::columns_eof() const {
  const bool more = forwards() && owner_->more_results_after(outcome_.results);
  const int flags = status_ | (more ? my::status::kMoreResultsExists : 0);
  return my::build_eof({0, static_cast<std::uint16_t>(flags)});
}

/// The EOF or OK with which the client's rows end.
std::string Origin::end_packet(const my::Ok& ok) const {
  if (client_has(capability::kDeprecateEof)) {
    return my::build_ok(ok, owner_->capabilities(), my::reply::kEof);
  }
  const auto flags = static_cast<std::uint16_t>(ok.status & ~my::status::kSessionStateChanged);
  return my::build_eof({ok.warnings, flags});
}

/// An OK, or the end of rows as either origin says it.
void Origin::ok_packet(my::Bytes payload, bool ends_rows) {
  my::Ok ok;
  const auto eof = ends_rows ? my::parse_eof(payload) : std::nullopt;
  if (eof && !origin_has(capability::kDeprecateEof)) {
    ok.status = eof->status;
    ok.warnings = eof->warnings;
  } else {
    const auto parsed = my::parse_ok(payload, identity_.capabilities);
    if (!parsed) return broken();
    ok = *parsed;
  }
  outcome_.status = ok.status;
  status_ = static_cast<std::uint16_t>(ok.status & ~kOfOneReply);
  ended_in_error_ = false;
  // The list may outlive the results behind the one that it is of.
  outcome_.warnings = std::max(outcome_.warnings, ok.warnings);
  outcome_.affected_rows = ok.affected_rows;
  if (ok.last_insert_id != 0) outcome_.last_insert_id = ok.last_insert_id;
  outcome_.session_state = ok.session_state;
  if (!ok.session_state.empty() && my::changes_session(ok.session_state)) {
    outcome_.state_changed |= std::uint64_t{1} << std::min<std::uint32_t>(outcome_.results, 63);
  }
  outcome_.ends_with_rows = ends_rows;
  ++outcome_.results;
  const bool more = (ok.status & my::status::kMoreResultsExists) != 0;
  if (ends_rows && eof_owed_) {
    eof_owed_ = false;
    // With a cursor the rows' end is the columns' end.
    if ((ok.status & my::status::kCursorExists) == 0) {
      const auto flags = static_cast<std::uint16_t>(ok.status & ~my::status::kSessionStateChanged);
      insert(my::build_eof({0, flags}));
    }
  }
  std::string built;
  constexpr std::uint64_t kShape = capability::kSessionTrack | capability::kDeprecateEof;
  // Changes of state were asked for by the proxy, not by the client.
  std::string told;
  const bool tells = !ok.session_state.empty() && forwards() && !owner_->hears_state_changes();
  if (tells) {
    told = my::without_changes(ok.session_state, my::SessionTrack::kStateChange);
    ok.session_state = told;
  }
  const bool alike = owner_ == nullptr ||
                     (!tells && ((owner_->capabilities() ^ identity_.capabilities) & kShape) == 0);
  if (!alike && forwards()) {
    built = ends_rows ? end_packet(ok) : my::build_ok(ok, owner_->capabilities());
  }
  if (more) {
    if (built.empty()) {
      pass();
    } else {
      replace(built);
    }
    phase_ = Phase::kFirst;
    return;
  }
  end_reply(built.empty() ? payload : my::Bytes(built));
}

/// max_prepared_stmt_count is reached: a client's PREPARE comes once more behind the end of what is
/// kept here in case only. False: nothing is.
bool Origin::prepares_anew() {
  if (!drop_prepared()) {
    worker_->service.give_up_statements();
    return false;
  }
  const bool is_clients = owner_ != nullptr && queue_.size() == 1 &&
                          queue_.front().purpose == Purpose::kCommand &&
                          queue_.front().reply == Reply::kPrepare;
  outcome_.may_prepare_again = true;
  if (!is_clients) return false;
  drop();
  begun_ = false;
  const Expected again = std::move(queue_.front());
  queue_.clear();
  const std::uint64_t latest = last_statement;
  send(my::Command::kStmtPrepare, owner_->running_text(), again);
  last_statement = latest;
  return true;
}

void Origin::err_packet(my::Bytes payload) {
  auto err = my::parse_err(payload);
  if (!err) return broken();
  if (err->code == kTooManyPrepared && prepares_anew()) return;
  std::string message;
  std::string retold;
  if (over_limit && err->code == kQueryInterrupted) {
    message = std::string(err->message) + " (the proxy's --query-timeout was exceeded)";
    err->message = message;
    payload = retold = my::build_err(*err);
  }
  outcome_.failed = true;
  outcome_.code = err->code;
  outcome_.sqlstate = err->sqlstate;
  outcome_.message = err->message;
  outcome_.error = payload;
  // It carries no flags: an error leaves the transaction as it is, but for deadlocks, whose
  // roll-back the next OK will tell.
  outcome_.status = status_;
  ended_in_error_ = true;
  end_reply(payload);
}

/// The present packet is the reply's last; the client gets `payload` for it.
void Origin::end_reply(net::Bytes payload) {
  before_end();
  if (!payload.empty() && queue_.front().refuses_infile && owner_ != nullptr) {
    flush();
    owner_->packet_to_client(
        queue_.front().client_sequence,
        Client::no_local_files(identity_.is_mariadb, identity_.major_version()));
  } else {
    flush_and_emit(payload, client_sequence());
  }
  at_ += header_.size();
  run_ = at_;
  after_end();
}

/// The present packet has been dealt with; `payload`: one more behind it, if not empty.
void Origin::end_behind(net::Bytes payload) {
  flush();
  before_end();
  if (!payload.empty()) emit(payload, static_cast<std::uint8_t>(sequence_ + delta_));
  after_end();
}

/// The client has not seen the end yet.
void Origin::before_end() {
  if (queue_.front().purpose == Purpose::kCommand && owner_ != nullptr) {
    if (!queue_.front().refuses_infile) return owner_->ending(outcome_);
    const std::string error =
        Client::no_local_files(identity_.is_mariadb, identity_.major_version());
    const auto told = my::parse_err(error);
    outcome_.failed = outcome_.failed_here = true;
    outcome_.code = told->code;
    outcome_.sqlstate = told->sqlstate;
    outcome_.message = told->message;
    outcome_.error = error;
    owner_->ending(outcome_);
    outcome_.sqlstate = outcome_.message = outcome_.error = {};
  } else if (worker_->gate != nullptr) {
    worker_->gate->answered(*this, {outcome_.failed, in_transaction(), autocommit()});
  }
}

void Origin::after_end() {
  const Expected entry = std::move(queue_.front());
  queue_.erase(queue_.begin());
  phase_ = Phase::kFirst;
  begun_ = continued_ = eof_owed_ = over_limit = false;
  if (!queue_.empty()) sent_at_ = worker_->loop.now();
  const Outcome outcome = std::exchange(outcome_, Outcome{});
  if (owner_ != nullptr) {
    owner_->ended(entry, outcome);
  } else if (entry.purpose == Purpose::kCleaning && outcome.failed) {
    beyond_repair = true;
    dirty = false;
  }
}

}  // namespace hyperdrive::proxy::session::mysql
