#include "proxy/session/origin_dialogue.hpp"

#include <algorithm>
#include <utility>

namespace hyperdrive::proxy::session {

namespace {

net::Milliseconds until(net::TimePoint deadline) {
  const auto left =
      std::chrono::ceil<net::Milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, net::Milliseconds{1});
}

}  // namespace

OriginDialogue::OriginDialogue(net::Loop& loop, net::TimePoint deadline)
    : loop_(loop), deadline_(deadline), alive_(std::make_shared<OriginDialogue*>(this)) {
  timer_ = loop.timer([this] { fail(Failure::kTimeout, "no answer in time"); });
}

OriginDialogue::OriginDialogue(net::Loop& loop, net::TimePoint deadline,
                               std::unique_ptr<net::Stream> stream)
    : OriginDialogue(loop, deadline) {
  adopt(std::move(stream));
}

OriginDialogue::~OriginDialogue() { *alive_ = nullptr; }

OriginDialogue::Wait<std::optional<net::ConnectError>> OriginDialogue::connect(
    const std::string& host, std::uint16_t port) {
  want_ = Want::kConnection;
  // Connecting watches the clock itself and can say which address took too long.
  pending_ = loop_.connect(host, port, until(deadline_), [this](net::Loop::ConnectResult result) {
    want_ = Want::kNothing;
    if (result) {
      adopt(std::move(*result));
    } else {
      connect_error_ = std::move(result.error());
    }
    wake();
  });
  return {*this, &connect_error_};
}

OriginDialogue::Wait<std::string> OriginDialogue::start_tls(
    std::shared_ptr<net::TlsContext> context, const std::string& host) {
  tls_error_ = failure_words_;
  if (failure_ != Failure::kNone) return {*this, &tls_error_};
  want_ = Want::kTls;
  net::start_tls_client(*stream_, std::move(context), host, {},
                        [weak = std::weak_ptr(alive_)](std::string error) {
                          const auto alive = weak.lock();
                          if (!alive || *alive == nullptr) return;
                          OriginDialogue& self = **alive;
                          self.want_ = Want::kNothing;
                          self.tls_error_ = std::move(error);
                          self.stream_->pause_reading();
                          self.wake();
                        });
  stream_->resume_reading();
  return {*this, &tls_error_};
}

OriginDialogue::Wait<std::optional<char>> OriginDialogue::byte() {
  byte_.reset();
  if (failure_ == Failure::kNone) {
    want_ = Want::kByte;
    stream_->resume_reading();
  }
  return {*this, &byte_};
}

void OriginDialogue::adopt(std::unique_ptr<net::Stream> stream) {
  stream_ = std::move(stream);
  stream_->pause_reading();
  stream_->set_handler(this);
  timer_->arm(until(deadline_));
}

std::unique_ptr<net::Stream> OriginDialogue::take_stream() {
  timer_->disarm();
  stream_->pause_reading();
  stream_->set_handler(nullptr);
  return std::move(stream_);
}

std::size_t OriginDialogue::on_data(net::Bytes data) {
  if (want_ == Want::kByte && !data.empty()) {
    byte_ = data.front();
    satisfied();
    return 1;
  }
  if (want_ != Want::kMessage) return 0;
  const std::optional<std::size_t> size = take_message(data);
  if (!size) {
    fail(Failure::kMalformed, "an answer that is not of the protocol");
    return data.size();
  }
  if (*size != 0) satisfied();
  return *size;
}

void OriginDialogue::satisfied() {
  want_ = Want::kNothing;
  stream_->pause_reading();
  wake();
}

void OriginDialogue::on_closed(net::CloseReason reason) {
  switch (reason) {
    case net::CloseReason::kEof:
      return fail(Failure::kEof, "the connection was closed");
    case net::CloseReason::kReset:
      return fail(Failure::kReset, stream_->error());
    case net::CloseReason::kTls:
      return fail(Failure::kTls, stream_->error());
  }
}

void OriginDialogue::suspend(std::coroutine_handle<> handle) {
  waiting_ = handle;
  // What was asked for may have come while asking.
  if (want_ == Want::kNothing) wake();
}

void OriginDialogue::fail(Failure failure, std::string words) {
  if (failure_ != Failure::kNone) return;
  failure_ = failure;
  failure_words_ = std::move(words);
  if (want_ == Want::kTls) tls_error_ = failure_words_;
  wake();
}

void OriginDialogue::wake() {
  if (!waiting_ || waking_) return;
  waking_ = true;
  loop_.defer([weak = std::weak_ptr(alive_)] {
    const auto alive = weak.lock();
    if (!alive || *alive == nullptr) return;
    OriginDialogue& self = **alive;
    self.waking_ = false;
    std::exchange(self.waiting_, nullptr).resume();
  });
}

}  // namespace hyperdrive::proxy::session
