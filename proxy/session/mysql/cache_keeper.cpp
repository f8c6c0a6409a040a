#include "proxy/session/mysql/cache_keeper.hpp"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <iterator>
#include <utility>

#include "proxy/session/mysql/dialogue.hpp"
#include "proxy/session/mysql/question.hpp"

namespace hyperdrive::proxy::session::mysql {

namespace {

constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5'000};
constexpr std::chrono::milliseconds kPollPause{200};
constexpr std::chrono::milliseconds kLookAgain{60'000};
/// A definition that the log tells of may not be in information_schema at that very moment.
constexpr std::chrono::milliseconds kLookSoon{1'000};
constexpr std::chrono::seconds kErrandTime{30};
/// Definitions often come in numbers; without a cache nobody waits for the schema.
constexpr std::chrono::milliseconds kCalm{100};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  return out;
}

}  // namespace

CacheKeeper::CacheKeeper(cache::Cache& cache, std::shared_ptr<const OriginTarget> target,
                         std::shared_ptr<BorrowedSlot> slot)
    : cache_(cache), target_(std::move(target)), slot_(std::move(slot)) {}

CacheKeeper::~CacheKeeper() { stop(); }

void CacheKeeper::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

core::Result<void> CacheKeeper::start(std::function<void(core::Result<void>)> log_told) {
  auto made = std::make_shared<std::promise<core::Result<void>>>();
  log_told_ = std::move(log_told);
  // A loop belongs to the thread that made it.
  thread_ = std::thread([this, made] {
    auto loop = net::Loop::create();
    if (!loop) return made->set_value(tl::unexpected(std::move(loop.error())));
    loop_ = std::move(*loop);
    timer_ = loop_->timer([this] { next(); });
    running_.store(true, std::memory_order_release);
    if (replication_) follow_log();
    made->set_value({});
    begin();
    loop_->run();
    {
      const std::lock_guard lock(mutex_);
      follower_.reset();
    }
    job_.reset();
    login_.reset();
    timer_.reset();
  });
  auto result = made->get_future().get();
  if (!result) thread_.join();
  return result;
}

/// Before start() there is nothing to do.
void CacheKeeper::post(std::function<void()> task) {
  if (running()) loop_->post(std::move(task));
}

// --- errands
// ----------------------------------------------------------------------------------------

void CacheKeeper::again_within(std::chrono::milliseconds time) {
  const auto at = loop_->now() + time;
  if (timer_->armed() && next_at_ <= at) return;
  next_at_ = at;
  timer_->arm(time);
}

void CacheKeeper::next() {
  if (busy_) return;
  if (loop_->now() >= look_at_) {
    const bool rests = !has_own_place_ && generation() != 0 && !slot_->was_used();
    if (rests) look_at_ = loop_->now() + kLookAgain;
    wants_catalog_ = wants_catalog_ || !rests;
  }
  if (wants_catalog_ || !unsettled_.empty()) return begin();
  again_within(std::chrono::duration_cast<std::chrono::milliseconds>(look_at_ - loop_->now()) +
               std::chrono::milliseconds(1));
}

void CacheKeeper::begin() {
  busy_ = true;
  if (has_own_place_ || has_slot_) return ask_origin();
  if (std::exchange(awaits_slot_, true)) return;
  slot_->take([this](bool taken) { post([this, taken] { place_taken(taken); }); });
}

void CacheKeeper::place_taken(bool taken) {
  awaits_slot_ = false;
  has_slot_ = taken;
  if (taken) return ask_origin();
  busy_ = false;
  tell_tried();  // nobody shall wait for what may take long
  again_within(kCalm);
}

void CacheKeeper::give_place_back() {
  if (std::exchange(has_slot_, false)) slot_->leave()();
}

void CacheKeeper::ask_origin() {
  const std::uint64_t number = ++number_;
  errand_ = {};
  errand_.wants_catalog = std::exchange(wants_catalog_, false);
  errand_.settles = unsettled_.size();
  if (errand_.wants_catalog) {
    std::move(awaiting_next_.begin(), awaiting_next_.end(), std::back_inserter(awaiting_reload_));
    awaiting_next_.clear();
  }
  LoginWishes wishes;
  wishes.capabilities &= ~wire::mysql::capability::kMultiStatements;
  login_ = log_in(*loop_, target_, wishes, [this, number](LoginResult result) {
    // Not from within the login's own call.
    auto shared = std::make_shared<LoginResult>(std::move(result));
    loop_->post([this, number, shared] {
      if (number == number_) logged_in(std::move(*shared));
    });
  });
}

void CacheKeeper::logged_in(LoginResult result) {
  login_.reset();
  if (!result) {
    errand_.error = result.error().error.message;
    return ended(std::move(errand_));
  }
  job_ = std::make_unique<net::Job<Errand>>(
      run(std::move(*result), std::move(errand_)), [this, number = number_](Errand errand) {
        auto shared = std::make_shared<Errand>(std::move(errand));
        loop_->post([this, number, shared] {
          if (number != number_) return;
          job_.reset();
          ended(std::move(*shared));
        });
      });
  job_->start();
}

net::Task<std::string> CacheKeeper::read_catalog(Dialogue& dialogue, std::uint64_t capabilities,
                                                 Errand& errand) {
  core::Result<std::vector<TextRow>> session = std::vector<TextRow>{};
  for (const std::string_view query : sql::mysql_session_queries()) {
    session = co_await ask(dialogue, query, capabilities);
    if (session && !session->empty()) break;
  }
  if (!session || session->empty() || session->front().size() != 5) {
    co_return session ? "its variables cannot be read" : session.error().message;
  }
  const TextRow& row = session->front();
  errand.defaults.lower_case_names = row[0].value_or("0") != "0";
  errand.defaults.sql_mode = row[1].value_or("");
  errand.defaults.reads_uncommitted =
      lower(row[3].value_or("")).find("uncommitted") != std::string::npos;
  errand.defaults.auto_is_null = row[4].value_or("0") != "0";
  const auto plain = co_await ask(dialogue, "SET SESSION sql_mode = ''", capabilities);
  if (!plain) co_return plain.error().message;
  sql::MysqlCatalogBuilder builder(errand.defaults.lower_case_names);
  const auto queries = sql::mysql_catalog_queries(errand.server);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto rows = co_await ask(dialogue, queries[i], capabilities);
    if (!rows) co_return rows.error().message;
    for (const TextRow& values : *rows) {
      if (const auto added = builder.add(i, values); !added) co_return added.error().message;
    }
  }
  errand.catalog = builder.build();
  co_return std::string();
}

net::Task<CacheKeeper::Errand> CacheKeeper::run(OriginSession session, Errand errand) {
  errand.server = {session.is_mariadb(), session.version_number()};
  const std::uint64_t capabilities = session.capabilities;
  Dialogue dialogue(*loop_, loop_->now() + kErrandTime, std::move(session.stream));
  if (errand.wants_catalog) {
    errand.error = co_await read_catalog(dialogue, capabilities, errand);
  }
  if (errand.settles > 0 && errand.error.empty()) {
    const auto connections =
        co_await ask(dialogue, "SELECT ID FROM information_schema.PROCESSLIST", capabilities);
    errand.knows_outcomes = connections.has_value();
    if (connections) {
      for (const TextRow& row : *connections) errand.connections.push_back(row[0].value_or(""));
    }
    const auto xa = co_await ask(dialogue, "XA RECOVER", capabilities);
    errand.knows_xa = xa.has_value();
    errand.xa_prepared = xa ? xa->size() : 0;
    const auto delayed =
        co_await ask(dialogue, "SHOW GLOBAL STATUS LIKE 'Not_flushed_delayed_rows'", capabilities);
    errand.all_written = delayed && (delayed->empty() ||
                                     (delayed->front().size() > 1 && delayed->front()[1] == "0"));
  }
  if (dialogue.failure() == Dialogue::Failure::kNone) {
    dialogue.send_command(wire::mysql::Command::kQuit);
  }
  co_return errand;
}

void CacheKeeper::ended(Errand errand) {
  busy_ = false;
  give_place_back();
  const bool failed = !errand.error.empty();
  {
    const std::lock_guard lock(mutex_);
    trouble_ = failed ? "The proxy cannot ask the origin about its schema: " + errand.error : "";
    if (errand.catalog) blind_spot_ = errand.catalog->blind_spot();
  }
  if (failed) {
    wants_catalog_ = wants_catalog_ || errand.wants_catalog;
    retry_ = std::clamp(retry_ * 2, kFirstRetry, kLongestRetry);
  } else {
    retry_ = {};
    if (errand.catalog) {
      look_at_ = loop_->now() + (std::exchange(look_soon_, false) ? kLookSoon : kLookAgain);
      publish(errand);
      for (cache::WriteIntent& intent : awaiting_reload_) intent.commit();
      awaiting_reload_.clear();
    }
    settle(errand);
  }
  tell_tried();
  if (failed) return again_within(retry_);
  if (wants_catalog_) return begin();
  if (!unsettled_.empty()) return again_within(kPollPause);
  next();
}

void CacheKeeper::tell_tried() {
  std::vector<std::function<void()>> wakes;
  {
    const std::lock_guard lock(mutex_);
    tried_ = true;
    wakes.swap(wakes_);
  }
  for (const auto& wake : wakes) wake();
}

void CacheKeeper::publish(const Errand& errand) {
  {
    const std::lock_guard lock(mutex_);
    const bool same = known_.catalog &&
                      known_.catalog->fingerprint() == errand.catalog->fingerprint() &&
                      known_.defaults.sql_mode == errand.defaults.sql_mode &&
                      known_.defaults.reads_uncommitted == errand.defaults.reads_uncommitted &&
                      known_.defaults.auto_is_null == errand.defaults.auto_is_null;
    if (same) return;
    known_.catalog = errand.catalog;
    known_.defaults = errand.defaults;
    generation_.store(++known_.generation, std::memory_order_release);
  }
  // After the generation: a query that was judged by the old catalog and is stamped later sees, at
  // its dispatch, that the generation has moved.
  cache_.purge_all();
}

bool CacheKeeper::is_over(Unsettled& one, const Errand& errand) {
  const auto& alive = errand.connections;
  switch (one.what) {
    case Unsettled::What::kConnection:
      return errand.knows_outcomes && std::find(alive.begin(), alive.end(),
                                                std::to_string(one.connection_id)) == alive.end();
    case Unsettled::What::kXa:
      return errand.knows_xa && errand.xa_prepared == 0;
    case Unsettled::What::kDelayed:
      return std::exchange(one.was_over, errand.all_written) && errand.all_written;
  }
  return false;
}

/// Whether it was committed does not matter once it is over: it is settled as if it had been.
void CacheKeeper::settle(const Errand& errand) {
  std::vector<Unsettled> left;
  for (std::size_t i = 0; i < unsettled_.size(); ++i) {
    Unsettled& one = unsettled_[i];
    // Who came after the question was asked is not in its answer.
    if (i < errand.settles && is_over(one, errand)) {
      one.intent.add_everything();
      one.intent.commit();
      wants_catalog_ = true;  // it may have changed the schema
    } else {
      left.push_back(std::move(one));
    }
  }
  unsettled_ = std::move(left);
}

// --- from other threads
// -----------------------------------------------------------------------------

void CacheKeeper::schema_changed(cache::WriteIntent intent) {
  if (!running()) return intent.commit();
  auto shared = std::make_shared<cache::WriteIntent>(std::move(intent));
  post([this, shared] {
    awaiting_next_.push_back(std::move(*shared));
    wants_catalog_ = true;
    if (busy_ || retry_.count() != 0) return;
    has_own_place_ ? begin() : again_within(kCalm);
  });
}

void CacheKeeper::outcome_unknown(cache::WriteIntent intent, std::uint32_t connection_id) {
  await_end({std::move(intent), Unsettled::What::kConnection, connection_id});
}
void CacheKeeper::prepared(cache::WriteIntent intent) {
  await_end({std::move(intent), Unsettled::What::kXa});
}
void CacheKeeper::delayed(cache::WriteIntent intent) {
  await_end({std::move(intent), Unsettled::What::kDelayed});
}

void CacheKeeper::await_end(Unsettled unsettled) {
  if (!running()) return unsettled.intent.commit();
  auto shared = std::make_shared<Unsettled>(std::move(unsettled));
  post([this, shared] {
    unsettled_.push_back(std::move(*shared));
    if (!busy_) again_within(kPollPause);
  });
}

void CacheKeeper::retarget(std::shared_ptr<const OriginTarget> target) {
  if (!running()) {
    target_ = std::move(target);
    return;
  }
  post([this, target] {
    target_ = target;
    {
      const std::lock_guard lock(mutex_);
      known_.catalog = nullptr;
      generation_.store(++known_.generation, std::memory_order_release);
    }
    cache_.purge_all();
    job_.reset();
    login_.reset();
    // What happened at the old origin is of no more concern.
    for (auto* list : {&awaiting_reload_, &awaiting_next_}) {
      for (cache::WriteIntent& intent : *list) intent.commit();
      list->clear();
    }
    for (Unsettled& one : unsettled_) one.intent.commit();
    unsettled_.clear();
    if (replication_) follow_log();
    wants_catalog_ = true;
    begin();
  });
}

void CacheKeeper::set_own_place(bool has_one) {
  if (!running()) {
    has_own_place_ = has_one;
    return;
  }
  post([this, has_one] { has_own_place_ = has_one; });
}

void CacheKeeper::set_replication(bool wanted) {
  if (!running()) {
    replication_ = wanted;
    return;
  }
  post([this, wanted] {
    if (std::exchange(replication_, wanted) == wanted) return;
    if (wanted) return follow_log();
    const std::lock_guard lock(mutex_);
    follower_.reset();
  });
}

/// Anew, if one is there; the new one distrusts before the old one lets go.
void CacheKeeper::follow_log() {
  BinlogFollower::Keeper keeper;
  keeper.catalog = [this] {
    const KnownCatalog known = catalog();
    return BinlogFollower::Catalog{known.catalog, known.generation};
  };
  keeper.schema_changed = [this](cache::WriteIntent intent) { schema_changed(std::move(intent)); };
  keeper.prepared = [this](cache::WriteIntent intent) { prepared(std::move(intent)); };
  keeper.look_soon = [this] { look_soon_ = true; };
  keeper.told = [this](core::Result<void> result) {
    if (const auto told = std::exchange(log_told_, nullptr)) told(std::move(result));
  };
  // For the test that shows what the fence is for (tests/integration/test_cache_binlog.py).
  const bool fence = std::getenv("HYPERDRIVE_TEST_WITHOUT_FENCE") == nullptr;
  auto follower =
      std::make_shared<BinlogFollower>(*loop_, cache_, target_, std::move(keeper), fence);
  const std::lock_guard lock(mutex_);
  follower_.swap(follower);
}

KnownCatalog CacheKeeper::catalog() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

void CacheKeeper::when_known(std::function<void()> wake) {
  {
    const std::lock_guard lock(mutex_);
    if (!tried_) {
      wakes_.push_back(std::move(wake));
      return;
    }
  }
  wake();
}

std::string CacheKeeper::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

std::vector<std::string> CacheKeeper::warnings() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> present;
  if (!trouble_.empty()) present.push_back(trouble_);
  if (follower_) {
    const auto of_log = follower_->warnings();
    present.insert(present.end(), of_log.begin(), of_log.end());
  }
  if (!blind_spot_.empty()) {
    present.push_back("Every write ends all cached answers: " + blind_spot_ + ".");
  }
  return present;
}

}  // namespace hyperdrive::proxy::session::mysql
