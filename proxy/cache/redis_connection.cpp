#include "proxy/cache/redis_connection.hpp"

#include <hiredis/hiredis.h>

#include <utility>

namespace hyperdrive::proxy::cache {

namespace {

RedisReply view(const redisReply& from) {
  RedisReply reply;
  switch (from.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      reply.kind =
          from.type == REDIS_REPLY_ERROR ? RedisReply::Kind::kError : RedisReply::Kind::kText;
      reply.text = {from.str, static_cast<std::size_t>(from.len)};
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = RedisReply::Kind::kInteger;
      reply.integer = from.integer;
      break;
    case REDIS_REPLY_ARRAY:
      reply.kind = RedisReply::Kind::kList;
      for (std::size_t i = 0; i < from.elements; ++i) reply.list.push_back(view(*from.element[i]));
      break;
    default:
      break;
  }
  return reply;
}

}  // namespace

RedisConnection::RedisConnection(std::unique_ptr<net::Stream> stream,
                                 std::function<void(std::string)> on_lost)
    : stream_(std::move(stream)),
      on_lost_(std::move(on_lost)),
      reader_(redisReaderCreate(), redisReaderFree) {
  stream_->set_handler(this);
}

RedisConnection::~RedisConnection() { *alive_ = false; }

void RedisConnection::send(std::span<const std::string_view> arguments, OnReply on_reply) {
  if (!on_lost_) return on_reply(nullptr);
  scratch_ = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string_view argument : arguments) {
    scratch_ += "$" + std::to_string(argument.size()) + "\r\n";
    scratch_.append(argument).append("\r\n");
  }
  stream_->write(scratch_);
  waiting_.push_back(std::move(on_reply));
}

std::size_t RedisConnection::on_data(net::Bytes data) {
  const std::size_t used = data.size();
  if (redisReaderFeed(reader_.get(), data.data(), data.size()) != REDIS_OK) {
    fail("it sent what is no reply of Redis");
    return used;
  }
  const auto alive = alive_;
  while (*alive) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK ||
        (raw != nullptr && waiting_.empty())) {
      if (raw != nullptr) freeReplyObject(raw);
      fail("it sent what is no reply of Redis");
      return used;
    }
    if (raw == nullptr) break;
    const std::unique_ptr<void, void (*)(void*)> owned(raw, freeReplyObject);
    const OnReply on_reply = std::move(waiting_.front());
    waiting_.pop_front();
    const RedisReply reply = view(*static_cast<redisReply*>(raw));
    on_reply(&reply);
  }
  return used;
}

void RedisConnection::on_closed(net::CloseReason) {
  const std::string why = stream_->error();
  fail(why.empty() ? "it closed the connection" : why);
}

void RedisConnection::abandon() {
  on_lost_ = nullptr;
  stream_->set_handler(nullptr);
  drop_waiting();
}

void RedisConnection::fail(const std::string& why) {
  const auto on_lost = std::exchange(on_lost_, nullptr);
  if (!on_lost) return;
  stream_->set_handler(nullptr);
  if (drop_waiting()) on_lost(why);
}

/// False if one of those that waited destroyed the connection.
bool RedisConnection::drop_waiting() {
  const auto alive = alive_;
  for (auto waiting = std::exchange(waiting_, {}); !waiting.empty(); waiting.pop_front()) {
    waiting.front()(nullptr);
    if (!*alive) return false;
  }
  return true;
}

}  // namespace hyperdrive::proxy::cache
