#include "proxy/session/mysql/verify.hpp"

#include <algorithm>

#include "proxy/net/task.hpp"
#include "proxy/session/mysql/binlog_origin.hpp"
#include "proxy/session/mysql/question.hpp"

namespace hyperdrive::proxy::session::mysql {

using net::Task;

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

constexpr std::string_view kTestQuery = "SELECT 1";
constexpr std::string_view kFactsQuery =
    "SELECT @@max_connections, @@max_user_connections, @@log_bin, @@binlog_format, @@read_only";

/// 10.11.19 -> 101119, 8.0.36 -> 80036: as mysql_get_server_version counts.
int version_number(std::string_view version) {
  int parts[3] = {0, 0, 0};
  int at = 0;
  for (const char c : version) {
    if (c == '.' && at < 2) {
      ++at;
    } else if (c >= '0' && c <= '9' && parts[at] < 1000) {
      parts[at] = parts[at] * 10 + (c - '0');
    } else {
      break;
    }
  }
  return parts[0] * 10'000 + parts[1] * 100 + parts[2];
}

std::string on_or_off(const std::optional<std::string>& value) {
  if (!value) return "";
  return *value == "1" || *value == "ON" ? "on" : "off";
}

class Verifier final : public OriginVerifier {
 public:
  Verifier(const core::Launch& launch, std::shared_ptr<const OriginTarget> target, net::Loop& loop,
           VerifyReport& report)
      : OriginVerifier(launch, *target, loop, report), target_(std::move(target)) {}

 private:
  void log_in_at(const std::string& address) override {
    login_ = log_in(
        loop_, target_, {}, [this](LoginResult result) { logged_in(std::move(result)); }, address);
  }

  void logged_in(LoginResult result) {
    if (!result) return login_failed(result.error());
    login_succeeded(result->progress, std::string(result->version()));
    report_.facts.version_num = version_number(result->version());
    questions_.emplace(ask_all(std::move(result->stream), result->capabilities), [this] { end(); });
    questions_->start();
  }

  Task<void> ask_all(std::unique_ptr<net::Stream> stream, std::uint64_t capabilities) {
    Dialogue dialogue(loop_, Clock::now() + target_->connect_timeout, std::move(stream));
    const auto start = Clock::now();
    const auto answer = co_await ask(dialogue, kTestQuery, capabilities);
    const auto took = std::chrono::duration_cast<Microseconds>(Clock::now() - start);
    query_answered(answer.map([](const auto&) { return Row(); }), kTestQuery, took);
    if (!answer) co_return;
    // What is not MySQL itself (a proxy, a cousin) may not know these settings: no failure.
    const auto facts = co_await ask(dialogue, kFactsQuery, capabilities);
    if (facts && !facts->empty()) learn(facts->front());
    if (dialogue.failure() == Dialogue::Failure::kNone) {
      dialogue.send_command(wire::mysql::Command::kQuit);
      close(dialogue.take_stream());
    }
    if (wants_log()) co_await try_log();
  }

  /// As the proxy will at its start; the log flows for a moment.
  Task<void> try_log() {
    const auto opened = co_await open_binlog(loop_, target_);
    if (!opened) log_refused(opened.error());
  }

  void learn(const TextRow& row) {
    constexpr std::size_t kColumns = 5;
    if (row.size() != kColumns) return;
    ServerFacts& facts = report_.facts;
    facts.max_connections = number(row[0]);
    // 0 says that the user has no limit of its own. One more connection than max_connections is
    // let in, for those who may CONNECTION ADMIN: none is reserved within.
    if (const int own = number(row[1]); own > 0) {
      facts.max_connections = std::min(facts.max_connections, own);
    }
    facts.log_bin = on_or_off(row[2]);
    facts.binlog_format = row[3].value_or("");
    facts.read_only = on_or_off(row[4]) == "on";
    compare_limits();
  }

  const std::shared_ptr<const OriginTarget> target_;
  std::unique_ptr<OriginLogin> login_;
  std::optional<net::Job<void>> questions_;
};

}  // namespace

std::unique_ptr<OriginVerifier> make_verifier(const core::Launch& launch,
                                              std::shared_ptr<const OriginTarget> target,
                                              net::Loop& loop, VerifyReport& report) {
  return std::make_unique<Verifier>(launch, std::move(target), loop, report);
}

}  // namespace hyperdrive::proxy::session::mysql
