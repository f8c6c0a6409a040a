#include "proxy/net/connecting.hpp"

#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

#include "proxy/net/sockets.hpp"

namespace hyperdrive::proxy::net {

struct Lookup {
  std::mutex mutex;
  LoopCore* loop = nullptr;        // null once nobody waits any more
  std::function<void()> finished;  // runs on the loop
  std::vector<Address> addresses;
  int error = 0;
};

namespace {

int look_up(const std::string& host, std::uint16_t port, int flags, std::vector<Address>& found) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) return error;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    Address address;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.size = each->ai_addrlen;
    found.push_back(address);
  }
  ::freeaddrinfo(list);
  return 0;
}

void look_up_on_thread(const std::shared_ptr<Lookup>& lookup, std::string host,
                       std::uint16_t port) {
  std::thread([lookup, host = std::move(host), port] {
    std::vector<Address> found;
    const int error = look_up(host, port, 0, found);
    const std::lock_guard lock(lookup->mutex);
    lookup->addresses = std::move(found);
    lookup->error = error;
    if (lookup->loop == nullptr) return;
    lookup->loop->post([lookup] {
      // The attempt may have been destroyed between the post and now.
      if (lookup->finished) lookup->finished();
    });
  }).detach();
}

ConnectError::Kind kind_of(int error_number) {
  switch (error_number) {
    case ETIMEDOUT:
      return ConnectError::Kind::kTimeout;
    case ECONNREFUSED:
    case ECONNRESET:
      return ConnectError::Kind::kRefused;
    default:
      return ConnectError::Kind::kUnreachable;
  }
}

}  // namespace

std::string Address::text() const {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  const int error =
      ::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), size, host.data(), host.size(),
                    port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) return "an unknown address";
  const bool v6 = storage.ss_family == AF_INET6;
  return (v6 ? "[" + std::string(host.data()) + "]" : std::string(host.data())) + ":" + port.data();
}

Connecting::Connecting(LoopCore& loop, const std::string& host, std::uint16_t port,
                       Milliseconds timeout, std::function<void(Loop::ConnectResult)> done)
    : loop_(loop),
      host_(host),
      port_(port),
      deadline_(loop.now() + timeout),
      done_(std::move(done)),
      timer_(loop.timer([this] { started_ ? on_timeout() : start(); })) {
  timer_->arm(Milliseconds{0});  // never call back from within connect()
}

Connecting::~Connecting() {
  if (lookup_) {
    const std::lock_guard lock(lookup_->mutex);
    lookup_->loop = nullptr;
    lookup_->finished = nullptr;
  }
  abandon_socket();
}

void Connecting::start() {
  started_ = true;
  // An IPv6 address may come in brackets.
  if (host_.size() > 2 && host_.front() == '[' && host_.back() == ']') {
    host_ = host_.substr(1, host_.size() - 2);
  }
  if (look_up(host_, port_, AI_NUMERICHOST, addresses_) == 0) return try_next();
  timer_->arm(std::chrono::duration_cast<Milliseconds>(deadline_ - loop_.now()));
  lookup_ = std::make_shared<Lookup>();
  lookup_->loop = &loop_;
  lookup_->finished = [this] { looked_up(); };
  look_up_on_thread(lookup_, host_, port_);
}

void Connecting::looked_up() {
  const auto lookup = std::move(lookup_);
  {
    const std::lock_guard lock(lookup->mutex);
    lookup->loop = nullptr;
  }
  if (lookup->error != 0) {
    const std::string why =
        lookup->error == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(lookup->error);
    return fail(ConnectError::Kind::kResolve, why);
  }
  addresses_ = std::move(lookup->addresses);
  try_next();
}

void Connecting::try_next() {
  while (next_ < addresses_.size()) {
    const Address& address = addresses_[next_++];
    const auto left = std::chrono::duration_cast<Milliseconds>(deadline_ - loop_.now());
    if (left.count() <= 0) {
      last_error_ = ETIMEDOUT;
      break;
    }
    fd_ = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ < 0) {
      attempt_failed(errno);
      continue;
    }
    set_stream_options(fd_);
    const int result =
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    if (result != 0 && errno != EINPROGRESS) {
      attempt_failed(errno);
      continue;
    }
    // Each address gets its share of the time that is left.
    timer_->arm(left / static_cast<int>(addresses_.size() - next_ + 1));
    watch_ = loop_.watch_writable(fd_, [this] { on_writable(); });
    return;
  }
  fail(kind_of(last_error_), failures_.empty() ? std::strerror(last_error_) : failures_);
}

void Connecting::on_writable() {
  int error_number = 0;
  socklen_t size = sizeof error_number;
  if (::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error_number, &size) != 0) error_number = errno;
  if (error_number != 0) {
    attempt_failed(error_number);
    return try_next();
  }
  timer_->disarm();
  watch_.reset();
  auto done = std::move(done_);
  auto stream = loop_.adopt(std::exchange(fd_, -1));
  done(std::move(stream));
}

void Connecting::on_timeout() {
  if (lookup_) {
    return fail(ConnectError::Kind::kTimeout, "looking up the name took too long");
  }
  attempt_failed(ETIMEDOUT);
  try_next();
}

void Connecting::attempt_failed(int error_number) {
  last_error_ = error_number;
  if (!failures_.empty()) failures_ += "; ";
  failures_ += addresses_[next_ - 1].text() + ": " + std::strerror(error_number);
  abandon_socket();
}

void Connecting::abandon_socket() {
  watch_.reset();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void Connecting::fail(ConnectError::Kind kind, std::string message) {
  timer_->disarm();
  // `done` may destroy this object: nothing may be touched after it.
  auto done = std::move(done_);
  done(tl::unexpected(ConnectError{kind, std::move(message)}));
}

}  // namespace hyperdrive::proxy::net
