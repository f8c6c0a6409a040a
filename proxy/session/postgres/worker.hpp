// One worker thread's share of the proxy, and what all workers share.
//
// Service: the pool, the statement registry, the cancel keys, the login profiles, the local login's
// keys; made once, used by all threads, each part with its own short lock.
// Worker: the loop, its clients, the origin connections that are being finished, its counters. Only
// its own thread touches it; others post to its loop.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/handover.hpp"
#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/clientele.hpp"
#include "proxy/session/plane.hpp"
#include "proxy/session/postgres/cancel_keys.hpp"
#include "proxy/session/postgres/group.hpp"
#include "proxy/session/postgres/settings.hpp"
#include "proxy/session/postgres/statements.hpp"
#include "proxy/session/postgres/text_info.hpp"
#include "proxy/session/telemetry.hpp"
#include "proxy/sql/analysis_cache.hpp"
#include "proxy/wire/postgres/scram.hpp"

namespace hyperdrive::proxy::session::postgres {

class Client;
class Origin;
class Worker;
class OriginLogin;
struct OriginTarget;

/// What sessions read of the config; replaced as a whole by a reload, each worker on its own loop.
struct Options {
  core::Config config;
  wire::postgres::ScramVerifier verifier;
  std::shared_ptr<net::TlsContext> client_tls;  ///< null: TLS is not offered
  std::shared_ptr<const OriginTarget> target;
};
using OptionsRef = std::shared_ptr<const Options>;

/// What the origin tells a fresh session that starts with certain settings.
class Profiles {
 public:
  struct Profile {
    SettingsRef reports;
  };
  std::optional<Profile> find(const SettingsRef& startup);
  void learn(const SettingsRef& startup, const SettingsRef& reports);
  /// A fresh login without settings reported this; if it is news, nothing else known holds.
  void learn_baseline(const SettingsRef& reports);
  void clear();

 private:
  static constexpr std::size_t kCapacity = 256;
  std::mutex mutex_;
  std::list<std::pair<SettingsRef, Profile>> known_;  // last used first
  SettingsRef baseline_;
};

class Service {
 public:
  Service(Telemetry& telemetry, OptionsRef options);

  Telemetry& telemetry;
  sql::AnalysisCache analyses;
  StatementRegistry statements;
  CancelKeys cancel_keys;
  std::shared_ptr<core::Predecessor> predecessor;  ///< null: none
  Profiles profiles;
  const std::string mock_secret;  ///< salts of users who do not exist
  std::unique_ptr<pool::Pool> pool;
  std::vector<std::unique_ptr<Worker>> workers;

  /// Cancels what the session with this key runs, and calls `done` on its worker's thread when that
  /// is over; false: no session has it, nothing is called.
  bool cancel(std::uint32_t process_id, std::string_view key, std::function<void()> done);
  /// Lets a predecessor look who has it.
  void pass_cancel(std::uint32_t process_id, std::string_view key);
  /// What a successor passes.
  void cancel_passed(std::string_view request);

  OptionsRef options() const;
  void set_options(OptionsRef options);
  /// A client ends other sessions: what dies in the next moments may be its doing.
  void note_termination(std::chrono::steady_clock::time_point now);
  bool terminated_lately(std::chrono::steady_clock::time_point now) const;
  /// Relations may have changed: a text parsed from now on is not the statement it was before.
  void note_definitions_changed() { definitions_.fetch_add(1, std::memory_order_relaxed); }
  std::uint64_t definitions() const { return definitions_.load(std::memory_order_relaxed); }
  OriginFacts facts() const;
  void set_facts(OriginFacts facts);
  void forget_origin() { profiles.clear(); }

 private:
  mutable std::mutex mutex_;
  OptionsRef options_;
  OriginFacts facts_;
  std::atomic<std::chrono::steady_clock::rep> last_termination_{0};
  std::atomic<std::uint64_t> definitions_{0};
};

class Worker final : public Clientele<Client, Origin> {
 public:
  Worker(std::size_t index, net::Loop& loop, Service& service);
  ~Worker() override;

  const std::size_t index;
  Service& service;
  OptionsRef options;
  TextMemo texts;
  Gate* gate = nullptr;  ///< set before the first client
  std::string scratch;   ///< for building messages; empty between uses

  pool::Pool& pool() { return *service.pool; }
  /// Unique in the process: a connection carries one to other workers (Origin::unnamed_serial).
  std::uint64_t next_serial() { return ++serial_; }

  void accept(std::unique_ptr<net::Stream> stream) override;
  /// A client that is nobody, for a question of the proxy's own.
  Client& open_own(std::unique_ptr<net::Stream> stream);
  Client* find(std::uint32_t process_id);
  void name(std::uint32_t process_id, Client& client) { by_pid_[process_id] = &client; }

  // --- for clients and origins
  using Clientele::bury;
  /// The client has left.
  void bury(Client& client);
  /// A connection that brought a cancel request waits for its end.
  std::uint64_t ask(Client& client);
  void answered(std::uint64_t ticket);
  void unask(Client& client);

 private:
  CancelSender sender_for(Origin& origin) override;
  void give_back_place() override;

  boost::unordered_flat_map<std::uint32_t, Client*> by_pid_;
  boost::unordered_flat_map<std::uint64_t, Client*> askers_;
  // Each worker counts in a range of its own; 0 and 1 have meanings of their own.
  std::uint64_t serial_ = (static_cast<std::uint64_t>(index) << 48) + 1;
};

}  // namespace hyperdrive::proxy::session::postgres
