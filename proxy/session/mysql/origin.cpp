#include "proxy/session/mysql/origin.hpp"

#include <utility>

#include "proxy/session/mysql/client.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace my = wire::mysql;
using my::Command;

Origin::Origin(Worker& worker, OriginSession session)
    : worker_(&worker),
      prepared_(static_cast<std::size_t>(worker.options->config.local.prepared_statements)) {
  take_session(std::move(session), worker.options->target->database);
}

Origin::~Origin() {
  if (cancels_running > 0) worker_->forget_cancels(*this);
  if (gate_slot && worker_->gate != nullptr) worker_->gate->orphaned(*this);
}

void Origin::take_session(OriginSession session, std::string entered) {
  identity_ = {session.connection_id, session.capabilities, session.is_mariadb(),
               (session.status & my::status::kAutocommit) != 0, session.version_number()};
  // The login's OK reports a change of state (its schema): that is no flag of later packets.
  status_ = static_cast<std::uint16_t>(session.status & ~wire::mysql::status::kSessionStateChanged);
  stream_ = std::move(session.stream);
  database = std::move(entered);
  databases_seen = worker_->service.databases_altered.load(std::memory_order_relaxed);
  applied = nullptr;
  multi_statements = origin_has(my::capability::kMultiStatements);
  dirty = beyond_repair = error_may_hide_state = ended_in_error_ = false;
  virgin = true;
  last_client = last_drawer = diagnostics_of = counted_by = 0;
  several_drew = false;
  last_statement = 0;
  insert_id = 0;
  prepared_.clear();
  queue_.clear();
  phase_ = Phase::kFirst;
  begun_ = continued_ = eof_owed_ = false;
  rest_ = 0;
  was_paused_ = false;
  stream_->set_handler(this);
  stream_->resume_reading();
}

void Origin::go_on_reading() {
  if (std::exchange(was_paused_, false)) stream_->resume_reading();
}

void Origin::close_stream(std::function<void()> closed) {
  constexpr std::chrono::seconds kPatience{2};
  scratch_.clear();
  my::append_packet(scratch_, 0, std::string(1, static_cast<char>(Command::kQuit)));
  stream_->set_handler(nullptr);
  stream_->write(scratch_);
  stream_->finish();
  was_paused_ = false;
  worker_->loop.close_later(std::move(stream_), kPatience, std::move(closed));
}

void Origin::cancel_ended() {
  --cancels_running;
  // It may have come too late for its statement: then it must not hit the next one.
  if (queue_.empty()) dirty = true;
  if (!in_on_data_) settle();
}

// --- in the pool --------------------------------------------------------------------------------

bool Origin::at_rest() const {
  return queue_.empty() && !in_transaction() && rest_ == 0 && cancels_running == 0;
}

bool Origin::is_reusable() const {
  return !broken_ && !dirty && !unfinished && !beyond_repair && at_rest();
}

void Origin::park() {
  parked_ = true;
  owner_ = nullptr;
  finishing_ = false;
}

void Origin::unpark() { parked_ = false; }

void Origin::on_closed(net::CloseReason) {
  broken_ = true;
  worker_->telemetry.add(Counter::kOriginDisconnects);
  if (parked_) {
    worker_->bury(worker_->pool().lost(*this));
    return;
  }
  lost();
}

void Origin::lost() {
  stream_->set_handler(nullptr);  // more may come while it waits for its burial
  if (owner_ != nullptr) {
    owner_->origin_lost();
  } else if (auto self = worker_->take_finishing(*this)) {
    worker_->bury(std::move(self));
    worker_->pool().discard(nullptr);
  }
}

void Origin::detach(std::function<void(bool)> done) {
  worker_->loop.detach(std::move(stream_),
                       [this, done = std::move(done)](std::unique_ptr<net::Stream> stream) {
                         stream_ = std::move(stream);
                         done(stream_ != nullptr);
                       });
}

void Origin::attach(std::size_t worker) {
  worker_ = worker_->service.workers[worker].get();
  worker_->loop.attach(*stream_);
  stream_->set_handler(this);
}

void Origin::retire(std::unique_ptr<OriginConnection> self, std::function<void()> closed) {
  if (stream_) {
    close_stream(std::move(closed));
  } else {
    closed();
  }
  worker_->bury(std::move(self));
}

// --- lease --------------------------------------------------------------------------------------

void Origin::lease_to(Client& client) {
  owner_ = &client;
  parked_ = false;
}

void Origin::write(net::Bytes bytes) {
  stream_->write(bytes);
  worker_->telemetry.add(Counter::kBytesToOrigin, bytes.size());
}

void Origin::send(Command command, net::Bytes argument, Expected expected) {
  scratch_.clear();
  my::PayloadWriter out(scratch_);
  if (argument.size() + 1 < my::kMaxPayload) {
    out.fixed(argument.size() + 1, 3).u8(0).u8(static_cast<std::uint8_t>(command)).bytes(argument);
  } else {
    std::string payload(1, static_cast<char>(command));
    payload += argument;
    my::append_packet(scratch_, 0, payload);
  }
  write(scratch_);
  last_statement = 0;
  if (expected.reply == Reply::kQuery) counted_by = 0;
  expect(std::move(expected));
}

void Origin::expect(Expected expected) {
  if (queue_.empty()) sent_at_ = worker_->loop.now();
  queue_.push_back(std::move(expected));
}

void Origin::close_statement(std::uint32_t origin_id) {
  scratch_.clear();
  my::PayloadWriter(scratch_)
      .fixed(5, 3)
      .u8(0)
      .u8(static_cast<std::uint8_t>(Command::kStmtClose))
      .u32(origin_id);
  write(scratch_);
}

bool Origin::drop_prepared() {
  const std::vector<std::uint32_t> ids = prepared_.take_all();
  for (const std::uint32_t id : ids) close_statement(id);
  worker_->telemetry.add(Counter::kStatementsEvicted, ids.size());
  return !ids.empty();
}

void Origin::reset() {
  send(Command::kResetConnection, {}, {Reply::kOk, Purpose::kPrelude, 1, false, nullptr});
  prepared_.clear();
  applied = nullptr;
  database.reset();  // the reset took its collation from the session
  dirty = unfinished = false;
  virgin = true;
  last_client = last_drawer = diagnostics_of = counted_by = 0;
  several_drew = false;
  insert_id = 0;
}

/// The command came with MySQL 5.7.3 and MariaDB 10.2.4, and does not run init_connect again.
bool Origin::can_be_reset() const {
  const unsigned since = identity_.is_mariadb ? 100204 : 50703;
  return identity_.version >= since &&
         !worker_->service.runs_init_connect.load(std::memory_order_relaxed);
}

bool Origin::is_of_the_past() const {
  return origin_number != worker_->service.origin_number.load(std::memory_order_acquire);
}

bool Origin::reads_as(const sql::MysqlLexing& lexing) const {
  const bool plain_backslashes = (status_ & my::status::kNoBackslashEscapes) != 0;
  if (plain_backslashes != lexing.no_backslash_escapes) return false;
  // MySQL does not tell.
  return !identity_.is_mariadb || ((status_ & my::status::kAnsiQuotes) != 0) == lexing.ansi_quotes;
}

Baseline Origin::baseline() const {
  Baseline baseline;
  baseline.has_tx_isolation = identity_.is_mariadb || identity_.version < 50720;
  // MariaDB maps the default collation by a setting, at login and at SET NAMES alike.
  if (!identity_.is_mariadb) baseline.names = "utf8mb4 COLLATE utf8mb4_general_ci";
  baseline.ignore_space = origin_has(my::capability::kIgnoreSpace);
  baseline.tracks_state = origin_has(my::capability::kSessionTrack);
  return baseline;
}

void Origin::on_drained() {
  if (owner_ != nullptr) owner_->origin_writable();
}

/// At the end of what has arrived: who waits for what?
void Origin::settle() {
  if (owner_ == nullptr) {
    if (finishing_) finish_step();
    return;
  }
  if (queue_.empty()) owner_->replies_drained();
}

// --- going home ---------------------------------------------------------------------------------

void Origin::send_home(std::unique_ptr<Origin> self, bool rest_missing) {
  Origin& origin = *self;
  Worker& worker = *origin.worker_;
  origin.owner_ = nullptr;
  if (origin.dirty && !origin.can_be_reset()) origin.beyond_repair = true;
  if (rest_missing || origin.broken_ || origin.beyond_repair || origin.wants_infile()) {
    worker.pool().retire(std::move(self));
    return;
  }
  origin.go_on_reading();
  if (origin.is_reusable()) {
    worker.pool().release(std::move(self));
    return;
  }
  origin.finishing_ = true;
  origin.cancelled_late = false;
  origin.finishing_since = worker.loop.now();
  worker.finish(std::move(self));
  if (!origin.in_on_data_) origin.finish_step();
}

/// One step of bringing the connection back to what a fresh one is.
void Origin::finish_step() {
  if (queue_.empty() && rest_ == 0) {
    const Expected cleaning{Reply::kOk, Purpose::kCleaning, 1, false, nullptr};
    if (dirty) {
      reset();
      queue_.back().purpose = Purpose::kCleaning;
      return;
    }
    if (in_transaction() || std::exchange(unfinished, false))
      return send(Command::kQuery, "ROLLBACK", cleaning);
  }
  if (broken_ || !at_rest()) return;
  auto self = worker_->take_finishing(*this);
  if (!self) return;
  finishing_ = false;
  if (beyond_repair) {
    worker_->pool().retire(std::move(self));
    return;
  }
  worker_->pool().release(std::move(self));
}

}  // namespace hyperdrive::proxy::session::mysql
