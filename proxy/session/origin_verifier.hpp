// The steps of a verification that are the same for both protocols: the name, its addresses one
// after the other, and what a login's progress says about TCP, TLS, login and database. The
// protocol (postgres/verify.cpp, mysql/verify.cpp) derives the login and the questions behind it.
//
// Lives on the thread that runs its loop.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "proxy/net/loop.hpp"
#include "proxy/session/origin_failure.hpp"
#include "proxy/session/verify_report.hpp"

namespace hyperdrive::proxy::session {

/// A row of text values.
using Row = std::vector<std::optional<std::string>>;

class OriginVerifier {
 public:
  OriginVerifier(const core::Launch& launch, const BaseTarget& target, net::Loop& loop,
                 VerifyReport& report)
      : launch_(launch), target_(target), loop_(loop), report_(report) {}
  OriginVerifier(const OriginVerifier&) = delete;
  OriginVerifier& operator=(const OriginVerifier&) = delete;
  virtual ~OriginVerifier() = default;

  /// Runs the loop until the last step is done or one has failed.
  void run();

 protected:
  /// Starts a login at `address`; its end is told by login_failed() or login_succeeded().
  virtual void log_in_at(const std::string& address) = 0;

  /// Goes on with the next address where this one could not be reached, else ends.
  void login_failed(const LoginFailure& failure);
  /// Reports the steps up to the database; the questions come next.
  void login_succeeded(const LoginProgress& progress, std::string version);
  static int number(const std::optional<std::string>& text);
  void query_answered(const core::Result<Row>& answer, std::string_view sql,
                      std::chrono::microseconds took);
  /// Sends what is left, then closes.
  void close(std::unique_ptr<net::Stream> stream);
  /// The questions are answered, or one failed.
  void end() { loop_.stop(); }
  /// Whether the config wants the origin's log followed.
  bool wants_log() const;
  /// It cannot be: the config would not start.
  void log_refused(const core::Error& error);
  /// Warns where the config may open more connections than the origin allows.
  void compare_limits();

  const core::Launch& launch_;
  const BaseTarget& target_;
  net::Loop& loop_;
  VerifyReport& report_;

 private:
  bool resolve_name();
  void next_address();
  void report_reached(const LoginProgress& progress);
  void report_tls(const LoginProgress& progress);
  void report_login(const LoginProgress& progress);
  void report_failure(const LoginFailure& failure);

  std::vector<std::string> addresses_;
  std::size_t tried_ = 0;
};

}  // namespace hyperdrive::proxy::session
