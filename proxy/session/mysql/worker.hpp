// One worker thread's share of the MySQL plane, and what all workers share.
//
// Service: the pool, the statement registry, what is known of the origin; made once, used by all
// threads, each part with its own short lock.
// Worker: the loop, its clients, the origin connections that are being finished, its counters. Only
// its own thread touches it; others post to its loop.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/net/tls.hpp"
#include "proxy/pool/pool.hpp"
#include "proxy/session/clientele.hpp"
#include "proxy/session/mysql/gate.hpp"
#include "proxy/session/mysql/origin_login.hpp"
#include "proxy/session/mysql/session_state.hpp"
#include "proxy/session/mysql/statements.hpp"
#include "proxy/session/mysql/text_info.hpp"
#include "proxy/session/plane.hpp"
#include "proxy/session/telemetry.hpp"
#include "proxy/sql/mysql_lexer.hpp"
#include "proxy/wire/mysql/auth.hpp"

namespace hyperdrive::proxy::session::mysql {

class Client;
class Origin;
class Worker;

/// What sessions read of the config; replaced as a whole by a reload, each worker on its own loop.
struct Options {
  core::Config config;
  wire::mysql::PasswordVerifier verifier;
  std::shared_ptr<net::TlsContext> client_tls;  ///< null: TLS is not offered
  std::shared_ptr<const OriginTarget> target;
};
using OptionsRef = std::shared_ptr<const Options>;

/// What clients are told of the origin; from the latest login.
struct OriginProfile {
  std::string server_version;  ///< as greeted
  std::uint64_t capabilities = 0;
  sql::MysqlServer server;
  bool autocommit = true;
  std::uint16_t mode_flags = 0;  ///< wire::mysql::status::kModes of a fresh session
};
using ProfileRef = std::shared_ptr<const OriginProfile>;

/// What a connection to the origin is for good, by its login: the capabilities that change answers.
inline constexpr std::uint64_t kKindMask =
    wire::mysql::capability::kFoundRows | wire::mysql::capability::kIgnoreSpace;

class Service {
 public:
  Service(Telemetry& telemetry, OptionsRef options);

  Telemetry& telemetry;
  PreparedRegistry prepared;
  std::unique_ptr<pool::Pool> pool;
  std::vector<std::unique_ptr<Worker>> workers;
  /// The kind that the client asked for who logged in last: what new connections are opened as.
  std::atomic<std::uint64_t> wanted_kind = 0;
  /// Counts ALTER DATABASE: a connection reads its database's defaults only when it enters it.
  std::atomic<std::uint32_t> databases_altered = 0;
  /// Counts the origins, and what SET GLOBAL makes of one: what was opened under another number
  /// leads to one of the past.
  std::atomic<std::uint32_t> origin_number = 0;
  /// The origin runs statements of its own in each new session (init_connect), but not behind a
  /// reset. Not known before the first connection has been asked.
  std::atomic<bool> runs_init_connect = false;
  std::atomic<bool> knows_init_connect = false;

  OptionsRef options() const;
  void set_options(OptionsRef options);
  OriginFacts facts() const;
  ProfileRef profile() const;       ///< null: no login yet
  sql::MysqlServer server() const;  ///< what the origin is, as far as is known
  void learn(const OriginSession& session);
  void forget_origin();
  /// SET GLOBAL: sessions are to begin as the origin lets them begin now.
  void renew_connections();
  /// The origin takes no more prepared statements, and whoever asked has none to give up: the
  /// pool's connections are replaced, at most once in a while.
  void give_up_statements();
  /// Whether sessions begin with autocommit on, as far as is known.
  bool begins_with_autocommit() const { return autocommits_.load(std::memory_order_relaxed); }
  /// See PreparedRegistry::bind().
  bool keeps_types() const { return keeps_types_.load(std::memory_order_relaxed); }
  /// The kinds that the origin can be asked for at all.
  std::uint64_t kinds_offered() const { return kinds_offered_.load(std::memory_order_relaxed); }
  /// A connection id of our own, far above what origins give; its worker can be told from it.
  std::uint32_t next_client_id(std::size_t worker);
  Worker* worker_of(std::uint32_t client_id);
  /// For a client of `worker` that waits and finds none kept there.
  void end_a_linger_beside(const Worker& worker);

 private:
  mutable std::mutex mutex_;
  OptionsRef options_;
  OriginFacts facts_;
  ProfileRef profile_;
  std::atomic<std::uint32_t> next_id_ = 0;
  std::atomic<std::uint64_t> kinds_offered_ = kKindMask;
  std::atomic<bool> autocommits_ = true;   // of profile_
  std::atomic<bool> keeps_types_ = false;  // likewise
  std::chrono::steady_clock::time_point gave_up_statements_{};
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

  pool::Pool& pool() { return *service.pool; }

  void accept(std::unique_ptr<net::Stream> stream) override;
  Client* find(std::uint32_t client_id);
  void name(std::uint32_t client_id, Client& client) { by_id_[client_id] = &client; }

  // --- for clients and origins
  using Clientele::bury;
  /// The client has left.
  void bury(Client& client);
  /// Whoever keeps a connection only in case (Client::lingers) is entered here, to give it up as
  /// soon as another client has to wait.
  void linger(Client& client);
  void stop_lingering(Client& client);
  /// Gives back the connection that has been kept the longest; false: none is.
  bool end_a_linger();
  /// Any thread.
  bool has_lingerers() const { return lingerers_.load(std::memory_order_relaxed) > 0; }
  void bury_login(std::unique_ptr<OriginLogin> login);

 private:
  CancelSender sender_for(Origin& origin) override;
  void give_back_place() override;

  boost::unordered_flat_map<std::uint32_t, Client*> by_id_;
  std::vector<Client*> lingering_;  // longest first
  std::atomic<std::size_t> lingerers_ = 0;
};

}  // namespace hyperdrive::proxy::session::mysql
