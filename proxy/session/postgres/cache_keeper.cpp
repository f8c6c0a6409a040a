#include "proxy/session/postgres/cache_keeper.hpp"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <utility>

namespace hyperdrive::proxy::session::postgres {

namespace {

constexpr std::chrono::milliseconds kSlotRetry{20};
constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5'000};
constexpr std::size_t kWarnCatalog = 0;
constexpr std::size_t kWarnings = 3;
constexpr std::size_t kPreparation = 2;  // the result before those of sql::catalog_queries()

/// The reading locks tables for moments, and must not stand in a queue with locks in its hands: a
/// client that waits for those could be the one that Postgres ends as part of a deadlock. So it
/// gives up long before deadlock_timeout (1 s), and tries again later.
constexpr std::string_view kHaste = "SET LOCAL lock_timeout = '20ms';";

/// A role's own short limit is meant for its sessions, not for reading a big schema. Not said at
/// the login: a PgBouncer there refuses what it does not know.
constexpr std::string_view kPatience = "SET LOCAL statement_timeout = '60s';";

/// Changes whenever something changes that a Catalog is made of, or a grant. Rows of pg_catalog
/// that were there from the beginning are left out, so that it costs what the user's schema costs.
/// Updates in place (statistics) leave xmin alone and do not count.
constexpr std::string_view kFingerprint =
    "SELECT pg_catalog.count(*) || ':' || COALESCE(pg_catalog.sum("
    "pg_catalog.hashtextextended(k, 0)), 0) FROM ("
    " SELECT 'c' || oid || '.' || xmin AS k FROM pg_catalog.pg_class"
    "  WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r','p','v','m','f','c','S')"
    " UNION ALL SELECT 'a' || a.attrelid || '.' || a.attnum || '.' || a.xmin"
    "  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    "  WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relpersistence <> 't'"
    "  AND c.relkind IN ('r','p','v','m','f','c')"
    " UNION ALL SELECT 'p' || oid || '.' || xmin FROM pg_catalog.pg_proc WHERE oid >= 16384"
    "  AND pronamespace NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_temp')"
    " UNION ALL SELECT 'o' || oid || '.' || xmin FROM pg_catalog.pg_operator WHERE oid >= 16384"
    " UNION ALL SELECT 'k' || oid || '.' || xmin FROM pg_catalog.pg_cast WHERE oid >= 16384"
    " UNION ALL SELECT 'r' || oid || '.' || xmin FROM pg_catalog.pg_rewrite WHERE oid >= 16384"
    " UNION ALL SELECT 't' || oid || '.' || xmin FROM pg_catalog.pg_trigger"
    " UNION ALL SELECT 'n' || oid || '.' || xmin FROM pg_catalog.pg_constraint WHERE oid >= 16384"
    " UNION ALL SELECT 'l' || oid || '.' || xmin FROM pg_catalog.pg_policy"
    " UNION ALL SELECT 'e' || oid || '.' || xmin FROM pg_catalog.pg_enum WHERE oid >= 16384"
    " UNION ALL SELECT 'd' || oid || '.' || xmin FROM pg_catalog.pg_attrdef"
    " UNION ALL SELECT 'i' || inhrelid || '.' || inhparent || '.' || xmin FROM "
    "pg_catalog.pg_inherits"
    " UNION ALL SELECT 's' || oid || '.' || xmin FROM pg_catalog.pg_namespace"
    "  WHERE nspname !~ '^pg_(toast_)?temp'"
    " UNION ALL SELECT 'y' || t.oid || '.' || t.xmin FROM pg_catalog.pg_type t"
    "  LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid"
    "  WHERE t.oid >= 16384 AND t.typcategory <> 'A' AND (c.oid IS NULL OR c.relkind = 'c')"
    " UNION ALL SELECT 'u' || oid || '.' || rolsuper || rolinherit || rolbypassrls"
    "  FROM pg_catalog.pg_roles"
    " UNION ALL SELECT 'g' || name || '=' || reset_val FROM pg_catalog.pg_settings"
    "  WHERE context IN ('user', 'superuser')"
    " UNION ALL SELECT 'w' || setdatabase || '.' || setrole || "
    "pg_catalog.array_to_string(setconfig, ',')"
    "  FROM pg_catalog.pg_db_role_setting"
    // What to_tsvector('english', …) makes of a text.
    " UNION ALL SELECT 'f' || mapcfg || '.' || maptokentype || '.' || mapseqno || '.' || xmin"
    "  FROM pg_catalog.pg_ts_config_map"
    " UNION ALL SELECT 'x' || oid || '.' || xmin FROM pg_catalog.pg_ts_config"
    " UNION ALL SELECT 'b' || oid || '.' || xmin FROM pg_catalog.pg_ts_dict"
    " UNION ALL SELECT 'm' || roleid || '.' || member || '.' || xmin"
    "  FROM pg_catalog.pg_auth_members"
    ") parts";

}  // namespace

CacheKeeper::CacheKeeper(cache::Cache& cache, std::unique_ptr<KeeperConnector> connector,
                         const KeeperOptions& options)
    : cache_(cache),
      schema_(cache.epochs().table(kSchema)),
      connector_(std::move(connector)),
      options_(options),
      fence_(options.fence),
      warnings_(kWarnings) {}

CacheKeeper::~CacheKeeper() { stop(); }

void CacheKeeper::stop() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

core::Result<void> CacheKeeper::start(std::function<void(core::Result<void>)> first) {
  auto made = std::make_shared<std::promise<core::Result<void>>>();
  first_ = std::move(first);
  // A loop belongs to the thread that made it.
  thread_ = std::thread([this, made] {
    auto loop = net::Loop::create();
    if (!loop) return made->set_value(tl::unexpected(std::move(loop.error())));
    loop_ = std::move(*loop);
    asker_timer_ = loop_->timer([this] { open_asker(); });
    look_timer_ = loop_->timer([this] { look(); });
    outcome_timer_ = loop_->timer([this] { poll_outcomes(); });
    log_timer_ = loop_->timer([this] { open_log(); });
    probe_timer_ = loop_->timer([this] { probe(); });
    horizon_timer_ = loop_->timer([this] { pass_horizon(log_number_, horizon_); });
    if (options_.replication) distrust_log();
    running_.store(true, std::memory_order_release);
    made->set_value({});
    open_asker();
    loop_->run();
    log_.reset();
    asker_.reset();
    asker_timer_.reset();
    look_timer_.reset();
    outcome_timer_.reset();
    log_timer_.reset();
    probe_timer_.reset();
    horizon_timer_.reset();
    connector_.reset();
  });
  auto result = made->get_future().get();
  if (!result) thread_.join();
  return result;
}

// --- the connection for questions
// -------------------------------------------------------------------

void CacheKeeper::open_asker() {
  if (asker_ || opening_) return;
  opening_ = true;
  if (options_.stays_connected || has_slot_ || !options_.slot) return open_asker_now();
  options_.slot->take([this](bool taken) {
    loop_->post([this, taken] {
      has_slot_ = taken;
      if (taken) return open_asker_now();
      opening_ = false;
      tried();  // nobody shall wait for what may take long
      asker_timer_->arm(kSlotRetry);
    });
  });
}

void CacheKeeper::open_asker_now() {
  if (asker_) return;
  connector_->open(*loop_, KeeperConnector::Purpose::kQuestions, [this](auto stream) {
    opening_ = false;
    asker_opened(std::move(stream));
  });
}

void CacheKeeper::close_asker() {
  std::function<void()> leave = [] {};
  if (std::exchange(has_slot_, false)) leave = options_.slot->leave();
  if (!asker_) return leave();
  asker_->close(std::move(leave));
  asker_.reset();
}

/// When all questions are answered the connection is closed, unless it stays.
void CacheKeeper::leave_if_done() {
  if (options_.stays_connected || !asker_ || reloading_ || reload_again_ || !asker_->idle() ||
      !awaiting_next_.empty() || !unsettled_.empty() || !fence_.empty()) {
    return;
  }
  // Not from within the connection's own call.
  loop_->post([this] {
    if (options_.stays_connected || !asker_ || !asker_->idle()) return;
    close_asker();
  });
}

void CacheKeeper::set_stays_connected(bool stays) {
  if (!running()) {
    options_.stays_connected = stays;
    return;
  }
  run([this, stays] {
    options_.stays_connected = stays;
    if (!stays) return leave_if_done();
    // Its place is its own from now on.
    if (std::exchange(has_slot_, false)) options_.slot->leave()();
    open_asker();
  });
}

void CacheKeeper::asker_opened(core::Result<std::unique_ptr<net::Stream>> stream) {
  if (!stream) {
    tell_first(tl::unexpected(stream.error()));
    return asker_lost(stream.error().message);
  }
  asker_retry_ = {};
  lies_ = {};  // it may be to another server than the last one was
  asker_ = std::make_unique<SideConnection>(std::move(*stream), [this](std::string why) {
    // Not from within the connection's own call.
    loop_->post([this, why] { asker_lost(why); });
  });
  // Who comes back only to look need not read everything again.
  if (generation() == 0 || reload_again_ || !awaiting_next_.empty() || options_.stays_connected) {
    reload();
  } else {
    look();
  }
  poll_outcomes();
  if (options_.replication && !log_ && !log_timer_->armed()) open_log();
  if (!fence_.empty()) probe();
}

/// What it was being asked is asked of the next one.
void CacheKeeper::drop_asker() {
  close_asker();
  probing_ = polling_ = false;
  fence_.forget_question();
  if (std::exchange(reloading_, false)) {
    builder_.reset();
    std::move(awaiting_reload_.begin(), awaiting_reload_.end(), std::back_inserter(awaiting_next_));
    awaiting_reload_.clear();
  }
  const bool waits_for_horizon = log_ && !trusting_ && distrust_.pending();
  if (waits_for_horizon) log_ended("the connection for questions is made anew", "");
}

void CacheKeeper::asker_lost(const std::string& why) {
  drop_asker();
  warn(kWarnCatalog, "The proxy cannot ask the origin about its schema: " + why);
  tried();
  asker_retry_ = std::clamp(asker_retry_ * 2, kFirstRetry, kLongestRetry);
  asker_timer_->arm(asker_retry_);
}

// --- catalogs
// ---------------------------------------------------------------------------------------

void CacheKeeper::reload() {
  if (!asker_ || reloading_) {
    reload_again_ = true;
    if (!asker_ && !asker_timer_->armed()) open_asker();
    return;
  }
  reloading_ = true;
  reload_again_ = false;
  std::move(awaiting_next_.begin(), awaiting_next_.end(), std::back_inserter(awaiting_reload_));
  awaiting_next_.clear();
  builder_ = std::make_unique<sql::CatalogBuilder>();
  builder_result_ = {};
  std::string text("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;");
  text.append(kPatience);
  text +=
      "SELECT pg_catalog.current_setting('search_path'), session_user,"
      " pg_catalog.current_setting('role'), (SELECT COALESCE(pg_catalog.md5(pg_catalog.string_agg("
      "setdatabase || '.' || setrole || ':' || pg_catalog.array_to_string(setconfig, ','), ';'"
      " ORDER BY setdatabase, setrole)), 'none') FROM pg_catalog.pg_db_role_setting"
      " WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database"
      "  WHERE datname = pg_catalog.current_database()))"
      " AND setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)));"
      // Compiling these questions would take seconds, answering them does not.
      "SET LOCAL search_path = pg_catalog; SET LOCAL jit = off;";
  text.append(kHaste).append(kFingerprint);
  text.append(";").append(sql::lies_preparation(lies_));
  const auto queries = sql::catalog_queries();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    text.append(";").append(i == sql::kViewDefinitions ? sql::views_query() : queries[i]);
  }
  text += ";COMMIT";
  views_.clear();
  asker_->ask(
      std::move(text), [this](std::size_t result, auto row) { catalog_row(result, row); },
      [this](core::Result<void> result) {
        if (result && builder_result_ && !views_.empty()) return read_views();
        reloaded(std::move(result));
      });
}

/// Each view in a transaction of its own, so that what it reads is locked while it is written out
/// and no longer.
void CacheKeeper::read_views() {
  std::string text;
  for (const sql::Oid view : views_) {
    text.append("BEGIN READ ONLY;SET LOCAL search_path = pg_catalog;");
    text.append(kPatience).append(kHaste);
    text.append(sql::view_definition_query(view)).append(";COMMIT;");
  }
  asker_->ask(
      std::move(text),
      [this](std::size_t, auto row) {
        if (!builder_result_) return;
        builder_result_ = row.size() == 2 && !row[1]
                              ? core::fail("a view was dropped while the catalogs were read")
                              : builder_->add(sql::kViewDefinitions, row);
      },
      [this](core::Result<void> result) { reloaded(std::move(result)); });
}

void CacheKeeper::catalog_row(std::size_t result, SideConnection::Row row) {
  if (result == 0) {
    base_ = {std::string(row[0].value_or("")), std::string(row[1].value_or("")),
             row[2].value_or("none") == "none" ? "" : std::string(*row[2])};
    new_defaults_ = row[3].value_or("");
  } else if (result == 1) {
    new_fingerprint_ = row[0].value_or("");
  } else if (result == kPreparation + 1 + sql::kViewDefinitions) {
    const std::string digits(row[0].value_or(""));
    views_.push_back(static_cast<sql::Oid>(std::strtoul(digits.c_str(), nullptr, 10)));
  } else if (result == kPreparation && row.size() == 2) {
    new_lies_ = {std::string(row[0].value_or("")), std::string(row[1].value_or(""))};
  } else if (result > kPreparation && builder_result_) {
    builder_result_ = builder_->add(result - kPreparation - 1, row);
  }
}

void CacheKeeper::reloaded(core::Result<void> result) {
  reloading_ = false;
  if (result && !builder_result_) result = builder_result_;
  if (!result) {
    builder_.reset();
    // What waited for it waits for the next one.
    std::move(awaiting_reload_.begin(), awaiting_reload_.end(), std::back_inserter(awaiting_next_));
    awaiting_reload_.clear();
    warn(kWarnCatalog, "The origin's catalogs could not be read: " + result.error().message);
    // A lock that was in the way may be gone at the next try.
    if (reload_retry_ >= kLongestRetry) tell_first(std::move(result));
    tried();
    if (options_.slot && !options_.stays_connected) {
      // Whom it waits for may need the slot to get on. Not from within the connection's own call.
      loop_->post([this] { drop_asker(); });
    } else if (asker_) {
      asker_->ask("ROLLBACK", {}, [](core::Result<void>) {});
    }
    reload_retry_ = std::clamp(reload_retry_ * 2, kFirstRetry, kLongestRetry);
    return look_within(reload_retry_);
  }
  reload_retry_ = {};
  if (has_new_defaults()) return;
  const bool changed = fingerprint_ != new_fingerprint_ || generation() == 0;
  fingerprint_ = new_fingerprint_;
  lies_ = new_lies_;
  if (changed || !awaiting_reload_.empty()) publish(builder_->build());
  builder_.reset();
  for (cache::WriteIntent& intent : awaiting_reload_) intent.commit();
  awaiting_reload_.clear();
  warn(kWarnCatalog, "");
  tried();
  if (!options_.replication || trusting_) tell_first({});
  look_within(options_.look_again);
  if (reload_again_ || !awaiting_next_.empty()) return reload();
  leave_if_done();
}

/// This session has the old defaults itself. What waited for the reload waits for that of the next
/// one; nothing is stored until then.
bool CacheKeeper::has_new_defaults() {
  const std::string before = std::exchange(defaults_, new_defaults_);
  if (before.empty() || before == new_defaults_) return false;
  if (options_.on_new_defaults) options_.on_new_defaults();
  builder_.reset();
  std::move(awaiting_reload_.begin(), awaiting_reload_.end(), std::back_inserter(awaiting_next_));
  awaiting_reload_.clear();
  announce_unknown(awaiting_next_);
  // Not from within the connection's own call.
  loop_->post([this] {
    drop_asker();
    open_asker();
  });
  return true;
}

void CacheKeeper::publish(std::shared_ptr<const sql::Catalog> catalog) {
  {
    std::lock_guard lock(mutex_);
    known_.catalog = std::move(catalog);
    known_.base = base_;
    generation_.store(++known_.generation, std::memory_order_release);
  }
  // After the generation: a query that was judged by the old catalog and is stamped later sees, at
  // its dispatch, that the generation has moved.
  cache_.purge_all();
}

void CacheKeeper::look() {
  look_at_ = {};
  if (!asker_ && !options_.stays_connected && !options_.slot->was_used()) {
    return look_within(options_.look_again);
  }
  if (!asker_) {
    if (!asker_timer_->armed()) open_asker();
    return;
  }
  asker_->ask(
      std::string(kPatience).append(kFingerprint),
      [this](std::size_t, auto row) {
        new_fingerprint_ = row.empty() ? "" : std::string(row[0].value_or(""));
      },
      [this](core::Result<void> result) {
        const bool same = result && new_fingerprint_ == fingerprint_;
        // Those that wait for a reading that failed wait for another one.
        if (same && awaiting_next_.empty()) {
          look_within(options_.look_again);
          return leave_if_done();
        }
        // What was judged by the old schema must go at once, not when the new one is known.
        announce_unknown(awaiting_next_);
        reload();
      });
}

void CacheKeeper::look_within(std::chrono::milliseconds time) {
  const auto at = loop_->now() + time;
  if (look_at_ != net::TimePoint{} && look_at_ <= at) return;
  look_at_ = at;
  look_timer_->arm(time);
}

void CacheKeeper::announce_unknown(std::vector<cache::WriteIntent>& to) {
  to.push_back(cache_.epochs().begin_write());
  to.back().add_everything();
  cache::Mark* schema = &schema_;
  to.back().add({&schema, 1});
}

/// On the keeper's thread. Before start() (caching was never enabled) there is nothing to do.
void CacheKeeper::run(std::function<void()> task) {
  if (running()) loop_->post(std::move(task));
}

void CacheKeeper::retarget(std::unique_ptr<KeeperConnector> connector) {
  if (!running()) {
    connector_ = std::move(connector);
    return;
  }
  auto shared = std::make_shared<std::unique_ptr<KeeperConnector>>(std::move(connector));
  run([this, shared] {
    connector_ = std::move(*shared);
    opening_ = false;  // what the old one was opening will not be heard of
    fingerprint_.clear();
    defaults_.clear();
    {
      std::lock_guard lock(mutex_);
      known_.catalog = nullptr;
      generation_.store(++known_.generation, std::memory_order_release);
    }
    cache_.purge_all();
    log_ended("the origin has been changed", "");
    asker_lost("the origin has been changed");
  });
}

void CacheKeeper::schema_changed(cache::WriteIntent intent) {
  if (!running()) return intent.commit();
  auto shared = std::make_shared<cache::WriteIntent>(std::move(intent));
  run([this, shared] {
    awaiting_next_.push_back(std::move(*shared));
    reload();
  });
}

// --- telling
// ----------------------------------------------------------------------------------------

KnownCatalog CacheKeeper::catalog() const {
  std::lock_guard lock(mutex_);
  return known_;
}

void CacheKeeper::when_known(std::function<void()> wake) {
  {
    std::lock_guard lock(mutex_);
    if (!tried_) {
      wakes_.push_back(std::move(wake));
      return;
    }
  }
  wake();
}

void CacheKeeper::tried() {
  std::vector<std::function<void()>> wakes;
  {
    std::lock_guard lock(mutex_);
    tried_ = true;
    wakes.swap(wakes_);
  }
  for (const auto& wake : wakes) wake();
}

void CacheKeeper::tell_first(core::Result<void> result) {
  if (const auto first = std::exchange(first_, nullptr)) first(std::move(result));
}

void CacheKeeper::warn(std::size_t slot, std::string text) {
  std::lock_guard lock(mutex_);
  warnings_[slot] = std::move(text);
}

std::vector<std::string> CacheKeeper::warnings() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> present;
  for (const std::string& warning : warnings_) {
    if (!warning.empty()) present.push_back(warning);
  }
  return present;
}

}  // namespace hyperdrive::proxy::session::postgres
