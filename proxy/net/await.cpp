#include "proxy/net/await.hpp"

namespace hyperdrive::proxy::net {

void Connect::await_suspend(std::coroutine_handle<> awaiting) {
  pending_ = loop_.connect(host_, port_, timeout_, [this, awaiting](Loop::ConnectResult result) {
    result_ = std::move(result);
    awaiting.resume();
  });
}

void Sleep::await_suspend(std::coroutine_handle<> awaiting) {
  timer_ = loop_.timer([awaiting] { awaiting.resume(); });
  timer_->arm(duration_);
}

StartTls::~StartTls() {
  if (self_) *self_ = nullptr;
}

void StartTls::await_suspend(std::coroutine_handle<> awaiting) {
  self_ = std::make_shared<StartTls*>(this);
  start_tls_client(stream_, context_, host_, alpn_, [self = self_, awaiting](std::string error) {
    if (*self == nullptr) return;
    (*self)->error_ = std::move(error);
    awaiting.resume();
  });
}

// --- StreamReader
// -----------------------------------------------------------------------------------

StreamReader::StreamReader(Stream& stream) : stream_(&stream) { stream.set_handler(this); }

StreamReader::~StreamReader() {
  if (call_ != nullptr) *call_ = {false, used_};
  // After hand_over, or once on_closed was called, the stream may be gone already.
  if (stream_ == nullptr || closed_) return;
  stream_->resume_reading();
  stream_->set_handler(nullptr);
}

void StreamReader::expire_after(Milliseconds time) {
  expired_ = false;
  if (!timer_) {
    timer_ = stream_->loop().timer([this] {
      expired_ = true;
      if (wait_ != nullptr) resume();
    });
  }
  timer_->arm(time);
}

void StreamReader::hand_over(StreamHandler* handler) {
  Stream& stream = *std::exchange(stream_, nullptr);
  stream.set_handler(handler);
  stream.resume_reading();
}

void StreamReader::wait_for(Wait& wait, std::coroutine_handle<> awaiting) {
  wait_ = &wait;
  awaiting_ = awaiting;
  // Bytes left over from earlier are with the stream: have them presented.
  if (call_ == nullptr) stream_->resume_reading();
}

ReadResult StreamReader::result() const {
  if (closed_) return tl::unexpected(ReadError{ReadError::Kind::kClosed, reason_});
  if (expired_) return tl::unexpected(ReadError{ReadError::Kind::kTimeout, reason_});
  return left();
}

std::size_t StreamReader::on_data(Bytes data) {
  if (wait_ == nullptr) {
    // Nobody reads: kept by the stream, in front of an end-of-file too.
    stream_->pause_reading();
    return 0;
  }
  if (!wait_->enough(data)) return 0;
  Call call;
  call_ = &call;
  data_ = data;
  used_ = 0;
  resume();
  if (!call.alive) return call.used;
  call_ = nullptr;
  if (wait_ == nullptr && stream_ != nullptr) stream_->pause_reading();
  return used_;
}

void StreamReader::on_closed(CloseReason reason) {
  closed_ = true;
  reason_ = reason;
  if (wait_ != nullptr) resume();
}

void StreamReader::resume() {
  wait_ = nullptr;
  awaiting_.resume();
}

}  // namespace hyperdrive::proxy::net
