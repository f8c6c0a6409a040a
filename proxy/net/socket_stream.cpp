#include "proxy/net/socket_stream.hpp"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "proxy/net/loop_core.hpp"
#include "proxy/net/read_first.hpp"
#include "proxy/net/tls_session.hpp"

namespace hyperdrive::proxy::net {
namespace {

/// Tells a member function whether a handler it called has destroyed the stream.
class Alive {
 public:
  // Not inlined: g++ 12 warns about the address of a local although the destructor takes it back.
  [[gnu::noinline]] explicit Alive(bool*& place) : place_(place) { place_ = &alive_; }
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;
  ~Alive() {
    if (alive_) place_ = nullptr;
  }
  explicit operator bool() const { return alive_; }

 private:
  bool*& place_;
  bool alive_ = true;
};

}  // namespace

void read_first(Stream& stream) { static_cast<SocketStream&>(stream).first = true; }

SocketStream::SocketStream(int fd, LoopCore* loop) : fd_(fd), loop_(loop) {}

SocketStream::~SocketStream() {
  if (alive_ != nullptr) *alive_ = false;
  if (loop_ == nullptr) {
    ::close(fd_);
    return;
  }
  loop_->forget(*this);
  rest_.release(pool());
  out.release(pool());
  if (tls_) tls_->plain.release(pool());
}

void SocketStream::move_to(LoopCore* loop) {
  loop_ = loop;
  if (tls_ && loop != nullptr) tls_->attach_output(out, pool());
}

BlockPool& SocketStream::pool() { return loop_->pool(); }

Loop& SocketStream::loop() const {
  assert(loop_ != nullptr);
  return *loop_;
}

void SocketStream::set_handler(StreamHandler* handler) {
  const bool had_none = handler_ == nullptr;
  handler_ = handler;
  if (handler == nullptr || loop_ == nullptr) return;
  if (alive_ != nullptr) {
    changed_ = true;
  } else if (had_none && (readable || kept_end_ || !rest_.empty())) {
    loop_->work_waits(*this);
  }
}

void SocketStream::resume_reading() {
  paused_ = false;
  if (closed_ || loop_ == nullptr) return;
  if (alive_ != nullptr) {
    resumed_ = true;
  } else {
    loop_->work_waits(*this);
  }
}

// --- writing
// ----------------------------------------------------------------------------------------

Buffer& SocketStream::output() { return tls_ ? tls_->plain : out; }

void SocketStream::write(Bytes bytes) {
  if (bytes.empty() || broken_ || finishing_) return;
  output().append(bytes, pool());
  after_write();
}

char* SocketStream::reserve(std::size_t size) {
  char* room = output().extend(size, pool());
  after_write();
  return room;
}

void SocketStream::after_write() {
  if (stalled_since_.time_since_epoch().count() == 0) stalled_since_ = loop_->now();
  if (unsent() > kHighWater) over_high_water_ = true;
  loop_->output_waits(*this);
}

std::size_t SocketStream::unsent() const {
  return out.size() + in_flight.size() + (tls_ ? tls_->plain.size() : 0);
}

void SocketStream::prepare_output() {
  if (!tls_ || tls_->handshaking()) return;
  if (!tls_->plain.empty()) {
    const auto step = tls_->encrypt(tls_->plain.view());
    tls_->plain.release(pool());
    if (unsent() > kHighWater) over_high_water_ = true;
    if (step == TlsSession::Step::kFailed) sending_failed(EPROTO);
  }
  if (finishing_ && !broken_) tls_->close_notify();
}

void SocketStream::sent(std::size_t size) {
  progress_ += size;
  if (unsent() != 0) {
    if (progress_ < kProgress) return;
    stalled_since_ = loop_->now();
    progress_ = 0;
    return;
  }
  stalled_since_ = {};
  progress_ = 0;
  if (over_high_water_) loop_->drain_waits(*this);
}

bool SocketStream::drained() {
  if (!over_high_water_ || unsent() != 0) return true;
  over_high_water_ = false;
  if (handler_ == nullptr || closed_ || finishing_) return true;
  Alive alive(alive_);
  handler_->on_drained();
  if (!alive) return false;
  after_data(1);  // it may have resumed this stream itself
  return true;
}

void SocketStream::sending_failed(int error_number) {
  broken_ = true;
  error_number_ = error_number;
  out.release(pool());
  if (tls_) tls_->plain.release(pool());
  stalled_since_ = {};
  loop_->work_waits(*this);
}

void SocketStream::finish() {
  if (finishing_ || loop_ == nullptr) return;
  finishing_ = true;
  kept_end_ = false;
  if (alive_ == nullptr) rest_.release(pool());
  loop_->output_waits(*this);
}

void SocketStream::output_done() {
  if (closed_ || broken_) loop_->lingering_done(*this);
}

// --- reading
// ----------------------------------------------------------------------------------------

bool SocketStream::received(char* data, std::size_t size, std::size_t headroom) {
  if (finishing_ || closed_) return true;
  if (tls_) return received_tls({data, size});
  return present(data, size, headroom);
}

bool SocketStream::present(char* data, std::size_t size, std::size_t headroom) {
  if (finishing_ || closed_) return true;
  if (!accepts_data()) {
    rest_.append({data, size}, pool());
    return true;
  }
  if (!rest_.empty()) {
    if (rest_.size() > headroom) {
      rest_.append({data, size}, pool());
      return present_rest();
    }
    data -= rest_.size();
    size += rest_.size();
    std::memcpy(data, rest_.data(), rest_.size());
    rest_.release(pool());
  }
  Alive alive(alive_);
  const std::size_t used = std::min(handler_->on_data({data, size}), size);
  if (!alive) return false;
  if (used < size && !finishing_) rest_.append({data + used, size - used}, pool());
  after_data(used);
  return true;
}

bool SocketStream::present_rest() {
  Alive alive(alive_);
  const std::size_t used = std::min(handler_->on_data(rest_.view()), rest_.size());
  if (!alive) return false;
  rest_.consume(used);
  if (rest_.empty() || finishing_) rest_.release(pool());
  after_data(used);
  return true;
}

/// What was asked for from within on_data. Bytes of which nothing could be used are presented again
/// only to another handler: the same one would say the same.
void SocketStream::after_data(std::size_t used) {
  const bool again = changed_ || (resumed_ && (used != 0 || kept_end_));
  changed_ = resumed_ = false;
  if (tls_ && tls_->handshaking() && !rest_.empty()) loop_->work_waits(*this);
  if (again && !closed_ && !finishing_) loop_->work_waits(*this);
}

bool SocketStream::present_kept() {
  if (broken_ && (closed_ || finishing_ || !accepts_data())) {
    return peer_closed(CloseReason::kReset, error_number_);
  }
  if (closed_ || finishing_) return true;
  if (tls_ && tls_->handshaking()) return handshake() && read_decrypted();
  if (!rest_.empty() && accepts_data() && !present_rest()) return false;
  if (kept_end_ && !closed_ && accepts_data() && !finishing_) return deliver_closed(kept_reason_);
  return true;
}

bool SocketStream::peer_closed(CloseReason reason, int error_number) {
  if (error_number != 0) error_number_ = error_number;
  if (broken_ && reason == CloseReason::kEof) reason = CloseReason::kReset;
  if (finishing_) {
    closed_ = true;
    if (shut || reason != CloseReason::kEof) loop_->lingering_done(*this);
    return true;
  }
  if (closed_) return true;
  if (tls_ && tls_->handshaking()) {
    tls_->fail("the peer closed the connection during the TLS handshake");
    return tls_failed();
  }
  const bool behind_bytes = !rest_.empty() && reason == CloseReason::kEof;
  const bool again = behind_bytes && handler_ != nullptr && !kept_end_ && handler_->on_end_ahead();
  const bool waits = paused_ || loop_->has_work(*this);  // the bytes are still to be presented
  if (handler_ == nullptr || again || (waits && behind_bytes)) {
    kept_end_ = true;
    kept_reason_ = reason;
    return again ? present_kept() : true;
  }
  return deliver_closed(reason);
}

bool SocketStream::deliver_closed(CloseReason reason) {
  closed_ = true;
  kept_end_ = false;
  rest_.release(pool());
  Alive alive(alive_);
  handler_->on_closed(reason);
  return static_cast<bool>(alive);
}

// --- TLS
// --------------------------------------------------------------------------------------------

void SocketStream::start_tls(std::unique_ptr<TlsSession> session, Bytes already_read) {
  tls_ = std::move(session);
  tls_->attach_output(out, pool());
  tls_->feed_copy(already_read);
  loop_->work_waits(*this);
}

bool SocketStream::handshake() {
  if (!rest_.empty()) {
    tls_->fail("unencrypted bytes followed the request for TLS");
    return tls_failed();
  }
  const auto step = tls_->handshake();
  if (!out.empty()) after_write();
  if (step == TlsSession::Step::kFailed || step == TlsSession::Step::kEnd) return tls_failed();
  if (step == TlsSession::Step::kAgain) return true;
  auto done = tls_->take_done();
  if (!tls_->plain.empty()) after_write();
  Alive alive(alive_);
  done({});
  return static_cast<bool>(alive);
}

bool SocketStream::tls_failed() {
  if (!out.empty()) after_write();  // the alert
  closed_ = true;
  const std::string error = tls_->error();
  auto done = tls_->take_done();
  Alive alive(alive_);
  if (done) {
    done(error);
  } else if (handler_ != nullptr) {
    handler_->on_closed(CloseReason::kTls);
  }
  return static_cast<bool>(alive);
}

bool SocketStream::received_tls(Bytes cipher) {
  // What was read before TLS began comes first.
  if (tls_->handshaking() && tls_->has_unread() && !handshake()) return false;
  tls_->feed(cipher);
  if (tls_->handshaking() && !handshake()) return false;
  return read_decrypted();
}

bool SocketStream::read_decrypted() {
  while (!tls_->handshaking() && !closed_ && !finishing_) {
    std::size_t got = 0;
    const auto step = tls_->read(loop_->plain_buffer(), LoopCore::kPlain, got);
    if (step == TlsSession::Step::kEnd) return peer_closed(CloseReason::kEof, 0);
    if (step == TlsSession::Step::kFailed) return tls_failed();
    if (step == TlsSession::Step::kAgain) break;
    if (!present(loop_->plain_buffer(), got, LoopCore::kHeadroom)) return false;
  }
  if (!out.empty()) after_write();  // answers of the TLS layer itself
  return true;
}

bool SocketStream::is_tls() const { return tls_ && !tls_->handshaking(); }

TlsInfo SocketStream::tls_info() const { return is_tls() ? tls_->info() : TlsInfo(); }

std::string SocketStream::tls_server_end_point() const {
  return is_tls() ? tls_->server_end_point() : std::string();
}

std::string SocketStream::error() const {
  if (tls_ && !tls_->error().empty()) return tls_->error();
  if (error_number_ != 0) return std::strerror(error_number_);
  return closed_ ? "the peer closed the connection" : "";
}

}  // namespace hyperdrive::proxy::net
