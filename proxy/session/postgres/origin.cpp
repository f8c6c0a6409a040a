#include "proxy/session/postgres/origin.hpp"

#include <algorithm>
#include <random>

#include "proxy/net/read_first.hpp"
#include "proxy/session/postgres/client.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
using pg::Backend;
using pg::Frontend;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

/// Of sequences_of: no client's serial.
constexpr std::uint64_t kSeveral = ~std::uint64_t{0};

/// Code that is hidden may have run PREPARE. Dropping every statement each time would cost those of
/// the proxy, too; so this fails, by a division, if there is one that SQL has made.
constexpr std::string_view kFindPrepared =
    "SELECT 1 OPERATOR(pg_catalog./) (pg_catalog.count(*) OPERATOR(pg_catalog.=) 0)"
    "::pg_catalog.int4 FROM pg_catalog.pg_prepared_statements WHERE from_sql";

}  // namespace

Origin::Origin(Worker& worker, std::unique_ptr<net::Stream> stream, Identity identity)
    : worker_(&worker),
      stream_(std::move(stream)),
      prepared_(static_cast<std::size_t>(worker.options->config.local.prepared_statements)),
      identity_(std::move(identity)) {
  stream_->set_handler(this);
  net::read_first(*stream_);
}

Origin::~Origin() {
  if (cancels_running > 0) worker_->forget_cancels(*this);
  if (writes.intent.pending() && worker_->gate != nullptr) worker_->gate->orphaned(*this);
}

void Origin::cancel_ended() {
  --cancels_running;
  if (!in_on_data_) settle();
}

// --- in the pool --------------------------------------------------------------------------------

bool Origin::at_rest() const {
  return in_flight_.empty() && status_ == pg::TransactionStatus::kIdle && !open_ && !ignoring_ &&
         !copying_in_ && rest_ == 0 && cancels_running == 0;
}

bool Origin::is_reusable() const {
  return !broken_ && !fatal_seen_ && !left.any() && !left.beyond_repair && at_rest();
}

void Origin::park() {
  parked_ = true;
  owner_ = nullptr;
  finishing_ = false;
}

void Origin::unpark() { parked_ = false; }

/// Only what a server may say at any time is heard; whoever else speaks to an idle connection has
/// LISTENed on it, or is being terminated: it dies silently.
std::size_t Origin::on_parked_data(net::Bytes data) {
  std::size_t at = 0;
  while (at < data.size()) {
    const auto [status, header, body] = pg::read_message(data.substr(at));
    if (status == pg::ReadStatus::kNeedMore) return at;
    if (status == pg::ReadStatus::kOk && header.is(Backend::kParameterStatus)) {
      const auto told = pg::parse_parameter_status(body);
      if (told) identity_.reports = with(identity_.reports, told->name, told->value);
    } else if (status != pg::ReadStatus::kOk || !header.is(Backend::kNoticeResponse)) {
      if (status == pg::ReadStatus::kOk && header.is(Backend::kErrorResponse)) {
        tell_home_owner(data.substr(at, header.size()));
      }
      broken_ = true;
      worker_->bury(worker_->pool().lost(*this));
      return data.size();
    }
    at += header.size();
  }
  return at;
}

/// A session whose own connection this is goes down with it, if a client of the proxy has just told
/// the origin to terminate one; a restart of the origin must not be noticed by idle sessions.
void Origin::tell_home_owner(net::Bytes error) {
  const auto fields = pg::parse_error_response(error.substr(pg::kHeaderSize));
  if (!fields || fields->sqlstate != pg::sqlstate::kAdminShutdown) return;
  Service& service = worker_->service;
  if (!pool::Pool::is_claimed(*this) || !service.terminated_lately(worker_->loop.now())) return;
  const auto owner = service.cancel_keys.worker_of(identity_.process_id);
  if (!owner) return;
  Worker& target = *service.workers[*owner];
  if (&target == worker_) {
    // At once: its next statement may be in the same turn.
    if (Client* client = target.find(identity_.process_id)) {
      client->home_terminated(std::string(error));
    }
    return;
  }
  target.loop.post([&target, id = identity_.process_id, message = std::string(error)] {
    if (Client* client = target.find(id)) client->home_terminated(message);
  });
}

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
  constexpr std::chrono::seconds kPatience{2};
  std::string goodbye;
  pg::append_empty(goodbye, Frontend::kTerminate);
  stream_->set_handler(nullptr);
  stream_->write(goodbye);
  stream_->finish();
  worker_->loop.close_later(std::move(stream_), kPatience, std::move(closed));
  worker_->bury(std::move(self));
}

// --- lease --------------------------------------------------------------------------------------

void Origin::lease_to(Client& client) {
  owner_ = &client;
  parked_ = finishing_ = false;
  waited_ = client.take_wait();
}

void Origin::write(net::Bytes bytes) {
  stream_->write(bytes);
  last_write_ = worker_->loop.now();
  worker_->telemetry.add(Counter::kBytesToOrigin, bytes.size());
}

Expected& Origin::expect(ReplyKind kind, ReplyAction action) {
  Expected& entry = in_flight_.push(kind, action);
  entry.start = worker_->loop.now();
  // Both end the transaction that a pipeline without a Sync has open.
  if (kind == ReplyKind::kQuery || kind == ReplyKind::kFunctionCall) open_ = false;
  const bool runs =
      kind == ReplyKind::kQuery || kind == ReplyKind::kExecute || kind == ReplyKind::kFunctionCall;
  if (runs && action == ReplyAction::kForward) entry.conduct = std::exchange(writes.coming, {});
  return entry;
}

/// What the client has sent is whole: only now can the origin be late with its answer.
void Origin::copy_ended() {
  copying_in_ = false;
  last_ready_ = worker_->loop.now();
}

void Origin::on_drained() {
  if (owner_ != nullptr) owner_->origin_writable();
}

void Origin::mark_dirty(std::string_view setting) {
  std::string name = lower(setting);
  if (name == "seed") {
    left.seed = true;  // RESET does not bring it back
    return;
  }
  if (!may_be_reset_by_name(name)) {
    // There may be no such setting, or not for us: RESET of its name would fail, RESET ALL does
    // not.
    static constexpr std::string_view kNeverSet[] = {
        "in_hot_standby", "integer_datetimes", "is_superuser", "server_encoding", "server_version"};
    left.hidden |=
        std::find(std::begin(kNeverSet), std::end(kNeverSet), name) == std::end(kNeverSet);
    return;
  }
  if (std::find(dirty_.begin(), dirty_.end(), name) == dirty_.end()) {
    dirty_.push_back(std::move(name));
  }
}

std::vector<std::string> Origin::set_dirty_aside(const std::vector<std::string>& names) {
  std::vector<std::string> aside;
  if (names.empty()) return aside;
  const auto is_named = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::ranges::remove_copy_if(dirty_, std::back_inserter(aside), is_named);
  std::erase_if(dirty_, [&](const std::string& name) { return !is_named(name); });
  for (const std::string& name : names) applied_ = without(applied_, name);
  return aside;
}

std::vector<std::string> Origin::set_identity_aside() {
  std::vector<std::string> aside;
  std::ranges::copy_if(dirty_, std::back_inserter(aside), is_identity);
  std::erase_if(dirty_, is_identity);
  return aside;
}

bool Origin::apply(const SettingsRef& wants) {
  if (applied_ == wants && dirty_.empty()) return false;
  std::string sql;
  const bool in_transaction = status_ != pg::TransactionStatus::kIdle;
  // A snapshot there would be one too early: SET TRANSACTION may still come.
  const auto gentle = in_transaction ? settings_statements(applied_, wants, dirty_) : std::nullopt;
  if (gentle) {
    for (const std::string& one : *gentle) sql += one + ';';
  } else {
    sql = settings_diff(applied_, wants, dirty_);
  }
  applied_ = wants;
  dirty_.clear();
  if (sql.empty()) return false;
  // A ROLLBACK would bring back what was before.
  left.hidden |= in_transaction;
  std::string message;
  pg::append_query(message, sql);
  write(message);
  expect(ReplyKind::kQuery, ReplyAction::kSwallow).settings = true;
  unnamed_serial = kNone;
  worker_->telemetry.add(Counter::kSettingsApplied);
  return true;
}

bool Origin::apply_in_pipeline(const SettingsRef& wants) {
  const auto statements = settings_statements(applied_, wants, dirty_);
  if (!statements) return false;
  applied_ = wants;
  dirty_.clear();
  const std::size_t first = in_flight_.size();
  for (const std::string& sql : *statements) run_in_pipeline(sql);
  const bool may_fail = must_be_confirmed(wants);
  for (std::size_t i = first; i < in_flight_.size(); ++i) in_flight_[i].settings = may_fail;
  if (!statements->empty()) worker_->telemetry.add(Counter::kSettingsApplied);
  return true;
}

void Origin::run_in_pipeline(std::string_view sql) {
  constexpr std::string_view kName = "hyperdrive_settings";
  std::string message;
  pg::append_parse(message, kName, sql, std::span<const std::uint32_t>());
  pg::append_bind(message, {kName, kName, {}, {}, {}});
  pg::append_execute(message, kName, 0);
  pg::append_close(message, pg::Target::kPortal, kName);
  pg::append_close(message, pg::Target::kStatement, kName);
  for (const ReplyKind kind : {ReplyKind::kParse, ReplyKind::kBind, ReplyKind::kExecute,
                               ReplyKind::kClose, ReplyKind::kClose}) {
    expect(kind, ReplyAction::kSwallow);
  }
  write(message);
  open_ = true;
}

void Origin::end_own_pipeline() {
  if (!open_) return;
  std::string message;
  pg::append_empty(message, pg::Frontend::kSync);
  write(message);
  expect(ReplyKind::kSync, ReplyAction::kSwallow);
  open_ = false;
}

void Origin::forget_statements() {
  if (prepared_.size() == 0 && unnamed_serial == kNone) return;
  std::string message;
  pg::append_query(message, "DEALLOCATE ALL");
  write(message);
  expect(ReplyKind::kQuery, ReplyAction::kSwallow);
  prepared_.clear();
  unnamed_serial = kNone;
}

void Origin::expect_settings_reset() {
  applied_ = nullptr;
  dirty_.clear();
}

void Origin::expect_reset_all() {
  applied_ = identity_of(applied_);
  std::erase_if(dirty_, [](const std::string& name) { return !is_identity(name); });
}

void Origin::expect_discard_all() {
  expect_settings_reset();
  prepared_.clear();
  // The state of random() stays, and so does a loaded library.
  Leftovers stay;
  stay.seed = left.seed || left.hidden || left.anything;
  stay.beyond_repair = left.beyond_repair;
  left = stay;
}

/// At the end of what has arrived: who waits for what?
void Origin::settle() {
  const bool copy_began = std::exchange(copy_began_, false);
  if (owner_ == nullptr) {
    if (finishing_) finish_step();
    return;
  }
  // Both calls may pass the connection on, so that it belongs to another client afterwards.
  Client* owner = owner_;
  if (in_flight_.empty()) {
    owner->replies_drained();
  } else {
    owner->replies_came();
  }
  if (owner_ == owner && copy_began) owner->copy_begun();
  if (owner_ != owner || !at_rest() || owner->mid_message() || owner->goes_on()) return;
  if (owner->pinned()) return owner->came_to_rest();
  owner->lease_over();
}

// --- going home ---------------------------------------------------------------------------------

void Origin::send_home(std::unique_ptr<Origin> self, bool rest_missing) {
  Origin& origin = *self;
  Worker& worker = *origin.worker_;
  // What ran unseen may have moved sequences, where another may have moved some before.
  if (origin.left.hidden && origin.owner_ != nullptr) {
    const std::uint64_t owner = origin.owner_->serial();
    const bool others = origin.sequences_of != 0 && origin.sequences_of != owner;
    if (others) {
      origin.sequences_of = kSeveral;
    } else {
      origin.owner_->moved_sequences_on(origin);
    }
  }
  origin.owner_ = nullptr;
  origin.stream_->resume_reading();
  // Nobody knows how many ReadyForQuery are still to come.
  if (origin.copy_syncs_ > 0) origin.left.beyond_repair = true;
  if (origin.hurries()) origin.left.hurry = true;
  if (rest_missing || origin.broken_ || origin.fatal_seen_ || origin.left.beyond_repair) {
    worker.pool().retire(std::move(self));
    return;
  }
  if (origin.is_reusable()) {
    worker.pool().release(std::move(self));
    return;
  }
  origin.finishing_ = true;
  origin.cleaning_ = false;
  origin.cancelled_late = false;
  origin.finishing_since = worker.loop.now();
  worker.finish(std::move(self));
  origin.finish_step();
}

/// A statement_timeout so short, or of unknown length, that settings sent to the next client's
/// order could fail by it.
bool Origin::hurries() const {
  constexpr std::string_view kName = "statement_timeout";
  if (std::find(dirty_.begin(), dirty_.end(), kName) != dirty_.end()) return true;
  const std::string* value = applied_ ? applied_->find(kName) : nullptr;
  return value != nullptr && is_short_timeout(*value);
}

/// One step of bringing the connection back to what a fresh one is.
void Origin::finish_step() {
  // A cancel on its way could hit this instead of what it was meant for.
  if (cancels_running > 0) return;
  std::string message;
  if (copying_in_) {
    pg::append_copy_fail(message, "the client has left");
    copying_in_ = false;
  }
  if (open_ && !ignoring_) {
    // A Sync alone would commit what the client has not: something fails before it.
    pg::append_describe(message, pg::Target::kStatement, "hyperdrive_missing");
    expect(ReplyKind::kDescribeStatement, ReplyAction::kSwallow);
  }
  if (open_ || ignoring_) {
    pg::append_empty(message, Frontend::kSync);
    open_ = ignoring_ = false;
    expect(ReplyKind::kSync, ReplyAction::kSwallow);
  }
  if (message.empty() && in_flight_.empty()) {
    if (status_ != pg::TransactionStatus::kIdle) {
      pg::append_query(message, "ROLLBACK");
      expect(ReplyKind::kQuery, ReplyAction::kSwallow);
      unnamed_serial = kNone;
    } else if (left.any() && !left.beyond_repair) {
      pg::append_query(message, cleaning());
      cleaning_ = true;
      expect(ReplyKind::kQuery, ReplyAction::kSwallow);
      unnamed_serial = kNone;
      if (left.anything || left.prepared) prepared_.clear();
      if (left.anything || left.hidden) expect_settings_reset();
      if (left.hurry) {
        applied_ = without(applied_, "statement_timeout");
        std::erase(dirty_, "statement_timeout");
      }
      if (left.hidden && !left.anything && !left.prepared) {
        // A message of its own: its failure must not take the cleaning back.
        pg::append_query(message, kFindPrepared);
        expect(ReplyKind::kQuery, ReplyAction::kSwallow).finds_prepared = true;
      }
      left = {};
    }
  }
  if (!message.empty()) {
    write(message);
    return;
  }
  if (!at_rest()) return;
  auto self = worker_->take_finishing(*this);
  if (!self) return;
  if (left.beyond_repair || fatal_seen_) {
    worker_->pool().retire(std::move(self));
    return;
  }
  worker_->pool().release(std::move(self));
}

std::string Origin::cleaning() const {
  // What DISCARD ALL does, but only what is needed; it may run in one implicit transaction.
  const bool unknown = left.anything || left.hidden;
  std::string sql;
  if (unknown) sql += "RESET SESSION AUTHORIZATION;RESET ROLE;RESET ALL;";
  if (left.anything) sql += "DISCARD SEQUENCES;";
  if (!unknown && left.hurry) sql += "RESET statement_timeout;";
  if (unknown || left.locks) sql += "SELECT pg_catalog.pg_advisory_unlock_all();";
  if (unknown || left.cursors) sql += "CLOSE ALL;";
  if (unknown || left.listens) sql += "UNLISTEN *;";
  if (left.anything || left.prepared) sql += "DEALLOCATE ALL;";
  if (unknown || left.temporary_objects) sql += "DISCARD TEMP;";
  if (unknown || left.seed) {
    // Nothing restores the state of random(): one that nobody knows takes its place.
    const double share = std::random_device{}() / (std::random_device::max() + 1.0);
    sql += "SELECT pg_catalog.setseed(" + std::to_string(share) + ");";
  }
  return sql;
}

}  // namespace hyperdrive::proxy::session::postgres
