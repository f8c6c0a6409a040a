#include "proxy/session/mysql/client.hpp"

#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/net/sockets.hpp"
#include "proxy/session/origin_failure.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;

namespace {

constexpr std::chrono::seconds kLoginDeadline{30};
constexpr std::chrono::seconds kKillPatience{5};
constexpr std::chrono::seconds kAnswerPatience{10};

void put_packet(char* out, std::uint8_t sequence, net::Bytes payload) {
  out[0] = static_cast<char>(payload.size() & 0xff);
  out[1] = static_cast<char>(payload.size() >> 8 & 0xff);
  out[2] = static_cast<char>(payload.size() >> 16 & 0xff);
  out[3] = static_cast<char>(sequence);
  std::memcpy(out + my::kHeaderSize, payload.data(), payload.size());
}

void copy(char* out, const Run& run) {
  const std::size_t size = run.bytes.size();
  std::memcpy(out, run.bytes.data(), size);
  if (run.delta == 0) return;
  for (std::size_t at = run.first_header; at + my::kHeaderSize <= size;
       at += my::read_header(out + at).size()) {
    out[at + 3] = static_cast<char>(out[at + 3] + run.delta);
  }
}

}  // namespace

Client::Client(Worker& worker, std::unique_ptr<net::Stream> stream)
    : Waiter(worker.index), worker_(worker), stream_(std::move(stream)), since_(worker.loop.now()) {
  stream_->set_handler(this);
}

Client::~Client() = default;

std::size_t Client::on_data(net::Bytes data) {
  switch (phase_) {
    case Phase::kGreeted:
    case Phase::kSwitched: {
      const std::size_t used = login(data);
      // Its first command may be here, too: nobody has to wait for the login's OK.
      if (used > 0 && phase_ != Phase::kGone) stream_->resume_reading();
      return used;
    }
    case Phase::kReady:
      return relay(data);
    case Phase::kWaiting:
      stream_->pause_reading();
      return 0;
    case Phase::kEncrypting:
    case Phase::kGone:
      break;
  }
  return data.size();
}

void Client::on_closed(net::CloseReason reason) {
  if (reason != net::CloseReason::kEof || phase_ != Phase::kReady) return leave();
  // It may have shut down its own side only, and still read.
  if (lease_ && !reopening_ && lease_->busy() && streaming_ == 0 && !continues_ && !infile_) {
    ended_ = true;
    since_ = worker_.loop.now();
    return;
  }
  stream_->unsent() > 0 ? close_politely() : leave();
}

void Client::on_drained() {
  if (lease_) lease_->go_on_reading();
  unblock(Block::kReader);
}

// --- the origin connection ----------------------------------------------------------------------

void Client::granted(std::unique_ptr<pool::OriginConnection> connection) {
  const auto waited = worker_.loop.now() - Waiter::since();
  const auto micros = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count());
  worker_.telemetry.wait.add(micros);
  std::unique_ptr<Origin> origin(static_cast<Origin*>(connection.release()));
  if (phase_ == Phase::kWaiting || phase_ == Phase::kGone) {
    worker_.pool().release(std::move(origin));
    if (phase_ == Phase::kWaiting) greet();
    return;
  }
  waited_us_ += micros;
  attach(std::move(origin));
  unblock(Block::kLease);
}

bool Client::suits(const pool::OriginConnection& connection) const {
  return phase_ != Phase::kReady || static_cast<const Origin&>(connection).kind() == kind();
}

/// What this client asked for of what the origin can be asked for.
std::uint64_t Client::kind() const {
  return capabilities_ & kKindMask & worker_.service.kinds_offered();
}

void Client::attach(std::unique_ptr<Origin> origin) {
  lease_ = std::move(origin);
  lease_->lease_to(*this);
}

void Client::refused(const pool::Refusal& refusal) {
  if (refusal.why == pool::Refusal::Why::kWaitTimeout) {
    worker_.telemetry.add(Counter::kWaitTimeouts);
  }
  fail(refusal);
}

/// No connection came: the command that wanted one fails, the session lives on.
void Client::fail(const pool::Refusal& refusal) {
  if (!refusal.origin_error.empty()) {
    pending_error_ = refusal.origin_error;
  } else if (refusal.why == pool::Refusal::Why::kWaitTimeout) {
    std::string told = "Timed out while waiting for an open slot in the pool. (";
    told += pool_full_hint(worker_.options->config.local.session_features);
    pending_error_ = my::build_err({1040, "08004", told + ')'});
  } else if (refusal.why == pool::Refusal::Why::kClosing) {
    send_error(phase_ == Phase::kWaiting ? 0 : 1, 1053, "08S01", "Server shutdown in progress");
    return close_politely();
  } else {
    pending_error_ =
        my::build_err({2003, "HY000", refusal.error.message + " " + refusal.error.hint});
  }
  if (phase_ == Phase::kWaiting) {
    packet_to_client(0, pending_error_);
    worker_.telemetry.add(Counter::kErrors);
    return close_politely();
  }
  unblock(Block::kLease);
}

void Client::detach_origin(bool rest_missing) {
  if (lingers_) {
    lingers_ = false;
    worker_.stop_lingering(*this);
  }
  // With autocommit off an error may leave a transaction (its locks, its metadata locks) that no
  // status tells of.
  lease_->unfinished = touched_ && !lease_->autocommit();
  touched_ = one_shot_begun_ = may_linger_ = insert_id_open_ = has_kept_ = false;
  one_shot_ = kNoShot;
  Origin::send_home(std::move(lease_), rest_missing);
  unblock(Block::kPressure);  // whoever was to be written to is not ours any more
  if (leaving_ && phase_ == Phase::kReady) {
    worker_.defer_for(*this, [this] {
      if (phase_ == Phase::kReady && !lease_) shut_down();
    });
  }
}

void Client::give_up_linger() {
  if (!lingers_ || !lease_ || must_hold()) return;
  if (lease_->is_of_the_past()) insert_id_open_ = false;
  let_go();
}

/// What only the lease knows is asked first; with the answer it goes.
void Client::let_go() {
  if (!insert_id_open_) return detach_origin(false);
  if (lingers_) worker_.stop_lingering(*this);
  lingers_ = may_linger_ = false;
  asked_values_.emplace_back("last_insert_id");
  ask_values();
}

void Client::origin_lost() {
  const bool told = lease_->mid_reply() && lease_->busy();
  const bool in_file = infile_ && lease_->wants_infile();
  const bool streams = (streaming_ > 0 || continues_) && !streaming_drops_;
  // A packet too large: the origin has said so, and does not take the rest.
  const bool answered = streams && streaming_owes_ && !lease_->busy();
  // Kept in case only: what waits at the gate may not need it.
  const bool at_gate = lingers_ && block_ == Block::kGate;
  const bool asks = block_ != Block::kNone && block_ != Block::kPressure && !at_gate;
  const std::string last_words = lease_->last_words();
  const bool waits =
      (!answered && (lease_->busy() || asks || streams)) || (long_data_ > 0 && !last_words.empty());
  worker_.bury(std::move(lease_));
  worker_.pool().discard(nullptr);
  insert_id_open_ = false;
  if (tap_) {
    tap_->on_cut();
    tap_.reset();
  }
  if (!waits && lingers_) {
    // It was kept in case only.
    lingers_ = false;
    worker_.stop_lingering(*this);
    return unblock(Block::kPressure);
  }
  // Who asked nothing is told nothing, as the origin does it: a packet before the next query would
  // be taken for its answer, with a wrong number.
  if (in_file && phase_ == Phase::kReady) {
    // It reads no answer before it has sent all; one in between would have a wrong number.
    infile_lost_ = true;
    streaming_drops_ = true;
    return unblock(Block::kPressure);
  }
  if (!told && waits && !last_words.empty()) {
    packet_to_client(sequence_, last_words);
    worker_.telemetry.add(Counter::kErrors);
  } else if (!told && waits) {
    send_lost();
  }
  close_politely();
}

void Client::send_lost() {
  send_error(sequence_, 2013, "HY000",
             "Lost connection to server during query (the proxy's connection to the origin "
             "database ended; the statement may or may not have been executed)");
}

void Client::replies_drained() {
  if (!lease_ || reopening_) return;
  if (block_ == Block::kPrelude) return unblock(Block::kPrelude);
  const bool holds = must_hold() || streaming_ > 0 || continues_ || !pending_error_.empty();
  if (!holds && loses_warnings()) return keep_warnings();
  const bool stays =
      may_linger_ && !leaving_ && lease_->is_reusable() && worker_.pool().gauges().waiting == 0;
  if (insert_id_open_ && !holds && !stays) asked_values_.emplace_back("last_insert_id");
  if (!asked_values_.empty()) return ask_values();
  if (ended_) return close_politely();
  unblock(Block::kReply);
  if (must_hold() || streaming_ > 0 || continues_) return;
  if (!pending_error_.empty()) return;  // the command that fails by it is still to come
  if (may_linger_ && !leaving_ && lease_->is_reusable() && (stays || insert_id_open_)) {
    lingers_ = true;
    return worker_.linger(*this);
  }
  let_go();
}

void Client::block(Block reason) {
  block_ = reason;
  stream_->pause_reading();
}

void Client::unblock(Block reason) {
  if (block_ != reason) return;
  block_ = Block::kNone;
  if (stream_) stream_->resume_reading();  // else it is being closed, by what ends the lease, too
}

// --- to the client ------------------------------------------------------------------------------

void Client::to_client(const Run& run) {
  const std::size_t size = run.bytes.size();
  worker_.telemetry.add(Counter::kBytesToClients, size);
  reply_begun_ = true;
  if (run.delta == 0 || run.first_header >= size) {
    if (tap_) tap_->on_bytes(run.bytes);
    stream_->write(run.bytes);
    // A write that leaves nothing to be sent was dropped: the client does not read either.
    deaf_ = deaf_ || (ended_ && size > 0 && stream_->unsent() == 0);
    return;
  }
  char* out = stream_->reserve(size);
  copy(out, run);
  if (tap_) tap_->on_bytes(net::Bytes(out, size));
}

void Client::to_client(const Run& run, std::uint8_t sequence, net::Bytes payload) {
  if (ended_ || payload.size() >= my::kMaxPayload) {
    to_client(run);
    return packet_to_client(sequence, payload);
  }
  reply_begun_ = true;
  const std::size_t size = run.bytes.size() + my::kHeaderSize + payload.size();
  char* out = stream_->reserve(size);
  copy(out, run);
  put_packet(out + run.bytes.size(), sequence, payload);
  if (tap_) tap_->on_bytes(net::Bytes(out, size));
  worker_.telemetry.add(Counter::kBytesToClients, size);
}

void Client::packet_to_client(std::uint8_t sequence, net::Bytes payload) {
  reply_begun_ = true;
  if (payload.size() >= my::kMaxPayload) {
    std::string packets;
    my::append_packet(packets, sequence, payload);
    stream_->write(packets);
    if (tap_) tap_->on_bytes(packets);
    return;
  }
  const std::size_t size = payload.size() + my::kHeaderSize;
  char* out = stream_->reserve(size);
  put_packet(out, sequence, payload);
  if (tap_) tap_->on_bytes(net::Bytes(out, size));
  worker_.telemetry.add(Counter::kBytesToClients, size);
}

void Client::send_error(std::uint8_t sequence, std::uint16_t code, std::string_view sqlstate,
                        std::string_view message) {
  packet_to_client(sequence, my::build_err({code, sqlstate, message}));
  worker_.telemetry.add(Counter::kErrors);
}

/// The status flags of answers made here.
std::uint16_t Client::told_status() const {
  if (lease_) return static_cast<std::uint16_t>(lease_->status() & ~my::status::kMoreResultsExists);
  bool autocommit = worker_.service.begins_with_autocommit();
  if (state_) {
    if (const std::string* value = state_->find("autocommit")) autocommit = *value == "1";
  }
  return static_cast<std::uint16_t>((autocommit ? my::status::kAutocommit : 0) | mode_flags_);
}

/// As the origin reads texts: where the session has set no sql_mode, its login's flags tell.
sql::MysqlLexing Client::lexing_of(const State& state) const {
  sql::MysqlLexing lexing = state.lexing();
  if (state.find("sql_mode") != nullptr) return lexing;
  lexing.no_backslash_escapes = (mode_default_ & my::status::kNoBackslashEscapes) != 0;
  lexing.ansi_quotes = (mode_default_ & my::status::kAnsiQuotes) != 0;
  return lexing;
}

void Client::send_ok(std::uint8_t sequence) {
  my::Ok ok;
  ok.status = told_status();
  packet_to_client(sequence, my::build_ok(ok, capabilities_));
}

/// In the words of the origin's own generation.
std::string Client::no_local_files(bool is_mariadb, int major_version) {
  if (is_mariadb) {
    return my::build_err({4166, "HY000",
                          "The used command is not allowed because the MariaDB server or client "
                          "has disabled the local infile capability"});
  }
  if (major_version >= 8) {
    return my::build_err({3948, "42000",
                          "Loading local data is disabled; this must be enabled on both the client "
                          "and server sides"});
  }
  return my::build_err({1148, "42000", "The used command is not allowed with this MySQL version"});
}

/// The present command's answer: its number is one behind the last packet's.
void Client::answer_error(std::string payload) {
  worker_.telemetry.add(Counter::kErrors);
  if (rest_to_come_) {
    late_error_ = std::move(payload);
  } else {
    packet_to_client(sequence_, payload);
  }
}

/// Which statement it is about is known where the command is.
void Client::note_untold(std::string_view sqlstate, std::string_view message) {
  if (!worker_.service.telemetry.listening()) return;
  untold_ = std::make_unique<UntoldError>(UntoldError{std::string(sqlstate), std::string(message)});
}

Client::Step Client::refuse(std::uint16_t code, std::string_view sqlstate,
                            std::string_view message) {
  answer_error(my::build_err({code, sqlstate, message}));
  note_untold(sqlstate, message);
  last_.answered_here(-1);
  last_.failed(code, sqlstate, message);
  return Step::kDone;
}

// --- leaving ------------------------------------------------------------------------------------

/// Sends what is unsent, then closes.
void Client::close_politely() {
  if (phase_ == Phase::kGone) return;
  stream_->set_handler(nullptr);
  stream_->finish();
  worker_.loop.close_later(std::move(stream_), std::chrono::seconds(5));
  leave();
}

void Client::leave() {
  if (phase_ == Phase::kGone) return;
  const bool rest_missing = (streaming_ > 0 || continues_) && !streaming_drops_;
  if (phase_ == Phase::kReady) tell_session(false);
  phase_ = Phase::kGone;
  if (waiting()) worker_.pool().forget(*this);
  if (worker_.gate != nullptr) worker_.gate->gone(*this);
  if (tap_) {
    tap_->on_cut();
    tap_.reset();
  }
  if (reopening_) {
    worker_.bury_login(std::move(reopening_));
    worker_.bury(std::move(lease_));
    worker_.pool().discard(nullptr);
  }
  if (lease_) {
    if (cursors_ > 0 || long_data_ > 0 || one_shot_ != kNoShot) lease_->dirty = true;
    detach_origin(rest_missing);
  }
  worker_.bury(*this);
}

/// A pinned session that rests has a connection, and nothing to finish on it.
bool Client::rests() const {
  if (block_ != Block::kNone) return false;
  return !lease_ || lingers_ || (pinned() && !lease_->busy() && !lease_->in_transaction());
}

void Client::shut_down() {
  if (phase_ == Phase::kGone) return;
  if (!rests() || waiting()) {
    leaving_ = true;
    return;
  }
  send_error(0, 1053, "08S01", "Server shutdown in progress");
  close_politely();
}

/// Without a word: the client does not read.
void Client::abandon() {
  if (lease_ && !reopening_ && lease_->busy()) lease_->beyond_repair = true;
  leave();
}

void Client::time_is_up() {
  const bool busy = lease_ && !reopening_ && lease_->busy();
  if (busy) worker_.start_cancel(*lease_, nullptr);
  if (phase_ != Phase::kReady || (busy && lease_->mid_reply())) return abandon();
  if (busy) lease_->beyond_repair = true;
  const bool asks = busy || waiting() || block_ != Block::kNone;
  send_error(asks ? sequence_ : 0, 1053, "08S01", "Server shutdown in progress");
  close_politely();
}

// --- time ---------------------------------------------------------------------------------------

/// The session has asked to be ended when it is idle, and no connection is there to end it.
bool Client::has_waited_long(std::chrono::steady_clock::time_point now) const {
  const std::string* limit = state_ ? state_->find("wait_timeout") : nullptr;
  if (limit == nullptr || block_ != Block::kNone || streaming_ > 0 || continues_) return false;
  std::uint32_t seconds = 0;
  std::from_chars(limit->data(), limit->data() + limit->size(), seconds);
  return seconds > 0 && now > since_ + std::chrono::seconds(seconds);
}

/// Whether somebody still waits for the answer shows only when it is sent: not for long.
void Client::sweep_ended(std::chrono::steady_clock::time_point now) {
  if (lease_ && !deaf_ && now <= std::max(since_, lease_->last_reply()) + kAnswerPatience) {
    // A stream that has ended does not tell when it is drained.
    if (stream_->unsent() == 0) lease_->go_on_reading();
    return;
  }
  if (lease_ && !reopening_) worker_.start_cancel(*lease_, nullptr);
  leave();
}

void Client::sweep(std::chrono::steady_clock::time_point now) {
  const core::LocalSettings& limits = worker_.options->config.local;
  if (phase_ == Phase::kGone) return;
  if (phase_ != Phase::kReady) {
    if (phase_ != Phase::kWaiting && now > since_ + kLoginDeadline) leave();
    return;
  }
  const auto patience = limits.client_write_timeout;
  if (stream_->unsent() > 0 && patience.count() > 0 && now > stream_->stalled_since() + patience) {
    worker_.telemetry.add(Counter::kWriteTimeouts);
    return abandon();
  }
  if (ended_) return sweep_ended(now);
  // Whoever got the last answer without a connection, or keeps one for good.
  if (leaving_ && rests() && !waiting()) return shut_down();
  if ((!lease_ || lingers_) && has_waited_long(now)) return close_politely();
  if (!lease_ || reopening_) return;
  if (now > lease_->last_reply() + net::kPeerPatience &&
      net::peer_has_vanished(lease_->stream().fd())) {
    return lease_->on_closed(net::CloseReason::kReset);
  }
  if (lingers_) {
    // Another worker's client may wait for it.
    if (lease_->is_of_the_past() || worker_.pool().gauges().waiting > 0) give_up_linger();
    return;
  }
  if (!lease_->busy()) {
    const auto idle = limits.transaction_idle_timeout;
    if (idle.count() > 0 && !pinned() && block_ == Block::kNone &&
        now > lease_->last_reply() + idle && lease_->in_transaction()) {
      send_error(0, 1927, "70100", "Connection was killed (idle-in-transaction timeout)");
      close_politely();
    }
    return;
  }
  const auto limit = limits.query_timeout;
  if (limit.count() <= 0 || infile_ || streaming_ > 0) return;
  if (!killed_ && now > lease_->sent_at() + limit) {
    killed_ = lease_->over_limit = true;
    worker_.telemetry.add(Counter::kQueryTimeouts);
    worker_.start_cancel(*lease_, nullptr);
  } else if (killed_ && now > lease_->sent_at() + limit + kKillPatience) {
    lease_->beyond_repair = true;
    if (!lease_->mid_reply()) {
      send_error(sequence_, 1969, "70100",
                 "Query execution was interrupted (the proxy's --query-timeout was exceeded)");
    }
    close_politely();
  }
}

// --- kills --------------------------------------------------------------------------------------

bool Client::kill_query(std::function<void()> done) {
  if (phase_ == Phase::kReady && block_ == Block::kLease && waiting()) {
    worker_.pool().forget(*this);
    pending_error_ = my::build_err({1317, "70100", "Query execution was interrupted"});
    unblock(Block::kLease);
    return false;
  }
  if (phase_ != Phase::kReady || !lease_ || reopening_ || !lease_->busy()) {
    worker_.telemetry.add(Counter::kCancelsDropped);
    return false;
  }
  return worker_.start_cancel(*lease_, std::move(done));
}

void Client::kill_connection() {
  if (phase_ == Phase::kGone) return;
  const bool busy = lease_ && lease_->busy();
  // In the middle of a reply it would be taken for a part of it.
  if (!busy || !lease_->mid_reply()) {
    const bool asks = busy || waiting() || block_ != Block::kNone;
    send_error(asks ? sequence_ : 0, 1927, "70100", "Connection was killed");
  }
  if (lease_ && !reopening_ && lease_->busy()) lease_->beyond_repair = true;
  close_politely();
}

void Client::killed_other() {
  if (phase_ != Phase::kReady || block_ != Block::kKill) return;
  send_ok();
  unblock(Block::kKill);
}

}  // namespace hyperdrive::proxy::session::mysql
