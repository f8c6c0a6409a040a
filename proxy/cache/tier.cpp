#include "proxy/cache/tier.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <utility>

#include "proxy/cache/tier_protocol.hpp"

namespace hyperdrive::proxy::cache {

namespace {

constexpr std::chrono::milliseconds kConnectTimeout{3'000};
constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::milliseconds kLongestRetry{5'000};
constexpr std::chrono::milliseconds kWatch{500};
/// More than this unsent, and answers are no longer given to the tier.
constexpr std::size_t kMaxUnsent = 16u << 20;

enum Script : std::size_t { kCheck, kAnnounce, kRenew, kSettle, kScripts };
constexpr std::array<const std::string_view*, kScripts> kTexts = {&tier::kCheck, &tier::kAnnounce,
                                                                  &tier::kRenew, &tier::kSettle};

std::string random_name() {
  std::array<unsigned char, 8> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  std::string out;
  for (const unsigned char byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

}  // namespace

TierOptions TierOptions::of(const core::Config& config) {
  TierOptions options;
  std::string_view rest = config.local.cache_url;
  rest.remove_prefix(std::min(rest.size(), std::string_view("redis://").size()));
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    options.user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
  }
  if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
    options.database = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  // [::1]:6379 and host:6379
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    std::from_chars(rest.data() + colon + 1, rest.data() + rest.size(), options.port);
    rest = rest.substr(0, colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  options.host = rest;
  options.password = config.local.cache_password;
  options.obeys_writes = config.local.invalidation != core::Invalidation::kNone;
  options.promise = std::to_string(static_cast<int>(config.local.invalidation));
  options.origin = (core::is_mysql(config.origin.scheme) ? "mysql" : "postgres") +
                   std::string(1, '\0') + config.origin.host + '\0' +
                   std::to_string(config.origin.port) + '\0' + config.origin.database;
  return options;
}

Tier::Tier(net::Loop& loop, Cache& cache, TierOptions options,
           std::function<void(WriteIntent)> everything_changed)
    : loop_(loop),
      cache_(cache),
      options_(std::move(options)),
      space_(tier::space(options_.origin, options_.promise)),
      process_(random_name()),
      everything_changed_(std::move(everything_changed)),
      self_(std::make_shared<Tier*>(this)) {}

Tier::~Tier() { *self_ = nullptr; }

void Tier::start() {
  on_loop([this] {
    thread_ = std::this_thread::get_id();
    retry_timer_ = loop_.timer([this] { connect(); });
    renew_timer_ = loop_.timer([this] { renew(); });
    watch_timer_ = loop_.timer([this] { watch(); });
    connect();
  });
}

void Tier::retire() {
  usable_.store(false, std::memory_order_release);
  on_loop([this] {
    retired_ = true;
    usable_.store(false, std::memory_order_release);
  });
}

/// Nothing is owed to the others any more.
bool Tier::done() const { return retired_ && live_.empty() && late_.empty(); }

/// At once when on the loop's thread.
void Tier::on_loop(std::function<void()> task) {
  if (std::this_thread::get_id() == thread_.load(std::memory_order_acquire)) return task();
  loop_.post([self = self_, task = std::move(task)] {
    if (*self != nullptr) task();
  });
}

// --- the connection
// ---------------------------------------------------------------------------------

void Tier::connect() {
  connecting_ = loop_.connect(options_.host, options_.port, kConnectTimeout,
                              [this](auto result) { connected(std::move(result)); });
}

void Tier::connected(net::Loop::ConnectResult result) {
  // Not from within the call of what is destroyed.
  loop_.defer([pending = std::shared_ptr<net::Loop::Pending>(std::move(connecting_))] {});
  if (!result) return lost(result.error().message);
  connection_ = std::make_unique<RedisConnection>(std::move(*result),
                                                  [this, self = self_](const std::string& why) {
                                                    loop_.defer([this, self, why] {
                                                      if (*self != nullptr) lost(why);
                                                    });
                                                  });
  sent_ = answered_ = answered_before_ = 0;
  scripts_.clear();
  watch_timer_->arm(kWatch);
  log_in();
}

/// Steps go out together; the tier counts once all of them have been answered.
void Tier::log_in() {
  steps_left_ = 1;
  if (!options_.password.empty()) {
    const std::string_view password = options_.password.reveal();
    if (options_.user.empty()) {
      step(std::array<std::string_view, 2>{"AUTH", password});
    } else {
      step(std::array<std::string_view, 3>{"AUTH", options_.user, password});
    }
  }
  if (!options_.database.empty()) {
    step(std::array<std::string_view, 2>{"SELECT", options_.database});
  }
  for (const std::string_view* text : kTexts) {
    ++steps_left_;
    command(std::array<std::string_view, 3>{"SCRIPT", "LOAD", *text},
            [this](const RedisReply* reply) {
              if (reply != nullptr && !reply->is_error()) scripts_.emplace_back(reply->text);
              step_done(reply);
              if (scripts_.size() == kScripts) begin();
            });
  }
}

/// What this process owes the others since it last spoke to them.
void Tier::begin() {
  for (const auto& [id, marks] : live_) {
    ++steps_left_;
    run_script(kAnnounce, pairs(marks),
               {fresh_epoch(), intent_name(id), std::to_string(tier::kLease.count())},
               [this](const RedisReply* reply) { step_done(reply); });
  }
  for (const auto& [id, marks] : std::exchange(late_, {})) settle_now(id, marks, true);
  if (options_.obeys_writes) unpurged_.insert(&cache_.epochs().database());
  if (!unpurged_.empty()) {
    ++steps_left_;
    const Marks marks(unpurged_.begin(), unpurged_.end());
    set_epochs(marks, [this, marks](const RedisReply* reply) {
      if (reply != nullptr && !reply->is_error()) {
        for (Mark* mark : marks) unpurged_.erase(mark);
      }
      step_done(reply);
    });
  }
  finish_step();
}

void Tier::step(std::span<const std::string_view> arguments) {
  ++steps_left_;
  command(arguments, [this](const RedisReply* reply) { step_done(reply); });
}

void Tier::step_done(const RedisReply* reply) {
  if (!refused(reply)) finish_step();
}

void Tier::finish_step() {
  if (--steps_left_ == 0) became_usable();
}

void Tier::became_usable() {
  retry_ = {};
  seen_.clear();
  renew_timer_->arm(tier::kLease / 4);
  if (retired_) return;
  if (options_.obeys_writes) {
    WriteIntent unknown = cache_.epochs().begin_foreign_write();
    unknown.add_everything();
    everything_changed_(std::move(unknown));
  }
  warn({});
  usable_.store(true, std::memory_order_release);
}

/// Lost, or an error: whatever it was, what the tier knows can no longer be relied on.
bool Tier::refused(const RedisReply* reply) {
  if (reply == nullptr) return true;
  if (!reply->is_error()) return false;
  const std::string why(reply->text);
  loop_.defer([this, self = self_, why] {
    if (*self != nullptr && connection_) lost(why);
  });
  usable_.store(false, std::memory_order_release);
  return true;
}

void Tier::lost(const std::string& why) {
  usable_.store(false, std::memory_order_release);
  if (auto gone = std::exchange(connection_, nullptr)) gone->abandon();
  watch_timer_->disarm();
  renew_timer_->disarm();
  warn("The shared cache at " + options_.host + ":" + std::to_string(options_.port) +
       " is not used: " + why +
       ". Until it is back, reads see the writes through this proxy only.");
  if (done()) return;
  retry_ = std::clamp(retry_ * 2, kFirstRetry, kLongestRetry);
  retry_timer_->arm(retry_);
}

void Tier::watch() {
  if (!connection_) return;
  if (sent_ > answered_ && answered_ == answered_before_) {
    return lost("it does not answer");
  }
  answered_before_ = answered_;
  if (done() && sent_ == answered_) return lost("another origin is served now");
  watch_timer_->arm(kWatch);
}

void Tier::command(std::span<const std::string_view> arguments, RedisConnection::OnReply on_reply) {
  if (!connection_) return on_reply(nullptr);
  ++sent_;
  connection_->send(arguments, [this, on_reply = std::move(on_reply)](const RedisReply* reply) {
    ++answered_;
    on_reply(reply);
  });
}

void Tier::run_script(std::size_t script, std::vector<std::string> keys,
                      std::initializer_list<std::string_view> arguments,
                      RedisConnection::OnReply on_reply) {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words{"EVALSHA", scripts_[script], count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  command(words, std::move(on_reply));
}

std::vector<std::string> Tier::pairs(std::span<Mark* const> marks) const {
  std::vector<std::string> keys;
  for (const Mark* mark : marks) {
    keys.push_back(tier::epoch_key(space_, *mark));
    keys.push_back(tier::intents_key(space_, *mark));
  }
  return keys;
}

std::string Tier::fresh_epoch() { return process_ + "." + std::to_string(next_epoch_++); }

std::string Tier::intent_name(std::uint64_t id) const {
  return process_ + "." + std::to_string(id);
}

// --- reads
// ------------------------------------------------------------------------------------------

void Tier::check(std::string key, std::vector<Mark*> marks, std::function<void(Verdict)> done) {
  const Stamp stamp = cache_.epochs().now();
  on_loop([this, stamp, key = std::move(key), marks = std::move(marks),
           done = std::move(done)]() mutable {
    if (!usable()) {
      return loop_.defer([done = std::move(done)] { done({}); });
    }
    marks.insert(marks.begin(), &cache_.epochs().database());
    if (!options_.obeys_writes) marks.resize(1);
    std::vector<std::string> keys = pairs(marks);
    keys.insert(keys.begin(), tier::answer_key(space_, key));
    const std::string_view fetch = key.empty() ? "0" : "1";
    run_script(kCheck, std::move(keys), {fresh_epoch(), fetch},
               [this, stamp, marks, done = std::move(done)](const RedisReply* reply) {
                 Verdict verdict;
                 if (!refused(reply)) checked(*reply, marks, verdict);
                 verdict.stamp = stamp;
                 verdict.by = this;
                 done(std::move(verdict));
               });
  });
}

void Tier::checked(const RedisReply& reply, const Marks& marks, Verdict& verdict) {
  if (reply.list.size() != 4) return;
  verdict.epochs = reply.list[1].text;
  verdict.answer = reply.list[2].text;
  verdict.left = std::chrono::milliseconds(reply.list[3].integer);
  const bool settled = !options_.obeys_writes || mirror(marks, verdict.epochs);
  const bool open = reply.list[0].integer != 0 || !settled;
  verdict.state = open ? Verdict::State::kOpen : Verdict::State::kCurrent;
}

/// Makes what others did since the last look an event of our own epochs. False: the whole database
/// is in doubt until somebody has looked.
bool Tier::mirror(const Marks& marks, std::string_view epochs) {
  Marks changed;
  bool everything = false;
  for (Mark* mark : marks) {
    const std::size_t end = std::min(epochs.find(','), epochs.size());
    const std::string_view epoch = epochs.substr(0, end);
    epochs.remove_prefix(std::min(end + 1, epochs.size()));
    std::string& seen = seen_[mark];
    if (seen == epoch) continue;
    if (!seen.empty()) {
      changed.push_back(mark);
      everything = everything || mark == &cache_.epochs().database();
    }
    seen = epoch;
  }
  if (changed.empty()) return true;
  WriteIntent write = cache_.epochs().begin_foreign_write();
  write.add(changed);
  if (!everything) {
    write.commit();
    return true;
  }
  everything_changed_(std::move(write));
  return false;
}

EntryRef Tier::adopt(const Verdict& verdict, Bytes key, std::span<Mark* const> marks,
                     TimePoint now) {
  if (verdict.by != this || verdict.state != Verdict::State::kCurrent) return {};
  if (options_.obeys_writes && cache_.epochs().any_open(marks)) return {};
  const auto answer = tier::decode(verdict.answer);
  if (!answer || answer->key != key || answer->epochs != verdict.epochs) return {};
  if (verdict.left <= verdict.left.zero() || verdict.left > answer->life) return {};
  Capture rows = cache_.capture();
  rows.append(answer->rows);
  const Cache::Answer whole{answer->key, answer->head, answer->tail, answer->cost,
                            answer->row_count};
  return cache_.adopt(whole, marks, verdict.stamp, std::move(rows),
                      now - (answer->life - verdict.left));
}

void Tier::keep(const Entry& entry, std::string_view epochs, std::chrono::milliseconds life) {
  const std::size_t size = entry.key().size() + entry.head().size() + entry.rows_size();
  if (!usable() || size > tier::kMaxAnswer || life.count() <= 0) return;
  std::string rows;
  rows.reserve(entry.rows_size());
  entry.rows([&](Bytes piece) { rows += piece; });
  auto bytes = tier::encode({entry.key(), epochs, entry.head(), entry.tail(), rows,
                             entry.row_count(), entry.cost(), life});
  on_loop([this, life, name = tier::answer_key(space_, entry.key()), bytes = std::move(bytes)] {
    if (!usable() || connection_->unsent() > kMaxUnsent) return;
    const std::string time = std::to_string(life.count());
    command(std::array<std::string_view, 5>{"SET", name, bytes, "PX", time},
            [this](const RedisReply* reply) { refused(reply); });
  });
}

void Tier::purge(Marks marks, std::function<void(bool)> done) {
  // Without writes to obey, answers there carry the epoch of the whole database only.
  if (!options_.obeys_writes) marks = {&cache_.epochs().database()};
  on_loop([this, marks = std::move(marks), done = std::move(done)] {
    // Not yet logged in: begin() is still to come.
    if (!connection_ || scripts_.size() < kScripts) {
      unpurged_.insert(marks.begin(), marks.end());
      return done(false);
    }
    set_epochs(marks, [this, marks, done](const RedisReply* reply) {
      const bool told = !refused(reply);
      if (!told) unpurged_.insert(marks.begin(), marks.end());
      done(told);
    });
  });
}

void Tier::set_epochs(std::span<Mark* const> marks, RedisConnection::OnReply on_reply) {
  std::vector<std::string> pairs;
  for (const Mark* mark : marks) {
    pairs.push_back(tier::epoch_key(space_, *mark));
    pairs.push_back(fresh_epoch());
  }
  std::vector<std::string_view> words{"MSET"};
  words.insert(words.end(), pairs.begin(), pairs.end());
  command(words, std::move(on_reply));
}

// --- writes
// -----------------------------------------------------------------------------------------

std::shared_ptr<Announcement> Tier::announce(std::shared_ptr<Announcement> about,
                                             std::span<Mark* const> marks) {
  if (!about) about = std::make_shared<Announcement>(next_intent_.fetch_add(1));
  about->begin();
  on_loop([this, about, marks = Marks(marks.begin(), marks.end())]() mutable {
    announce_now(about, std::move(marks));
  });
  return about;
}

void Tier::announce_now(const std::shared_ptr<Announcement>& about, Marks marks) {
  Marks& all = live_[about->id()];
  all.insert(all.end(), marks.begin(), marks.end());
  // Without Redis the write goes on; begin() tells of it later.
  if (!connection_ || scripts_.size() < kScripts) return about->known();
  const std::string epoch = fresh_epoch();
  run_script(kAnnounce, pairs(marks),
             {epoch, intent_name(about->id()), std::to_string(tier::kLease.count())},
             [this, about, epoch, marks](const RedisReply* reply) {
               if (!refused(reply)) replaced(marks, reply->text, epoch);
               about->known();
             });
}

/// Our own epochs tell of our own writes, which our marks know already; but only where nobody else
/// has set another one since we looked.
void Tier::replaced(const Marks& marks, std::string_view old, std::string_view epoch) {
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const std::size_t end = std::min(old.find(','), old.size());
    const auto seen = seen_.find(marks[i]);
    if (seen != seen_.end() && seen->second == old.substr(0, end)) {
      seen->second = std::string(epoch) + "." + std::to_string(2 * i + 1);
    }
    old.remove_prefix(std::min(end + 1, old.size()));
  }
}

void Tier::settle(const std::shared_ptr<Announcement>& about, std::span<Mark* const> marks,
                  bool committed) {
  on_loop([this, id = about->id(), marks = Marks(marks.begin(), marks.end()), committed] {
    live_.erase(id);
    if (connection_ && scripts_.size() == kScripts) return settle_now(id, marks, committed);
    late_.emplace_back(id, marks);
  });
}

void Tier::settle_now(std::uint64_t id, const Marks& marks, bool committed) {
  const std::string epoch = fresh_epoch();
  run_script(kSettle, pairs(marks), {epoch, intent_name(id), committed ? "1" : "0"},
             [this, id, marks, epoch, committed](const RedisReply* reply) {
               if (refused(reply)) return late_.emplace_back(id, marks), void();
               if (committed) replaced(marks, reply->text, epoch);
             });
}

void Tier::renew() {
  if (!connection_ || steps_left_ > 0) return;
  renew_timer_->arm(tier::kLease / 4);
  for (const auto& [id, marks] : live_) {
    run_script(kRenew, pairs(marks), {"", intent_name(id), std::to_string(tier::kLease.count())},
               [this](const RedisReply* reply) { refused(reply); });
  }
}

void Tier::warn(std::string text) {
  const std::lock_guard lock(mutex_);
  warning_ = std::move(text);
}

std::string Tier::warning() const {
  const std::lock_guard lock(mutex_);
  return warning_;
}

}  // namespace hyperdrive::proxy::cache
