// A connection to Redis or Valkey on one of our loops: commands go out in order, replies come back
// in order (RESP2). hiredis reads the replies; the socket is a net::Stream, so that waiting for
// Redis costs what waiting for the origin costs.
//
// Belongs to one loop and its thread. Once lost it stays so: every open command hears of it, then
// `on_lost`, which may destroy the connection.
#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/net/stream.hpp"

struct redisReader;

namespace hyperdrive::proxy::cache {

/// One reply. Views hold during the callback.
struct RedisReply {
  enum class Kind : std::uint8_t { kText, kInteger, kList, kNil, kError } kind = Kind::kNil;
  std::string_view text;  ///< kText (also a status), kError
  long long integer = 0;
  std::vector<RedisReply> list;

  bool is_error() const { return kind == Kind::kError; }
};

class RedisConnection final : public net::StreamHandler {
 public:
  /// `reply`: nullptr when the connection was lost first.
  using OnReply = std::function<void(const RedisReply* reply)>;

  RedisConnection(std::unique_ptr<net::Stream> stream,
                  std::function<void(std::string why)> on_lost);
  ~RedisConnection() override;

  void send(std::span<const std::string_view> arguments, OnReply on_reply);
  void send(std::initializer_list<std::string_view> arguments, OnReply on_reply) {
    send(std::span(arguments.begin(), arguments.size()), std::move(on_reply));
  }
  std::size_t unsent() const { return stream_->unsent(); }
  /// Every open command hears that it was lost; `on_lost` is not called. It may then be destroyed.
  void abandon();

 private:
  std::size_t on_data(net::Bytes data) override;
  void on_closed(net::CloseReason reason) override;
  void fail(const std::string& why);
  bool drop_waiting();

  std::unique_ptr<net::Stream> stream_;
  std::function<void(std::string)> on_lost_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::deque<OnReply> waiting_;
  std::string scratch_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hyperdrive::proxy::cache
