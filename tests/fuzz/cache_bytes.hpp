// What the fuzzer and the deterministic unit test feed to those who read bytes of the shared tier
// and of the origin's answers and log.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/cache/redis_connection.hpp"
#include "proxy/cache/tier_protocol.hpp"
#include "proxy/session/postgres/cache_answer.hpp"
#include "proxy/session/postgres/test_decoding.hpp"
#include "proxy/wire/postgres/build.hpp"
#include "proxy/wire/postgres/replication.hpp"

namespace hyperdrive::tests::fuzz {

namespace net = hyperdrive::proxy::net;
namespace cache = hyperdrive::proxy::cache;
namespace session = hyperdrive::proxy::session::postgres;
namespace pgwire = hyperdrive::proxy::wire::postgres;

/// A stream without a socket: gives its handler what it is told, in pieces.
class FedStream final : public net::Stream {
 public:
  void set_handler(net::StreamHandler* handler) override { handler_ = handler; }
  void write(net::Bytes) override {}
  char* reserve(std::size_t size) override {
    room_.resize(size);
    return room_.data();
  }
  std::size_t unsent() const override { return 0; }
  std::chrono::steady_clock::time_point stalled_since() const override { return {}; }
  void pause_reading() override {}
  void resume_reading() override {}
  std::size_t unread() const override { return kept_.size(); }
  void finish() override {}
  int fd() const override { return -1; }
  net::Loop& loop() const override { std::abort(); }
  std::string error() const override { return {}; }
  bool is_tls() const override { return false; }
  std::string tls_server_end_point() const override { return {}; }
  net::TlsInfo tls_info() const override { return {}; }

  void feed(net::Bytes bytes) {
    kept_ += bytes;
    if (handler_ == nullptr) return;
    // A copy of exact size, so that the sanitizer sees one byte too far.
    const std::vector<char> exact(kept_.begin(), kept_.end());
    kept_.erase(0, handler_->on_data({exact.data(), exact.size()}));
  }

 private:
  net::StreamHandler* handler_ = nullptr;
  std::string kept_, room_;
};

inline std::size_t weight(const cache::RedisReply& reply) {
  std::size_t sum = reply.text.size();
  for (const auto& item : reply.list) sum += weight(item);
  return sum;
}

inline void redis_replies(net::Bytes input) {
  auto stream = std::make_unique<FedStream>();
  FedStream& fed = *stream;
  int lost = 0, answered = 0;
  cache::RedisConnection connection(std::move(stream), [&](const std::string&) { ++lost; });
  for (int i = 0; i < 4; ++i) {
    connection.send({"PING"}, [&](const cache::RedisReply* reply) {
      ++answered;
      if (reply != nullptr) weight(*reply);
    });
  }
  const std::size_t half = input.size() / 2;
  fed.feed(input.substr(0, half));
  fed.feed(input.substr(half));
  connection.abandon();
  if (answered != 4 || lost > 1) std::abort();
}

/// The bytes of an answer, in pieces: the reader sees the same as in one.
inline void origin_answer(net::Bytes input) {
  static cache::Cache store({1u << 20}, {});
  session::AnswerReader whole(store.capture()), pieces(store.capture());
  whole.read(input);
  for (std::size_t at = 0; at < input.size(); at += 3) pieces.read(input.substr(at, 3));
  const bool same = whole.clean() == pieces.clean() && whole.columns() == pieces.columns() &&
                    whole.row_count() == pieces.row_count() &&
                    whole.command_complete() == pieces.command_complete();
  if (!same) std::abort();
  session::shape_of_columns(whole.columns());
  session::shape_of_parameters(whole.parameters());
}

inline void cache_bytes(net::Bytes input) {
  if (const auto answer = cache::tier::decode(input)) {
    if (cache::tier::encode(*answer) != input) std::abort();
  }
  redis_replies(input);
  origin_answer(input);
  session::parse_decoded_line(input);
  if (const auto data = pgwire::parse_xlog_data(input)) session::parse_decoded_line(data->payload);
  pgwire::parse_primary_keepalive(input);
  if (const auto lsn = pgwire::parse_lsn(input)) {
    if (pgwire::parse_lsn(pgwire::format_lsn(*lsn)) != lsn) std::abort();
  }
}

inline const std::vector<std::string>& cache_seeds() {
  static const std::vector<std::string> seeds = [] {
    using namespace std::string_literals;
    std::vector<std::string> all = {
        "+PONG\r\n:12\r\n-ERR no\r\n$5\r\nhello\r\n",
        "*4\r\n:0\r\n$7\r\nab.1,cd\r\n$-1\r\n:1000\r\n*0\r\n*-1\r\n",
        "BEGIN 715",
        "COMMIT 715 (at 2026-11-25 10:00:00+00)",
        "table public.items: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 "
        "v[text]:'it''s'",
        "table \"odd \"\" name\".\"a.b\": INSERT: (no-tuple-data)",
        "table public.a, public.b: TRUNCATE: restart_seqs cascade",
        "message: transactional: 1 prefix: x, sz: 3 content:abc",
        "16/B374D848",
        "w"s + std::string(24, '\0') + "BEGIN 9",
        "k"s + std::string(17, '\1'),
    };
    all.push_back(
        cache::tier::encode({"key", "a.1,b.2", "head", "tail", "rows", 3,
                             std::chrono::microseconds(5), std::chrono::milliseconds(60'000)}));
    std::string& answer = all.emplace_back();
    const pgwire::Column columns[] = {{"id", 1, 1, 23, 4, -1, pgwire::Format::kText}};
    const std::optional<net::Bytes> values[] = {net::Bytes("7"), std::nullopt};
    pgwire::append_empty(answer, pgwire::Backend::kParseComplete);
    pgwire::append_empty(answer, pgwire::Backend::kBindComplete);
    pgwire::append_row_description(answer, columns);
    pgwire::append_data_row(answer, values);
    pgwire::append_command_complete(answer, "SELECT 1");
    pgwire::append_ready_for_query(answer, pgwire::TransactionStatus::kIdle);
    return all;
  }();
  return seeds;
}

}  // namespace hyperdrive::tests::fuzz
