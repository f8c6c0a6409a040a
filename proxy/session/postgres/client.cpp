#include "proxy/session/postgres/client.hpp"

#include <atomic>
#include <utility>

#include "proxy/session/origin_failure.hpp"
#include "proxy/session/postgres/login.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

}  // namespace

namespace {

std::uint64_t fresh_serial() {
  static std::atomic<std::uint64_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

Client::Client(Worker& worker, std::unique_ptr<net::Stream> stream)
    : Waiter(worker.index),
      worker_(worker),
      stream_(std::move(stream)),
      serial_(fresh_serial()),
      since_(worker.loop.now()) {
  stream_->set_handler(this);
}

Client::~Client() = default;

/// Who asks for lastval() is best served where it was moved.
bool Client::suits(const pool::OriginConnection& connection) const {
  return !asks_sequences_ || misses(connection);
}

bool Client::misses(const pool::OriginConnection& connection) const {
  return asks_sequences_ && static_cast<const Origin&>(connection).sequences_of == serial_ &&
         &connection == moved_on_;
}

Client::Session& Client::session() {
  if (!session_) session_ = std::make_unique<Session>();
  return *session_;
}

bool Client::features_pin() const {
  return worker_.options->config.local.session_features == core::SessionFeatures::kPin;
}

std::size_t Client::on_data(net::Bytes data) {
  switch (phase_) {
    case Phase::kStartup:
      return startup(data);
    case Phase::kSasl:
      return sasl(data);
    case Phase::kReady:
      return relay(data);
    case Phase::kProfile:
      stream_->pause_reading();
      return 0;
    case Phase::kEncrypting:
    case Phase::kCancel:
    case Phase::kGone:
      break;
  }
  return data.size();
}

/// Postgres runs each message as it comes: what is whole of a group without an end runs, too.
bool Client::on_end_ahead() {
  at_end_ = true;
  return phase_ == Phase::kReady;
}

void Client::ask_in_place_of(const Client& other) {
  own_ = true;
  startup_ = other.startup_;
  settings_ = snapshot_ = other.settings_;
  told_ = told_at_login_ = other.told_;
  phase_ = Phase::kReady;
  stream_->resume_reading();
}

void Client::on_closed(net::CloseReason reason) {
  if (reason != net::CloseReason::kEof || phase_ != Phase::kReady) return leave();
  // It may have shut down its own side only, and still read.
  if (answers_are_coming()) return has_ended();
  stream_->unsent() > 0 ? close_politely() : leave();
}

/// It has said its last word, and may still read the answers: for how long, sweep_ended() says.
void Client::has_ended() {
  ended_ = true;
  since_ = worker_.loop.now();
}

void Client::on_drained() {
  if (lease_) lease_->stream().resume_reading();
  unblock(Block::kReader);
}

// --- the origin connection ----------------------------------------------------------------------

void Client::granted(std::unique_ptr<pool::OriginConnection> connection) {
  const auto waited = worker_.loop.now() - Waiter::since();
  worker_.telemetry.wait.add(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(waited).count()));
  std::unique_ptr<Origin> origin(static_cast<Origin*>(connection.release()));
  if (phase_ == Phase::kGone) {
    worker_.pool().release(std::move(origin));
    return;
  }
  if (phase_ == Phase::kProfile) return arrived(std::move(origin));
  waited_ += waited;
  attach(std::move(origin));
  unblock(Block::kLease);
}

void Client::attach(std::unique_ptr<Origin> origin) {
  lease_ = std::move(origin);
  lease_->lease_to(*this);
  ends_ = parsed_ahead_ = false;
  reapplies(false);
  own_reading_ = 0;
  if (worker_.gate != nullptr) worker_.gate->leased(*lease_);
  const bool applying = lease_->apply(settings_);
  if (begun_) {
    send_begin();
  } else if (asks_sequences_) {
    forget_sequences();  // before it draws from any itself
  }
  if (applying) {
    // At login nothing waits yet, and learn_profile() waits for them anyway.
    if (phase_ != Phase::kProfile && must_be_confirmed(settings_)) block(Block::kSettings);
    return;
  }
  sync_reports();
}

void Client::settings_applied(bool ok, net::Bytes error_body) {
  if (ok) {
    if (phase_ == Phase::kProfile) {
      told_ = lease_->reports();
      return;
    }
    sync_reports();
    unblock(Block::kSettings);
    return;
  }
  // The settings were taken before, so something has changed at the origin (a role is gone).
  // Nothing may run under others.
  const auto fields = pg::parse_error_response(error_body);
  pg::ErrorFields told = fields.value_or(pg::ErrorFields{});
  told.severity = "FATAL";
  std::string message;
  pg::append_error_response(message, told);
  stream_->write(message);
  worker_.telemetry.add(Counter::kErrors);
  lease_->left.beyond_repair = true;
  leaving_ = true;
  worker_.defer_for(*this, [this] { close_politely(); });
}

/// What this client believes of reported settings becomes what holds on its connection.
void Client::sync_reports() {
  if (phase_ != Phase::kReady) return;
  std::string message;
  append_reports(message, lease_->reports());
  if (!message.empty()) stream_->write(message);
}

/// The ParameterStatus messages that bring the client to `now`.
void Client::append_reports(std::string& out, const SettingsRef& now) {
  if (told_ == now || !now) return;
  for (const auto& [name, value] : now->pairs()) {
    const std::string* known = told_ ? told_->find(name) : nullptr;
    if (known == nullptr || *known != value) pg::append_parameter_status(out, name, value);
  }
  told_ = now;
}

bool Client::is_reset(std::string_view setting) const {
  return reset_names_.empty() || std::ranges::find(reset_names_, setting) != reset_names_.end();
}

std::optional<std::string> Client::report(const SettingsRef& reports, std::string_view reported) {
  const bool undone = reapplied_ && (error_in_group_ || rolled_back_);
  if ((reapply_ || undone) && startup_ && told_at_login_) {
    // A RESET took the connection to its own defaults; this session's are on their way back. What
    // is undone with it has what it had before.
    const SettingsRef& held = undone && error_in_group_ ? snapshot_ : settings_;
    SettingsRef now = reports;
    for (const auto& [name, value] : told_at_login_->pairs()) {
      const std::string* initial = startup_->find(lower(name));
      if (initial == nullptr || !is_reset(lower(name))) continue;
      // Not what the session has set otherwise since, and keeps.
      const std::string* wanted = held ? held->find(lower(name)) : nullptr;
      const bool kept = wanted != nullptr && *wanted != *initial;
      if (kept && undone) continue;
      const std::string* before = told_ ? told_->find(name) : nullptr;
      now = with(now, name, kept && before != nullptr ? *before : value);
    }
    std::string instead;
    append_reports(instead, now);
    return instead;
  }
  const std::string* known = told_ ? told_->find(reported) : nullptr;
  const std::string* now = reports->find(reported);
  if (known != nullptr && now != nullptr && *known == *now) return std::string();
  if (now != nullptr) told_ = with(told_, reported, *now);
  return std::nullopt;
}

void Client::lease_over() { detach_origin(false); }

void Client::came_to_rest() {
  if (!leaving_ || phase_ != Phase::kReady) return;
  worker_.defer_for(*this, [this] { shut_down(); });
}

void Client::detach_origin(bool rest_missing) {
  goes_on_ = false;
  begins_ = false;
  redefining_ = 0;
  portal_ = {};
  if (session_) session_.reset();
  // The transaction of a RESET has not ended: what the connection will have is not what is
  // believed.
  lease_->left.hidden |= reset_ran_ || reapplied_;
  reset_ran_ = reapplied_ = false;
  Origin::send_home(std::move(lease_), rest_missing);
  unblock(Block::kPressure);  // whoever was to be written to is not ours any more
  if (leaving_ && phase_ == Phase::kReady) {
    worker_.defer_for(*this, [this] {
      if (phase_ == Phase::kReady && !lease_) shut_down();
    });
  }
}

void Client::origin_lost() {
  // The origin's own last words were passed on; or there is no place for ours.
  const bool told = lease_->fatal_seen() || lease_->mid_row();
  worker_.bury(std::move(lease_));
  worker_.pool().discard(nullptr);
  drop_tap();
  if (told) return close_politely();
  if (cancelled_) {
    send_error("FATAL", pg::sqlstate::kQueryCanceled, "canceling statement due to query timeout");
  } else if (!error_in_group_) {
    send_error("FATAL", pg::sqlstate::kConnectionFailure,
               "The connection to the origin database was lost.",
               "The statement may or may not have been executed. Connect again.");
  }
  close_politely();
}

/// The answer that was to be captured will not come.
void Client::drop_tap() {
  if (auto tap = std::exchange(tap_, nullptr)) tap->on_cut();
}

void Client::replies_drained() {
  if (phase_ == Phase::kProfile) return learn_profile();
  if (ending_tap_) {
    ending_tap_ = false;
    if (auto tap = std::exchange(tap_, nullptr)) tap->on_end(clean_);
  }
  if (ended_) return close_politely();
  unblock(Block::kReplies);
}

void Client::replies_came() {
  if (ended_ && !answers_are_coming()) close_politely();
}

void Client::copy_begun() { unblock(Block::kReplies); }

void Client::origin_writable() { unblock(Block::kPressure); }

void Client::block(Block reason) {
  block_ = reason;
  stream_->pause_reading();
}

void Client::unblock(Block reason) {
  if (block_ != reason) return;
  block_ = Block::kNone;
  goes_on_ = reason == Block::kSettings && lease_;
  if (stream_) stream_->resume_reading();  // else it is being closed, by what ends the lease, too
}

void Client::retry_group() { unblock(Block::kGate); }

// --- errors -------------------------------------------------------------------------------------

void Client::to_client(net::Bytes bytes) {
  if (tap_) tap_->on_bytes(bytes);
  worker_.telemetry.add(Counter::kBytesToClients, bytes.size());
  stream_->write(bytes);
  // A write that leaves nothing to be sent was dropped: the client does not read either.
  deaf_ |= ended_ && !bytes.empty() && stream_->unsent() == 0;
}

void Client::send_error(std::string_view severity, std::string_view sqlstate,
                        std::string_view message, std::string_view hint) {
  if (lease_ && lease_->mid_row()) return;  // it would be read as a part of the row
  std::string out;
  pg::append_error_response(out, {severity, sqlstate, message, {}, hint});
  stream_->write(out);
  worker_.telemetry.add(Counter::kErrors);
}

void Client::send_ready() {
  std::string out;
  pg::append_ready_for_query(out, status());
  stream_->write(out);
}

void Client::refused(const pool::Refusal& refusal) {
  if (phase_ == Phase::kProfile && login_->seeking_home &&
      refusal.why != pool::Refusal::Why::kClosing) {
    return seek_profile();  // without a connection of its own
  }
  if (refusal.why == pool::Refusal::Why::kWaitTimeout) {
    worker_.telemetry.add(Counter::kWaitTimeouts);
  }
  fail_group(refusal);
}

void Client::stayed_away() {
  stayed_away_ = true;
  unblock(Block::kLease);
}

/// Which statement it is shows when it is skipped.
void Client::note_untold(std::string_view sqlstate, std::string_view message) {
  if (phase_ != Phase::kReady || !told_of()) return;
  untold_ = std::make_unique<UntoldError>(UntoldError{std::string(sqlstate), std::string(message)});
}

/// No connection came: the group that wanted one fails, the session lives on.
void Client::fail_group(const pool::Refusal& refusal) {
  const bool login = phase_ == Phase::kProfile;
  if (login && login_->profile_known && refusal.why != pool::Refusal::Why::kClosing) {
    return welcome();  // without a connection of its own
  }
  const std::string_view severity = login ? "FATAL" : "ERROR";
  const auto fields = pg::parse_error_response(refusal.origin_error);
  if (fields) {
    pg::ErrorFields told = *fields;
    told.severity = severity;
    std::string out;
    pg::append_error_response(out, told);
    stream_->write(out);
    worker_.telemetry.add(Counter::kErrors);
    note_untold(told.sqlstate, told.message);
  } else if (refusal.why == pool::Refusal::Why::kWaitTimeout) {
    constexpr std::string_view kTimedOut = "Timed out while waiting for an open slot in the pool.";
    send_error(severity, pg::sqlstate::kTooManyConnections, kTimedOut,
               pool_full_hint(worker_.options->config.local.session_features));
    note_untold(pg::sqlstate::kTooManyConnections, kTimedOut);
  } else if (refusal.why == pool::Refusal::Why::kClosing) {
    send_error("FATAL", pg::sqlstate::kAdminShutdown,
               "terminating connection due to administrator command");
    return close_politely();
  } else {
    send_error(severity, pg::sqlstate::kConnectionFailure, refusal.error.message,
               refusal.error.hint);
    note_untold(pg::sqlstate::kConnectionFailure, refusal.error.message);
  }
  if (login) return close_politely();
  waited_ = {};
  lose_begin();
  drop_tap();
  skip_to_sync_ = true;
  unblock(Block::kLease);
}

void Client::protocol_violation(std::string_view what) {
  send_error("FATAL", pg::sqlstate::kProtocolViolation, what);
  close_politely();
}

// --- leaving ------------------------------------------------------------------------------------

/// Sends what is unsent, then closes.
void Client::close_politely() {
  if (phase_ == Phase::kGone) return;
  if (own_) return leave();
  stream_->set_handler(nullptr);
  stream_->finish();
  worker_.loop.close_later(std::move(stream_), std::chrono::seconds(5));
  leave();
}

void Client::leave() {
  if (phase_ == Phase::kGone) return;
  const bool rest_missing = mid_message();
  const bool was_ready = phase_ == Phase::kReady;
  phase_ = Phase::kGone;
  if (was_ready && told_of()) {
    SessionEvent event;
    event.at = std::chrono::system_clock::now();
    event.connected = false;
    event.client = process_id_;
    event.clients = worker_.service.telemetry.clients.load(std::memory_order_relaxed) - 1;
    worker_.service.telemetry.sink()->publish(std::move(event));
  }
  if (waiting()) worker_.pool().forget(*this);
  if (worker_.gate != nullptr) worker_.gate->gone(*this);
  drop_tap();
  if (lease_) detach_origin(rest_missing);
  worker_.bury(*this);
}

void Client::shut_down() {
  if (phase_ == Phase::kGone) return;
  if (phase_ == Phase::kProfile) {
    send_error("FATAL", pg::sqlstate::kCannotConnectNow, "the database system is shutting down");
    return close_politely();
  }
  // A pinned session that rests has a connection, and nothing to finish on it.
  const bool rests = lease_ && pinned() && lease_->at_rest() && block_ == Block::kNone;
  if ((lease_ && !rests) || begun_ || waiting() || block_ == Block::kGate) {
    leaving_ = true;
    return;
  }
  send_error("FATAL", pg::sqlstate::kAdminShutdown,
             "terminating connection due to administrator command");
  close_politely();
}

}  // namespace hyperdrive::proxy::session::postgres
