#include "proxy/session/postgres/verify.hpp"

#include <fmt/format.h>

#include "proxy/net/task.hpp"
#include "proxy/session/postgres/dialogue.hpp"
#include "proxy/session/postgres/origin_login.hpp"
#include "proxy/wire/postgres/build.hpp"

namespace hyperdrive::proxy::session::postgres {

namespace pg = wire::postgres;
namespace code = core::code;
using net::Task;

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

constexpr std::string_view kTestQuery = "SELECT 1";
constexpr std::string_view kFactsQuery =
    "SELECT current_setting('server_version_num'), current_setting('max_connections'), "
    "current_setting('superuser_reserved_connections'), current_setting('wal_level'), "
    "pg_is_in_recovery(), current_setting('is_superuser')";

Microseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<Microseconds>(Clock::now() - start);
}

/// The first row of a simple query, or what went wrong.
Task<core::Result<Row>> ask(Dialogue& dialogue, std::string_view sql) {
  std::string query;
  pg::append_query(query, sql);
  dialogue.write(query);
  Row row;
  std::optional<core::Error> error;
  for (;;) {
    const auto message = co_await dialogue.message();
    if (!message) {
      co_return core::fail(
          "The origin ended the connection during the query: " + dialogue.failure_words() + ".",
          "Look into the origin's log.", code::kTestQueryFailed);
    }
    if (message->header.is(pg::Backend::kReadyForQuery)) break;
    if (message->header.is(pg::Backend::kErrorResponse)) {
      const auto fields = pg::parse_error_response(message->body);
      const std::string words = fields ? std::string(fields->message) : "an unreadable error";
      error = core::Error{fmt::format("The test query \"{}\" failed: {}.", sql, words),
                          "Check that the user may connect to this database and read from it.",
                          code::kTestQueryFailed};
    }
    if (!message->header.is(pg::Backend::kDataRow) || !row.empty()) continue;
    if (const auto values = pg::parse_data_row(message->body)) {
      for (const auto& value : *values) {
        row.push_back(value ? std::optional<std::string>(*value) : std::nullopt);
      }
    }
  }
  if (error) co_return tl::unexpected(std::move(*error));
  co_return row;
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
    login_succeeded(result->progress, result->parameter("server_version"));
    questions_.emplace(ask_all(std::move(result->stream)), [this] { answered(); });
    questions_->start();
  }

  Task<void> ask_all(std::unique_ptr<net::Stream> stream) {
    Dialogue dialogue(loop_, Clock::now() + target_->connect_timeout, std::move(stream));
    const auto start = Clock::now();
    const auto answer = co_await ask(dialogue, kTestQuery);
    query_answered(answer, kTestQuery, since(start));
    if (!answer) co_return;
    // What is not Postgres itself (a pooler, a cousin) may not know these settings: no failure.
    if (const auto facts = co_await ask(dialogue, kFactsQuery)) learn(*facts);
    std::string goodbye;
    pg::append_empty(goodbye, pg::Frontend::kTerminate);
    dialogue.write(goodbye);
    close(dialogue.take_stream());
  }

  /// Where the config wants the log followed: the login for that, as the proxy will at its start.
  /// No slot is made, as that waits for every transaction under way.
  void answered() {
    if (!wants_log() || report_.facts.wal_level != "logical") return end();
    login_ = log_in(loop_, target_, {{"replication", "database"}}, [this](LoginResult result) {
      if (result) {
        close(std::move(result->stream));
      } else {
        log_refused(result.error().error);
      }
      end();
    });
  }

  void learn(const Row& row) {
    constexpr std::size_t kColumns = 6;
    if (row.size() != kColumns) return;
    ServerFacts& facts = report_.facts;
    facts.version_num = number(row[0]);
    facts.max_connections = number(row[1]);
    facts.reserved_connections = number(row[2]);
    facts.wal_level = row[3].value_or("");
    facts.read_only = row[4] == "t";
    facts.superuser = row[5] == "on";
    if (wants_log() && facts.wal_level != "logical") {
      log_refused({"invalidation = replication needs wal_level = logical at the origin; it is \"" +
                       facts.wal_level + "\".",
                   "Set wal_level = logical in postgresql.conf and restart Postgres, or use "
                   "--invalidation writes."});
    }
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

}  // namespace hyperdrive::proxy::session::postgres
